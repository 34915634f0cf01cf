//! Adam: a step along the running mean of gradients, each element divided by the root of the running mean of squares.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxpreviewtraining_Adam.html>

use crate::prelude::*;
use crate::training::update::{self, Element};

const SCHEMA: Schema = Schema {
    inputs: update::INPUTS,
    outputs: update::OUTPUTS,
    attrs: &[
        AttrDef::float("alpha", 0.9),
        AttrDef::float("beta", 0.999),
        AttrDef::float("epsilon", 1e-6),
        AttrDef::float("norm_coefficient", 0.0),
        AttrDef::float("norm_coefficient_post", 0.0),
    ],
    types: update::TYPES,
};

/// The ONNX operator Adam.
pub static ADAM: OpDef = OpDef {
    name: "Adam",
    domain: "ai.onnx.preview.training",
    since: 1,
    schema: SCHEMA,
    infer: update::infer::<2>,
    eval,
    samples,
    ..OpDef::BASE
};

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (rate, count) = update::rate(cx, inputs)?;
    let float = |name: &str| Ok::<_, OpError>(f64::from(cx.attrs.float(name)?));
    let (alpha, beta, epsilon) = (float("alpha")?, float("beta")?, float("epsilon")?);
    let (norm, after) = (float("norm_coefficient")?, float("norm_coefficient_post")?);
    // Means that start at 0 are too small by these factors.
    let rate = match count > 0 {
        true => rate * (1.0 - beta.powf(count as f64)).sqrt() / (1.0 - alpha.powf(count as f64)),
        false => rate,
    };
    update::eval(cx, inputs, |Element { x, gradient, states: [mean, squares] }| {
        let gradient = norm * x + gradient;
        let mean = alpha * mean + (1.0 - alpha) * gradient;
        let squares = beta * squares + (1.0 - beta) * gradient * gradient;
        let x = x - rate * mean / (squares.sqrt() + epsilon);
        ((1.0 - after) * x, [mean, squares])
    })
}

fn samples(s: &mut Samples) {
    let set = Attrs::new().with("alpha", 0.95f32).with("beta", 0.85f32).with("epsilon", 1e-2f32);
    let set = set.with("norm_coefficient", 0.001f32).with("norm_coefficient_post", 0.01f32);
    update::samples::<2>(s, &[Attrs::new(), set]);
}
