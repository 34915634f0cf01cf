//! com.microsoft.NhwcConv: convolution of a tensor whose channels come last; the weight is as that of Conv.

use crate::microsoft::fused::{self, DOMAIN};
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("W", "T"), Param::opt("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS)],
};

/// The operator NhwcConv of ONNX Runtime.
pub static NHWC_CONV: OpDef = OpDef {
    name: "NhwcConv",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&NHWC_CONV, cx),
    eval: |cx, inputs| composite::eval(&NHWC_CONV, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let names = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
    let attrs = fused::chosen(&b.attrs(node)?, &names)?;
    let x = b.input(node, 0)?;
    let x = quantized::channels(b, x, true)?;
    let operands = [Some(x), Some(b.input(node, 1)?), b.opt_input(node, 2)];
    let y = b.node("", "Conv", &operands, attrs, 1)?[0];
    Ok(vec![quantized::channels(b, y, false)?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        let (x, w, bias) = (s.any(dtype, &[1, 5, 4, 2]), s.any(dtype, &[3, 2, 3, 3]), s.any(dtype, &[3]));
        let case = s.case().input(x.clone()).input(w).input(bias).attr("pads", [1, 0, 1, 1]);
        case.attr("strides", [2, 1]).attr("kernel_shape", [3, 3]).add();
        let w = s.any(dtype, &[2, 1, 2, 2]);
        let case = s.case().input(x).input(w).attr("group", 2).attr("auto_pad", "SAME_LOWER");
        case.attr("dilations", [1, 1]).add();
    }
}
