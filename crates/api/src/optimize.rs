//! Simplifying a model: the passes, and what each of them did.

use crate::{Error, Kind, Model, Result};
use modelsmith_passes::{aliases, pipelines};
use modelsmith_rewrite::{Options, Preserves};
use serde::Serialize;

/// Which passes run. Passes, rules and names known from onnxoptimizer may be given.
#[derive(Clone, Debug, Default)]
pub struct Passes {
    /// Only these; empty for all.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// These too, of the passes that run only where they are asked for.
    pub also: Vec<String>,
    /// Keep the text of the graph after this pass.
    pub dump_after: Option<String>,
    /// Stop after this pass has run once.
    pub stop_after: Option<String>,
}

/// What one pass did, over all rounds in which it ran.
#[derive(Clone, Debug, Serialize)]
pub struct PassReport {
    /// Name.
    pub pass: String,
    /// Rounds in which it ran.
    pub runs: usize,
    /// Changes made.
    pub changes: usize,
    /// Nodes by which the model became smaller; negative where it grew.
    pub removed: i64,
    /// Time in milliseconds.
    pub ms: f64,
}

/// One step of a run: a pass in a round.
#[derive(Clone, Debug, Serialize)]
pub struct PassStep {
    /// Name of the pass.
    pub pass: String,
    /// Nodes afterwards.
    pub nodes: usize,
}

/// What simplifying did.
#[derive(Clone, Debug, Serialize)]
pub struct Simplified {
    /// Nodes before, bodies and functions included.
    pub nodes_before: usize,
    /// Nodes after.
    pub nodes_after: usize,
    /// Passes in the order of their first run.
    pub passes: Vec<PassReport>,
    /// Steps that changed the number of nodes.
    pub steps: Vec<PassStep>,
    /// How often each rule fired.
    pub rules: Vec<(String, usize)>,
    /// Text of the graph after the pass that was named.
    pub dump: Option<String>,
    /// Names given for which nothing stands, with the reason.
    pub notes: Vec<String>,
}

/// Simplifies the hub form of `model`.
///
/// # Errors
/// When a pass is not known, or leaves a broken model.
pub fn simplify(model: &Model, passes: &Passes) -> Result<(modelsmith_ir::Model, Simplified)> {
    let before = modelsmith_rewrite::count_nodes(model.hub());
    let (mut hub, report) = limited(model, passes, None, None)?;
    modelsmith_convert::declare_results(&mut hub, &modelsmith_convert::result_types(model.file()));
    let mut out = Simplified {
        nodes_before: before,
        nodes_after: modelsmith_rewrite::count_nodes(&hub),
        passes: vec![],
        steps: vec![PassStep { pass: "as read".into(), nodes: before }],
        rules: report.trace.fired.iter().map(|(r, n)| ((*r).to_owned(), *n)).collect(),
        dump: report.steps.iter().rev().find_map(|s| s.dump.clone()),
        notes: [&passes.only, &passes.skip].into_iter().flat_map(|l| aliases::resolve(l).1).collect(),
    };
    for s in &report.steps {
        if !out.passes.iter().any(|p| p.pass == s.pass) {
            out.passes.push(PassReport { pass: s.pass.into(), runs: 0, changes: 0, removed: 0, ms: 0.0 });
        }
        if let Some(p) = out.passes.iter_mut().find(|p| p.pass == s.pass) {
            p.runs += 1;
            p.changes += s.changes;
            p.removed += s.before as i64 - s.after as i64;
            p.ms += s.time.as_secs_f64() * 1e3;
        }
        if s.before != s.after {
            out.steps.push(PassStep { pass: s.pass.into(), nodes: s.after });
        }
    }
    Ok((hub, out))
}

/// Runs the passes; of all steps the first `steps`, and of the last of these the first `rewrites`.
pub(crate) fn limited(
    model: &Model,
    passes: &Passes,
    steps: Option<usize>,
    rewrites: Option<usize>,
) -> Result<(modelsmith_ir::Model, modelsmith_rewrite::Report)> {
    let mut hub = model.hub().clone();
    let options = Options {
        only: passes.only.clone(),
        skip: passes.skip.clone(),
        also: passes.also.clone(),
        dump_after: passes.dump_after.iter().cloned().collect(),
        stop_after: passes.stop_after.clone(),
        max_steps: steps,
        max_rewrites: rewrites,
        ..Options::default()
    };
    let report = pipelines::simplify(&mut hub, &options).map_err(|e| error(&e).in_file(model.path()))?;
    Ok((hub, report))
}

fn error(e: &modelsmith_rewrite::Error) -> Error {
    let kind = match e {
        modelsmith_rewrite::Error::UnknownPass { .. } => Kind::Usage,
        _ => Kind::Fault,
    };
    Error::new(kind, e.to_string())
}

/// A pass, for the list of passes.
#[derive(Clone, Debug, Serialize)]
pub struct PassInfo {
    /// Name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// `must` or `may`.
    pub kind: String,
    /// `exact`, `float(N ulp)` or the reason for which it is lossy.
    pub preserves: String,
    /// Passes that run before it.
    pub after: Vec<String>,
    /// Rules that it applies.
    pub rules: Vec<RuleInfo>,
}

/// A rule, for the list of passes.
#[derive(Clone, Debug, Serialize)]
pub struct RuleInfo {
    /// Name.
    pub name: String,
    /// What becomes of what.
    pub doc: String,
    /// As for passes.
    pub preserves: String,
}

/// A name from onnxoptimizer.
#[derive(Clone, Debug, Serialize)]
pub struct AliasInfo {
    /// Name.
    pub name: String,
    /// Passes and rules that stand for it.
    pub stands_for: Vec<String>,
    /// Why nothing does.
    pub why_not: String,
}

/// Names that users know from onnxoptimizer.
pub fn names_elsewhere() -> Vec<AliasInfo> {
    let one = |a: &aliases::Alias| AliasInfo {
        name: a.name.into(),
        stands_for: a.stands_for.iter().map(|s| (*s).to_owned()).collect(),
        why_not: a.why_not.into(),
    };
    aliases::ALIASES.iter().map(one).collect()
}

fn claim(preserves: Preserves) -> String {
    match preserves {
        Preserves::Exact => "exact".into(),
        Preserves::Float(n) => format!("float({n} ulp)"),
        Preserves::Lossy(why) => format!("lossy: {why}"),
    }
}

fn rule_info(r: &modelsmith_rewrite::Rule) -> RuleInfo {
    let doc = match r.body {
        modelsmith_rewrite::Body::Text { from, to, .. } if r.doc.is_empty() => format!("{from} becomes {to}"),
        _ => r.doc.into(),
    };
    RuleInfo { name: r.name.into(), doc, preserves: claim(r.preserves) }
}

/// Every pass in the order in which the simplifier runs them.
pub fn passes() -> Vec<PassInfo> {
    let one = |p: &&modelsmith_rewrite::Pass| PassInfo {
        name: p.name.into(),
        doc: p.doc.into(),
        kind: if p.kind == modelsmith_rewrite::Kind::Must { "must" } else { "may" }.into(),
        preserves: claim(p.preserves),
        after: p.after.iter().map(|a| (*a).to_owned()).collect(),
        rules: p.all_rules().map(rule_info).collect(),
    };
    pipelines::all().iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_which_nothing_stands_is_said() {
        let model = Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.onnx")).unwrap();
        let passes = Passes { only: vec!["nop".into(), "eliminate_deadend".into()], ..Passes::default() };
        let (_, done) = simplify(&model, &passes).unwrap();
        assert_eq!(done.notes, ["nop does nothing here: it does nothing there either"]);
    }
}
