//! A decomposition computes what the operator computes.

use crate::case::{Case, all_forms, run};
use modelsmith_ir::{OpDef, infer_node};
use modelsmith_ops::opset;
use modelsmith_tensor::compare::{self, Atol, Tolerance};
use modelsmith_tensor::{DType, Tensor, Value};
use std::collections::BTreeMap;

/// Operators whose decomposition differs from them at infinities and overflow: which and why.
const NOT_AT_INFINITY: &[(&str, &str)] = &[
    ("Gelu", "at minus infinity the operator has the limit 0; step by step it is infinity times zero"),
    ("ReduceLogSumExp", "the exponential of a large element overflows; the operator subtracts the largest first"),
];

/// Tolerance for a result of this type: a decomposition rounds after each step, and attributes hold only `f32`.
fn tolerance(dtype: Option<DType>) -> Tolerance {
    let rtol = match dtype {
        Some(DType::F64) => 1e-6,
        Some(DType::F16) => 1e-2,
        Some(DType::BF16) => 6e-2,
        _ => 1e-4,
    };
    Tolerance { rtol, atol: Atol::OfLargest(rtol) }
}

/// `x` with zeros where `a` or `b` is not finite.
fn finite(a: &Value, b: &Value, x: &Value) -> Value {
    let (Value::Tensor(a), Value::Tensor(b), Value::Tensor(x)) = (a, b, x) else { return x.clone() };
    let (Ok(p), Ok(q), Ok(mut v)) = (a.to_f64s(), b.to_f64s(), x.to_f64s()) else { return Value::Tensor(x.clone()) };
    let both = |i: usize| p.get(i).zip(q.get(i)).is_some_and(|(p, q)| p.is_finite() && q.is_finite());
    v.iter_mut().enumerate().filter(|(i, _)| !both(*i)).for_each(|(_, v)| *v = 0.0);
    Value::Tensor(Tensor::from_f64s(x.dtype(), x.shape(), &v).unwrap_or_else(|_| x.clone()))
}

/// The types that inference finds, set on the node's results: decompositions may ask for them.
fn typed(case: &Case) -> modelsmith_ir::Model {
    let mut model = case.model.clone();
    if let Ok(facts) = infer_node(&model, case.node) {
        for (v, fact) in model.nodes[case.node].outputs.clone().into_iter().zip(facts) {
            if let Some(v) = v {
                model.values[v].ty = fact.ty;
            }
        }
    }
    model
}

/// `Ok(None)` where the decomposition refuses the sample; else what differs.
fn difference(def: &'static OpDef, case: &Case) -> Result<Option<String>, String> {
    let Ok(want) = case.run() else { return Ok(None) };
    let mut model = typed(case);
    let home = model.regions.ids().find(|&r| model.regions[r].body.contains(&case.node));
    let home = home.ok_or("the node is in no region")?;
    opset::replace(&mut model, home, case.node, def).map_err(|e| format!("refused: {e}"))?;
    let got = run(&model, &case.inputs).map_err(|e| format!("the decomposition fails: {e}"))?;
    for (i, (a, b)) in got.iter().zip(&want).enumerate() {
        let dtype = if let Value::Tensor(t) = b { Some(t.dtype()) } else { None };
        let d = match NOT_AT_INFINITY.iter().any(|(name, _)| *name == def.name) {
            true => compare::values(&finite(a, b, a), &finite(a, b, b), tolerance(dtype)),
            false => compare::values(a, b, tolerance(dtype)),
        };
        if !d.agrees() {
            return Ok(Some(format!("output {i}: {a:?} against {b:?}: {:?}", d.mismatch)));
        }
    }
    Ok(None)
}

#[test]
fn decompositions_agree_with_the_reference() {
    let mut findings = Vec::new();
    let mut outcomes = BTreeMap::<&str, (usize, Vec<String>)>::new();
    for (def, case) in all_forms().filter(|(def, _)| def.decompose.is_some()) {
        let outcome = outcomes.entry(def.name).or_default();
        match difference(def, &case) {
            Ok(None) => outcome.0 += 1,
            Ok(Some(why)) => findings.push(format!("{}: {why}", case.label)),
            Err(why) if why.starts_with("refused") => outcome.1.push(why),
            Err(why) => findings.push(format!("{}: {why}", case.label)),
        }
    }
    for (name, (agreed, refused)) in outcomes {
        if agreed == 0 && !refused.is_empty() {
            findings.push(format!("{name} decomposes no sample: {}", refused[0]));
        }
    }
    crate::report(findings);
}
