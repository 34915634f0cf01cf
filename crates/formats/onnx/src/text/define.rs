//! Operators of foreign domains defined by the user, as functions in the text form.
#![allow(clippy::indexing_slicing, reason = "arenas indexed by ids of this model; no bytes are indexed here")]

use super::parse;
use crate::extra::unpack;
use crate::read::define_functions;
use crate::schema::{FunctionProto, NodeProto, text};
use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_format::{Error, Result};
use modelsmith_ir::{FunctionId, Model, NodeId, Op};
use std::collections::{HashMap, HashSet};

/// Functions that define operators, from texts.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    functions: Vec<FunctionProto<'static>>,
    /// What the texts say, for telling two sets apart.
    texts: Vec<u8>,
}

/// Domain, name and overload.
type Key = (String, String, String);

fn key(f: &FunctionProto<'_>) -> Key {
    (text(&f.domain).to_owned(), text(&f.name).to_owned(), text(&f.overload).to_owned())
}

fn spelled((domain, name, overload): &Key) -> String {
    let overload = if overload.is_empty() { String::new() } else { format!(":{overload}") };
    format!("{domain}.{name}{overload}")
}

impl Definitions {
    /// Adds the functions in `text`, which is called `file` in messages.
    ///
    /// # Errors
    /// When the text is no list of functions, with line and column; when a function has no domain, imports no operator set,
    /// or is defined already.
    pub fn add(&mut self, file: &str, text: &[u8]) -> Result<()> {
        let functions = parse::functions(text).map_err(|e| e.in_file(file))?;
        for f in functions {
            let (key, name) = (key(&f), spelled(&key(&f)));
            let bad = |what: String| Error::damaged(what).in_file(file);
            if key.0.is_empty() {
                let what = format!("the function {} has no domain", key.1);
                return Err(bad(what).help("begin it with <domain: \"my.domain\", opset_import: [\"\" : 21]>"));
            }
            if f.opset_import.is_empty() {
                let what = format!("the function {name} imports no operator set for its nodes");
                return Err(bad(what).help("add opset_import: [\"\" : 21] to what stands before its name"));
            }
            if self.functions.iter().any(|other| self::key(other) == key) {
                return Err(bad(format!("the function {name} is defined twice")));
            }
            self.functions.push(f);
        }
        self.texts.extend_from_slice(text);
        self.texts.push(0);
        Ok(())
    }

    /// True when nothing is defined.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// What the texts say.
    pub fn texts(&self) -> &[u8] {
        &self.texts
    }
}

/// Makes calls of the nodes of `model`, which is at the foreign stage, that are operators of `definitions`, and says what
/// came of each definition. A definition takes the place of a function of the model that has the same name.
///
/// # Errors
/// When a body cannot be read.
pub fn define(model: &mut Model, definitions: &Definitions) -> Result<Vec<Diagnostic>> {
    let mut findings = Vec::new();
    let old: HashMap<Key, _> =
        model.functions.iter().map(|(id, f)| ((f.domain.clone(), f.name.clone(), f.overload.clone()), id)).collect();
    let ids = define_functions(model, &definitions.functions, &mut findings)?;
    let keys: Vec<Key> = definitions.functions.iter().map(key).collect();
    let by_key: HashMap<&Key, _> = keys.iter().zip(&ids).map(|(k, &id)| (k, id)).collect();
    let replaced: HashMap<_, _> = keys.iter().zip(&ids).filter_map(|(k, &id)| Some((*old.get(k)?, id))).collect();
    let mut used = HashSet::new();
    let nodes: Vec<NodeId> = model.regions.iter().flat_map(|(_, r)| r.body.iter().copied()).collect();
    for n in nodes {
        let node = &model.nodes[n];
        let call = match &node.op {
            Op::Call(f) => replaced.get(f).copied().or_else(|| ids.contains(f).then_some(*f)),
            Op::Foreign { domain, name, .. } => {
                let overload = text(&unpack::<NodeProto<'_>>(&node.origin.extra).overload).to_owned();
                by_key.get(&(domain.clone(), name.clone(), overload)).copied()
            }
            Op::Known(_) => None,
        };
        if let Some(f) = call {
            used.insert(f);
            model.nodes[n].op = Op::Call(f);
        }
    }
    replaced.keys().for_each(|&f| forget(model, f));
    for (key, id) in keys.iter().zip(&ids) {
        let note = |code, message| Diagnostic::new(Severity::Note, code, message).at(Place::default());
        if old.contains_key(key) {
            let message = format!("{} was a function of the model; the definition given takes its place", spelled(key));
            findings.push(note("onnx.ops.replaced", message));
        }
        if !used.contains(id) {
            findings.push(note("onnx.ops.unused", format!("{} is defined, and no node uses it", spelled(key))));
            forget(model, *id);
        }
    }
    Ok(findings)
}

/// Removes a function with its body.
fn forget(model: &mut Model, function: FunctionId) {
    let Some(f) = model.functions.remove(function) else { return };
    for r in model.regions_in(f.region) {
        let Some(region) = model.regions.remove(r) else { continue };
        let made = region.body.iter().filter_map(|&n| model.nodes.remove(n)).flat_map(|n| n.outputs).flatten();
        let values: Vec<_> = made.chain(region.params).chain(region.weights).collect();
        values.into_iter().for_each(|v| drop(model.values.remove(v)));
    }
}
