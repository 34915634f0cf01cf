//! What differs between two checkpoints: names, types, shapes, values.

use super::type_name;
use crate::Result;
use modelsmith_base::Budget;
use modelsmith_format::Checkpoint;
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Form, Ranged, Tensor, WeightExpr};
use serde::Serialize;
use std::collections::HashMap;

/// How a tensor differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// Only the first has it.
    Missing,
    /// Only the second has it.
    Extra,
    /// Type or shape differ; values were not compared.
    Form {
        /// Type and shape in the first.
        a: String,
        /// Type and shape in the second.
        b: String,
    },
    /// Elements differ.
    Values {
        /// How many.
        elements: u64,
        /// Largest absolute difference; `None` for types without one, or where NaN meets a number.
        largest: Option<f64>,
    },
}

/// A tensor that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// How.
    #[serde(flatten)]
    pub change: Change,
}

/// Differences of `b` from `a`, in the order of `a`, then of `b`. Values are compared bit for bit, piece by piece within
/// `budget`.
///
/// # Errors
/// When a tensor cannot be read.
pub fn diff(a: &Checkpoint, b: &Checkpoint, budget: &Budget) -> Result<Vec<Difference>> {
    let by_name = |c: &Checkpoint| c.tensors.iter().map(|(n, w)| (n.clone(), w.clone())).collect::<HashMap<_, _>>();
    let (left, right) = (by_name(a), by_name(b));
    let mut out = Vec::new();
    for (name, x) in &a.tensors {
        let change = match right.get(name) {
            None => Some(Change::Missing),
            Some(y) if x.shape() != y.shape() || x.dtype() != y.dtype() => {
                let form = |w: &WeightExpr| format!("{}{:?}", type_name(w), w.shape());
                Some(Change::Form { a: form(x), b: form(y) })
            }
            Some(y) => values(x, y, budget)?,
        };
        out.extend(change.map(|change| Difference { name: name.clone(), change }));
    }
    let extra = b.tensors.iter().filter(|(n, _)| !left.contains_key(n));
    out.extend(extra.map(|(n, _)| Difference { name: n.clone(), change: Change::Extra }));
    Ok(out)
}

fn values(x: &WeightExpr, y: &WeightExpr, budget: &Budget) -> Result<Option<Change>> {
    let ranged = |w| Ranged::new(w, Form::Dense, &Operators, budget);
    let (p, q) = (ranged(x)?, ranged(y)?);
    let dtype = x.dtype();
    // A multiple of both units: blocks of either side are whole.
    let unit = p.unit().max(1).saturating_mul(q.unit().max(1));
    let step = ((1 << 20) / unit).max(1) * unit;
    let (mut one, mut two) = (vec![0; step], vec![0; step]);
    let (mut at, mut elements, mut largest, mut odd) = (0, 0u64, 0f64, false);
    while at < p.byte_len() {
        let n = usize::try_from(p.byte_len() - at).unwrap_or(usize::MAX).min(step);
        p.fill(at, &mut one[..n])?;
        q.fill(at, &mut two[..n])?;
        at += n as u64;
        if one[..n] == two[..n] {
            continue;
        }
        let count = n * 8 / dtype.bits();
        let tensor = |b: &[u8]| Tensor::from_bytes(dtype, &[count], &b[..n]);
        if dtype.is_complex() {
            let width = dtype.bits() / 8;
            let pairs = one[..n].chunks(width).zip(two[..n].chunks(width));
            elements += pairs.filter(|(a, b)| a != b).count() as u64;
            odd = true;
            continue;
        }
        for (a, b) in tensor(&one)?.to_f64s()?.into_iter().zip(tensor(&two)?.to_f64s()?) {
            if a.to_bits() != b.to_bits() {
                elements += 1;
                let apart = if a == b { 0.0 } else { (a - b).abs() };
                odd |= apart.is_nan();
                largest = largest.max(apart);
            }
        }
    }
    Ok((elements > 0).then_some(Change::Values { elements, largest: (!odd).then_some(largest) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn every_kind_of_difference_is_told() {
        let w = |v: &[f32]| Arc::new(WeightExpr::Literal(Tensor::vector(v)));
        let of = |list: Vec<(&str, Arc<WeightExpr>)>| Checkpoint {
            tensors: list.into_iter().map(|(n, w)| (n.to_owned(), w)).collect(),
            ..Checkpoint::default()
        };
        let a = of(vec![("same", w(&[1.0])), ("value", w(&[1.0, 2.0])), ("shape", w(&[1.0])), ("gone", w(&[]))]);
        let b = of(vec![("same", w(&[1.0])), ("value", w(&[1.0, 2.5])), ("shape", w(&[1.0, 2.0])), ("new", w(&[]))]);
        let found = diff(&a, &b, &Budget::unlimited()).unwrap();
        let wanted = [
            ("value", Change::Values { elements: 1, largest: Some(0.5) }),
            ("shape", Change::Form { a: "f32[1]".into(), b: "f32[2]".into() }),
            ("gone", Change::Missing),
            ("new", Change::Extra),
        ];
        assert_eq!(found.len(), wanted.len());
        for (f, (name, change)) in found.iter().zip(wanted) {
            assert_eq!((f.name.as_str(), &f.change), (name, &change));
        }
        assert!(diff(&a, &a, &Budget::unlimited()).unwrap().is_empty());
    }
}
