//! ReduceSum: sum over the named axes, or all; integers wrap. <https://onnx.ai/onnx/operators/onnx__ReduceSum.html>

use super::reduction;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::opt("axes", "tensor(int64)")],
    outputs: &[Param::one("reduced", "T")],
    attrs: &[AttrDef::int("keepdims", 1), AttrDef::int("noop_with_empty_axes", 0)],
    types: &[types_of("T", WIDE_BF16)],
};

/// The ONNX operator ReduceSum.
pub static REDUCE_SUM: OpDef = OpDef {
    name: "ReduceSum",
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
                inputs: &[Param::one("data", "T")],
                attrs: &[AttrDef::optional("axes", AttrKind::Ints), AttrDef::int("keepdims", 1)],
                types: &[types_of("T", WIDE)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(|cx| legacy::positive_axes(cx, "axes")),
        },
        Past {
            since: 11,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[AttrDef::optional("axes", AttrKind::Ints), AttrDef::int("keepdims", 1)],
                types: &[types_of("T", WIDE)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(|cx| cx.ints_to_input("axes", 1)),
            down: Adapt::Rewrite(reduction::axes_to_attribute),
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    reduction::infer(cx)?;
    reduction::folded_value(cx, |a, b| a + b);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    reduction::arithmetic(cx, inputs, 0.0, |a, x| a + x, i64::wrapping_add, |a, _| a)
}

fn samples(s: &mut Samples) {
    reduction::samples(s, SCHEMA.types[0].set, -2.0, 2.0);
}
