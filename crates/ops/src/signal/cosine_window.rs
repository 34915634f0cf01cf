//! Windows that are sums of cosines: Hann, Hamming and Blackman.

use crate::nn::normalization::rounder;
use crate::prelude::*;
use std::f64::consts::TAU;

/// A vector of the length that input 0 holds, of the type that `output_datatype` names.
///
/// # Errors
/// When the length is negative or the type unknown.
pub fn infer(cx: &mut InferCx) -> OpResult<()> {
    let length = cx.value(0).and_then(|v| v.dims.first().cloned()).unwrap_or(Dim::Unknown);
    if length.known().is_some_and(|n| n < 0) {
        return Err(OpError::invalid(format!("a window of {length} elements")));
    }
    let dtype = cx.attrs.opt_dtype("output_datatype")?;
    cx.set_tensor(0, dtype, Some(vec![length]));
    Ok(())
}

/// `w[0] - w[1] cos(angle) + w[2] cos(2 angle)`, the angle going once around.
///
/// # Errors
/// When the length is not one number that fits.
pub fn eval(cx: &EvalCx, inputs: &[Option<&Value>], w: [f64; 3]) -> OpResult<Vec<Value>> {
    let size = match cx.tensor(inputs, 0)?.to_i64s()?.as_slice() {
        &[n] => usize::try_from(n).map_err(|_| OpError::invalid(format!("a window of {n} elements")))?,
        other => return Err(OpError::invalid(format!("the size is one number, {} are given", other.len()))),
    };
    let dtype = cx.attrs.opt_dtype("output_datatype")?.unwrap_or(F32);
    Tensor::zeros(F64, &[size])?;
    let step = TAU / (size as f64 - if cx.attrs.flag("periodic")? { 0.0 } else { 1.0 });
    // Integers are cut from 32-bit floats, in which the top of the window is 1.
    let round = rounder(if dtype.is_int() { F32 } else { F64 });
    let at = |i: usize| {
        let angle = i as f64 * step;
        round(w[0] - w[1] * angle.cos() + w[2] * (angle * 2.0).cos())
    };
    Ok(vec![Tensor::from_f64s(dtype, &[size], &(0..size).map(at).collect::<Vec<_>>())?.into()])
}

/// The same from Range and Cos, in `f64`.
///
/// # Errors
/// When the length is absent.
pub fn decompose(b: &mut Builder, node: NodeId, w: [f64; 3]) -> OpResult<Vec<ValueId>> {
    let size = b.input(node, 0)?;
    let view = b.attrs(node)?;
    let (dtype, periodic) = (view.opt_dtype("output_datatype")?.unwrap_or(F32), view.flag("periodic")?);
    let size = b.op_with("Cast", &[size], Attrs::new().with("to", F64))?;
    let number = |b: &mut Builder, x: f64| b.constant(Tensor::scalar(x));
    let (zero, one) = (number(b, 0.0), number(b, 1.0));
    let scalar = b.constant(Tensor::vector::<i64>(&[]));
    let size = b.op("Reshape", &[size, scalar])?;
    let range = b.op("Range", &[zero, size, one])?;
    let turn = number(b, TAU);
    let steps = if periodic { size } else { b.op("Sub", &[size, one])? };
    let step = b.op("Div", &[turn, steps])?;
    let angle = b.op("Mul", &[range, step])?;
    let cosine = b.op("Cos", &[angle])?;
    let weights = w.map(|x| number(b, x));
    let first = b.op("Mul", &[weights[1], cosine])?;
    let mut y = b.op("Sub", &[weights[0], first])?;
    if w[2] != 0.0 {
        let two = number(b, 2.0);
        let double = b.op("Mul", &[angle, two])?;
        let cosine = b.op("Cos", &[double])?;
        let second = b.op("Mul", &[weights[2], cosine])?;
        y = b.op("Add", &[y, second])?;
    }
    if dtype.is_int() {
        y = b.op_with("Cast", &[y], Attrs::new().with("to", F32))?;
    }
    Ok(vec![b.op_with("Cast", &[y], Attrs::new().with("to", dtype))?])
}

/// Samples: every type, both forms, lengths from 0.
pub fn samples(s: &mut Samples, types: TypeSet) {
    for dtype in types.dtypes() {
        s.case().attr("output_datatype", dtype).input(Tensor::scalar(10i64)).add();
    }
    for size in [0i32, 2, 7, 16] {
        s.case().attr("periodic", 0).input(Tensor::scalar(size)).add();
        s.case().input(Tensor::scalar(i64::from(size))).add();
    }
}
