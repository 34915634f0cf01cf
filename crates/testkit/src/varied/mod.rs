//! Variations of the samples of an operator: other element types, sizes, ranks, values and attributes.
//!
//! A sample says what a call looks like; a variation is a call near it, which nobody wrote down. Most changes are made
//! without knowing the operator, so many are no valid calls: the caller says which are kept, by running them.

mod moves;
mod tensors;

use crate::sample_model::{Case, single, type_of};
use modelsmith_ir::{Attr, OpDef, OpSet, Sample, Samples};
use modelsmith_tensor::{Tensor, Value};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Most elements of an operand that was varied.
const MOST: usize = 4096;

/// What the samples of one operator hold, for variations to choose from.
pub(crate) struct Pool {
    /// Values of each attribute.
    pub attrs: BTreeMap<String, Vec<Attr>>,
    /// Tensors at each place.
    pub operands: Vec<Vec<Tensor>>,
}

impl Pool {
    fn of(samples: &[Sample]) -> Pool {
        let mut pool = Pool { attrs: BTreeMap::new(), operands: Vec::new() };
        for sample in samples {
            for (name, value) in sample.attrs.iter() {
                pool.attrs.entry(name.to_owned()).or_default().push(value.clone());
            }
            for (i, input) in sample.inputs.iter().enumerate() {
                pool.operands.resize_with(pool.operands.len().max(i + 1), Vec::new);
                if let Some(Value::Tensor(t)) = input {
                    pool.operands[i].push(t.clone());
                }
            }
        }
        pool
    }
}

/// The samples of `def`, then variations of them until `count` were kept or `tries` were made: none like another, each
/// kept by `keep`. A name is that of the operator and a number. The same arguments give the same cases.
///
/// # Errors
/// Calls at which inference panics, a line each.
pub fn varied_cases(
    def: &'static OpDef,
    ops: &'static OpSet,
    count: usize,
    tries: usize,
    keep: &mut dyn FnMut(&Case) -> bool,
) -> Result<Vec<Case>, String> {
    let mut samples = Samples::new(7);
    (def.samples)(&mut samples);
    let samples = samples.into_cases();
    let pool = Pool::of(&samples);
    let (mut out, mut seen, mut panics) = (Vec::new(), HashSet::new(), Vec::new());
    for sample in samples.iter().filter(|s| seen.insert(key(s))) {
        let case = case_of(def, ops, sample, format!("{def:?}/{}", out.len()), &mut panics);
        out.extend(case.filter(|c| keep(c)));
    }
    let mut rng = Samples::new(def.name.bytes().fold(11, |a, b| a * 31 % 1_000_003 + u64::from(b)));
    let mut kept = 0;
    for _ in 0..tries {
        if kept >= count || samples.is_empty() {
            break;
        }
        let mut sample = samples[rng.below(samples.len() as u64) as usize].clone();
        for _ in 0..1 + rng.below(3) {
            moves::vary(&mut sample, def, &pool, &mut rng);
        }
        let small = |v: &Value| !matches!(v, Value::Tensor(t) if t.len() > MOST);
        if !sample.inputs.iter().flatten().all(small) || !seen.insert(key(&sample)) {
            continue;
        }
        let name = format!("{def:?}/{}", out.len());
        let Some(case) = case_of(def, ops, &sample, name, &mut panics) else { continue };
        if keep(&case) {
            kept += 1;
            out.push(case);
        }
    }
    if panics.is_empty() { Ok(out) } else { Err(panics.join("\n")) }
}

/// The call as a model; `None` where inference refuses it.
fn case_of(
    def: &'static OpDef,
    ops: &'static OpSet,
    sample: &Sample,
    name: String,
    panics: &mut Vec<String>,
) -> Option<Case> {
    let inputs = sample.inputs.iter().flatten().cloned().collect::<Vec<_>>();
    let model = catch_unwind(AssertUnwindSafe(|| match &sample.model {
        Some(text) => modelsmith_ir::text::parse(text, ops).ok(),
        None => single(def, sample, ops).ok(),
    }));
    let Ok(model) = model else {
        let types = inputs.iter().map(|v| type_of(v).to_string()).collect::<Vec<_>>().join(", ");
        panics.push(format!("{name}: inference panics at {types} with {:?}", sample.attrs));
        return None;
    };
    Some(Case { name, model: model?, inputs })
}

fn key(sample: &Sample) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?} {:?} {}", sample.attrs, sample.model, sample.outputs).hash(&mut hasher);
    for input in &sample.inputs {
        match input {
            Some(Value::Tensor(t)) if t.strings().is_err() => (t.dtype(), t.shape(), t.bytes()).hash(&mut hasher),
            other => format!("{other:?}").hash(&mut hasher),
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_ops::interp::Reference;
    use modelsmith_ops::run::{Opts, Runner};

    fn runs(case: &Case) -> bool {
        let loaded = Reference.load(&case.model, &Opts::default());
        loaded.and_then(|mut r| r.run(&case.inputs, &mut |_, _| {})).is_ok()
    }

    #[test]
    fn variations_differ_in_types_sizes_and_attributes() {
        let ops = modelsmith_ops::all();
        let def = ops.get("", "Softmax").unwrap();
        let cases = varied_cases(def, ops, 50, 1000, &mut runs).unwrap();
        let shapes = cases.iter().filter_map(|c| match c.inputs.first() {
            Some(Value::Tensor(t)) => Some((t.dtype(), t.shape().to_vec())),
            _ => None,
        });
        let shapes = shapes.collect::<HashSet<_>>();
        assert!(cases.len() >= 50 && shapes.len() >= 20, "{} cases, {} signatures", cases.len(), shapes.len());
        let again = varied_cases(def, ops, 50, 1000, &mut runs).unwrap();
        assert_eq!(again.last().map(|c| &c.name), cases.last().map(|c| &c.name));
        let same = |a: &Case, b: &Case| format!("{:?}", a.inputs) == format!("{:?}", b.inputs);
        assert!(cases.iter().zip(&again).all(|(a, b)| same(a, b)));
    }
}
