//! ReduceLogSum: logarithm of the sum over the named axes, or all. <https://onnx.ai/onnx/operators/onnx__ReduceLogSum.html>

use super::reduction;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::opt("axes", "tensor(int64)")],
    outputs: &[Param::one("reduced", "T")],
    attrs: &[AttrDef::int("keepdims", 1), AttrDef::int("noop_with_empty_axes", 0)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator ReduceLogSum.
pub static REDUCE_LOG_SUM: OpDef = OpDef {
    name: "ReduceLogSum",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
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
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[AttrDef::optional("axes", AttrKind::Ints), AttrDef::int("keepdims", 1)],
                types: &[types_of("T", WIDE_BF16)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(|cx| cx.ints_to_input("axes", 1)),
            down: Adapt::Rewrite(reduction::axes_to_attribute),
        },
        Past {
            since: 18,
            schema: Schema { types: &[types_of("T", WIDE_BF16)], ..SCHEMA },
            up: Adapt::Rewrite(legacy::compute_in_f64),
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    reduction::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    reduction::arithmetic(cx, inputs, 0.0, |a, x| a + x, i64::wrapping_add, |a, _| a.ln())
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let (wide, dtype) = reduction::widened(b, x)?;
    let sum = reduction::rebuilt(b, node, "ReduceSum", wide)?;
    let log = b.op("Log", &[sum])?;
    Ok(vec![reduction::narrowed(b, log, dtype)?])
}

fn samples(s: &mut Samples) {
    reduction::samples(s, SCHEMA.types[0].set, 0.2, 3.0);
}
