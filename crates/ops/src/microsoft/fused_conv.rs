//! com.microsoft.FusedConv: Conv, a tensor added to its result, and an activation.

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
    types: &[types_of("T", FLOATS)],
};

/// The operator FusedConv of ONNX Runtime.
pub static FUSED_CONV: OpDef = OpDef {
    name: "FusedConv",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn conv(view: &AttrView) -> OpResult<Attrs> {
    fused::chosen(view, &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"])
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let attrs = conv(&cx.attrs)?;
    fused::infer_as(cx, "Conv", attrs, &[0, 1, 2])
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let operands = [Some(cx.tensor(inputs, 0)?), Some(cx.tensor(inputs, 1)?), cx.opt_tensor(inputs, 2)?];
    let mut out = fused::hub(cx, "Conv", conv(&cx.attrs)?, &operands)?;
    if let Some(z) = cx.opt_tensor(inputs, 3)? {
        out = fused::hub(cx, "Add", Attrs::new(), &[Some(&out), Some(z)])?;
    }
    Ok(vec![fused::activated(cx, out)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let inputs = (0..3).map(|i| b.opt_input(node, i)).collect::<Vec<_>>();
    let attrs = conv(&b.attrs(node)?)?;
    let mut out = b.node("", "Conv", &inputs, attrs, 1)?[0];
    if let Some(z) = b.opt_input(node, 3) {
        out = b.op("Add", &[out, z])?;
    }
    Ok(vec![fused::activate(b, node, out)?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        let (x, w) = (s.any(dtype, &[1, 2, 4, 4]), s.any(dtype, &[3, 2, 3, 3]));
        let (b, z) = (s.any(dtype, &[3]), s.any(dtype, &[1, 3, 4, 4]));
        let case = s.case().input(x.clone()).input(w.clone()).input(b).input(z).attr("pads", [1, 1, 1, 1]);
        case.attr("activation", "Relu").attr("kernel_shape", [3, 3]).add();
        s.case().input(x).input(w).attr("strides", [2, 1]).attr("dilations", [1, 1]).add();
    }
    let (x, w) = (s.any(F32, &[1, 2, 5]), s.any(F32, &[2, 1, 2]));
    let case = s.case().input(x).input(w).attr("group", 2).attr("auto_pad", "SAME_UPPER");
    case.attr("activation", "LeakyRelu").attr("activation_params", vec![0.3f32]).add();
}
