//! com.microsoft.QLinearMul: the product of two quantized tensors, each with a scale and a zero point of its own,
//! quantized again. Operands broadcast.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, q_linear_add, quantized};
use crate::prelude::*;

/// The operator QLinearMul of ONNX Runtime.
pub static Q_LINEAR_MUL: OpDef = OpDef {
    name: "QLinearMul",
    domain: DOMAIN,
    since: 1,
    schema: q_linear_add::SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_MUL, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_MUL, cx, inputs),
    decompose: Some(decompose),
    samples: q_linear_add::samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let sides = [quantized::real(b, node, 0)?, quantized::real(b, node, 3)?];
    let product = b.op("Mul", &sides)?;
    quantized::again(b, node, product, 6, 0)
}
