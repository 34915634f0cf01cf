//! ArgMin: position of the smallest element along an axis; the first of equals, or the last if asked. <https://onnx.ai/onnx/operators/onnx__ArgMin.html>

use super::reduction;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T")],
    outputs: &[Param::one("reduced", "tensor(int64)")],
    attrs: &[AttrDef::int("axis", 0), AttrDef::int("keepdims", 1), AttrDef::int("select_last_index", 0)],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator ArgMin.
pub static ARGMIN: OpDef = OpDef {
    name: "ArgMin",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::int("axis", 0), AttrDef::int("keepdims", 1)],
                types: &[types_of("T", NUMERIC)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(|cx| legacy::positive_axes(cx, "axis")),
        },
        Past {
            since: 11,
            schema: Schema {
                attrs: &[AttrDef::int("axis", 0), AttrDef::int("keepdims", 1)],
                types: &[types_of("T", NUMERIC)],
                ..SCHEMA
            },
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
    reduction::infer_position(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    reduction::position(cx, inputs, false)
}

fn samples(s: &mut Samples) {
    reduction::position_samples(s, SCHEMA.types[0].set);
}
