//! Drawing tensors: kinds of samples, and values inside the limits that the graph sets.

use crate::inputs::ranges::Domain;
use crate::random::Random;
use crate::{Error, Result};
use modelsmith_base::DType;
use modelsmith_ir::Type;
use modelsmith_tensor::{Tensor, Value};

/// What a sample is like. The kinds follow each other as samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawKind {
    /// Standard normal; integers anywhere in their range.
    Normal,
    /// Uniform over `[0, 1)`.
    Uniform,
    /// Zeros; integers at the low end of their range.
    Zeros,
    /// Uniform over `[0, 255)`; integers at the high end of their range.
    Large,
    /// Slow waves around a level, as images and signals are; integers in runs. Noise averages out in a deep network,
    /// so that samples of noise are all alike to it.
    Smooth,
}

impl DrawKind {
    /// The kind of sample number `i`: normal, zeros, large, and from then on uniform, smooth, uniform, normal and
    /// smooth in turns.
    pub fn of_sample(i: usize) -> DrawKind {
        match i {
            1 => DrawKind::Zeros,
            2 => DrawKind::Large,
            0 => DrawKind::Normal,
            i => [DrawKind::Uniform, DrawKind::Smooth, DrawKind::Uniform, DrawKind::Normal, DrawKind::Smooth]
                [(i - 3) % 5],
        }
    }

    /// A word for reports.
    pub const fn name(self) -> &'static str {
        match self {
            DrawKind::Normal => "normal",
            DrawKind::Uniform => "uniform",
            DrawKind::Zeros => "zeros",
            DrawKind::Large => "large",
            DrawKind::Smooth => "smooth",
        }
    }
}

/// Elements that an input without known limits may have at most: a size that nobody asked for.
const MOST: usize = 1 << 31;

/// A value of type `ty`; `shape` is that of the tensor in it.
///
/// # Errors
/// When the type holds what cannot be drawn.
pub fn draw(ty: &Type, shape: Option<&[usize]>, domain: &Domain, kind: DrawKind, r: &mut Random) -> Result<Value> {
    match ty {
        Type::Sequence(inner) => {
            let shape = shape.map(<[usize]>::to_vec).or_else(|| default_shape(inner));
            let items = (0..2).map(|_| draw(inner, shape.as_deref(), domain, kind, r)).collect::<Result<Vec<_>>>()?;
            Ok(Value::Sequence(items))
        }
        Type::Optional(inner) => {
            let shape = shape.map(<[usize]>::to_vec).or_else(|| default_shape(inner));
            Ok(Value::Optional(Some(Box::new(draw(inner, shape.as_deref(), domain, kind, r)?))))
        }
        Type::Tensor(t) => {
            let dtype = t.dtype.unwrap_or(DType::F32);
            let shape = shape.map(<[usize]>::to_vec).or_else(|| default_shape(ty)).unwrap_or_default();
            Ok(Value::Tensor(tensor(dtype, &shape, domain, kind, r)?))
        }
        Type::Unknown => Ok(Value::Tensor(tensor(DType::F32, shape.unwrap_or_default(), domain, kind, r)?)),
        other => Err(Error::unsupported(format!("no value of type {other} can be drawn")).help("give it with --input")),
    }
}

fn default_shape(ty: &Type) -> Option<Vec<usize>> {
    ty.shape().map(|s| s.iter().map(|d| d.size().unwrap_or(1)).collect())
}

fn tensor(dtype: DType, shape: &[usize], domain: &Domain, kind: DrawKind, r: &mut Random) -> Result<Tensor> {
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MOST);
    let n = count.ok_or_else(|| Error::usage(format!("an input of shape {shape:?} is too large to draw")))?;
    if dtype == DType::String {
        let plain = ["a", "model", "smith", "onnx", ""].map(str::to_owned);
        let words = if let Domain::Words(w, _) = domain { w.as_slice() } else { &plain };
        let words = if words.is_empty() { &plain[..] } else { words };
        let pick = |r: &mut Random| words[r.between(0, words.len() as i64 - 1) as usize].clone();
        return Ok(Tensor::from_strings(shape, (0..n).map(|_| pick(r)).collect())?);
    }
    if dtype.is_complex() {
        let values = (0..n).map(|_| [float(kind, r), float(kind, r)]).collect::<Vec<_>>();
        return Ok(Tensor::from_complex(dtype, shape, &values)?);
    }
    let limited = match domain {
        Domain::Fixed(v, _) if !v.is_empty() => Some((0..n).map(|i| v[i % v.len()]).collect()),
        Domain::Range { lo, hi, .. } => Some(integers(n, *lo, *hi, kind, r)),
        Domain::Mask(_) => Some(mask(shape, n, kind, r)),
        _ if dtype == DType::Bool => Some(integers(n, 0, 1, kind, r)),
        _ if dtype.is_int() => {
            let (lo, hi) = dtype.int_range().unwrap_or((0, 1));
            // Bytes are pixels and quantised values, wider integers counts and labels.
            let wide = if dtype.bits() <= 8 { (lo, hi) } else { (0, hi.min(9)) };
            Some(integers(n, wide.0 as i64, wide.1 as i64, kind, r))
        }
        _ => None,
    };
    match limited {
        Some(v) if dtype.is_float() => {
            Ok(Tensor::from_f64s(dtype, shape, &v.into_iter().map(|x| x as f64).collect::<Vec<_>>())?)
        }
        Some(v) => Ok(Tensor::from_i64s(dtype, shape, &v)?),
        None => Ok(Tensor::from_f64s(dtype, shape, &floats(n, kind, r))?),
    }
}

