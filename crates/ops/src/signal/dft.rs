//! DFT: discrete Fourier transform along an axis, of real (`[..., 1]`) or complex (`[..., 2]`) numbers, or its inverse. `onesided` leaves out what symmetry implies. <https://onnx.ai/onnx/operators/onnx__DFT.html>

use super::fourier::{Transform, conjugate};
use crate::math::contraction::checked_len;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1"), Param::opt("dft_length", "T2"), Param::opt("axis", "tensor(int64)")],
    outputs: &[Param::one("output", "T1")],
    attrs: &[AttrDef::int("inverse", 0), AttrDef::int("onesided", 0)],
    types: &[types_of("T1", FLOATS_BF16), types_of("T2", INDEX)],
};

/// The ONNX operator DFT.
pub static DFT: OpDef = OpDef {
    name: "DFT",
    since: 20,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 17,
        schema: Schema {
            inputs: &[Param::one("input", "T1"), Param::opt("dft_length", "T2")],
            attrs: &[AttrDef::int("axis", 1), AttrDef::int("inverse", 0), AttrDef::int("onesided", 0)],
            ..SCHEMA
        },
        up: Adapt::Rewrite(axis_to_input),
        down: Adapt::Rewrite(axis_to_attribute),
    }],
    samples,
    ..OpDef::BASE
};

/// Signal axis of a tensor of `rank`, which ends in the parts of complex numbers.
fn signal_axis(axis: i64, rank: usize) -> OpResult<usize> {
    match shapes::axis(axis, rank)? {
        last if last + 1 == rank => Err(OpError::invalid("the last axis holds the parts of numbers, not a signal")),
        other => Ok(other),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (inverse, onesided) = (cx.attrs.flag("inverse")?, cx.attrs.flag("onesided")?);
    let axis = if cx.has(2) { cx.ints(2).and_then(|a| a.first().copied()) } else { Some(-2) };
    let length = cx.value(1).and_then(|v| v.dims.first().cloned());
    let given = cx.has(1);
    let shape = match (cx.shape(0), axis) {
        (Some(shape), Some(axis)) => {
            let axis = signal_axis(axis, shape.len())?;
            let (one, two) = (Dim::Known(1), Dim::Known(2));
            let mut out = shape.to_vec();
            let length = match (length, given) {
                (Some(length), _) => length,
                (None, true) => Dim::Unknown,
                (None, false) if inverse && onesided => (out[axis].clone() - one.clone()) * two.clone(),
                (None, false) => out[axis].clone(),
            };
            out[axis] = if onesided && !inverse { length.floor_div(&two) + one.clone() } else { length };
            out[shape.len() - 1] = if onesided && inverse { one } else { two };
            Some(out)
        }
        (Some(shape), None) => Some(vec![Dim::Unknown; shape.len()]),
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// A count or an axis: one number.
fn number(cx: &EvalCx, inputs: &[Option<&Value>], i: usize) -> OpResult<Option<i64>> {
    match cx.opt_ints(inputs, i)?.as_deref() {
        None => Ok(None),
        Some(&[n]) => Ok(Some(n)),
        Some(other) => Err(OpError::invalid(format!("input {i} is one number, {} are given", other.len()))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (inverse, onesided) = (cx.attrs.flag("inverse")?, cx.attrs.flag("onesided")?);
    let axis = signal_axis(number(cx, inputs, 2)?.unwrap_or(-2), x.rank())?;
    let parts = x.shape()[x.rank() - 1];
    if parts != 1 && parts != 2 {
        return Err(OpError::invalid(format!("the last axis holds 1 or 2 parts of a number, not {parts}")));
    }
    let real = onesided && inverse;
    let size = x.shape()[axis];
    let length = number(cx, inputs, 1)?.unwrap_or(if real { 2 * (size as i64 - 1) } else { size as i64 });
    let length = usize::try_from(length).map_err(|_| OpError::invalid(format!("a signal of {length} elements")))?;
    let kept = if onesided && !inverse { length / 2 + 1 } else { length };
    let (outer, inner) = (&x.shape()[..axis], &x.shape()[axis + 1..x.rank() - 1]);
    let shape = [outer, &[kept], inner, &[if real { 1 } else { 2 }]].concat();
    let mut out = vec![0.0; checked_len(F64, &shape)?];
    let (outer, inner) = (outer.iter().product::<usize>(), inner.iter().product::<usize>());
    let (values, width) = (x.to_f64s()?, if real { 1 } else { 2 });
    if length == 0 {
        return Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()]);
    }
    let transform = Transform::of(length, inverse);
    for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let at = |k: usize| {
            let p = ((o * size + k) * inner + i) * parts;
            if k >= size { [0.0, 0.0] } else { [values[p], if parts == 2 { values[p + 1] } else { 0.0 }] }
        };
        // The half that is left out mirrors the other, conjugate.
        let mirrored = |k: usize| if k <= length / 2 { at(k) } else { conjugate(at(length - k)) };
        let signal = (0..length).map(|k| if real { mirrored(k) } else { at(k) }).collect::<Vec<_>>();
        for (k, y) in transform.run(&signal).into_iter().take(kept).enumerate() {
            let p = ((o * kept + k) * inner + i) * width;
            out[p..p + width].copy_from_slice(&y[..width]);
        }
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()])
}

/// Opset 17 holds the axis in an attribute, 1 by default.
fn axis_to_input(cx: &mut AdaptCx) -> OpResult<()> {
    let axis = match cx.attrs().remove("axis") {
        Some(Attr::Int(axis)) => axis,
        _ => 1,
    };
    let axis = cx.constant(Tensor::scalar(axis));
    cx.set_input(2, Some(axis));
    Ok(())
}

fn axis_to_attribute(cx: &mut AdaptCx) -> OpResult<()> {
    let axis = match cx.input(2) {
        None => -2,
        Some(v) => {
            let t = cx.constant_of(v).ok_or_else(|| OpError::unsupported("the axis is computed at run time"))?;
            t.to_i64s()?.first().copied().ok_or_else(|| OpError::invalid("the axis is empty"))?
        }
    };
    cx.attrs().set("axis", axis);
    cx.set_input(2, None);
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[2, 8, 1]);
        s.case().attr("onesided", 1).input(x).add();
    }
    for shape in [&[1, 5, 1][..], &[2, 6, 2], &[2, 3, 4, 2], &[8, 2], &[2, 1, 3, 2, 1]] {
        let x = s.any(F32, shape);
        s.case().input(x.clone()).add();
        s.case().attr("inverse", 1).input(x.clone()).add();
        s.case().input(x.clone()).absent().input(Tensor::scalar(0i64)).add();
        s.case().input(x.clone()).input(Tensor::scalar(4i64)).add();
        s.case().input(x).input(Tensor::scalar(9i32)).input(Tensor::scalar(-2i64)).add();
    }
    let x = s.any(F32, &[1, 5, 2]);
    s.case().attr("inverse", 1).attr("onesided", 1).input(x.clone()).add();
    s.case().attr("inverse", 1).attr("onesided", 1).input(x).input(Tensor::scalar(7i64)).add();
    let x = s.any(F32, &[0, 4, 1]);
    s.case().input(x).add();
}
