//! com.microsoft.QLinearAveragePool: means of windows of a quantized tensor, quantized again.

use crate::microsoft::fused::{self, DOMAIN};
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: quantized::UNARY,
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::int("ceil_mode", 0),
        AttrDef::int("channels_last", 0),
        AttrDef::int("count_include_pad", 0),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", BYTES)],
};

/// The operator QLinearAveragePool of ONNX Runtime.
pub static Q_LINEAR_AVERAGE_POOL: OpDef = OpDef {
    name: "QLinearAveragePool",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_AVERAGE_POOL, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_AVERAGE_POOL, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let last = view.flag("channels_last")?;
    let names = ["auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"];
    let attrs = fused::chosen(&view, &names)?;
    let mut x = quantized::real(b, node, 0)?;
    if last {
        x = quantized::channels(b, x, true)?;
    }
    x = b.op_with("AveragePool", &[x], attrs)?;
    if last {
        x = quantized::channels(b, x, false)?;
    }
    quantized::again(b, node, x, 3, 0)
}

fn samples(s: &mut Samples) {
    let a = || Attrs::new().with("kernel_shape", [3, 2]);
    let padded = a().with("pads", [1, 0, 1, 1]).with("strides", [2, 1]);
    let attrs = [
        a(),
        padded.clone(),
        padded.with("count_include_pad", 1),
        a().with("auto_pad", "SAME_UPPER").with("strides", [2, 2]),
        a().with("ceil_mode", 1).with("strides", [2, 2]),
        a().with("channels_last", 1),
    ];
    quantized::samples(s, &[&[1, 5, 6, 5]], &attrs);
}
