//! ReduceLogSumExp: logarithm of the sum of exponentials over the named axes, or all, computed without overflow. <https://onnx.ai/onnx/operators/onnx__ReduceLogSumExp.html>

use super::reduction;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::opt("axes", "tensor(int64)")],
    outputs: &[Param::one("reduced", "T")],
    attrs: &[AttrDef::int("keepdims", 1), AttrDef::int("noop_with_empty_axes", 0)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator ReduceLogSumExp.
pub static REDUCE_LOG_SUM_EXP: OpDef = OpDef {
    name: "ReduceLogSumExp",
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
    let x = cx.tensor(inputs, 0)?;
    let g = reduction::Groups::of(cx, inputs, x)?;
    let values = x.to_f64s()?;
    let largest = g.fold(&values, f64::NEG_INFINITY, |a, x| if a.is_nan() || x.is_nan() { f64::NAN } else { a.max(x) });
    let mut sums = vec![0.0; largest.len()];
    for (x, group) in values.into_iter().zip(g.of_each()) {
        sums[group] += (x - largest[group]).exp();
    }
    // An infinite largest element is the result itself: subtracting it would leave NaN.
    let log = |(&m, s): (&f64, f64)| if m.is_infinite() { m } else { m + s.ln() };
    let out = largest.iter().zip(sums).map(log).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), &g.shape, &out)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let (wide, dtype) = reduction::widened(b, x)?;
    let power = b.op("Exp", &[wide])?;
    let sum = reduction::rebuilt(b, node, "ReduceSum", power)?;
    let log = b.op("Log", &[sum])?;
    Ok(vec![reduction::narrowed(b, log, dtype)?])
}

fn samples(s: &mut Samples) {
    reduction::samples(s, SCHEMA.types[0].set, -2.0, 2.0);
}
