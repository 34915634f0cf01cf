//! Abs: absolute value; the smallest signed integer stays itself. <https://onnx.ai/onnx/operators/onnx__Abs.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Abs.
pub static ABS: OpDef = OpDef {
    name: "Abs",
    since: 13,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::optional("consumed_inputs", AttrKind::Ints)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema { types: &[types_of("T", NUMERIC)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let unsigned = elementwise::operand(inputs, 0)?.dtype() == U64;
    elementwise::unary_numeric(inputs, f64::abs, |x| if unsigned { x } else { x.wrapping_abs() })
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, NUMERIC_BF16, -3.0, 3.0);
}
