use crate::profile::Profile;
use crate::row::{Args, Fit};
use modelsmith_ir::{Model, NodeId, Op, Region, Type, ValueId};
use modelsmith_ops::all;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// One thing for which a runtime does not load a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Stable code: `target.operator`, `.version`, `.type`, `.rule`, `.opset`, `.ir`, `.size`, `.shape`, `.function`, `.say`.
    pub code: &'static str,
    /// The node, by its name or its operator and number; empty for the whole model.
    pub node: String,
    /// Operator and the opset in which its version began, `com.microsoft.Gelu-1`.
    pub operator: String,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub help: String,
    /// The node itself.
    #[serde(skip)]
    pub id: Option<NodeId>,
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// For what the model would not load; empty when it would.
    pub gaps: Vec<Gap>,
    /// What loads, but not as it says.
    pub remarks: Vec<String>,
    /// Nodes that were looked at, bodies and functions included.
    pub nodes: usize,
    /// Nodes by operator that the runtime has.
    pub loaded: usize,
}

impl Gap {
    pub(crate) fn model(code: &'static str, reason: String, help: &str) -> Gap {
        Gap { code, node: String::new(), operator: String::new(), reason, help: help.into(), id: None }
    }
}

/// The model of a file with functions in the place of their calls and types of all values, as far as they follow.
pub fn typed(file: &Model) -> Model {
    let mut model = file.clone();
    // Calls that stay, of functions with another opset or in a circle, are looked at as functions.
    let _ = modelsmith_rewrite::inline::inline_functions(&mut model);
    let mut hub = model.clone();
    modelsmith_ops::opset::upgrade(&mut hub);
    modelsmith_ops::infer::infer(&mut hub);
    let named = hub.values.iter().filter(|(_, v)| !v.name.is_empty());
    let by_name = named.map(|(_, v)| (v.name.clone(), v.ty.clone())).collect::<HashMap<_, _>>();
    for (id, v) in model.values.iter_mut() {
        let here = hub.values.get(id).filter(|h| h.name == v.name).map(|h| &h.ty);
        if let Some(ty) = here.or_else(|| by_name.get(&v.name)) {
            v.ty = ty.meet(&v.ty);
        }
    }
    model
}

/// Every gap between `model`, at the stage of its file with types inferred ([`typed`]), and `profile`. Hub nodes are
/// passed over: they are what could not be taken to an opset.
pub fn check(model: &Model, profile: &Profile) -> Report {
    let mut out = Report::default();
    imports(model, profile, &mut out);
    signature(model, profile, &mut out);
    let mut regions = model.regions_in(model.main);
    for (_, f) in model.functions.iter() {
        if calls(model, &regions) {
            regions.extend(model.regions_in(f.region));
        }
    }
    let mut narrowed = BTreeMap::<String, usize>::new();
    for r in regions {
        for &n in &model.regions[r].body {
            out.nodes += 1;
            let before = out.gaps.len();
            node(model, profile, n, &mut out, &mut narrowed);
            out.loaded += usize::from(before == out.gaps.len());
        }
    }
    let many = narrowed.into_iter().map(|(what, n)| format!("{n} nodes compute in a narrower type: {what}"));
    out.remarks.extend(many);
    out
}

/// Whether a region calls a function.
fn calls(model: &Model, regions: &[modelsmith_ir::RegionId]) -> bool {
    let mut nodes = regions.iter().flat_map(|&r| &model.regions[r].body);
    nodes.any(|&n| matches!(model.nodes[n].op, Op::Call(_)))
}

fn imports(model: &Model, profile: &Profile, out: &mut Report) {
    for o in &model.meta.opsets {
        let domain = if o.domain == "ai.onnx" { "" } else { &o.domain };
        let shown = if domain.is_empty() { "ai.onnx" } else { domain };
        if !used(model, domain) {
            continue;
        }
        let help = "convert it: --target writes the newest opset that both have";
        if let Some(newest) = profile.newest(domain).filter(|&n| o.version > n) {
            let reason = format!("opset {} of {shown} is imported, the newest that is read is {newest}", o.version);
            out.gaps.push(Gap::model("target.opset", reason, help));
        }
        if let Some(first) = profile.first(domain).filter(|&n| o.version < n) {
            let reason = format!("opset {} of {shown} is imported, the oldest that is read is {first}", o.version);
            out.gaps.push(Gap::model("target.opset", reason, help));
        }
    }
    if let Some(newest) = profile.limits.ir_version.filter(|&n| model.meta.ir_version > n) {
        let reason =
            format!("the file is of IR version {}, the newest that is read is {newest}", model.meta.ir_version);
        out.gaps.push(Gap::model("target.ir", reason, "convert it: the lowest IR version that suffices is written"));
    }
    if !profile.limits.functions && calls(model, &model.regions_in(model.main)) {
        let reason = "the model has functions of its own that are called, which are not read".to_owned();
        out.gaps.push(Gap::model(
            "target.function",
            reason,
            "convert it: --target puts their bodies in place of the calls",
        ));
    }
}

