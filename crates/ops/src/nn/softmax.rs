//! Softmax: `exp(x)` over its sum along `axis`. <https://onnx.ai/onnx/operators/onnx__Softmax.html>

use super::lanes;
use super::normalization::rounder;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", -1)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Softmax.
pub static SOFTMAX: OpDef = OpDef {
    name: "Softmax",
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
    match cx.tensor(inputs, 0)?.dtype() {
        // The steps of the function body in the specification, each rounded: they show in 16 bits.
        dtype @ (F16 | BF16) => lanes::map(cx, inputs, |x| stepwise(x, rounder(dtype))),
        _ => lanes::map(cx, inputs, softmax),
    }
}

/// Softmax of one lane, in place, with `round` after each step.
fn stepwise(x: &mut [f64], round: fn(f64) -> f64) {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    x.iter_mut().for_each(|v| *v = round(round(*v - top).exp()));
    let sum = round(x.iter().sum::<f64>());
    x.iter_mut().for_each(|v| *v = round(*v / sum));
}

/// Softmax of one lane, in place.
pub fn softmax(x: &mut [f64]) {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    x.iter_mut().for_each(|v| *v = (*v - top).exp());
    let sum = x.iter().sum::<f64>();
    x.iter_mut().for_each(|v| *v /= sum);
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let axis = b.attrs(node)?.int("axis")?;
    let axes = b.ints(&[axis]);
    let top = b.op("ReduceMax", &[x, axes])?;
    let moved = b.op("Sub", &[x, top])?;
    let power = b.op("Exp", &[moved])?;
    let sum = b.op("ReduceSum", &[power, axes])?;
    Ok(vec![b.op("Div", &[power, sum])?])
}

fn samples(s: &mut Samples) {
    lanes::samples(s, FLOATS_BF16);
}
