//! Adagrad: a gradient step of which each element is divided by the root of the squares of its gradients so far.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxpreviewtraining_Adagrad.html>

use crate::prelude::*;
use crate::training::update::{self, Element};

const SCHEMA: Schema = Schema {
    inputs: update::INPUTS,
    outputs: update::OUTPUTS,
    attrs: &[
        AttrDef::float("decay_factor", 0.0),
        AttrDef::float("epsilon", 1e-6),
        AttrDef::float("norm_coefficient", 0.0),
    ],
    types: update::TYPES,
};

/// The ONNX operator Adagrad.
pub static ADAGRAD: OpDef = OpDef {
    name: "Adagrad",
    domain: "ai.onnx.preview.training",
    since: 1,
    schema: SCHEMA,
    infer: update::infer::<1>,
    eval,
    samples,
    ..OpDef::BASE
};

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (rate, count) = update::rate(cx, inputs)?;
    let float = |name: &str| Ok::<_, OpError>(f64::from(cx.attrs.float(name)?));
    let (decay, epsilon, norm) = (float("decay_factor")?, float("epsilon")?, float("norm_coefficient")?);
    let rate = rate / (1.0 + count as f64 * decay);
    update::eval(cx, inputs, |Element { x, gradient, states: [squares] }| {
        let gradient = norm * x + gradient;
        let squares = squares + gradient * gradient;
        (x - rate * gradient / (squares.sqrt() + epsilon), [squares])
    })
}

fn samples(s: &mut Samples) {
    let set = Attrs::new().with("decay_factor", 0.1f32).with("epsilon", 1e-3f32).with("norm_coefficient", 0.01f32);
    update::samples::<1>(s, &[Attrs::new(), set]);
}
