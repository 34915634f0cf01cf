//! com.microsoft.ConvTransposeWithDynamicPads: ConvTranspose whose pads are an operand.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("W", "T"), Param::opt("Pads", "tensor(int64)"), Param::opt("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::optional("output_padding", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS)],
};

/// The operator ConvTransposeWithDynamicPads of ONNX Runtime.
pub static CONV_TRANSPOSE_WITH_DYNAMIC_PADS: OpDef = OpDef {
    name: "ConvTransposeWithDynamicPads",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&CONV_TRANSPOSE_WITH_DYNAMIC_PADS, cx),
    eval: |cx, inputs| composite::eval(&CONV_TRANSPOSE_WITH_DYNAMIC_PADS, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let names = ["auto_pad", "dilations", "group", "kernel_shape", "output_padding", "strides"];
    let mut attrs = fused::chosen(&b.attrs(node)?, &names)?;
    if let Some(pads) = b.opt_input(node, 2) {
        let pads = b.model.constant(pads).ok_or_else(|| OpError::unsupported("pads that are no constant"))?;
        attrs.set("pads", pads.to_i64s()?);
    }
    let operands = [Some(b.input(node, 0)?), Some(b.input(node, 1)?), b.opt_input(node, 3)];
    b.node("", "ConvTranspose", &operands, attrs, 1)
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        let (x, w, bias) = (s.any(dtype, &[1, 2, 3, 4]), s.any(dtype, &[2, 3, 3, 3]), s.any(dtype, &[3]));
        let pads = Tensor::vector(&[1i64, 0, 1, 1]);
        let case = s.case().input(x.clone()).input(w.clone()).input(pads).input(bias).attr("strides", [2, 1]);
        case.attr("kernel_shape", [3, 3]).attr("output_padding", [1, 0]).add();
        s.case().input(x).input(w).attr("dilations", [2, 1]).add();
    }
    let (x, w) = (s.any(F32, &[1, 2, 5]), s.any(F32, &[2, 1, 2]));
    s.case().input(x).input(w).attr("group", 2).attr("auto_pad", "SAME_UPPER").attr("strides", [2]).add();
}
