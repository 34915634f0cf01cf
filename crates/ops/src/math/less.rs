//! Less: whether A is smaller than B, with broadcasting. <https://onnx.ai/onnx/operators/onnx__Less.html>

use crate::prelude::*;
use std::cmp::Ordering;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T1")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16), types_of("T1", BOOL)],
};

/// The ONNX operator Less.
pub static LESS: OpDef = OpDef {
    name: "Less",
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
                attrs: &[AttrDef::optional("axis", AttrKind::Int), AttrDef::int("broadcast", 0)],
                types: &[types_of("T", FLOATS), types_of("T1", BOOL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::broadcast_from_axis),
            down: Adapt::Rewrite(legacy::broadcast_to_axis),
        },
        Past {
            since: 7,
            schema: Schema { types: &[types_of("T", FLOATS), types_of("T1", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema { types: &[types_of("T", NUMERIC), types_of("T1", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], Some(Bool))?;
    shapes::compared_value(cx, Ordering::is_lt);
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::compare(inputs, Ordering::is_lt)
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
}