fn float(kind: DrawKind, r: &mut Random) -> f64 {
    match kind {
        DrawKind::Normal | DrawKind::Smooth => r.normal(),
        DrawKind::Uniform => r.unit(),
        DrawKind::Zeros => 0.0,
        DrawKind::Large => 255.0 * r.unit(),
    }
}

/// Waves of a few random lengths around a random level, or independent draws.
fn floats(n: usize, kind: DrawKind, r: &mut Random) -> Vec<f64> {
    if kind != DrawKind::Smooth {
        return (0..n).map(|_| float(kind, r)).collect();
    }
    let level = r.normal();
    let wave = |r: &mut Random| (r.normal(), std::f64::consts::TAU / (4.0 + 400.0 * r.unit()), 6.3 * r.unit());
    let waves = [wave(r), wave(r), wave(r)];
    (0..n).map(|i| level + waves.iter().map(|(a, f, p)| a * (f * i as f64 + p).sin()).sum::<f64>()).collect()
}

/// Runs of equal integers, or independent draws.
fn integers(n: usize, lo: i64, hi: i64, kind: DrawKind, r: &mut Random) -> Vec<i64> {
    let mut out = Vec::with_capacity(n);
    while out.len() < n {
        let run = if kind == DrawKind::Smooth { r.between(1, 64) as usize } else { 1 };
        let x = integer(lo, hi, kind, r);
        out.extend(std::iter::repeat_n(x, run.min(n - out.len())));
    }
    out
}

fn integer(lo: i64, hi: i64, kind: DrawKind, r: &mut Random) -> i64 {
    match kind {
        DrawKind::Zeros => lo,
        // The limits of an engine are what its file says.
        DrawKind::Large => hi.saturating_sub(r.between(0, hi.saturating_sub(lo) / 8)),
        _ => r.between(lo, hi),
    }
}

/// A prefix of ones along the last axis, as padding makes it; never nothing but zeros in a row.
fn mask(shape: &[usize], n: usize, kind: DrawKind, r: &mut Random) -> Vec<i64> {
    let row = shape.last().copied().unwrap_or(1).max(1);
    if row == 1 {
        return (0..n).map(|_| integer(0, 1, kind, r)).collect();
    }
    let mut out = Vec::with_capacity(n);
    while out.len() < n {
        let ones = match kind {
            DrawKind::Normal => row as i64,
            _ => r.between(1, row as i64),
        };
        out.extend((0..row as i64).map(|i| i64::from(i < ones)));
    }
    out.truncate(n);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_inside_their_limits() {
        let range = Domain::Range { lo: 3, hi: 5, why: String::new() };
        for i in 0..8 {
            let (kind, mut r) = (DrawKind::of_sample(i), Random::new(7, &["a"]));
            let ty = Type::fixed(DType::I32, &[50]);
            let v = draw(&ty, Some(&[50]), &range, kind, &mut r).unwrap();
            assert!(v.tensor().unwrap().to_i64s().unwrap().iter().all(|x| (3..=5).contains(x)));
            let m = draw(&ty, Some(&[5, 10]), &Domain::Mask(String::new()), kind, &mut r).unwrap();
            let m = m.tensor().unwrap().to_i64s().unwrap();
            assert!(m.chunks(10).all(|row| row[0] == 1 && row.windows(2).all(|w| w[0] >= w[1])));
        }
    }

    #[test]
    fn kinds_differ() {
        let kinds = (0..10).map(DrawKind::of_sample).collect::<Vec<_>>();
        assert_eq!(kinds.iter().filter(|k| **k == DrawKind::Zeros).count(), 1);
        assert_eq!(kinds.iter().filter(|k| **k == DrawKind::Large).count(), 1);
    }
}
