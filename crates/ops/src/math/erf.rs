//! Erf: the Gauss error function. <https://onnx.ai/onnx/operators/onnx__Erf.html>

use crate::prelude::*;
use crate::special;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Erf.
pub static ERF: OpDef = OpDef {
    name: "Erf",
    since: 13,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 9,
        schema: Schema { types: &[types_of("T", NUMERIC)], ..SCHEMA },
        up: Adapt::Rewrite(legacy::compute_in_f64),
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::unary(inputs, special::erf)
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SCHEMA.types[0].set, -3.0, 3.0);
}
