//! What counts as agreement between two results.

use crate::{Error, Result};
use modelsmith_tensor::Value;
use modelsmith_tensor::compare::{self, Difference};

pub use modelsmith_tensor::compare::{Atol, Tolerance};

/// How results are held against each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// Every element inside the tolerance.
    Elements,
    /// Cosine of each output at least this.
    Cosine(f64),
    /// Share of rows whose largest element is at the same place at least this.
    Top1(f64),
}

/// The rule of agreement, with exceptions for single outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// Relative and absolute tolerance.
    pub tolerance: Tolerance,
    /// Absolute tolerances of single outputs.
    pub atol_of: Vec<(String, f64)>,
    /// What is measured against them.
    pub metric: Metric,
}

impl Default for Agreement {
    /// Equal precision: rtol 1e-3, atol 1e-5 of the largest value of the output.
    fn default() -> Self {
        Agreement { tolerance: Tolerance::default(), atol_of: vec![], metric: Metric::Elements }
    }
}

impl Agreement {
    /// Reads `--rtol`, `--atol [OUTPUT=]X` and `--metric`.
    ///
    /// # Errors
    /// When a value is not a number that is finite and not negative, or the metric is unknown.
    pub fn parse(rtol: Option<f64>, atol: &[String], metric: Option<&str>) -> Result<Agreement> {
        let mut out = Agreement::default();
        let good = |x: f64| x.is_finite() && x >= 0.0;
        if let Some(r) = rtol {
            if !good(r) {
                return Err(Error::usage(format!("--rtol {r}: a number that is not negative is wanted")));
            }
            out.tolerance.rtol = r;
        }
        for text in atol {
            let (name, number) = text.rsplit_once('=').map_or((None, text.as_str()), |(n, x)| (Some(n), x));
            let x = number.parse::<f64>().ok().filter(|x| good(*x));
            let x = x.ok_or_else(|| Error::usage(format!("--atol {text}: [OUTPUT=]NUMBER is wanted")))?;
            match name {
                Some(n) => out.atol_of.push((n.into(), x)),
                None => out.tolerance.atol = Atol::Absolute(x),
            }
        }
        if let Some(text) = metric {
            out.metric = parse_metric(text)?;
        }
        Ok(out)
    }

    /// The tolerance of one output.
    pub fn of(&self, output: &str) -> Tolerance {
        match self.atol_of.iter().find(|(n, _)| n == output) {
            Some((_, x)) => Tolerance { atol: Atol::Absolute(*x), ..self.tolerance },
            None => self.tolerance,
        }
    }

    /// Compares `a` with the reference `b`, and says whether they agree under the metric.
    pub fn compare(&self, output: &str, a: &Value, b: &Value) -> (Difference, bool) {
        let d = compare::values(a, b, self.of(output));
        let agrees = d.mismatch.is_none()
            && match self.metric {
                Metric::Elements => d.agrees(),
                Metric::Cosine(least) => d.cosine >= least && d.max_abs.is_finite(),
                Metric::Top1(least) => top1(a, b).is_none_or(|share| share >= least) && d.max_abs.is_finite(),
            };
        (d, agrees)
    }
}

fn parse_metric(text: &str) -> Result<Metric> {
    let (name, least) = text.split_once('=').map_or((text, None), |(n, x)| (n, Some(x)));
    let least = match least {
        Some(x) => Some(x.parse::<f64>().map_err(|_| Error::usage(format!("--metric {text}: {x} is not a number")))?),
        None => None,
    };
    match name {
        "elements" | "max" => Ok(Metric::Elements),
        "cosine" => Ok(Metric::Cosine(least.unwrap_or(0.999))),
        "top1" => Ok(Metric::Top1(least.unwrap_or(0.99))),
        _ => Err(Error::usage(format!("--metric {text}: elements, cosine[=LEAST] or top1[=LEAST] is wanted"))),
    }
}

/// Share of rows along the last axis whose largest element lies at the same place; `None` where there are no rows of
/// numbers.
pub fn top1(a: &Value, b: &Value) -> Option<f64> {
    let (a, b) = (a.tensor().ok()?, b.tensor().ok()?);
    let row = *a.shape().last().filter(|&&n| n > 1)?;
    if !a.dtype().is_float() || a.shape() != b.shape() || a.is_empty() {
        return None;
    }
    let (x, y) = (a.to_f64s().ok()?, b.to_f64s().ok()?);
    let same = x.chunks(row).zip(y.chunks(row)).filter(|(p, q)| largest(p) == largest(q)).count();
    Some(same as f64 / (x.len() / row) as f64)
}

/// Place of the largest element; the first one of several.
pub fn largest(row: &[f64]) -> usize {
    let mut best = 0;
    for (i, x) in row.iter().enumerate() {
        if *x > row[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::Tensor;

    #[test]
    fn tolerances_of_single_outputs() {
        let a = Agreement::parse(Some(0.0), &["y=0.5".into(), "0.1".into()], None).unwrap();
        let v = |x: f32| Value::Tensor(Tensor::scalar(x));
        assert!(a.compare("y", &v(1.4), &v(1.0)).1 && !a.compare("z", &v(1.4), &v(1.0)).1);
        assert!(Agreement::parse(None, &["y=-1".into()], None).is_err());
        assert!(Agreement::parse(None, &[], Some("nonsense")).is_err());
    }

    #[test]
    fn top1_counts_rows() {
        let v = |x: &[f32]| Value::Tensor(Tensor::new(&[2, 2], x.to_vec()).unwrap());
        assert_eq!(top1(&v(&[1.0, 2.0, 3.0, 4.0]), &v(&[1.0, 2.0, 4.0, 3.0])), Some(0.5));
    }
}
