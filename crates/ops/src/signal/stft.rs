//! STFT: Fourier transforms of frames that slide over a signal, each weighted by a window. <https://onnx.ai/onnx/operators/onnx__STFT.html>

use super::fourier::Transform;
use crate::math::contraction::checked_len;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("signal", "T1"),
        Param::one("frame_step", "T2"),
        Param::opt("window", "T1"),
        Param::opt("frame_length", "T2"),
    ],
    outputs: &[Param::one("output", "T1")],
    attrs: &[AttrDef::int("onesided", 1)],
    types: &[types_of("T1", FLOATS_BF16), types_of("T2", INDEX)],
};

/// The ONNX operator STFT.
pub static STFT: OpDef = OpDef {
    name: "STFT",
    since: 17,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let onesided = cx.attrs.flag("onesided")?;
    let first = |v: &SymTensor| v.dims.first().cloned();
    let shape = match cx.shape(0) {
        Some([batch, signal, _]) => {
            let window = cx.shape(2).and_then(|s| s.first().cloned());
            let length = match (cx.value(3).and_then(first), cx.has(3), cx.has(2)) {
                (Some(n), ..) => n,
                (None, true, _) | (None, false, true) => window.unwrap_or(Dim::Unknown),
                (None, false, false) => signal.clone(),
            };
            let step = cx.value(1).and_then(first).unwrap_or(Dim::Unknown);
            let frames = (signal.clone() - length.clone()).floor_div(&step) + Dim::Known(1);
            let bins = if onesided { length.floor_div(&Dim::Known(2)) + Dim::Known(1) } else { length };
            Some(vec![batch.clone(), frames, bins, Dim::Known(2)])
        }
        Some(other) => return Err(OpError::invalid(format!("a signal of rank 3 is wanted, not {}", other.len()))),
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// A positive count: one number.
fn count(cx: &EvalCx, inputs: &[Option<&Value>], i: usize) -> OpResult<Option<usize>> {
    match cx.opt_ints(inputs, i)?.as_deref() {
        None => Ok(None),
        Some(&[n]) if n > 0 => Ok(Some(n as usize)),
        Some(other) => Err(OpError::invalid(format!("input {i} is one number above 0, not {other:?}"))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let &[batch, signal, parts @ (1 | 2)] = x.shape() else {
        return Err(OpError::invalid(format!(
            "a signal of shape [batch, length, 1 or 2] is wanted, not {:?}",
            x.shape()
        )));
    };
    let step = count(cx, inputs, 1)?.ok_or_else(|| OpError::invalid("input 1 is required"))?;
    let window = cx.opt_tensor(inputs, 2)?.map(|w| w.to_f64s()).transpose()?;
    let length = count(cx, inputs, 3)?.or(window.as_ref().map(Vec::len)).unwrap_or(signal);
    let window = window.unwrap_or_else(|| vec![1.0; length.min(signal)]);
    if length > signal || window.len() != length || length == 0 {
        let why = format!("frames of {length} from a signal of {signal} under a window of {}", window.len());
        return Err(OpError::invalid(why));
    }
    let frames = (signal - length) / step + 1;
    let bins = if cx.attrs.flag("onesided")? { length / 2 + 1 } else { length };
    let shape = [batch, frames, bins, 2];
    let mut out = Vec::with_capacity(checked_len(F64, &shape)?);
    let (values, transform) = (x.to_f64s()?, Transform::of(length, false));
    for (b, f) in (0..batch).flat_map(|b| (0..frames).map(move |f| (b, f))) {
        let at = |k: usize| {
            let p = (b * signal + f * step + k) * parts;
            [values[p] * window[k], if parts == 2 { values[p + 1] * window[k] } else { 0.0 }]
        };
        let frame = (0..length).map(at).collect::<Vec<_>>();
        out.extend(transform.run(&frame).into_iter().take(bins).flatten());
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (x, w) = (s.any(dtype, &[2, 16, 1]), s.floats(dtype, &[8], 0.0, 1.0));
        s.case().input(x).input(Tensor::scalar(4i64)).input(w).add();
    }
    let (x, w) = (s.any(F32, &[1, 20, 2]), s.floats(F32, &[6], 0.0, 1.0));
    s.case().attr("onesided", 0).input(x.clone()).input(Tensor::scalar(3i32)).input(w.clone()).add();
    s.case()
        .attr("onesided", 0)
        .input(x.clone())
        .input(Tensor::scalar(3i32))
        .absent()
        .input(Tensor::scalar(7i32))
        .add();
    s.case().input(x.clone()).input(Tensor::scalar(5i64)).input(w).input(Tensor::scalar(6i64)).add();
    s.case().input(x).input(Tensor::scalar(1i64)).add();
    let x = s.any(F32, &[0, 16, 1]);
    s.case().input(x).input(Tensor::scalar(4i64)).absent().input(Tensor::scalar(8i64)).add();
}
