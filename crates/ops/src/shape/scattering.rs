//! What the scatter operators, and GatherND, share: slices named by rows of indices, and updates written or combined
//! into a copy.

use crate::prelude::*;

/// For each row of `indices` (its last dimension), the first flat position of the slice of a tensor of `shape` that it
/// names, and the number of elements of a slice. The first `batch` dimensions of both run together.
///
/// # Errors
/// When the shapes do not fit or an index is outside.
pub(crate) fn slices(shape: &[usize], indices: &Tensor, batch: usize) -> OpResult<(Vec<usize>, usize)> {
    let fail = || OpError::invalid(format!("indices of shape {:?} for shape {shape:?}", indices.shape()));
    let (&depth, rows) = indices.shape().split_last().ok_or_else(fail)?;
    let used = depth.checked_add(batch).filter(|&u| u <= shape.len() && batch <= rows.len()).ok_or_else(fail)?;
    if shape[..batch] != rows[..batch] {
        return Err(fail());
    }
    let strides = index::strides(shape);
    let at = indices.to_i64s()?;
    let per_batch = rows[batch..].iter().product::<usize>();
    let batch_stride = shape[batch..].iter().product::<usize>();
    let mut out = Vec::new();
    for row in 0..rows.iter().product::<usize>() {
        let mut start = row / per_batch * batch_stride;
        for k in 0..depth {
            let (i, d) = (at[row * depth + k], shape[batch + k]);
            let outside = |_| OpError::invalid(format!("index {i} is outside dimension {} of {d} elements", batch + k));
            start += index::axis(i, d).map_err(outside)? * strides[batch + k];
        }
        out.push(start);
    }
    Ok((out, shape[used..].iter().product()))
}

/// A copy of `data` in which element `at[i]` is replaced by element `i` of `updates`, or combined with it by
/// `reduction`: `none`, `add`, `mul`, `min` or `max`. Of several updates of one element, `none` keeps the last.
///
/// # Errors
/// When the types differ, or cannot be combined.
pub(crate) fn scattered(data: &Tensor, updates: &Tensor, at: &[usize], reduction: &str) -> OpResult<Tensor> {
    if data.dtype() != updates.dtype() || at.len() != updates.len() {
        return Err(OpError::invalid(format!("{} updates of type {}", updates.len(), updates.dtype())));
    }
    let dtype = data.dtype();
    if reduction == "none" {
        return Ok(data.replaced(at, updates)?);
    }
    if !["add", "mul", "min", "max"].contains(&reduction) {
        return Err(OpError::invalid(format!("reduction {reduction:?}")));
    }
    if dtype.is_float() {
        let combine = |a: f64, b: f64| match reduction {
            "add" => a + b,
            "mul" => a * b,
            _ if a.is_nan() || b.is_nan() => f64::NAN,
            "min" => a.min(b),
            _ => a.max(b),
        };
        let mut out = data.to_f64s()?;
        at.iter().zip(updates.to_f64s()?).for_each(|(&p, u)| out[p] = combine(out[p], u));
        return Ok(Tensor::from_f64s(dtype, data.shape(), &out)?);
    }
    let unsigned = dtype == U64;
    let combine = |a: i64, b: i64| match reduction {
        "add" => a.wrapping_add(b),
        "mul" => a.wrapping_mul(b),
        "min" if unsigned => (a as u64).min(b as u64) as i64,
        "min" => a.min(b),
        _ if unsigned => (a as u64).max(b as u64) as i64,
        _ => a.max(b),
    };
    let mut out = data.to_i64s()?;
    at.iter().zip(updates.to_i64s()?).for_each(|(&p, u)| out[p] = combine(out[p], u));
    Ok(Tensor::from_i64s(dtype, data.shape(), &out)?)
}
