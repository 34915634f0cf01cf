//! com.microsoft.QLinearSigmoid: the sigmoid of a quantized tensor, quantized again.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema =
    Schema { inputs: quantized::UNARY, outputs: &[Param::one("Y", "T")], attrs: &[], types: &[types_of("T", BYTES)] };

/// The operator QLinearSigmoid of ONNX Runtime.
pub static Q_LINEAR_SIGMOID: OpDef = OpDef {
    name: "QLinearSigmoid",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_SIGMOID, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_SIGMOID, cx, inputs),
    decompose: Some(decompose),
    samples: |s| quantized::samples(s, &[&[3, 4], &[2, 0]], &[Attrs::new()]),
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = quantized::real(b, node, 0)?;
    let attrs = Attrs::new();
    let y = b.op_with("Sigmoid", &[x], attrs)?;
    quantized::again(b, node, y, 3, 0)
}
