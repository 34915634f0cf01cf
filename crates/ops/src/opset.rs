//! Moving a model between the opsets of its file and the hub, by the histories of the operators.

use crate::all;
use crate::typesets::spelled;
use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_ir::{
    Adapt, AdaptCx, Builder, HUB_OPSET, Model, NodeId, Op, OpDef, OpSetImport, RegionId, Stage, ValueId,
};
use std::collections::HashMap;

/// Newest version of each domain that this program reads.
fn newest(domain: &str) -> u32 {
    match domain {
        "" | "ai.onnx" => HUB_OPSET,
        "ai.onnx.ml" => 6,
        _ => u32::MAX,
    }
}

fn diagnose(model: &Model, node: NodeId, code: &'static str, message: String) -> Diagnostic {
    Diagnostic::new(Severity::Warning, code, message).at(Place::node(model.node_label(node)))
}

fn all_nodes(model: &Model) -> Vec<(RegionId, NodeId)> {
    let regions = model.regions.iter();
    regions.flat_map(|(r, region)| region.body.iter().map(move |&n| (r, n))).collect()
}

/// Takes every foreign node that the hub knows to `HUB_OPSET`. What it cannot take stays foreign and is reported.
///
/// Some steps between versions need the type of an operand. Where the file does not give it, it is inferred from the
/// nodes that are at the hub already, and the node is tried again.
pub fn upgrade(model: &mut Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut left = Vec::new();
    for (region, node) in all_nodes(model) {
        let Op::Foreign { domain, name, .. } = &model.nodes[node].op else { continue };
        match all().get(domain, name) {
            Some(def) => left.push((region, node, def)),
            None => {
                // The specification names all operators of its own domains.
                let closed = matches!(domain.as_str(), "" | "ai.onnx" | "ai.onnx.ml");
                let code = if closed { "op.none" } else { "op.unknown" };
                let message = format!("operator {name} of domain {domain:?} is not known; the node is kept as it is");
                found.push(diagnose(model, node, code, message));
            }
        }
    }
    loop {
        let before = left.len();
        let mut failed = Vec::new();
        left.retain(|&(region, node, def)| match raise(model, region, node, def) {
            Ok(()) => false,
            Err(d) => {
                failed.push(*d);
                true
            }
        });
        if left.is_empty() || left.len() == before {
            found.extend(failed);
            break;
        }
        crate::infer::infer(model);
    }
    model.stage = Stage::Hub;
    found
}

/// Takes one node to the hub.
fn raise(model: &mut Model, region: RegionId, node: NodeId, def: &'static OpDef) -> Result<(), Box<Diagnostic>> {
    let Op::Foreign { domain, name, version } = model.nodes[node].op.clone() else { return Ok(()) };
    let problem = match def.version_at(version) {
        _ if version > newest(&domain) => Some(format!("opset {version} is newer than this program knows")),
        None => {
            let message = format!("{name} does not exist at opset {version}, it begins at {}", first_version(def));
            return Err(Box::new(diagnose(model, node, "op.early", message)));
        }
        Some(from) => climb(model, region, node, def, from).err().map(|e| format!("{name} at opset {version}: {e}")),
    };
    if let Some(message) = problem {
        return Err(Box::new(diagnose(model, node, "op.upgrade", message)));
    }
    model.nodes[node].op = Op::Known(def);
    match def.ends {
        Some(_) => replace(model, region, node, def).map_err(|e| Box::new(diagnose(model, node, "op.upgrade", e))),
        None => Ok(()),
    }
}

fn first_version(def: &OpDef) -> u32 {
    def.history.first().map_or(def.since, |p| p.since)
}

fn climb(model: &mut Model, region: RegionId, node: NodeId, def: &OpDef, from: u32) -> Result<(), String> {
    for past in def.history.iter().filter(|p| p.since >= from) {
        // Where a step fails the node is at the version that the step begins with.
        if let Op::Foreign { version, .. } = &mut model.nodes[node].op {
            *version = past.since.max(*version);
        }
        step(model, region, node, past.up)?;
    }
    Ok(())
}

fn step(model: &mut Model, region: RegionId, node: NodeId, adapt: Adapt) -> Result<(), String> {
    match adapt {
        Adapt::Compatible => Ok(()),
        Adapt::Unsupported(why) => Err(why.into()),
        Adapt::Rewrite(f) => f(&mut AdaptCx { model, ops: all(), region, node }).map_err(|e| e.to_string()),
    }
}

