//! What the classical models share: linear scores, class labels and what is done to scores at the end.

use crate::prelude::*;
use std::string::String;

/// What is done to the scores of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Post {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

impl Post {
    /// Names in the specification.
    pub(crate) const NAMES: [&str; 5] = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];

    /// The transform of a name.
    pub(crate) fn of(name: &str) -> OpResult<Post> {
        let at = Post::NAMES.iter().position(|n| *n == name);
        at.map_or_else(|| Err(OpError::invalid(format!("post_transform {name:?}"))), |i| Post::numbered(i as i64))
    }

    /// The transform of a number, as TreeEnsemble writes it.
    pub(crate) fn numbered(n: i64) -> OpResult<Post> {
        Ok(match n {
            0 => Post::None,
            1 => Post::Softmax,
            2 => Post::Logistic,
            3 => Post::SoftmaxZero,
            4 => Post::Probit,
            other => return Err(OpError::invalid(format!("post_transform {other}"))),
        })
    }

    /// A row of scores; one score alone passes unless the transform is `PROBIT`.
    pub(crate) fn row(self, row: &[f64]) -> Vec<f64> {
        match self {
            Post::Probit => row.iter().map(|&x| probit(x)).collect(),
            _ if row.len() < 2 => row.to_vec(),
            Post::None => row.to_vec(),
            Post::Logistic => row.iter().map(|&x| logistic(x)).collect(),
            Post::Softmax => softmax(row, |_| true),
            Post::SoftmaxZero => softmax(row, |x| x.abs() > 1e-7),
        }
    }

    /// Scores of both classes from that of the second. A score that is a probability leaves 1 - s for the first class,
    /// any other -s.
    pub(crate) fn pair(self, s: f64, probability: bool) -> [f64; 2] {
        match self {
            Post::Logistic => [logistic(-s), logistic(s)],
            Post::Probit => [probit(1.0 - s), probit(s)],
            _ if probability => [1.0 - s, s],
            _ => [-s, s],
        }
    }
}

/// The logistic function.
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(row: &[f64], counts: impl Fn(f64) -> bool) -> Vec<f64> {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e = row.iter().map(|&x| if counts(x) { (x - top).exp() } else { 0.0 }).collect::<Vec<_>>();
    let sum = e.iter().sum::<f64>();
    e.into_iter().map(|x| if sum > 0.0 { x / sum } else { 0.0 }).collect()
}

/// The number below which a standard normal variable lies with probability `p`: Newton's method on the error function.
fn probit(p: f64) -> f64 {
    let y = 2.0 * p - 1.0;
    if !(y > -1.0 && y < 1.0) {
        return if y.abs() == 1.0 { y * f64::INFINITY } else { f64::NAN };
    }
    let l = (1.0 - y * y).ln();
    let a = 2.0 / (std::f64::consts::PI * 0.147) + l / 2.0;
    let mut x = y.signum() * ((a * a - l / 0.147).sqrt() - a).sqrt();
    for _ in 0..3 {
        let slope = 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp();
        if slope > 0.0 {
            x -= (crate::special::erf(x) - y) / slope;
        }
    }
    std::f64::consts::SQRT_2 * x
}

/// Labels of the classes.
pub(crate) enum Labels {
    Ints(Vec<i64>),
    Strings(Vec<String>),
}

impl Labels {
    /// The labels that two attributes give.
    pub(crate) fn of(attrs: &AttrView, ints: &str, strings: &str) -> OpResult<Labels> {
        match attrs.opt_strings(strings)?.filter(|s| !s.is_empty()) {
            Some(s) => Ok(Labels::Strings(s)),
            None => Ok(Labels::Ints(attrs.opt_ints(ints)?.unwrap_or_default())),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Labels::Ints(v) => v.len(),
            Labels::Strings(v) => v.len(),
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        match self {
            Labels::Ints(_) => I64,
            Labels::Strings(_) => DType::String,
        }
    }

    /// Place of the label of a decision between two classes.
    pub(crate) fn binary(&self, second: bool) -> usize {
        usize::from(second)
    }

    /// The labels at these places; integers without labels are the places themselves.
    pub(crate) fn tensor(&self, places: &[usize]) -> OpResult<Tensor> {
        let outside = |i: usize| OpError::invalid(format!("class {i} of {} labels", self.len()));
        match self {
            Labels::Ints(v) if v.len() < 2 => Ok(Tensor::vector(&places.iter().map(|&p| p as i64).collect::<Vec<_>>())),
            Labels::Ints(v) => {
                let out = places
                    .iter()
                    .map(|&p| v.get(p).copied().ok_or_else(|| outside(p)))
                    .collect::<OpResult<Vec<_>>>()?;
                Ok(Tensor::vector(&out))
            }
            Labels::Strings(v) => {
                let out = places
                    .iter()
                    .map(|&p| v.get(p).cloned().ok_or_else(|| outside(p)))
                    .collect::<OpResult<Vec<_>>>()?;
                Ok(Tensor::from_strings(&[out.len()], out)?)
            }
        }
    }
}

/// Place of the first largest score.
pub(crate) fn largest(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// Number of rows of a matrix; a vector counts as one row.
pub(crate) fn rows(shape: Option<&[Dim]>) -> Dim {
    match shape {
        Some([_]) => Dim::Known(1),
        Some([n, ..]) => n.clone(),
        _ => Dim::Unknown,
    }
}

/// Number of linear scores: that of the intercepts, or of the labels.
pub(crate) fn linear_width(intercepts: Option<Vec<f32>>, labels: usize) -> usize {
    intercepts.filter(|v| !v.is_empty()).map_or(labels, |v| v.len())
}

/// Rows of `x`, and `width` weighted sums for each of them.
///
/// # Errors
/// When the counts do not fit.
pub(crate) fn linear(
    x: &Tensor,
    coefficients: &[f32],
    intercepts: &[f32],
    width: usize,
) -> OpResult<(usize, Vec<f64>)> {
    let (n, features) = match x.shape() {
        [f] => (1, *f),
        [n, f] => (*n, *f),
        other => return Err(OpError::invalid(format!("features of shape {other:?}"))),
    };
    if Some(coefficients.len()) != features.checked_mul(width) || !(intercepts.is_empty() || intercepts.len() == width)
    {
        let (c, i) = (coefficients.len(), intercepts.len());
        return Err(OpError::invalid(format!(
            "{c} coefficients and {i} intercepts for {features} features, {width} scores"
        )));
    }
    let mut out = (0..n * width).map(|i| intercepts.get(i % width).map_or(0.0, |&v| v.into())).collect::<Vec<f64>>();
    let weights = coefficients.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    contract::strided(n, features, width, (&x.to_f64s()?, features, 1), (&weights, 1, features), &mut out);
    Ok((n, out))
}
