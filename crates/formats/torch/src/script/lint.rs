//! Traps of a trace: what was computed once, from the example that it was traced with, and is a constant since.
//!
//! A trace holds no branch; what can be seen is what a branch or a computed number left behind. Only what is wrong for
//! other inputs than the example is said: sizes that follow a free dimension are not.

use super::archive::Archive;
use crate::state::behind;
use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_format::Tree;
use modelsmith_ir::{Dim, Model, Node, Type, ValueId};
use std::collections::{HashMap, HashSet};

/// Findings of one kind that are said one by one.
const EACH: usize = 5;
/// Literals up to this are sizes of so many things that they say nothing.
pub(super) const SMALL: i64 = 8;

/// What looks baked in, of a module that was traced; nothing for one that was scripted.
pub(super) fn traps(archive: &Archive, model: &Model) -> Vec<Diagnostic> {
    if archive.examples.is_none() {
        return Vec::new();
    }
    let example = example(archive, model);
    let mut out = frozen(archive, model).into_iter().collect::<Vec<_>>();
    out.extend(dead_inputs(model));
    let mut sizes = Vec::new();
    let widths = widths(model);
    for (_, node) in model.nodes.iter() {
        let what = match node.known().map(|d| d.name) {
            Some("Reshape") => reshaped(model, node, &example),
            Some("Expand" | "ConstantOfShape" | "Range" | "Tile") => literal(model, node, &example, &widths),
            Some("Where" | "If") => decided(model, node),
            _ => None,
        };
        if let Some(what) = what {
            sizes.push(said(node, what));
        }
    }
    let more = sizes.len().saturating_sub(EACH);
    sizes.truncate(EACH);
    out.extend(sizes);
    if more > 0 {
        let what = format!("{more} further places look as if they held the sizes of the example");
        out.push(Diagnostic::new(Severity::Note, "torch.baked", what));
    }
    out
}

fn said(node: &Node, what: String) -> Diagnostic {
    let place = if node.origin.doc.is_empty() { String::new() } else { format!(" ({})", node.origin.doc) };
    let help = "compare with the scripted module at other sizes, or export with torch.jit.script or dynamic shapes";
    let found = Diagnostic::new(Severity::Warning, "torch.baked", format!("{what}{place}")).help(help);
    if node.name.is_empty() { found } else { found.at(Place::node(node.name.clone())) }
}

/// The size of each free dimension in the example.
fn example(archive: &Archive, model: &Model) -> HashMap<String, i64> {
    let mut out = HashMap::new();
    let examples = archive.examples.iter().flatten();
    for (&p, example) in model.graph().params.iter().zip(examples) {
        let (Some(shape), Some((_, sizes))) = (model.ty(p).shape(), example) else { continue };
        for (dim, &size) in shape.iter().zip(sizes) {
            if let Some(name) = dim.as_symbol() {
                out.insert(name.to_owned(), size);
            }
        }
    }
    out
}

/// All sizes of weights: literals that equal them follow from the module, not from the example.
fn widths(model: &Model) -> HashSet<i64> {
    let mut out = HashSet::new();
    for (id, _) in model.values.iter() {
        if model.values.get(id).is_some_and(|v| matches!(v.def, modelsmith_ir::Def::Weight(..)) && !v.name.is_empty()) {
            out.extend(model.ty(id).shape().into_iter().flatten().filter_map(Dim::known));
        }
    }
    out
}

fn constant(model: &Model, node: &Node, operand: usize) -> Option<Vec<i64>> {
    let v = node.inputs.get(operand).copied().flatten()?;
    model.constant(v).filter(|t| t.len() <= 16).and_then(|t| t.to_i64s().ok())
}

