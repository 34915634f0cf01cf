//! ReduceL2: square root of the sum of squares over the named axes, or all; that of integers is truncated. <https://onnx.ai/onnx/operators/onnx__ReduceL2.html>

use super::reduction;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::opt("axes", "tensor(int64)")],
    outputs: &[Param::one("reduced", "T")],
    attrs: &[AttrDef::int("keepdims", 1), AttrDef::int("noop_with_empty_axes", 0)],
    types: &[types_of("T", WIDE_BF16)],
};

/// The ONNX operator ReduceL2.
pub static REDUCE_L2: OpDef = OpDef {
    name: "ReduceL2",
    since: 18,
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
    let sums = g.fold(&x.to_f64s()?, 0.0, |a, x| a + x * x);
    Ok(vec![Tensor::from_f64s(x.dtype(), &g.shape, &sums.into_iter().map(f64::sqrt).collect::<Vec<_>>())?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let (wide, dtype) = reduction::widened(b, x)?;
    let square = b.op("Mul", &[wide, wide])?;
    let sum = reduction::rebuilt(b, node, "ReduceSum", square)?;
    let root = b.op("Sqrt", &[sum])?;
    Ok(vec![reduction::narrowed(b, root, dtype)?])
}

fn samples(s: &mut Samples) {
    reduction::samples(s, SCHEMA.types[0].set, -2.0, 2.0);
}