/// Whether an import matters: the default domain always does, others where a node is of theirs.
fn used(model: &Model, domain: &str) -> bool {
    let of = |d: &str| d == domain || domain.is_empty() && d == "ai.onnx";
    domain.is_empty() || model.nodes.ids().any(|n| of(model.op_domain(n)))
}

fn signature(model: &Model, profile: &Profile, out: &mut Report) {
    let Region { params, .. } = model.graph();
    for &p in params {
        let (name, ty) = (&model.values[p].name, model.ty(p));
        let Type::Tensor(t) = ty else { continue };
        if profile.limits.input_ranks && t.shape.is_none() {
            let reason = format!("input {name} is of unknown rank");
            out.gaps.push(Gap::model("target.shape", reason, "give its shape: convert --shape NAME=1x3x224x224"));
        }
        if profile.limits.fixed_shapes && ty.sizes().is_none() {
            let reason = format!("input {name} has free dimensions, {ty}");
            out.gaps.push(Gap::model("target.shape", reason, "fix them: convert --dim NAME=SIZE, or --static"));
        }
    }
    let Some(most) = profile.limits.ranks else { return };
    let wide = |v: &ValueId| model.ty(*v).rank().filter(|&r| r > most);
    let nodes = model.nodes_in(model.main);
    let values = nodes.iter().flat_map(|&n| model.nodes[n].outputs.iter().flatten().map(move |v| (n, v)));
    for (n, v) in values {
        if let Some(rank) = wide(v) {
            let reason = format!("its result has {rank} dimensions, {most} are the most");
            out.gaps.push(gap(model, n, "target.shape", 0, reason, "split or merge dimensions before the export"));
        }
    }
}

fn gap(model: &Model, n: NodeId, code: &'static str, since: u32, reason: String, help: &str) -> Gap {
    let domain = model.op_domain(n);
    let dot = if domain.is_empty() { "" } else { "." };
    let operator = match since {
        0 => format!("{domain}{dot}{}", model.op_name(n)),
        since => format!("{domain}{dot}{}-{since}", model.op_name(n)),
    };
    Gap { code, node: model.node_label(n), operator, reason, help: help.into(), id: Some(n) }
}

/// Types of the operands and results of a node.
pub(crate) fn args(model: &Model, n: NodeId) -> Args {
    let of = |list: &[Option<ValueId>]| list.iter().map(|v| v.map(|v| model.ty(v).clone())).collect();
    Args { inputs: of(&model.nodes[n].inputs), outputs: of(&model.nodes[n].outputs) }
}

fn node(model: &Model, profile: &Profile, n: NodeId, out: &mut Report, narrowed: &mut BTreeMap<String, usize>) {
    let Op::Foreign { domain, name, version } = &model.nodes[n].op else { return };
    let def = all().get(domain, name);
    let begun = def.map(|d| d.version_at(*version).filter(|_| d.ends.is_none_or(|end| *version < end)));
    let since = begun.flatten().unwrap_or(*version);
    let says = def.is_some_and(|d| d.decompose.is_some());
    let other = match says {
        true => "convert it: --target says it in other operators where they load",
        false => "replace it before the export, or register it as an operator of your own with the runtime",
    };
    let add = |out: &mut Report, code, reason, help: &str| out.gaps.push(gap(model, n, code, since, reason, help));
    if begun == Some(None) && *version > 0 {
        let reason = format!("the standard has no such operator at opset {version}");
        add(out, "target.version", reason, "export the model again at an opset that has it");
        return;
    }
    match profile.fit(domain, name, (since, *version), &args(model, n)) {
        Fit::Loads => {}
        Fit::Narrowed => *narrowed.entry(name.clone()).or_default() += 1,
        Fit::NoOperator => add(out, "target.operator", "there is no such operator".into(), other),
        Fit::NoVersion => {
            let have = profile.rows(domain, name).unwrap_or_default().iter().map(|r| r.shown()).collect::<Vec<_>>();
            let reason = format!("this version is not there; those that are began at opset {}", distinct(have));
            add(
                out,
                "target.version",
                reason,
                "convert it: --target writes an opset with a version that is there, where it can",
            );
        }
        Fit::NoType(why) => {
            let help = "convert it: --target computes in a wider type where that is exact, or cast before the export";
            add(out, "target.type", why, help);
        }
    }
    for rule in profile.rules(domain, name) {
        if let Some(why) = rule.broken(model, n) {
            add(out, "target.rule", why, "change it before the export");
        }
    }
}

fn distinct(mut list: Vec<String>) -> String {
    list.dedup();
    list.join(", ")
}
