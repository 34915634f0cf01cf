//! Tile: the tensor repeated `repeats[i]` times along dimension `i`.
//!
//! <https://onnx.ai/onnx/operators/onnx__Tile.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::one("repeats", "T1")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", ALL_IR4), types_of("T1", I64_ONLY)],
};

/// The ONNX operator Tile.
pub static TILE: OpDef = OpDef {
    name: "Tile",
    since: 13,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("input", "T"), Param::one("tiles", "T"), Param::one("axis", "T")],
                types: &[types_of("T", FLOATS), types_of("T1", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(one_axis),
            down: Adapt::Rewrite(to_one_axis),
        },
        Past {
            since: 6,
            schema: Schema { types: &[types_of("T", ALL), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

/// Opset 1 gave the number of tiles and the axis as scalars.
fn one_axis(cx: &mut AdaptCx) -> OpResult<()> {
    let number = |cx: &AdaptCx, i: usize| {
        let t = cx.input(i).and_then(|v| cx.constant_of(v)).and_then(|t| t.to_f64s().ok());
        t.and_then(|t| t.first().map(|&x| x as i64)).ok_or_else(|| OpError::unsupported("tiles computed at run time"))
    };
    let (tiles, axis) = (number(cx, 1)?, number(cx, 2)?);
    let rank = cx.rank(0).ok_or_else(|| OpError::unsupported("an operand of unknown rank"))?;
    let mut repeats = vec![1i64; rank];
    repeats[shapes::axis(axis, rank)?] = tiles;
    let repeats = cx.constant(Tensor::vector(&repeats));
    cx.set_input(2, None);
    cx.set_input(1, Some(repeats));
    Ok(())
}

fn to_one_axis(cx: &mut AdaptCx) -> OpResult<()> {
    let repeats = cx.input(1).and_then(|v| cx.constant_of(v)).and_then(|t| t.to_i64s().ok());
    let repeats = repeats.ok_or_else(|| OpError::unsupported("repeats computed at run time"))?;
    let dtype = cx.input(0).and_then(|v| cx.model.ty(v).dtype());
    let dtype = dtype.ok_or_else(|| OpError::unsupported("an operand of unknown type"))?;
    let mut long = (0..repeats.len()).filter(|&i| repeats[i] != 1);
    let axis = long.next().unwrap_or(0);
    if long.next().is_some() || repeats.is_empty() {
        return Err(OpError::unsupported("opset 1 tiles along one axis"));
    }
    let tiles = cx.constant(Tensor::from_i64s(dtype, &[], &[repeats[axis]])?);
    let axis = cx.constant(Tensor::from_i64s(dtype, &[], &[axis as i64])?);
    cx.set_input(1, Some(tiles));
    cx.set_input(2, Some(axis));
    Ok(())
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.shape(0), cx.value(1)) {
        (Some(x), Some(r)) if r.dims.len() != x.len() => {
            return Err(OpError::invalid(format!("{} repeats for rank {}", r.dims.len(), x.len())));
        }
        (Some(x), Some(r)) => Some(x.iter().zip(&r.dims).map(|(d, n)| d.clone() * n.clone()).collect::<Vec<_>>()),
        (Some(x), None) => Some(vec![Dim::Unknown; x.len()]),
        (None, _) => moves::from_operand(cx, 1).map(|r| vec![Dim::Unknown; r.len()]),
    };
    if let (Some(v), Some([n @ 0..=64])) = (cx.value(0), cx.ints(1).as_deref())
        && v.shape.len() == 1
        && v.dims.len() <= 64
    {
        let dims = std::iter::repeat_n(v.dims.clone(), *n as usize).flatten().collect();
        cx.set_value(0, SymTensor::vector(dims));
    }
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let repeats = moves::sizes(&cx.tensor(inputs, 1)?.to_i64s()?)?;
    if repeats.len() != x.rank() {
        return Err(OpError::invalid(format!("{} repeats for rank {}", repeats.len(), x.rank())));
    }
    let shape = x.shape().iter().zip(&repeats).map(|(d, n)| d.saturating_mul(*n)).collect::<Vec<_>>();
    moves::affordable(&shape)?;
    // Each dimension of the result is two: the repeats, which do not move, and the dimension itself.
    let pairs = repeats.iter().zip(x.shape()).flat_map(|(&n, &d)| [n, d]).collect::<Vec<_>>();
    let strides = index::strides(x.shape()).into_iter().flat_map(|s| [0, s as isize]).collect::<Vec<_>>();
    Ok(vec![x.strided(&pairs, &strides, 0)?.reshaped(&shape)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[2, 2]);
        s.case().input(x).input(Tensor::vector(&[1i64, 2])).add();
    }
    let cases: [(&[usize], &[i64]); 6] = [
        (&[], &[]),
        (&[3], &[3]),
        (&[2, 3, 1], &[2, 1, 2]),
        (&[2, 1, 1, 2], &[1, 3, 0, 1]),
        (&[1, 2, 1, 2, 1], &[1, 1, 2, 2, 1]),
        (&[2, 0], &[2, 2]),
    ];
    for (shape, repeats) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::vector(repeats)).add();
    }
}
