use crate::check::{Gap, Report, check};
use crate::profile::Profile;
use crate::{cast, part};
use modelsmith_base::Diagnostic;
use modelsmith_ir::{HUB_OPSET, Model, NodeId, OpSetImport, RegionId};
use modelsmith_ops::{infer, opset};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rounds of repairs: a decomposition may be decomposed in turn.
const ROUNDS: usize = 12;
/// Attempts with decompositions taken back that did not lead to operators that load.
const RETRIES: usize = 4;
/// Nodes from which on not every opset is tried.
const LARGE: usize = 2000;
/// Oldest opset of the default domain that is tried.
const OLDEST: u32 = 7;

/// A model in what a runtime has, as far as it can be said.
pub struct Legal {
    /// The model at the hub.
    pub model: Model,
    /// Operator sets to write it at.
    pub opsets: Vec<OpSetImport>,
    /// What is left, and how many nodes the written model has.
    pub report: Report,
    /// What was changed, each with the number of nodes.
    pub changes: Vec<String>,
    /// Where something is left: the largest part of the model without it.
    pub part: Option<Model>,
}

/// Says the hub model `hub`, which came with the operator sets `from`, in what the runtime of `profile` has: at the newest
/// opset that both have, or another where that leaves less; operators that it lacks decomposed; operators that it has
/// for wider types only, between casts, where the results are the same; functions in place of their calls where it reads
/// none. `wanted` fixes the opset.
pub fn legalise(hub: &Model, from: &[OpSetImport], profile: &Profile, wanted: Option<u32>) -> Legal {
    let mut model = hub.clone();
    let mut changes = Vec::new();
    let plain = |o: &&OpSetImport| o.domain.is_empty() || o.domain == "ai.onnx";
    let have = from.iter().find(plain).map(|o| o.version);
    flatten(&mut model, from, have, profile, &mut changes);
    let patience = if model.nodes.len() > LARGE { 6 } else { usize::MAX };
    let mut best: Option<Attempt> = None;
    let mut worse = 0;
    for version in versions(have, profile, wanted) {
        let tried = settle(&model, imports(from, version, profile), version, profile);
        let better = best.as_ref().is_none_or(|b| tried.report.gaps.len() < b.report.gaps.len());
        worse = if better { 0 } else { worse + 1 };
        if better {
            best = Some(tried);
        }
        // Versions and types differ from opset to opset; that an operator without another form is lacking does not.
        let open =
            best.as_ref().is_some_and(|b| b.report.gaps.iter().any(|g| g.code != "target.operator" || b.has_form(g)));
        if !open || worse >= patience {
            break;
        }
    }
    let Some(mut best) = best else {
        let opsets = from.to_vec();
        return Legal { model, opsets, report: Report::default(), changes, part: None };
    };
    let version = best.version;
    if let Some(had) = have.filter(|&h| h != version) {
        changes.push(format!("opset {had} became {version}"));
    }
    changes.extend(best.changes.iter().map(|(what, n)| format!("{what} ({n})")));
    let part = match best.report.gaps.is_empty() {
        true => None,
        false => sub_model(&mut best, profile),
    };
    Legal { model: best.model, opsets: best.opsets, report: best.report, changes, part }
}

/// Puts the bodies of functions in place of their calls, where the runtime reads no functions or lacks something in them.
fn flatten(model: &mut Model, from: &[OpSetImport], have: Option<u32>, profile: &Profile, changes: &mut Vec<String>) {
    if model.functions.iter().next().is_none() {
        return;
    }
    let mut flat = model.clone();
    let Ok(calls) = modelsmith_rewrite::inline::inline_functions(&mut flat) else { return };
    let natural = versions(have, profile, None).first().map(|&v| imports(from, v, profile)).unwrap_or_default();
    if profile.limits.functions && gaps(&flat, &natural, profile).gaps.is_empty() {
        return;
    }
    changes.push(format!("{calls} calls of functions became their bodies"));
    *model = flat;
}

/// Opsets of the default domain to try, the most natural first.
fn versions(have: Option<u32>, profile: &Profile, wanted: Option<u32>) -> Vec<u32> {
    if let Some(wanted) = wanted {
        return vec![wanted];
    }
    let newest = profile.newest("").unwrap_or(HUB_OPSET).min(HUB_OPSET);
    let first = profile.first("").unwrap_or(OLDEST).max(OLDEST).min(newest);
    let natural = have.unwrap_or(17).clamp(first, newest);
    std::iter::once(natural).chain((first..=newest).rev().filter(|&v| v != natural)).collect()
}

