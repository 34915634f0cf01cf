//! Min: smallest of any number of operands, with broadcasting; NaN wins. <https://onnx.ai/onnx/operators/onnx__Min.html>

use super::extremes;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("data_0", "T", 1)],
    outputs: &[Param::one("min", "T")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Min.
pub static MIN: OpDef = OpDef {
    name: "Min",
    since: 13,
    schema: SCHEMA,
    flags: Flags::COMMUTATIVE,
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
            down: Adapt::Rewrite(legacy::equal_shapes_only),
        },
        Past {
            since: 8,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 12,
            schema: Schema { types: &[types_of("T", NUMERIC)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    extremes::infer(cx)?;
    if cx.input_count() == 2 {
        shapes::binary_value(cx, |a, b| a.smaller(&b));
    }
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    extremes::extreme(inputs, false)
}

fn samples(s: &mut Samples) {
    extremes::samples(s, SCHEMA.types[0].set);
}