/// Puts the decomposition of a node in its place.
///
/// # Errors
/// When the operator has none, or it fails on this node.
pub fn replace(model: &mut Model, region: RegionId, node: NodeId, def: &OpDef) -> Result<(), String> {
    let decompose = def.decompose.ok_or_else(|| format!("{} has no decomposition", def.name))?;
    let at = model.regions[region].body.iter().position(|&n| n == node).ok_or("the node is in no region")?;
    let mut origin = model.nodes[node].origin.clone();
    origin.sources.push(model.nodes[node].name.clone());
    let mut builder = Builder::new(model, all(), region, at).with_origin(origin);
    let new = decompose(&mut builder, node).map_err(|e| e.to_string())?;
    let mut edit = modelsmith_ir::Edit::new(model);
    let old = edit.model().nodes[node].outputs.clone();
    for (old, new) in old.into_iter().zip(new) {
        if let Some(old) = old {
            let v = &edit.model().values[old];
            let (name, ty) = (v.name.clone(), v.ty.clone());
            edit.replace_uses(old, new);
            let made = &mut edit.model_mut().values[new];
            made.ty = made.ty.meet(&ty);
            if made.name.is_empty() {
                made.name = name;
            }
        }
    }
    edit.remove(node);
    Ok(())
}

/// Takes every hub node down to the version that `target` imports for its domain, in place: afterwards all nodes are
/// foreign, and functions import what `target` does. Operators younger than the target are decomposed. Types are
/// inferred first, for the steps between versions that need them.
///
/// # Errors
/// One diagnostic for each node that the target cannot say.
pub fn downgrade(model: &mut Model, target: &[OpSetImport]) -> Result<(), Vec<Diagnostic>> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    crate::infer::infer(model);
    // Adapters and decompositions insert hub nodes, which the next round takes down.
    for _ in 0..16 {
        let work = all_nodes(model).into_iter().filter(|&(_, n)| model.nodes[n].known().is_some()).collect::<Vec<_>>();
        if work.is_empty() || !failed.is_empty() {
            break;
        }
        for (region, node) in work {
            let Some(def) = model.nodes[node].known() else { continue };
            if let Err(message) = lower_node(model, region, node, def, target) {
                failed.push((region, node, def, message));
            }
        }
    }
    let mut known = HashMap::new();
    for (region, node, def, message) in failed {
        let at = known.entry((def.name, message.clone()));
        let at = at.or_insert_with(|| nearest(model, region, node, def, target));
        let near = match at {
            Some(version) => format!("the nearest opset that can is {version}"),
            None => "no opset can".into(),
        };
        let d = Diagnostic::new(Severity::Error, "op.downgrade", format!("{message}; {near}"));
        found.push(d.at(Place::node(model.node_label(node))));
    }
    for id in model.functions.ids().collect::<Vec<_>>() {
        for wanted in target {
            match model.functions[id].opsets.iter_mut().find(|o| o.domain == wanted.domain) {
                Some(import) => import.version = wanted.version,
                None => model.functions[id].opsets.push(wanted.clone()),
            }
        }
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(found),
    }
}

/// The first version above that of `target` which says the node as it is.
fn nearest(model: &Model, region: RegionId, node: NodeId, def: &'static OpDef, target: &[OpSetImport]) -> Option<u32> {
    let same = |o: &OpSetImport| o.domain == def.domain || (def.domain.is_empty() && o.domain == "ai.onnx");
    let from = target.iter().find(|o| same(o))?.version;
    let newest = newest(def.domain).min(def.since.max(from));
    let exists = |v: &u32| def.version_at(*v).is_some() && def.ends.is_none_or(|end| *v < end);
    (from + 1..=newest).filter(exists).find(|&version| {
        let raised = |o: &OpSetImport| if same(o) { OpSetImport { version, ..o.clone() } } else { o.clone() };
        let target = target.iter().map(raised).collect::<Vec<_>>();
        lower_node(&mut model.clone(), region, node, def, &target).is_ok()
    })
}

