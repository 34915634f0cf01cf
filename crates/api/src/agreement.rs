//! What counts as agreement between two results.

use crate::{Error, Result};
use modelsmith_ir::Model;
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
    /// For models that round to few steps inside: every element inside the tolerance, or of each output
    /// `|a - b|` at most this share of `|b|`, both as Euclidean norms, and [`QUANTIZED_TOP1`] of the rows of a matrix with
    /// the largest element at the same place.
    Norm(f64),
}

/// Bound of [`Metric::Norm`] where a model quantizes inside and no rule was asked for.
pub const QUANTIZED_NORM: f64 = 0.01;
/// Share of rows that keep their largest element, for 8 bits.
pub const QUANTIZED_TOP1: f64 = 0.97;

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

    /// The rule for a model. Where values are rounded to few steps on the way, the last bit of a sum decides which step a
    /// value on the edge takes, and two right implementations differ by whole steps in some elements; so, unless a rule
    /// was asked for, outputs of such a model are held against each other as a whole.
    pub fn for_model(&self, model: &Model) -> Agreement {
        let asked = *self != Agreement::default();
        let metric = if asked || !quantizes(model) { self.metric.clone() } else { Metric::Norm(QUANTIZED_NORM) };
        Agreement { metric, ..self.clone() }
    }

    /// The rule in words.
    pub fn describe(&self) -> String {
        let t = &self.tolerance;
        let elements = match t.atol {
            Atol::Absolute(x) => format!("|a - b| <= {x:e} + {:e} |b|", t.rtol),
            Atol::OfLargest(x) => format!("|a - b| <= {x:e} largest |b| + {:e} |b|", t.rtol),
        };
        match self.metric {
            Metric::Elements => elements,
            Metric::Cosine(least) => format!("cosine >= {least}"),
            Metric::Top1(least) => format!("{:.0} % of rows keep their largest element", 100.0 * least),
            Metric::Norm(most) => {
                format!("{elements}, or norm of a - b <= {most} norm of b, as for models that quantize inside")
            }
        }
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
                Metric::Norm(most) => d.agrees() || norm(a, b).is_some_and(|n| n <= most) && rows_agree(a, b),
                Metric::Top1(least) => top1(a, b).is_none_or(|share| share >= least) && d.max_abs.is_finite(),
            };
        (d, agrees)
    }
}

/// True when some value that depends on inputs is rounded to few steps.
fn quantizes(model: &Model) -> bool {
    model.nodes.ids().any(|n| {
        let name = model.op_name(n);
        let rounds = ["QuantizeLinear", "DynamicQuantize", "QLinear", "QGemm", "QAttention"];
        let data = model.nodes[n].input(0).is_some_and(|v| model.weight(v).is_none());
        data && rounds.iter().any(|r| name.starts_with(r))
    })
}

/// Norm of `a - b` over that of `b`; `None` where they are not numbers of a few steps: integers of more than 8 bits count,
/// and index, something.
fn norm(a: &Value, b: &Value) -> Option<f64> {
    let (a, b) = (a.tensor().ok()?, b.tensor().ok()?);
    let steps = b.dtype().is_float() || b.dtype().is_int() && b.dtype().bits() <= 8;
    if a.dtype() != b.dtype() || a.shape() != b.shape() || !steps {
        return None;
    }
    let (x, y) = (a.to_f64s().ok()?, b.to_f64s().ok()?);
    let apart = x.iter().zip(&y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
    let n = (apart / y.iter().map(|y| y * y).sum::<f64>()).sqrt();
    n.is_finite().then_some(n)
}

/// True unless this is a matrix whose rows hold their largest element elsewhere.
fn rows_agree(a: &Value, b: &Value) -> bool {
    let matrix = b.tensor().is_ok_and(|t| t.rank() == 2);
    !matrix || top1(a, b).is_none_or(|share| share >= QUANTIZED_TOP1)
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
        "norm" => Ok(Metric::Norm(least.unwrap_or(QUANTIZED_NORM))),
        "top1" => Ok(Metric::Top1(least.unwrap_or(0.99))),
        _ => Err(Error::usage(format!(
            "--metric {text}: elements, cosine[=LEAST], top1[=LEAST] or norm[=MOST] is wanted"
        ))),
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
    fn models_that_round_inside_are_held_as_a_whole() {
        let parse = |text: &str| modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        let plain = parse("graph(%x: f32[2]) { %y = Relu(%x) return %y }");
        let text =
            "graph(%x: f32[2], %s: f32[]) { %q = QuantizeLinear(%x, %s) %y = DequantizeLinear(%q, %s) return %y }";
        let rounding = parse(text);
        let rule = Agreement::default();
        assert_eq!(rule.for_model(&plain), rule);
        let held = rule.for_model(&rounding);
        let v = |x: [f32; 4]| Value::Tensor(Tensor::new(&[4], x.to_vec()).unwrap());
        let b = v([100.0, 20.0, -30.0, 40.0]);
        let step = v([100.0, 20.5, -30.0, 40.0]);
        assert!(!rule.compare("y", &step, &b).1 && held.compare("y", &step, &b).1);
        assert!(!held.compare("y", &v([102.0, 20.4, -30.6, 40.8]), &b).1, "a factor of 1.02 is a fault");
        let asked = Agreement::parse(Some(1e-3), &["0.1".into()], None).unwrap();
        assert_eq!(asked.for_model(&rounding), asked);
        let ints = |x: i64| Value::Tensor(Tensor::new(&[1], vec![x]).unwrap());
        assert!(!held.compare("y", &ints(1000), &ints(1001)).1, "labels are exact");
    }

    #[test]
    fn top1_counts_rows() {
        let v = |x: &[f32]| Value::Tensor(Tensor::new(&[2, 2], x.to_vec()).unwrap());
        assert_eq!(top1(&v(&[1.0, 2.0, 3.0, 4.0]), &v(&[1.0, 2.0, 4.0, 3.0])), Some(0.5));
    }
}
