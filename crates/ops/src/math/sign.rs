//! Sign: -1, 0 or 1 as the element is negative, zero or positive; NaN stays NaN. <https://onnx.ai/onnx/operators/onnx__Sign.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Sign.
pub static SIGN: OpDef = OpDef {
    name: "Sign",
    since: 13,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 9,
        schema: Schema { types: &[types_of("T", NUMERIC)], ..SCHEMA },
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
    if elementwise::operand(inputs, 0)?.dtype() == U64 {
        return elementwise::unary_numeric(inputs, f64::signum, |x| i64::from(x != 0));
    }
    elementwise::unary_numeric(inputs, |x| if x == 0.0 { 0.0 } else { x.signum() }, i64::signum)
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SCHEMA.types[0].set, -3.0, 3.0);
}
