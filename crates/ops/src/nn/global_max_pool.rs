//! GlobalMaxPool: largest element over all spatial axes, which stay as ones. <https://onnx.ai/onnx/operators/onnx__GlobalMaxPool.html>

use super::pooling;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator GlobalMaxPool.
pub static GLOBAL_MAX_POOL: OpDef = OpDef {
    name: "GlobalMaxPool",
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
    pooling::global(cx.tensor(inputs, 0)?, |channel| {
        channel.iter().copied().fold(f64::NEG_INFINITY, |a, b| if b.is_nan() || b > a { b } else { a })
    })
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let rank = b.ty(x).rank().ok_or_else(|| OpError::unsupported("an input of unknown rank"))?;
    let axes = b.ints(&(2..rank as i64).collect::<Vec<_>>());
    Ok(vec![b.op("ReduceMax", &[x, axes])?])
}

fn samples(s: &mut Samples) {
    pooling::global_samples(s, FLOATS_BF16);
}
