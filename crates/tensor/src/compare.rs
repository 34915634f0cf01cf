//! Whether two results agree, and by how much they differ.

use crate::{DType, Result, Tensor, Value};

/// What counts as agreement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// `|a - b| <= atol + rtol * |b|` for each element.
    pub rtol: f64,
    /// The absolute part.
    pub atol: Atol,
}

/// The absolute part of a tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Atol {
    /// This many units.
    Absolute(f64),
    /// This share of the largest `|b|` of the output.
    OfLargest(f64),
}

impl Default for Tolerance {
    /// Equal precision: rtol 1e-3 and 1e-5 of the largest value.
    fn default() -> Self {
        Tolerance { rtol: 1e-3, atol: Atol::OfLargest(1e-5) }
    }
}

/// How two tensors differ. `b` is the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Largest `|a - b|`; infinite when the types, shapes or kinds differ or a NaN meets a number.
    pub max_abs: f64,
    /// Mean `|a - b|`.
    pub mean_abs: f64,
    /// Largest distance in units in the last place of the reference's type; 0 for integers that are equal.
    pub max_ulp: f64,
    /// Cosine of the angle between them; 1 when both are zero.
    pub cosine: f64,
    /// Largest `|b|`.
    pub largest: f64,
    /// Elements outside the tolerance.
    pub outside: usize,
    /// Elements compared.
    pub count: usize,
    /// Why they cannot be compared at all.
    pub mismatch: Option<String>,
}

impl Difference {
    /// True when every element is inside the tolerance.
    pub fn agrees(&self) -> bool {
        self.mismatch.is_none() && self.outside == 0
    }

    fn impossible(why: String) -> Difference {
        Difference {
            max_abs: f64::INFINITY,
            mean_abs: f64::INFINITY,
            max_ulp: f64::INFINITY,
            cosine: 0.0,
            largest: 0.0,
            outside: 1,
            count: 0,
            mismatch: Some(why),
        }
    }

    fn equal(count: usize) -> Difference {
        Difference {
            max_abs: 0.0,
            mean_abs: 0.0,
            max_ulp: 0.0,
            cosine: 1.0,
            largest: 0.0,
            outside: 0,
            count,
            mismatch: None,
        }
    }
}

/// Width of one unit in the last place of `dtype` at `x`; 1 for integers.
pub fn ulp(dtype: DType, x: f64) -> f64 {
    let (digits, smallest) = match dtype {
        DType::F64 => (52, -1022),
        DType::F32 => (23, -126),
        DType::F16 => (10, -14),
        DType::BF16 => (7, -126),
        DType::F8E4M3FN | DType::F8E4M3FNUZ => (3, -6),
        DType::F8E5M2 | DType::F8E5M2FNUZ => (2, -14),
        DType::F4E2M1 => (1, 0),
        _ => return 1.0,
    };
    let exponent = if x == 0.0 || !x.is_finite() { smallest } else { (x.abs().log2().floor() as i32).max(smallest) };
    (2f64).powi(exponent - digits)
}

/// Compares `a` with the reference `b`. Integers, booleans and strings must be equal; NaN must meet NaN and an
/// infinity the same infinity.
pub fn tensors(a: &Tensor, b: &Tensor, tolerance: Tolerance) -> Difference {
    if a.dtype() != b.dtype() || a.shape() != b.shape() {
        return Difference::impossible(format!("{}{:?} against {}{:?}", a.dtype(), a.shape(), b.dtype(), b.shape()));
    }
    if let (Ok(x), Ok(y)) = (a.strings(), b.strings()) {
        let outside = x.iter().zip(y).filter(|(x, y)| x != y).count();
        let off = if outside > 0 { f64::INFINITY } else { 0.0 };
        return Difference { outside, max_abs: off, mean_abs: off, ..Difference::equal(x.len()) };
    }
    let exact = !(a.dtype().is_float() || a.dtype().is_complex());
    let flat = |t: &Tensor| -> Result<Vec<f64>> {
        if t.dtype().is_complex() { Ok(t.to_complex()?.into_flattened()) } else { t.to_f64s() }
    };
    match (flat(a), flat(b)) {
        (Ok(x), Ok(y)) => numbers(&x, &y, a.dtype(), exact && a.bytes() != b.bytes(), exact, tolerance),
        (Err(e), _) | (_, Err(e)) => Difference::impossible(e.to_string()),
    }
}

