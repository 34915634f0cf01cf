//! Softplus: `ln(1 + exp(x))`. <https://onnx.ai/onnx/operators/onnx__Softplus.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Softplus.
pub static SOFTPLUS: OpDef = OpDef {
    name: "Softplus",
    since: 22,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 1,
        schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::unary(inputs, softplus)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let (zero, one) = (b.scalar_like(x, 0.0)?, b.scalar_like(x, 1.0)?);
    let (size, high) = (b.op("Abs", &[x])?, b.op("Max", &[x, zero])?);
    let minus = b.op("Neg", &[size])?;
    let power = b.op("Exp", &[minus])?;
    let sum = b.op("Add", &[power, one])?;
    let low = b.op("Log", &[sum])?;
    Ok(vec![b.op("Add", &[high, low])?])
}

/// `ln(1 + exp(x))` without overflow.
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -3.0, 3.0);
}
