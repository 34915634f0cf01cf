//! com.microsoft.QLinearReduceMean: means of a quantized tensor over some axes, quantized again.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("data", "T"),
        Param::one("data_scale", "tensor(float)"),
        Param::opt("data_zero_point", "T"),
        Param::one("reduced_scale", "tensor(float)"),
        Param::opt("reduced_zero_point", "T"),
    ],
    outputs: &[Param::one("reduced", "T")],
    attrs: &[AttrDef::required("axes", AttrKind::Ints), AttrDef::required("keepdims", AttrKind::Int)],
    types: &[types_of("T", BYTES)],
};

/// The operator QLinearReduceMean of ONNX Runtime.
pub static Q_LINEAR_REDUCE_MEAN: OpDef = OpDef {
    name: "QLinearReduceMean",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_REDUCE_MEAN, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_REDUCE_MEAN, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let x = quantized::real(b, node, 0)?;
    let axes = b.ints(&view.ints("axes")?);
    let y = b.op_with("ReduceMean", &[x, axes], Attrs::new().with("keepdims", view.int("keepdims")?))?;
    quantized::again(b, node, y, 3, 0)
}

fn samples(s: &mut Samples) {
    let axes = |axes: &[i64], keep: i64| Attrs::new().with("axes", axes.to_vec()).with("keepdims", keep);
    quantized::samples(s, &[&[3, 4, 2]], &[axes(&[1], 1), axes(&[0, -1], 0)]);
}
