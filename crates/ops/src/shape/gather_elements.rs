//! GatherElements: for each position of `indices`, the element of `data` at that position with the index along `axis` replaced.
//!
//! <https://onnx.ai/onnx/operators/onnx__GatherElements.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("indices", "Tind")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", 0)],
    types: &[types_of("T", ALL_IR4), types_of("Tind", INDEX)],
};

/// The ONNX operator GatherElements.
pub static GATHER_ELEMENTS: OpDef = OpDef {
    name: "GatherElements",
    since: 13,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 11,
        schema: Schema { types: &[types_of("T", ALL), types_of("Tind", INDEX)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let (Some(a), Some(b)) = (cx.rank(0), cx.rank(1))
        && a != b
    {
        return Err(OpError::invalid(format!("data of rank {a} and indices of rank {b}")));
    }
    let shape = cx.shape(1).map(<[Dim]>::to_vec);
    if let Some(rank) = cx.rank(0) {
        shapes::axis(cx.attrs.int("axis")?, rank)?;
    }
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// Flat positions in a tensor of `shape` that `indices` names along `axis`.
///
/// # Errors
/// When an index, or the shape of `indices`, does not fit.
pub(crate) fn positions(shape: &[usize], indices: &Tensor, axis: usize) -> OpResult<Vec<usize>> {
    let fits = indices.rank() == shape.len()
        && (0..shape.len()).all(|i| i == axis || indices.shape()[i] <= shape[i] || indices.is_empty());
    if !fits {
        return Err(OpError::invalid(format!("indices of shape {:?} for shape {shape:?}", indices.shape())));
    }
    let mut strides = index::strides(shape);
    let along = std::mem::replace(&mut strides[axis], 0);
    let d = shape[axis] as i64;
    let given = indices.to_i64s()?;
    if let Some(i) = given.iter().find(|&&i| i < -d || i >= d) {
        return Err(OpError::invalid(format!("index {i} is outside dimension {axis} of {d} elements")));
    }
    let (Some((&columns, outer)), Some((&step, bases))) = (indices.shape().split_last(), strides.split_last()) else {
        return Ok(vec![]);
    };
    let mut out = Vec::with_capacity(given.len());
    for (base, row) in index::Offsets::unsigned(outer, bases).zip(given.chunks_exact(columns.max(1))) {
        let place = |(j, &i): (usize, &i64)| base + j * step + (if i < 0 { i + d } else { i }) as usize * along;
        out.extend(row.iter().enumerate().map(place));
    }
    Ok(out)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, indices) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let at = positions(x.shape(), indices, axis)?;
    Ok(vec![x.gathered(indices.shape(), at.into_iter())?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (x, i) = (s.any(dtype, &[3, 2]), s.ints(I64, &[4, 2], -3, 2));
        s.case().input(x).input(i).add();
    }
    let cases: [(&[usize], &[usize], i64); 5] = [
        (&[4], &[6], 0),
        (&[2, 3, 4], &[1, 3, 5], 2),
        (&[2, 1, 3, 2], &[2, 1, 4, 1], -2),
        (&[1, 2, 1, 3, 2], &[1, 2, 1, 3, 2], 4),
        (&[2, 3], &[0, 3], 0),
    ];
    for (shape, at, axis) in cases {
        let d = shape[if axis < 0 { (axis + shape.len() as i64) as usize } else { axis as usize }] as i64;
        let (x, i) = (s.any(F32, shape), s.ints(I32, at, -d, d - 1));
        s.case().input(x).input(i).attr("axis", axis).add();
    }
}