/// A shape of numbers for a tensor whose number of elements depends on the inputs.
fn reshaped(model: &Model, node: &Node, example: &HashMap<String, i64>) -> Option<String> {
    let to = constant(model, node, 1)?;
    let from = node.inputs.first().copied().flatten().and_then(|v| model.ty(v).shape())?;
    let free = from.iter().filter(|d| d.known().is_none()).count();
    let open = to.iter().filter(|&&n| n == -1 || n == 0).count();
    if free == 0 || from.iter().any(|d| matches!(d, Dim::Unknown)) {
        return None;
    }
    if open == 0 {
        let from = Type::tensor(modelsmith_base::DType::F32, from);
        return Some(format!("a tensor of the shape {from} is made {to:?} whatever its size"));
    }
    let sizes = |name: &str| example.get(name).copied();
    let first = from.first().filter(|d| d.known().is_none())?;
    let fixed = to.first().copied().filter(|&n| n > 0)?;
    // A first dimension that stays in its place and has the size of the example: other batches flow into the next one.
    let same = first.eval(&sizes) == Some(fixed) && first.as_symbol().is_some();
    (same && to.len() >= from.len()).then(|| format!("the first dimension {first} is made {fixed}, as in the example"))
}

/// A size that is a number where the example had it, and no weight has.
fn literal(model: &Model, node: &Node, example: &HashMap<String, i64>, widths: &HashSet<i64>) -> Option<String> {
    let range = node.known().is_some_and(|d| d.name == "Range");
    let sizes = constant(model, node, usize::from(range || node.inputs.len() > 1))?;
    let mut named = example.iter().collect::<Vec<_>>();
    named.sort();
    for n in sizes.into_iter().filter(|n| *n > SMALL && !widths.contains(n)) {
        if let Some((name, _)) = named.iter().find(|(_, size)| **size == n) {
            return Some(format!("a size is {n}, which is {name} of the example"));
        }
    }
    None
}

/// A choice that goes one way whatever the inputs.
fn decided(model: &Model, node: &Node) -> Option<String> {
    let cond = node.inputs.first().copied().flatten()?;
    let value = model.constant(cond)?;
    let flags = value.to_i64s().ok()?;
    let first = flags.first()?;
    let all = flags.iter().all(|f| (*f != 0) == (*first != 0));
    all.then(|| "a choice has a constant as its condition: it always goes the way of the example".to_owned())
}

/// Inputs on which no output depends.
fn dead_inputs(model: &Model) -> Vec<Diagnostic> {
    let reached = behind(model, model.graph().results.clone());
    let dead = model.graph().params.iter().filter(|p| !reached.contains(p));
    let said = |p: &ValueId| {
        let name = model.values.get(*p).map_or("", |v| v.name.as_str());
        let what = format!("no output depends on the input {name}: the trace holds what the example made of it");
        let help = "compare with the scripted module, or leave the input out where it is meant to do nothing";
        Diagnostic::new(Severity::Warning, "torch.baked", what).help(help)
    };
    dead.map(said).collect()
}

/// Modules of a trace that no operator of it belongs to: what a branch left out that went the other way.
fn frozen(archive: &Archive, model: &Model) -> Option<Diagnostic> {
    let operands = model.nodes.iter().flat_map(|(_, n)| n.inputs.iter().flatten());
    let used = operands.filter_map(|&v| model.values.get(v)).map(|v| v.name.as_str());
    let used = used.collect::<HashSet<_>>();
    let dead = archive.tensors.iter().filter(|(name, _)| !used.contains(name.as_str()));
    let mut modules = dead.filter_map(|(n, _)| n.rsplit_once('.').map(|(m, _)| m)).collect::<Vec<_>>();
    modules.retain(|m| archive.code_of(m).is_some_and(|methods| methods == 0));
    modules.dedup();
    let first = modules.first()?;
    let place = match first.rsplit_once('.') {
        Some((parent, _)) => archive.class_of(parent),
        None => match &archive.object {
            Tree::Object { class, .. } => Some(class.clone()),
            _ => None,
        },
    };
    let place = place.and_then(|class| archive.last_place(&class)).unwrap_or_default();
    let shown = modules.iter().take(EACH).copied().collect::<Vec<_>>().join(", ");
    let rest = modules.len().saturating_sub(EACH);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let what = format!(
        "the module was traced, and the trace never calls {shown}{rest}: a branch on the way was frozen as the example \
         went, or they serve nothing{place}"
    );
    let help = "export with torch.jit.script, or compare with the scripted module: modelsmith compare";
    Some(Diagnostic::new(Severity::Warning, "torch.frozen", what).help(help))
}