/// The operator sets to write: the default domain at `version`, the others as they came, not newer than what is read.
fn imports(from: &[OpSetImport], version: u32, profile: &Profile) -> Vec<OpSetImport> {
    let mut out = vec![OpSetImport { domain: String::new(), version }];
    for o in from.iter().filter(|o| !o.domain.is_empty() && o.domain != "ai.onnx") {
        let newest = profile.newest(&o.domain).unwrap_or(u32::MAX);
        out.push(OpSetImport { domain: o.domain.clone(), version: o.version.min(newest) });
    }
    out
}

struct Attempt {
    version: u32,
    opsets: Vec<OpSetImport>,
    model: Model,
    report: Report,
    changes: BTreeMap<String, usize>,
    /// Nodes that a repair made, and the node that they stand for.
    roots: HashMap<NodeId, NodeId>,
}

impl Attempt {
    /// Whether the operator of a gap can be said in others.
    fn has_form(&self, gap: &Gap) -> bool {
        let node = gap.id.and_then(|n| self.model.nodes.get(n));
        node.and_then(|n| n.known()).is_some_and(|d| d.decompose.is_some())
    }
}

/// One opset: repairs until nothing more can be repaired. A decomposition that ends in something else that is lacking
/// is taken back, so that the gap that is reported is the user's own node.
fn settle(hub: &Model, opsets: Vec<OpSetImport>, version: u32, profile: &Profile) -> Attempt {
    let mut kept = HashSet::new();
    let mut tried = attempt(hub, &opsets, version, profile, &kept);
    for _ in 0..RETRIES {
        let vain = tried.report.gaps.iter().filter_map(|g| tried.roots.get(&g.id?).copied());
        let vain = vain.filter(|r| !kept.contains(r)).collect::<Vec<_>>();
        if vain.is_empty() {
            break;
        }
        kept.extend(vain);
        tried = attempt(hub, &opsets, version, profile, &kept);
    }
    tried
}

fn attempt(hub: &Model, opsets: &[OpSetImport], version: u32, profile: &Profile, kept: &HashSet<NodeId>) -> Attempt {
    let mut model = hub.clone();
    infer::infer(&mut model);
    let mut a = Attempt {
        version,
        opsets: opsets.to_vec(),
        model,
        report: Report::default(),
        changes: BTreeMap::new(),
        roots: HashMap::new(),
    };
    for _ in 0..ROUNDS {
        a.report = gaps(&a.model, opsets, profile);
        if !repair(&mut a, profile, kept) {
            break;
        }
    }
    a
}

/// The gaps of a hub model written at `opsets`. Ids are those of the hub model where the node is there.
fn gaps(hub: &Model, opsets: &[OpSetImport], profile: &Profile) -> Report {
    let mut written = hub.clone();
    let said = opset::downgrade(&mut written, opsets);
    written.meta.opsets = opsets.to_vec();
    // A new file is written at the lowest IR version that suffices.
    written.meta.ir_version = 0;
    let mut report = check(&written, profile);
    let by_label = hub.nodes.ids().map(|n| (hub.node_label(n), n)).collect::<HashMap<_, _>>();
    for d in said.err().unwrap_or_default() {
        report.gaps.push(unsaid(hub, &d, &by_label));
    }
    report
}

fn unsaid(hub: &Model, d: &Diagnostic, by_label: &HashMap<String, NodeId>) -> Gap {
    let label = d.place.node.clone().unwrap_or_default();
    let id = by_label.get(&label).copied();
    let operator = id.map(|n| hub.op_name(n).to_owned()).unwrap_or_default();
    let help =
        "an opset with this form is newer than the runtime reads; replace the operator before the export".to_owned();
    Gap { code: "target.say", node: label, operator, reason: d.message.clone(), help, id }
}

