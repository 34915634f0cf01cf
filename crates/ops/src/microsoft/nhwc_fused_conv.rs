//! com.microsoft.NhwcFusedConv: NhwcConv, a tensor added to its result, and an activation.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("W", "T"), Param::opt("B", "T"), Param::opt("Z", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::optional("activation", AttrKind::String),
        AttrDef::optional("activation_params", AttrKind::Floats),
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16]))],
};

/// The operator NhwcFusedConv of ONNX Runtime.
pub static NHWC_FUSED_CONV: OpDef = OpDef {
    name: "NhwcFusedConv",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&NHWC_FUSED_CONV, cx),
    eval: |cx, inputs| composite::eval(&NHWC_FUSED_CONV, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let names = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
    let attrs = fused::chosen(&b.attrs(node)?, &names)?;
    let operands = [Some(b.input(node, 0)?), Some(b.input(node, 1)?), b.opt_input(node, 2)];
    let mut y = b.node(DOMAIN, "NhwcConv", &operands, attrs, 1)?[0];
    if let Some(z) = b.opt_input(node, 3) {
        y = b.op("Add", &[y, z])?;
    }
    Ok(vec![fused::activate(b, node, y)?])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (x, w, bias) = (s.any(dtype, &[1, 4, 4, 2]), s.any(dtype, &[3, 2, 3, 3]), s.any(dtype, &[3]));
        let z = s.any(dtype, &[1, 4, 4, 3]);
        let case = s.case().input(x.clone()).input(w).input(bias).input(z).attr("pads", [1, 1, 1, 1]);
        case.attr("activation", "Relu").attr("kernel_shape", [3, 3]).attr("strides", [1, 1]).add();
        let w = s.any(dtype, &[2, 1, 2, 2]);
        let case = s.case().input(x).input(w).attr("group", 2).attr("auto_pad", "SAME_LOWER");
        case.attr("dilations", [1, 1]).attr("activation", "LeakyRelu").attr("activation_params", vec![0.3f32]).add();
    }
}
