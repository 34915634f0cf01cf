//! What operators share whose results have sizes read from tensors, or that only move elements.

use crate::prelude::*;
use std::cmp::Ordering;

/// `d`, or 0 where it is negative.
pub fn at_least_zero(d: &Dim) -> Dim {
    if shapes::non_negative(d) { d.clone() } else { d.larger(&Dim::Known(0)) }
}

/// What is known of one dimension from two sources that agree.
///
/// # Errors
/// When they are two different numbers.
pub fn agreed(a: &Dim, b: &Dim) -> OpResult<Dim> {
    match (a, b) {
        (Dim::Known(x), Dim::Known(y)) if x != y => Err(OpError::invalid(format!("dimensions {x} and {y} differ"))),
        (Dim::Known(_), _) | (_, Dim::Unknown) => Ok(a.clone()),
        (_, Dim::Known(_)) | (Dim::Unknown, _) => Ok(b.clone()),
        _ => Ok(a.clone()),
    }
}

/// The shape that operand `i`, a vector of sizes, names: its elements where they are known, else as many unknown
/// dimensions as it has elements.
pub fn from_operand(cx: &InferCx, i: usize) -> Option<Vec<Dim>> {
    match cx.value(i) {
        Some(v) => Some(v.dims.clone()),
        None => Some(vec![Dim::Unknown; cx.shape(i)?.first()?.size().filter(|&n| n <= 64)?]),
    }
}

/// Sizes read from a tensor.
///
/// # Errors
/// When one is negative, or the tensor that they describe would be unreasonably large.
pub fn sizes(list: &[i64]) -> OpResult<Vec<usize>> {
    let negative = |d: &i64| OpError::invalid(format!("size {d} of shape {list:?} is negative"));
    let out = list.iter().map(|d| usize::try_from(*d).map_err(|_| negative(d))).collect::<OpResult<Vec<_>>>()?;
    affordable(&out)?;
    Ok(out)
}

/// Most elements that the reference makes where the size is a number in the model's data.
const MOST: usize = 1 << 31;

/// Fails when a tensor of `shape`, computed from data, would be unreasonably large.
///
/// # Errors
/// Then.
pub fn affordable(shape: &[usize]) -> OpResult<()> {
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    match shape.contains(&0) || count.is_some_and(|n| n <= MOST) {
        true => Ok(()),
        false => Err(OpError::invalid(format!("a result of shape {shape:?} has more than {MOST} elements"))),
    }
}

/// All elements of several tensors of one type in one vector, from which [`Tensor::gathered`] picks.
///
/// # Errors
/// When the types differ.
pub fn pool(parts: &[&Tensor]) -> OpResult<Tensor> {
    let flat = parts.iter().map(|t| t.reshaped(&[t.len()])).collect::<Result<Vec<_>, _>>()?;
    Ok(modelsmith_tensor::concat(&flat, 0)?)
}

/// The tensor of a constant attribute that is small and lies in memory or in mapped bytes.
pub fn small_constant(w: &modelsmith_tensor::WeightExpr) -> Option<Tensor> {
    struct Nothing;
    impl modelsmith_tensor::Evaluator for Nothing {
        fn eval(&self, op: &str, _: &[Tensor]) -> modelsmith_tensor::Result<Tensor> {
            Err(modelsmith_tensor::Error::Eval { op: op.into(), message: "not computed during inference".into() })
        }
    }
    let small = w.len() <= 4096;
    small.then(|| modelsmith_tensor::materialize(w, &Nothing, &modelsmith_base::Budget::unlimited()).ok()).flatten()
}

/// Compares the elements of a tensor by flat index: NaN is the largest number, complex numbers compare their real
/// parts first, strings their bytes.
///
/// # Errors
/// Never for the element types of the specification.
pub fn order_of(t: &Tensor) -> OpResult<Box<dyn Fn(usize, usize) -> Ordering>> {
    let float = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    Ok(match t.dtype() {
        DType::String => {
            let v = t.strings()?.to_vec();
            Box::new(move |i, j| v[i].cmp(&v[j]))
        }
        U64 => {
            let v = t.to_u64s()?;
            Box::new(move |i, j| v[i].cmp(&v[j]))
        }
        d if d.is_int() || d == Bool => {
            let v = t.to_i64s()?;
            Box::new(move |i, j| v[i].cmp(&v[j]))
        }
        _ => {
            let v = t.to_complex()?;
            Box::new(move |i, j| float(v[i][0], v[j][0]).then_with(|| float(v[i][1], v[j][1])))
        }
    })
}

/// Numbers that are ordered as the elements of a tensor of real numbers are; NaN is the largest.
///
/// # Errors
/// For strings and complex numbers.
pub fn sort_keys(t: &Tensor) -> OpResult<Vec<u64>> {
    const SIGN: u64 = 1 << 63;
    let float = |x: f64| match (x + 0.0).to_bits() {
        _ if x.is_nan() => u64::MAX,
        bits if bits & SIGN != 0 => !bits,
        bits => bits | SIGN,
    };
    Ok(match t.dtype() {
        U64 => t.to_u64s()?,
        d if d.is_int() || d == Bool => t.to_i64s()?.into_iter().map(|x| x as u64 ^ SIGN).collect(),
        _ => t.to_f64s()?.into_iter().map(float).collect(),
    })
}

/// Tensors of one shape as one tensor with a new dimension at `axis`.
///
/// # Errors
/// When there are none, or they differ in type or shape.
pub fn stacked(parts: &[Tensor], axis: i64) -> OpResult<Tensor> {
    let rank = parts.first().map_or(0, Tensor::rank);
    let axis = shapes::axis(axis, rank + 1)?;
    let widened = |t: &Tensor| {
        let mut shape = t.shape().to_vec();
        shape.insert(axis.min(shape.len()), 1);
        t.reshaped(&shape)
    };
    let parts = parts.iter().map(widened).collect::<Result<Vec<_>, _>>()?;
    Ok(modelsmith_tensor::concat(&parts, axis)?)
}

/// Slice `at` along `axis`, without that dimension.
///
/// # Errors
/// When it is outside.
pub fn taken(t: &Tensor, axis: usize, at: usize) -> OpResult<Tensor> {
    let outside = || OpError::invalid(format!("index {at} along axis {axis} of shape {:?}", t.shape()));
    if t.shape().get(axis).is_none_or(|&d| at >= d) {
        return Err(outside());
    }
    let mut strides = index::strides(t.shape()).into_iter().map(|s| s as isize).collect::<Vec<_>>();
    let mut shape = t.shape().to_vec();
    let along = strides.remove(axis);
    shape.remove(axis);
    Ok(t.strided(&shape, &strides, along * at as isize)?)
}