fn lower_node(
    model: &mut Model,
    region: RegionId,
    node: NodeId,
    def: &'static OpDef,
    target: &[OpSetImport],
) -> Result<(), String> {
    let same = |d: &str| d == def.domain || (def.domain.is_empty() && d == "ai.onnx");
    let version = target.iter().find(|o| same(&o.domain)).map(|o| o.version);
    let version = version.ok_or_else(|| format!("the target imports no opset of domain {:?}", def.domain))?;
    let alive = def.ends.is_none_or(|end| version < end);
    let Some(to) = def.version_at(version).filter(|_| alive) else {
        return replace(model, region, node, def)
            .map_err(|e| format!("{} begins at opset {}, the target is {version}: {e}", def.name, first_version(def)));
    };
    for past in def.history.iter().rev().filter(|p| p.since >= to) {
        step(model, region, node, past.down).map_err(|e| format!("{} at opset {version}: {e}", def.name))?;
    }
    check_types(model, node, def, version)?;
    check_counts(model, node, def, version)?;
    drop_unknown(model, node, def, version);
    let (domain, name) = (def.domain.into(), def.name.into());
    model.nodes[node].op = Op::Foreign { domain, name, version };
    Ok(())
}

fn check_types(model: &Model, node: NodeId, def: &OpDef, version: u32) -> Result<(), String> {
    let Some(schema) = def.schema_at(version) else { return Ok(()) };
    let n = &model.nodes[node];
    for (i, v) in n.inputs.iter().enumerate() {
        let Some(dtype) = v.and_then(|v| model.ty(v).dtype()) else { continue };
        let Some(param) = schema.input(i) else { continue };
        let fits = match schema.allowed(param.ty) {
            Some(set) => set.has(dtype),
            None => !param.ty.starts_with("tensor(") || param.ty == format!("tensor({})", spelled(dtype)),
        };
        if !fits {
            return Err(format!("{} takes no {dtype} at opset {version} (input {i})", def.name));
        }
    }
    let known = |name: &str| schema.attrs.iter().any(|a| a.name == name);
    match n.attrs.iter().find(|(name, _)| !known(name) && !is_default(def, name, &n.attrs)) {
        Some((name, _)) => Err(format!("{} has no attribute {name} at opset {version}", def.name)),
        None => Ok(()),
    }
}

/// Trailing operands and outputs that are absent, or that nothing reads, go where the schema at `version` has no place
/// for them; others are refused.
fn check_counts(model: &mut Model, node: NodeId, def: &OpDef, version: u32) -> Result<(), String> {
    let Some(schema) = def.schema_at(version) else { return Ok(()) };
    let (inputs, outputs) = (schema.input_range().1, schema.output_range().1);
    let read = |model: &Model, v: ValueId| {
        let taken = |n: NodeId| model.nodes[n].inputs.contains(&Some(v));
        let ends = |r: RegionId| model.regions[r].results.contains(&v);
        model.nodes.ids().any(taken) || model.regions.ids().any(ends)
    };
    while model.nodes[node].inputs.len() > inputs && model.nodes[node].inputs.last() == Some(&None) {
        model.nodes[node].inputs.pop();
    }
    while model.nodes[node].outputs.len() > outputs {
        match model.nodes[node].outputs.last().copied().flatten() {
            Some(v) if read(model, v) => break,
            Some(v) => drop(model.values.remove(v)),
            None => {}
        }
        model.nodes[node].outputs.pop();
    }
    let n = &model.nodes[node];
    let refused = |what: &str, has: usize, most: usize| {
        Err(format!("{} has at most {most} {what} at opset {version}, not {has}", def.name))
    };
    match (n.inputs.len(), n.outputs.len()) {
        (has, _) if has > inputs => refused("operands", has, inputs),
        (_, has) if has > outputs => refused("outputs", has, outputs),
        _ => Ok(()),
    }
}

/// Takes out the attributes that the schema at `version` lacks; [`check_types`] found them to be defaults.
fn drop_unknown(model: &mut Model, node: NodeId, def: &OpDef, version: u32) {
    let Some(schema) = def.schema_at(version) else { return };
    let attrs = &mut model.nodes[node].attrs;
    let unknown = attrs.iter().map(|(name, _)| name.to_owned()).filter(|n| schema.attrs.iter().all(|a| a.name != n));
    for name in unknown.collect::<Vec<_>>() {
        attrs.remove(&name);
    }
}

/// True when the attribute says no more than its absence would.
fn is_default(def: &OpDef, name: &str, attrs: &modelsmith_ir::Attrs) -> bool {
    use modelsmith_ir::{Attr, Default};
    let default = def.schema.attrs.iter().find(|a| a.name == name).map(|a| &a.default);
    match (attrs.get(name), default) {
        (Some(Attr::Int(a)), Some(Default::Int(b))) => a == b,
        (Some(Attr::Float(a)), Some(Default::Float(b))) => a == b,
        (Some(Attr::String(a)), Some(Default::String(b))) => a == b,
        (Some(Attr::Ints(a)), Some(Default::Ints(b))) => a == b,
        _ => false,
    }
}
