//! Momentum: a step along the decaying sum of gradients, plain or by Nesterov's look ahead.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxpreviewtraining_Momentum.html>

use crate::prelude::*;
use crate::training::update::{self, Element};

const SCHEMA: Schema = Schema {
    inputs: update::INPUTS,
    outputs: update::OUTPUTS,
    attrs: &[
        AttrDef::required("alpha", AttrKind::Float),
        AttrDef::required("beta", AttrKind::Float),
        AttrDef::required("mode", AttrKind::String),
        AttrDef::required("norm_coefficient", AttrKind::Float),
    ],
    types: update::TYPES,
};

/// The ONNX operator Momentum.
pub static MOMENTUM: OpDef = OpDef {
    name: "Momentum",
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
    let (alpha, norm) = (float("alpha")?, float("norm_coefficient")?);
    let beta = if count > 0 { float("beta")? } else { 1.0 };
    let nesterov = match cx.attrs.string("mode")? {
        "nesterov" => true,
        "standard" => false,
        other => return Err(OpError::invalid(format!("mode {other:?}; nesterov and standard are known"))),
    };
    update::eval(cx, inputs, |Element { x, gradient, states: [momentum] }| {
        let gradient = norm * x + gradient;
        let momentum = alpha * momentum + beta * gradient;
        let step = if nesterov { gradient + alpha * momentum } else { momentum };
        (x - rate * step, [momentum])
    })
}

fn samples(s: &mut Samples) {
    let set = |mode: &str| {
        let attrs = Attrs::new().with("alpha", 0.95f32).with("beta", 0.5f32);
        attrs.with("mode", mode).with("norm_coefficient", 0.01f32)
    };
    update::samples::<1>(s, &[set("standard"), set("nesterov")]);
}
