//! LogSoftmax: logarithm of Softmax along `axis`. <https://onnx.ai/onnx/operators/onnx__LogSoftmax.html>

use super::lanes;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", -1)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator LogSoftmax.
pub static LOG_SOFTMAX: OpDef = OpDef {
    name: "LogSoftmax",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema { attrs: &[AttrDef::int("axis", 1)], types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { attrs: &[AttrDef::int("axis", 1)], types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Rewrite(lanes::from_flattened),
            down: Adapt::Rewrite(lanes::to_flattened),
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    lanes::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    lanes::map(cx, inputs, log_softmax)
}

/// Logarithm of the softmax of one lane, in place.
pub fn log_softmax(x: &mut [f64]) {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = x.iter().map(|v| (v - top).exp()).sum::<f64>().ln();
    x.iter_mut().for_each(|v| *v = *v - top - sum);
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let axis = b.attrs(node)?.int("axis")?;
    let axes = b.ints(&[axis]);
    let top = b.op("ReduceMax", &[x, axes])?;
    let moved = b.op("Sub", &[x, top])?;
    let power = b.op("Exp", &[moved])?;
    let sum = b.op("ReduceSum", &[power, axes])?;
    let log = b.op("Log", &[sum])?;
    Ok(vec![b.op("Sub", &[moved, log])?])
}

fn samples(s: &mut Samples) {
    lanes::samples(s, FLOATS_BF16);
}
