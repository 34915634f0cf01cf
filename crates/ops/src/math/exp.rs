//! Exp: `e` to the power of each element. <https://onnx.ai/onnx/operators/onnx__Exp.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Exp.
pub static EXP: OpDef = OpDef {
    name: "Exp",
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
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
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
    elementwise::unary(inputs, f64::exp)
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SCHEMA.types[0].set, -3.0, 3.0);
}
