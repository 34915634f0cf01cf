//! Scales and zero points: which of them belongs to which element, and rounding to a quantized type.

use crate::prelude::*;
use modelsmith_base::minifloat;

/// How scales lie over a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// One for all.
    Tensor,
    /// One for each index along an axis.
    Axis(usize),
    /// One for each block of this many elements along an axis.
    Block(usize, usize),
}

impl Granularity {
    /// The granularity of scales of shape `scale` over a tensor of shape `x`.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn of(x: &[usize], scale: &[usize], axis: i64, block: i64) -> OpResult<Granularity> {
        let misfit = || OpError::invalid(format!("scales of shape {scale:?} do not fit a tensor of shape {x:?}"));
        if block < 0 {
            return Err(OpError::invalid(format!("block_size is {block}")));
        }
        if block == 0 && scale.len() <= 1 && scale.iter().product::<usize>() == 1 {
            return Ok(Granularity::Tensor);
        }
        let axis = shapes::axis(axis, x.len())?;
        if block == 0 {
            return if scale == [x[axis]] { Ok(Granularity::Axis(axis)) } else { Err(misfit()) };
        }
        let block = usize::try_from(block).map_err(|_| misfit())?;
        let fits = |i: usize| scale[i] == if i == axis { x[i].div_ceil(block) } else { x[i] };
        match scale.len() == x.len() && (0..x.len()).all(fits) {
            true => Ok(Granularity::Block(axis, block)),
            false => Err(misfit()),
        }
    }

    /// For each element of a tensor of shape `x`, the index of its scale.
    pub fn indices(self, x: &[usize]) -> Vec<usize> {
        let count = x.iter().product::<usize>();
        match self {
            Granularity::Tensor => vec![0; count],
            Granularity::Axis(axis) => {
                let inner = x[axis + 1..].iter().product::<usize>();
                (0..count).map(|i| i / inner % x[axis]).collect()
            }
            Granularity::Block(axis, block) => {
                let inner = x[axis + 1..].iter().product::<usize>();
                let blocks = x[axis].div_ceil(block);
                let at = |i: usize| (i / inner / x[axis] * blocks + i / inner % x[axis] / block) * inner + i % inner;
                (0..count).map(at).collect()
            }
        }
    }
}

/// A tensor of a quantized type from real values: integers round to the nearest, ties to even, and saturate.
///
/// # Errors
/// When the count does not fill `shape`, or the type is none of the quantized ones.
pub fn quantized(dtype: DType, shape: &[usize], values: &[f64], saturate: bool) -> OpResult<Tensor> {
    Ok(match dtype {
        F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ => {
            let bytes = values.iter().map(|&x| minifloat::encode(dtype, x, saturate)).collect::<Vec<_>>();
            Tensor::from_bytes(dtype, shape, &bytes)?
        }
        d if d.is_int() => {
            Tensor::from_f64s(dtype, shape, &values.iter().map(|x| x.round_ties_even()).collect::<Vec<_>>())?
        }
        _ => Tensor::from_f64s(dtype, shape, values)?,
    })
}

/// Operand `i` as values, zeros like `scale` when it is absent.
///
/// # Errors
/// When it has another number of elements.
pub fn zero_points(cx: &EvalCx, inputs: &[Option<&Value>], i: usize, scales: usize) -> OpResult<Vec<f64>> {
    match cx.opt_tensor(inputs, i)? {
        None => Ok(vec![0.0; scales]),
        Some(t) if t.len() == scales => Ok(t.to_f64s()?),
        Some(t) => Err(OpError::invalid(format!("{} zero points for {scales} scales", t.len()))),
    }
}

/// Rounds to `f32`.
pub fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_find_their_elements() {
        assert_eq!(Granularity::of(&[2, 3], &[3], -1, 0).unwrap().indices(&[2, 3]), [0, 1, 2, 0, 1, 2]);
        let blocks = Granularity::of(&[2, 3], &[2, 2], 1, 2).unwrap();
        assert_eq!(blocks.indices(&[2, 3]), [0, 0, 1, 2, 2, 3]);
        let rows = Granularity::of(&[4, 2], &[2, 2], 0, 2).unwrap();
        assert_eq!(rows.indices(&[4, 2]), [0, 1, 0, 1, 2, 3, 2, 3]);
        assert!(Granularity::of(&[2, 3], &[2], 1, 0).is_err());
    }

    #[test]
    fn integers_round_to_even_and_saturate() {
        let t = quantized(I8, &[4], &[2.5, 3.5, 300.0, f64::NEG_INFINITY], true).unwrap();
        assert_eq!(t.to_i64s().unwrap(), [2, 4, 127, -128]);
    }
}
