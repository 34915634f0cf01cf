//! Statistics of a weight, in one pass over its bytes.

use crate::Result;
use modelsmith_base::Budget;
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Form, Ranged, Tensor, WeightExpr};
use serde::Serialize;

/// What the elements of a tensor are like. NaN and infinities are counted and left out of the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Smallest finite element; `None` where there is none.
    pub min: Option<f64>,
    /// Largest finite element.
    pub max: Option<f64>,
    /// Mean of the finite elements.
    pub mean: Option<f64>,
    /// Standard deviation of the finite elements.
    pub std: Option<f64>,
    /// Elements that are NaN.
    pub nan: u64,
    /// Elements that are infinite.
    pub inf: u64,
    /// Share of elements that are zero.
    pub sparsity: f64,
}

/// Elements taken in at a time.
const STEP: usize = 1 << 18;

/// Statistics of `w`, read in pieces within `budget`; `None` for types that have no order.
///
/// # Errors
/// When it cannot be read.
pub fn stats(w: &WeightExpr, budget: &Budget) -> Result<Option<Stats>> {
    let dtype = w.dtype();
    if dtype.is_complex() || dtype.bits() == 0 {
        return Ok(None);
    }
    let ranged = Ranged::new(w, Form::Dense, &Operators, budget)?;
    let unit = ranged.unit().max(1);
    let step = (STEP * dtype.bits() / 8 / unit).max(1) * unit;
    let mut room = vec![0; step];
    let (mut out, mut finite, mut zeros, mut sum) = (Stats::default(), 0u64, 0u64, 0f64);
    // Mean and sum of squared distances from it (Welford), piece by piece.
    let mut squares = 0f64;
    let (mut at, mut left) = (0, w.len());
    while left > 0 {
        let n = usize::try_from(ranged.byte_len() - at).unwrap_or(usize::MAX).min(step);
        ranged.fill(at, &mut room[..n])?;
        at += n as u64;
        let count = left.min(n * 8 / dtype.bits());
        left -= count;
        for x in Tensor::from_bytes(dtype, &[count], &room[..n])?.to_f64s()? {
            if x.is_nan() {
                out.nan += 1;
            } else if x.is_infinite() {
                out.inf += 1;
            } else {
                zeros += u64::from(x == 0.0);
                finite += 1;
                let before = x - sum;
                sum += before / finite as f64;
                squares += before * (x - sum);
                out.min = Some(out.min.map_or(x, |m| m.min(x)));
                out.max = Some(out.max.map_or(x, |m| m.max(x)));
            }
        }
    }
    out.sparsity = if w.is_empty() { 0.0 } else { zeros as f64 / w.len() as f64 };
    if finite > 0 {
        (out.mean, out.std) = (Some(sum), Some((squares / finite as f64).sqrt()));
    }
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_counted_apart() {
        let w = WeightExpr::Literal(Tensor::vector(&[1f32, 3.0, 0.0, f32::NAN, f32::NEG_INFINITY, 0.0]));
        let s = stats(&w, &Budget::unlimited()).unwrap().unwrap();
        assert_eq!((s.min, s.max, s.mean, s.nan, s.inf), (Some(0.0), Some(3.0), Some(1.0), 1, 1));
        assert!((s.std.unwrap() - 1.5f64.sqrt()).abs() < 1e-12 && (s.sparsity - 2.0 / 6.0).abs() < 1e-12);
        let none = WeightExpr::Literal(Tensor::vector::<i32>(&[]));
        assert_eq!(stats(&none, &Budget::unlimited()).unwrap(), Some(Stats::default()));
    }
}
