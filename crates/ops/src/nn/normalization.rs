//! Normalisation to zero mean and unit variance, shared by LayerNormalization and its relatives. The first stage is
//! computed in the precision that `stash_type` names, one rounding at each step.

use crate::prelude::*;
use modelsmith_tensor::{bf16, f16};

/// Rounds to the nearest number of a float type.
pub fn rounder(dtype: DType) -> fn(f64) -> f64 {
    match dtype {
        F16 => |x| f16::from_f64(x).to_f64(),
        BF16 => |x| bf16::from_f64(x).to_f64(),
        F32 => |x| f64::from(x as f32),
        _ => |x| x,
    }
}

/// Element type that attribute `stash_type` names.
///
/// # Errors
/// When it names none, or one that is not a float of 16 bit or more.
pub fn stash_type(attrs: &AttrView) -> OpResult<DType> {
    match attrs.opt_dtype("stash_type")? {
        Some(d @ (F32 | F64 | F16 | BF16)) => Ok(d),
        found => Err(OpError::invalid(format!("stash_type is {found:?}, a float type is wanted"))),
    }
}

/// Mean and reciprocal standard deviation of `x`, each rounded by `round`.
pub fn moments(x: &[f64], epsilon: f64, round: fn(f64) -> f64) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = round(x.iter().sum::<f64>() / n);
    let variance = round(x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n);
    (mean, round(1.0 / round((variance + epsilon).sqrt())))
}

/// The second stage: `x * scale + bias`, each step rounded to `x`'s type; scale and bias broadcast to `shape`.
///
/// # Errors
/// When they do not.
pub fn scaled(
    mut x: Vec<f64>,
    shape: &[usize],
    round: fn(f64) -> f64,
    scale: &Tensor,
    bias: Option<&Tensor>,
) -> OpResult<Vec<f64>> {
    let values = scale.to_f64s()?;
    let at = index::Offsets::unsigned(shape, &index::broadcast_strides(scale.shape(), shape)?);
    x.iter_mut().zip(at).for_each(|(v, i)| *v = round(*v * values[i]));
    if let Some(bias) = bias {
        let values = bias.to_f64s()?;
        let at = index::Offsets::unsigned(shape, &index::broadcast_strides(bias.shape(), shape)?);
        x.iter_mut().zip(at).for_each(|(v, i)| *v = round(*v + values[i]));
    }
    Ok(x)
}

/// Batch, channels and elements per channel of a tensor of at least 2 dimensions.
///
/// # Errors
/// When it has fewer.
pub fn channels(x: &Tensor) -> OpResult<(usize, usize, usize)> {
    match x.shape() {
        [n, c, rest @ ..] => Ok((*n, *c, rest.iter().product())),
        shape => Err(OpError::invalid(format!("an input of shape {shape:?}; batch and channels are wanted"))),
    }
}

/// One value per channel.
///
/// # Errors
/// When there are not `count` values.
pub fn per_channel(t: &Tensor, count: usize, name: &str) -> OpResult<Vec<f64>> {
    match t.len() == count {
        true => Ok(t.to_f64s()?),
        false => Err(OpError::invalid(format!("{name} has shape {:?}, the input {count} channels", t.shape()))),
    }
}

/// `value` of shape `[c]` as `[c, 1, ...]`, to broadcast against a tensor of `rank` dimensions.
///
/// # Errors
/// When the operator set lacks Unsqueeze.
pub fn channel_wise(b: &mut Builder, value: ValueId, rank: usize) -> OpResult<ValueId> {
    if rank <= 2 {
        return Ok(value);
    }
    let axes = b.ints(&(1..rank as i64 - 1).collect::<Vec<_>>());
    b.op("Unsqueeze", &[value, axes])
}

/// Rank of a value.
///
/// # Errors
/// When it is not known.
pub fn known_rank(b: &Builder, value: ValueId) -> OpResult<usize> {
    b.ty(value).rank().ok_or_else(|| OpError::unsupported("an input of unknown rank in simpler operators"))
}

/// `(x - mean) / sqrt(variance + epsilon)` over `axes` as nodes, with the mean and the reciprocal deviation.
///
/// # Errors
/// When the operator set lacks one of them.
pub fn build(b: &mut Builder, x: ValueId, axes: &[i64], epsilon: f32) -> OpResult<[ValueId; 3]> {
    let (axes, epsilon) = (b.ints(axes), b.scalar_like(x, epsilon.into())?);
    let mean = b.op("ReduceMean", &[x, axes])?;
    let deviation = b.op("Sub", &[x, mean])?;
    let square = b.op("Mul", &[deviation, deviation])?;
    let variance = b.op("ReduceMean", &[square, axes])?;
    let safe = b.op("Add", &[variance, epsilon])?;
    let root = b.op("Sqrt", &[safe])?;
    let inverse = b.op("Reciprocal", &[root])?;
    Ok([b.op("Mul", &[deviation, inverse])?, mean, inverse])
}
