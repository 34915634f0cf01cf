//! com.microsoft.QLinearGlobalAveragePool: the mean of each channel of a quantized tensor, quantized again.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("x_scale", "tensor(float)"),
        Param::one("x_zero_point", "T"),
        Param::one("y_scale", "tensor(float)"),
        Param::one("y_zero_point", "T"),
    ],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::int("channels_last", 0)],
    types: &[types_of("T", BYTES)],
};

/// The operator QLinearGlobalAveragePool of ONNX Runtime.
pub static Q_LINEAR_GLOBAL_AVERAGE_POOL: OpDef = OpDef {
    name: "QLinearGlobalAveragePool",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_GLOBAL_AVERAGE_POOL, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_GLOBAL_AVERAGE_POOL, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let last = b.attrs(node)?.flag("channels_last")?;
    let mut x = quantized::real(b, node, 0)?;
    if last {
        x = quantized::channels(b, x, true)?;
    }
    x = b.op("GlobalAveragePool", &[x])?;
    if last {
        x = quantized::channels(b, x, false)?;
    }
    quantized::again(b, node, x, 3, 0)
}

fn samples(s: &mut Samples) {
    for (dtype, last) in BYTES.dtypes().flat_map(|d| [(d, 0), (d, 1)]) {
        let (x, p, q) = (s.ints(dtype, &[2, 3, 4, 5], 0, 120), s.any(dtype, &[]), s.any(dtype, &[]));
        let case = s.case().input(x).input(Tensor::scalar(0.05f32)).input(p).input(Tensor::scalar(0.04f32)).input(q);
        case.attr("channels_last", last).add();
    }
}
