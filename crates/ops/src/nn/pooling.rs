//! Pools: one number from each window of each channel.

use super::window::{Axis, WindowAttrs, positions, split};
use crate::prelude::*;
use modelsmith_ir::Attr as A;

/// Shape of the pooled output, when that of input 0 is known.
///
/// # Errors
/// When the attributes do not fit it.
pub fn output_dims(cx: &InferCx) -> OpResult<Option<Vec<Dim>>> {
    let attrs = WindowAttrs::of(&cx.attrs)?;
    let kernel = attrs.kernel(None)?;
    match cx.shape(0) {
        Some([n, c, spatial @ ..]) if !spatial.is_empty() => {
            let mut out = vec![n.clone(), c.clone()];
            out.extend(attrs.output_dims(spatial, &kernel)?);
            Ok(Some(out))
        }
        Some(shape) => Err(OpError::invalid(format!("an input of {} dimensions, at least 3 are wanted", shape.len()))),
        None => Ok(None),
    }
}

/// Type of output 0 of a pool.
///
/// # Errors
/// When the attributes do not fit the input.
pub fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = output_dims(cx)?;
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// Spatial axes and output shape of a pool over `x`.
///
/// # Errors
/// When the attributes do not fit it.
pub fn geometry(attrs: &AttrView, x: &Tensor) -> OpResult<(Vec<Axis>, Vec<usize>)> {
    let attrs = WindowAttrs::of(attrs)?;
    let (n, c, spatial) = split(x)?;
    let axes = attrs.axes(spatial, &attrs.kernel(None)?)?;
    let shape = [n, c].into_iter().chain(axes.iter().map(|a| a.output)).collect();
    Ok((axes, shape))
}

/// `f(elements, number of the window)` of each window of each channel.
///
/// # Errors
/// When the attributes do not fit the input.
pub fn reduce(cx: &EvalCx, x: &Tensor, f: impl Fn(&[f64], usize) -> f64) -> OpResult<Vec<Value>> {
    let (axes, shape) = geometry(&cx.attrs, x)?;
    let windows = positions(&axes);
    let (data, plane) = (x.to_f64s()?, x.shape()[2..].iter().product::<usize>());
    let mut out = Vec::new();
    let mut elements = Vec::new();
    if !data.is_empty() {
        for channel in data.chunks_exact(plane) {
            for (o, window) in windows.iter().enumerate() {
                elements.clear();
                elements.extend(window.iter().map(|&i| channel[i]));
                out.push(f(&elements, o));
            }
        }
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()])
}

/// The p-norm of `x`.
pub fn norm(x: &[f64], p: f64) -> f64 {
    x.iter().map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p)
}

/// Type of a global pool: every spatial axis becomes 1.
///
/// # Errors
/// When the input has fewer than 2 dimensions.
pub fn infer_global(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some([n, c, spatial @ ..]) => {
            Some([n.clone(), c.clone()].into_iter().chain(spatial.iter().map(|_| Dim::Known(1))).collect())
        }
        Some(shape) => return Err(OpError::invalid(format!("an input of {} dimensions", shape.len()))),
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// `f` of all elements of each channel.
///
/// # Errors
/// When the input has fewer than 2 dimensions.
pub fn global(x: &Tensor, f: impl Fn(&[f64]) -> f64) -> OpResult<Vec<Value>> {
    let [n, c, spatial @ ..] = x.shape() else {
        return Err(OpError::invalid(format!("an input of shape {:?}; batch and channels are wanted", x.shape())));
    };
    let shape = [*n, *c].into_iter().chain(spatial.iter().map(|_| 1)).collect::<Vec<_>>();
    let (data, plane) = (x.to_f64s()?, spatial.iter().product::<usize>());
    let out = (0..n * c).map(|i| f(&data[i * plane..][..plane])).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()])
}

/// Opset 1 wrote `p` as a float.
///
/// # Errors
/// When it is not whole.
pub fn whole_p(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.attrs().get("p") {
        Some(A::Float(p)) if p.fract() == 0.0 => {
            let p = *p as i64;
            cx.attrs().set("p", p);
            Ok(())
        }
        Some(A::Float(p)) => Err(OpError::unsupported(format!("a norm of {p}, which is not whole"))),
        _ => Ok(()),
    }
}

/// The way back.
///
/// # Errors
/// Never.
pub fn float_p(cx: &mut AdaptCx) -> OpResult<()> {
    if let Some(A::Int(p)) = cx.attrs().get("p") {
        let p = *p as f32;
        cx.attrs().set("p", p);
    }
    Ok(())
}

/// Before opset 7 means were taken over the elements covered, never over padding.
///
/// # Errors
/// When padding counts.
pub fn without_padding(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.attrs().remove("count_include_pad") {
        Some(A::Int(1)) => Err(OpError::unsupported("before opset 7 AveragePool cannot count padding")),
        _ => Ok(()),
    }
}

/// Samples that every pool takes.
pub fn samples(s: &mut Samples, set: TypeSet) {
    for dtype in set.dtypes() {
        let x = s.any(dtype, &[1, 2, 4, 5]);
        s.case().input(x).attr("kernel_shape", [2, 3]).add();
    }
    let x = s.any(F32, &[1, 2, 7, 6]);
    for auto_pad in ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"] {
        let case = s.case().input(x.clone()).attr("kernel_shape", [3, 2]).attr("strides", [2, 3]);
        case.attr("auto_pad", auto_pad).add();
    }
    for ceil in [0, 1] {
        let case = s.case().input(x.clone()).attr("kernel_shape", [3, 2]).attr("strides", [2, 3]);
        case.attr("pads", [1, 1, 1, 0]).attr("dilations", [1, 2]).attr("ceil_mode", ceil).add();
    }
    let (one, three, none) = (s.any(F32, &[2, 1, 6]), s.any(F32, &[1, 2, 3, 4, 3]), s.any(F32, &[0, 2, 4]));
    s.case().input(one).attr("kernel_shape", [3]).add();
    s.case().input(three).attr("kernel_shape", [2, 2, 2]).add();
    s.case().input(none).attr("kernel_shape", [2]).add();
}

/// Samples that every global pool takes.
pub fn global_samples(s: &mut Samples, set: TypeSet) {
    for dtype in set.dtypes() {
        let x = s.any(dtype, &[1, 2, 4, 5]);
        s.case().input(x).add();
    }
    for shape in [&[2, 3, 4][..], &[1, 2, 3, 2, 2], &[0, 2, 3]] {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
}
