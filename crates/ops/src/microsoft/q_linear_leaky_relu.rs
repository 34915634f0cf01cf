//! com.microsoft.QLinearLeakyRelu: LeakyRelu of a quantized tensor, quantized again.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: quantized::UNARY,
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 0.01)],
    types: &[types_of("T", BYTES)],
};

/// The operator QLinearLeakyRelu of ONNX Runtime.
pub static Q_LINEAR_LEAKY_RELU: OpDef = OpDef {
    name: "QLinearLeakyRelu",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_LEAKY_RELU, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_LEAKY_RELU, cx, inputs),
    decompose: Some(decompose),
    samples: |s| quantized::samples(s, &[&[3, 4], &[2, 0]], &[Attrs::new(), Attrs::new().with("alpha", 0.3f32)]),
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = quantized::real(b, node, 0)?;
    let attrs = Attrs::new().with("alpha", b.attrs(node)?.float("alpha")?);
    let y = b.op_with("LeakyRelu", &[x], attrs)?;
    quantized::again(b, node, y, 3, 0)
}
