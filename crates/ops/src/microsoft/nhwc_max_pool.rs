//! com.microsoft.NhwcMaxPool: largest elements of windows of a quantized tensor whose channels come last.

use crate::microsoft::fused::{self, DOMAIN};
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T")],
    outputs: &[Param::one("y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::int("ceil_mode", 0),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", BYTES)],
};

/// The operator NhwcMaxPool of ONNX Runtime.
pub static NHWC_MAX_POOL: OpDef = OpDef {
    name: "NhwcMaxPool",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&NHWC_MAX_POOL, cx),
    eval: |cx, inputs| composite::eval(&NHWC_MAX_POOL, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let names = ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"];
    let attrs = fused::chosen(&b.attrs(node)?, &names)?;
    let x = b.input(node, 0)?;
    let x = quantized::channels(b, x, true)?;
    let y = b.op_with("MaxPool", &[x], attrs)?;
    Ok(vec![quantized::channels(b, y, false)?])
}

fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        let mut x = || s.any(dtype, &[1, 6, 5, 3]);
        let cases = [x(), x(), x(), x()];
        let [plain, padded, same, ceil] = cases;
        s.case().input(plain).attr("kernel_shape", [2, 3]).attr("dilations", [2, 1]).add();
        let case = s.case().input(padded).attr("kernel_shape", [3, 3]).attr("pads", [1, 0, 1, 1]);
        case.attr("strides", [2, 1]).add();
        let case = s.case().input(same).attr("kernel_shape", [3, 2]).attr("auto_pad", "SAME_UPPER");
        case.attr("strides", [2, 2]).add();
        let case = s.case().input(ceil).attr("kernel_shape", [3, 2]).attr("ceil_mode", 1);
        case.attr("strides", [2, 2]).add();
    }
}
