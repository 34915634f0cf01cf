//! Every version of every operator is accounted for.

use crate::case::{Case, all_forms, opsets, run};
use crate::schema::attr_problems;
use modelsmith_ir::{Adapt, Model, Op, OpDef};
use modelsmith_ops::opset;
use modelsmith_tensor::compare::{self, Atol, Tolerance};
use std::collections::BTreeMap;

/// Versions that no sample can be taken down to, beside those whose record says so: operator, version, why.
const UNREACHED: &[(&str, u32, &str)] = &[];

/// True when the record gives a reason why nothing goes down to `version`.
fn refused(def: &OpDef, version: u32) -> bool {
    def.history.iter().any(|p| p.since >= version && matches!(p.down, Adapt::Unsupported(_)))
}

fn past_versions(def: &OpDef) -> Vec<u32> {
    def.history.iter().map(|p| p.since).collect()
}

#[test]
fn histories_are_in_order() {
    let mut findings = Vec::new();
    for def in modelsmith_ops::all().iter() {
        let versions = past_versions(def).into_iter().chain([def.since]).collect::<Vec<_>>();
        if versions.windows(2).any(|w| w[0] >= w[1]) {
            findings.push(format!("{def:?}: versions {versions:?} do not rise"));
        }
        for &v in &versions {
            if def.version_at(v) != Some(v) || def.schema_at(v).is_none() {
                findings.push(format!("{def:?}: version {v} is not found"));
            }
        }
        if versions[0] > 1 && def.version_at(versions[0] - 1).is_some() {
            findings.push(format!("{def:?} exists before its first version"));
        }
        if def.ends.is_some_and(|end| end <= def.since) {
            findings.push(format!("{def:?} ends before it begins"));
        }
        if def.ends.is_some() && def.decompose.is_none() {
            findings.push(format!("{def:?} ended and has no decomposition"));
        }
        for p in def.history {
            for (adapt, way) in [(p.up, "up"), (p.down, "down")] {
                if matches!(adapt, Adapt::Unsupported("")) {
                    findings.push(format!("{def:?} at {}: {way} gives no reason", p.since));
                }
            }
        }
    }
    crate::report(findings);
}

/// Nodes of a downgraded model against the schemas of their versions.
fn schema_problems(model: &Model) -> Vec<String> {
    let mut out = Vec::new();
    for n in model.nodes_in(model.main) {
        let node = &model.nodes[n];
        let Op::Foreign { domain, name, version } = &node.op else {
            out.push(format!("{} is still of the hub", model.node_label(n)));
            continue;
        };
        let schema = modelsmith_ops::all().get(domain, name).and_then(|d| d.schema_at(*version));
        let Some(schema) = schema else {
            out.push(format!("{name} does not exist at {version}"));
            continue;
        };
        let bodies = node.regions.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        out.extend(attr_problems(schema, &node.attrs, &bodies).into_iter().map(|p| format!("{name}: {p}")));
        let (lo, hi) = schema.input_range();
        if !(lo..=hi).contains(&node.inputs.len()) {
            out.push(format!("{name}: {} inputs, {lo} to {hi} are allowed", node.inputs.len()));
        }
    }
    out
}

/// Down to `version` and up again: `Ok(false)` where the target cannot say the sample.
fn round_trip(def: &OpDef, case: &Case, version: u32) -> Result<bool, Vec<String>> {
    let Ok(want) = case.run() else { return Ok(false) };
    let mut model = case.model.clone();
    if let Err(refused) = opset::downgrade(&mut model, &opsets(def.domain, version)) {
        let silent = refused.is_empty() || refused.iter().any(|d| d.message.is_empty());
        return if silent { Err(vec!["refused without a reason".into()]) } else { Ok(false) };
    }
    let problems = schema_problems(&model);
    if !problems.is_empty() {
        return Err(problems);
    }
    let found = opset::upgrade(&mut model);
    if !found.is_empty() {
        return Err(found.into_iter().map(|d| format!("back up: {}", d.message)).collect());
    }
    if def.flags.random {
        return Ok(true);
    }
    let got = run(&model, &case.inputs).map_err(|e| vec![format!("back up: {e}")])?;
    let tolerance = Tolerance { rtol: 1e-6, atol: Atol::OfLargest(1e-6) };
    for (i, (a, b)) in got.iter().zip(&want).enumerate() {
        if !compare::values(a, b, tolerance).agrees() {
            return Err(vec![format!("back up: output {i}: {a:?} against {b:?}")]);
        }
    }
    Ok(true)
}

#[test]
fn samples_go_down_and_up() {
    let mut findings = Vec::new();
    let mut reached = BTreeMap::<(String, u32), bool>::new();
    for (def, case) in all_forms() {
        for version in past_versions(def).into_iter().filter(|&v| !refused(def, v)) {
            let seen = reached.entry((format!("{def:?}"), version)).or_default();
            match round_trip(def, &case, version) {
                Ok(yes) => *seen |= yes,
                Err(why) => {
                    findings.extend(why.into_iter().map(|w| format!("{} at opset {version}: {w}", case.label)));
                }
            }
        }
    }
    for ((name, version), seen) in reached {
        let excused = UNREACHED.iter().any(|(n, v, _)| *n == name && *v == version);
        if seen == excused {
            let found = if seen { "is reached against the list" } else { "is reached by no sample" };
            findings.push(format!("{name} at opset {version} {found}"));
        }
    }
    crate::report(findings);
}