fn numbers(a: &[f64], b: &[f64], dtype: DType, differs: bool, exact: bool, tolerance: Tolerance) -> Difference {
    let largest = b.iter().filter(|x| x.is_finite()).fold(0f64, |m, x| m.max(x.abs()));
    let atol = match tolerance.atol {
        Atol::Absolute(x) => x,
        Atol::OfLargest(share) => share * largest,
    };
    let mut d = Difference { largest, ..Difference::equal(a.len()) };
    let (mut dot, mut aa, mut bb, mut total) = (0.0, 0.0, 0.0, 0.0);
    for (&x, &y) in a.iter().zip(b) {
        let same = x == y || (x.is_nan() && y.is_nan());
        let off = if same {
            0.0
        } else if x.is_finite() && y.is_finite() {
            (x - y).abs()
        } else {
            f64::INFINITY
        };
        let allowed = if exact { 0.0 } else { atol + tolerance.rtol * y.abs() };
        d.outside += usize::from(!same && (off.is_infinite() || off > allowed));
        d.max_abs = d.max_abs.max(off);
        d.max_ulp = d.max_ulp.max(off / ulp(dtype, y));
        total += off;
        if x.is_finite() && y.is_finite() {
            dot += x * y;
            aa += x * x;
            bb += y * y;
        }
    }
    // 64-bit integers that f64 cannot tell apart still differ.
    if differs && d.outside == 0 {
        d.outside = 1;
        d.max_abs = d.max_abs.max(1.0);
    }
    d.mean_abs = if a.is_empty() { 0.0 } else { total / a.len() as f64 };
    d.cosine = if aa == 0.0 && bb == 0.0 { 1.0 } else { dot / (aa * bb).sqrt().max(f64::MIN_POSITIVE) };
    d
}

/// As [`tensors`], for any kind of value; the worst element of a sequence or map counts.
pub fn values(a: &Value, b: &Value, tolerance: Tolerance) -> Difference {
    match (a, b) {
        (Value::Tensor(a), Value::Tensor(b)) => tensors(a, b, tolerance),
        (Value::Sequence(a), Value::Sequence(b)) => lists(a, b, tolerance),
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => values(a, b, tolerance),
            (None, None) => Difference::equal(0),
            _ => Difference::impossible("an absent optional against one that is present".into()),
        },
        // Test data keeps no trace of the optional around a value that is present.
        (Value::Optional(Some(a)), b) => values(a, b, tolerance),
        (a, Value::Optional(Some(b))) => values(a, b, tolerance),
        (Value::Map(a), Value::Map(b)) if a.keys == b.keys => lists(&a.values, &b.values, tolerance),
        (Value::Map(_), Value::Map(_)) => Difference::impossible("maps with different keys".into()),
        (Value::Sparse(a), Value::Sparse(b)) => match (a.to_dense(), b.to_dense()) {
            (Ok(a), Ok(b)) => tensors(&a, &b, tolerance),
            (Err(e), _) | (_, Err(e)) => Difference::impossible(e.to_string()),
        },
        (a, b) => Difference::impossible(format!("a {} against a {}", a.kind(), b.kind())),
    }
}

fn lists(a: &[Value], b: &[Value], tolerance: Tolerance) -> Difference {
    if a.len() != b.len() {
        return Difference::impossible(format!("{} elements against {}", a.len(), b.len()));
    }
    a.iter().zip(b).map(|(a, b)| values(a, b, tolerance)).fold(Difference::equal(0), |w, d| Difference {
        max_abs: w.max_abs.max(d.max_abs),
        mean_abs: w.mean_abs.max(d.mean_abs),
        max_ulp: w.max_ulp.max(d.max_ulp),
        cosine: w.cosine.min(d.cosine),
        largest: w.largest.max(d.largest),
        outside: w.outside + d.outside,
        count: w.count + d.count,
        mismatch: w.mismatch.or(d.mismatch),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(a: &[f32], b: &[f32]) -> Difference {
        tensors(&Tensor::vector(a), &Tensor::vector(b), Tolerance::default())
    }

    #[test]
    fn the_default_tolerance() {
        assert!(diff(&[1.0009, 0.0], &[1.0, 0.00001]).agrees());
        assert!(!diff(&[1.002, 0.0], &[1.0, 0.0]).agrees());
        assert!(!diff(&[1.0, 0.0001], &[1.0, 0.0]).agrees());
    }

    #[test]
    fn nan_and_infinity_must_meet_their_like() {
        assert!(diff(&[f32::NAN, f32::INFINITY], &[f32::NAN, f32::INFINITY]).agrees());
        assert!(!diff(&[f32::NAN], &[1.0]).agrees());
        assert!(!diff(&[f32::INFINITY], &[f32::NEG_INFINITY]).agrees());
        assert!(!diff(&[f32::INFINITY], &[f32::MAX]).agrees());
    }

    #[test]
    fn integers_are_exact_beyond_what_f64_can_tell() {
        let (a, b) = (Tensor::vector(&[i64::MAX]), Tensor::vector(&[i64::MAX - 1]));
        assert!(!tensors(&a, &b, Tolerance::default()).agrees());
        let shape = tensors(&Tensor::vector(&[1i64]), &Tensor::scalar(1i64), Tolerance::default());
        assert_eq!(shape.mismatch.as_deref(), Some("i64[1] against i64[]"));
    }
}
