//! ReduceMean: mean over the named axes, or all; that of integers is truncated towards zero. <https://onnx.ai/onnx/operators/onnx__ReduceMean.html>

use super::reduction;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::opt("axes", "tensor(int64)")],
    outputs: &[Param::one("reduced", "T")],
    attrs: &[AttrDef::int("keepdims", 1), AttrDef::int("noop_with_empty_axes", 0)],
    types: &[types_of("T", WIDE_BF16)],
};

/// The ONNX operator ReduceMean.
pub static REDUCE_MEAN: OpDef = OpDef {
    name: "ReduceMean",
    since: 18,
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
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[AttrDef::optional("axes", AttrKind::Ints), AttrDef::int("keepdims", 1)],
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
    reduction::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let g = reduction::Groups::of(cx, inputs, x)?;
    if x.dtype().is_float() {
        return reduction::arithmetic(cx, inputs, 0.0, |a, x| a + x, i64::wrapping_add, |a, n| a / n as f64);
    }
    let sums = if x.dtype() == U64 {
        let wide = x.to_u64s()?.into_iter().map(i128::from).collect::<Vec<_>>();
        g.fold(&wide, 0i128, |a, x| a + x)
    } else {
        let wide = x.to_i64s()?.into_iter().map(i128::from).collect::<Vec<_>>();
        g.fold(&wide, 0i128, |a, x| a + x)
    };
    let means = sums.into_iter().map(|s| s.checked_div(g.size as i128).unwrap_or(0) as i64).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(x.dtype(), &g.shape, &means)?.into()])
}

fn samples(s: &mut Samples) {
    reduction::samples(s, SCHEMA.types[0].set, -2.0, 2.0);
}
