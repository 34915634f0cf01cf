//! GlobalAveragePool: mean over all spatial axes, which stay as ones. <https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html>

use super::pooling;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator GlobalAveragePool.
pub static GLOBAL_AVERAGE_POOL: OpDef = OpDef {
    name: "GlobalAveragePool",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
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
    pooling::infer_global(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    pooling::global(cx.tensor(inputs, 0)?, |channel| channel.iter().sum::<f64>() / channel.len() as f64)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let rank = b.ty(x).rank().ok_or_else(|| OpError::unsupported("an input of unknown rank"))?;
    let axes = b.ints(&(2..rank as i64).collect::<Vec<_>>());
    Ok(vec![b.op("ReduceMean", &[x, axes])?])
}

fn samples(s: &mut Samples) {
    pooling::global_samples(s, FLOATS_BF16);
}
