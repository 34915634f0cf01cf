//! Atan: inverse tangent, in radians. <https://onnx.ai/onnx/operators/onnx__Atan.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Atan.
pub static ATAN: OpDef = OpDef {
    name: "Atan",
    since: 22,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 7,
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
    elementwise::unary(inputs, f64::atan)
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SCHEMA.types[0].set, -3.0, 3.0);
}