/// Repairs what can be repaired; false when nothing was.
fn repair(a: &mut Attempt, profile: &Profile, kept: &HashSet<NodeId>) -> bool {
    let homes = a.model.regions.iter().flat_map(|(r, region)| region.body.iter().map(move |&n| (n, r)));
    let homes = homes.collect::<HashMap<_, _>>();
    let mut done = false;
    let mut seen = HashSet::new();
    for gap in a.report.gaps.clone() {
        let Some((n, &r)) = gap.id.and_then(|n| Some((n, homes.get(&n)?))) else { continue };
        let root = a.roots.get(&n).copied().unwrap_or(n);
        if kept.contains(&root) || !seen.insert(n) {
            continue;
        }
        let Some(def) = a.model.nodes[n].known() else { continue };
        // What an opset cannot say is often a type that came later.
        let typed = matches!(gap.code, "target.type" | "target.say");
        let before = a.model.regions[r].body.iter().copied().collect::<HashSet<_>>();
        let widen = |m: &mut Model| cast::widen(m, r, n, a.version, profile);
        let what = match typed && cast::chooses(def) {
            true => widen(&mut a.model).or_else(|| decompose(&mut a.model, r, n)),
            false => decompose(&mut a.model, r, n).or_else(|| typed.then(|| widen(&mut a.model)).flatten()),
        };
        let Some(what) = what else { continue };
        done = true;
        *a.changes.entry(what).or_default() += 1;
        let made = a.model.regions[r].body.iter().filter(|n| !before.contains(n)).copied().collect::<Vec<_>>();
        a.roots.extend(made.into_iter().map(|m| (m, root)));
    }
    done
}

fn decompose(model: &mut Model, r: RegionId, n: NodeId) -> Option<String> {
    let def = model.nodes[n].known()?;
    opset::replace(model, r, n, def).ok().map(|()| format!("{} became simpler operators", def.name))
}

/// The largest part of what was attempted that has no gaps.
fn sub_model(a: &mut Attempt, profile: &Profile) -> Option<Model> {
    infer::infer(&mut a.model);
    let lacking = lacking(&a.model, &a.report.gaps)?;
    let part = part::largest(&a.model, &lacking)?;
    gaps(&part, &a.opsets, profile).gaps.is_empty().then_some(part)
}

/// Nodes of the main graph with a gap in them or in their bodies; `None` when a gap is of no node that is there.
fn lacking(model: &Model, gaps: &[Gap]) -> Option<HashSet<NodeId>> {
    let mut top = HashMap::new();
    for &n in &model.graph().body {
        top.insert(n, n);
        for (_, r) in &model.nodes[n].regions {
            top.extend(model.nodes_in(*r).into_iter().map(|inner| (inner, n)));
        }
    }
    let nodes = gaps.iter().filter(|g| !g.node.is_empty());
    nodes.map(|g| top.get(&g.id?).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::find;

    fn hub(text: &str) -> Model {
        modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap()
    }

    fn at(version: u32) -> Vec<OpSetImport> {
        vec![OpSetImport { domain: String::new(), version }]
    }

    #[test]
    fn what_is_lacking_is_decomposed_and_the_opset_lowered() {
        let m = hub("graph(%x: f32[2, 3]) { %y = Swish(%x) {alpha = 1.0} return %y }");
        let done = legalise(&m, &at(28), find("tensorrt-8.6").unwrap(), None);
        assert!(done.report.gaps.is_empty(), "{:?}", done.report.gaps);
        assert!(done.opsets[0].version <= 17 && done.part.is_none());
        assert_eq!(done.changes, ["opset 28 became 17"]);
        let text = "graph(%q: f32[1, 2, 4, 8], %k: f32[1, 2, 6, 8]) {
          %y = Attention(%q, %k, %k) {left_window_size = 1}
          return %y
        }";
        let done = legalise(&hub(text), &at(25), find("onnxruntime-1.31").unwrap(), None);
        assert!(done.report.gaps.is_empty(), "{:?}", done.report.gaps);
        assert_eq!(
            (done.changes, done.opsets[0].version),
            (vec!["Attention became simpler operators (1)".to_owned()], 25)
        );
    }

    #[test]
    fn choosing_operators_are_widened_between_casts() {
        let m = hub("graph(%x: i16[2, 3], %y: i16[2, 3]) { %z = Max(%x, %y) return %z }");
        let done = legalise(&m, &at(13), find("onnxruntime-1.31").unwrap(), None);
        assert!(done.report.gaps.is_empty(), "{:?}", done.report.gaps);
        assert_eq!(done.changes, ["Max computes in i32 between casts from i16 (1)"]);
    }

    #[test]
    fn what_is_left_is_listed_and_the_rest_is_a_part() {
        let text = "graph(%x: f32[2, 2]) { %a = Relu(%x) %d: f32[] = Det(%a) %b = Neg(%d) %c = Abs(%b) return %c }";
        let done = legalise(&hub(text), &at(17), find("openvino").unwrap(), None);
        assert_eq!(done.report.gaps.len(), 1);
        let gap = &done.report.gaps[0];
        assert_eq!((gap.code, gap.operator.as_str()), ("target.operator", "Det-11"));
        let part = done.part.unwrap();
        assert_eq!(part.graph().body.len(), 2);
    }
}
