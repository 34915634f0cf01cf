//! Checks that a model holds what its [`Stage`](crate::Stage) promises.

mod schema;
#[cfg(test)]
mod tests;
mod weights;

use crate::{Attr, Def, FunctionId, Model, NodeId, Op, OpDef, RegionId, Stage, ValueId};
use modelsmith_base::{Diagnostic, Place, Severity};
use std::collections::{HashMap, HashSet};

/// What is wrong with the model; empty when nothing is. Never panics, whatever the model.
///
/// Checked at every stage: ids name what exists; every value is defined once, before its use, in a region around
/// it; names are unique where they meet; weights fill their shapes; functions do not call each other in a circle. At
/// the stages `Hub` and `Legal`: operands, results, attributes and bodies of hub operators against the schema, and element
/// types against its type variables.
pub fn verify(model: &Model) -> Vec<Diagnostic> {
    let mut v = Verifier { model, out: Vec::new(), seen: HashSet::new(), homes: HashMap::new(), in_function: false };
    v.root(model.main);
    v.in_function = true;
    for (_, f) in model.functions.iter() {
        v.root(f.region);
    }
    v.orphans();
    v.circles();
    v.out
}

/// What is wrong with one node of the hub against its operator's schema.
pub fn verify_node(model: &Model, node: NodeId) -> Vec<Diagnostic> {
    match model.nodes.get(node) {
        Some(n) => n.known().map(|def| schema::check(model, n, def, &def.schema)).unwrap_or_default(),
        None => {
            vec![Diagnostic::new(Severity::Error, "ir.node.missing", format!("node #{} does not exist", node.index()))]
        }
    }
}

/// What is wrong with a node of a file, of operator `def`, against the schema of opset `version`.
pub fn verify_at(model: &Model, node: NodeId, def: &OpDef, version: u32) -> Vec<Diagnostic> {
    let found = match (model.nodes.get(node), def.schema_at(version)) {
        (Some(n), Some(schema)) => schema::check(model, n, def, schema),
        _ => Vec::new(),
    };
    found.into_iter().map(|d| d.at(Place::node(label(model, node)))).collect()
}

struct Verifier<'m> {
    model: &'m Model,
    out: Vec<Diagnostic>,
    /// Regions visited.
    seen: HashSet<RegionId>,
    homes: HashMap<NodeId, RegionId>,
    in_function: bool,
}

/// What is visible at a place.
#[derive(Default)]
struct Scope<'m> {
    values: HashSet<ValueId>,
    names: HashMap<&'m str, ValueId>,
}

impl<'m> Verifier<'m> {
    fn error(&mut self, code: &'static str, message: String, place: Place) {
        self.out.push(Diagnostic::new(Severity::Error, code, message).at(place));
    }

    fn place(&self, node: NodeId) -> Place {
        Place::node(label(self.model, node))
    }

    fn value_name(&self, v: ValueId) -> String {
        match self.model.values.get(v) {
            Some(value) if !value.name.is_empty() => value.name.clone(),
            _ => format!("#{}", v.index()),
        }
    }

    fn root(&mut self, region: RegionId) {
        let mut scope = Scope::default();
        self.region(region, &mut scope);
    }

    /// Checks a region and those inside; what it defines is taken out of `scope` again.
    fn region(&mut self, id: RegionId, scope: &mut Scope<'m>) {
        let model = self.model;
        let Some(region) = model.regions.get(id) else {
            return self.error("ir.region.missing", format!("region #{} does not exist", id.index()), Place::default());
        };
        if !self.seen.insert(id) {
            let message = format!("region #{} is used twice", id.index());
            return self.error("ir.region.shared", message, Place::default());
        }
        let mut added = Vec::new();
        for (i, &p) in region.params.iter().enumerate() {
            let right = matches!(model.values.get(p).map(|v| &v.def), Some(Def::Param(r, k)) if *r == id && *k == i);
            self.define(p, right, scope, &mut added);
        }
        for &w in &region.weights {
            let def = model.values.get(w).map(|v| &v.def);
            self.define(w, matches!(def, Some(Def::Weight(r, _)) if *r == id), scope, &mut added);
            self.weight(w);
        }
        for &w in &region.exposed {
            if !region.weights.contains(&w) {
                let message = format!("{} is exposed as an input and is no initializer", self.value_name(w));
                self.error("ir.exposed", message, Place::tensor(self.value_name(w)));
            }
        }
        for &n in &region.body {
            self.node(id, n, scope, &mut added);
        }
        for &r in &region.results {
            self.visible(r, scope, Place::tensor(self.value_name(r)));
        }
        for v in added {
            scope.values.remove(&v);
            let name = model.values.get(v).map_or("", |v| v.name.as_str());
            if scope.names.get(name) == Some(&v) {
                scope.names.remove(name);
            }
        }
    }

    fn define(&mut self, v: ValueId, right: bool, scope: &mut Scope<'m>, added: &mut Vec<ValueId>) {
        let name = self.value_name(v);
        if !right {
            self.error("ir.value.def", format!("{name} does not know where it is defined"), Place::tensor(&name));
        }
        if !scope.values.insert(v) {
            self.error("ir.value.twice", format!("{name} is defined twice"), Place::tensor(&name));
            return;
        }
        added.push(v);
        let Some(value) = self.model.values.get(v) else { return };
        if !value.name.is_empty() && scope.names.insert(&value.name, v).is_some_and(|old| old != v) {
            self.error("ir.name.twice", format!("two values are called {name}"), Place::tensor(&name));
        }
    }

    fn visible(&mut self, v: ValueId, scope: &Scope, place: Place) {
        if self.model.values.get(v).is_none() {
            self.error("ir.value.missing", format!("value #{} does not exist", v.index()), place);
        } else if !scope.values.contains(&v) {
            let message = format!("{} is used where it is not defined", self.value_name(v));
            self.error("ir.value.order", message, place);
        }
    }

    fn node(&mut self, region: RegionId, id: NodeId, scope: &mut Scope<'m>, added: &mut Vec<ValueId>) {
        let model = self.model;
        let Some(node) = model.nodes.get(id) else {
            return self.error("ir.node.missing", format!("node #{} does not exist", id.index()), Place::default());
        };
        if self.homes.insert(id, region).is_some() {
            return self.error("ir.node.twice", "the node stands in two places".into(), self.place(id));
        }
        for v in node.inputs.iter().flatten() {
            self.visible(*v, scope, self.place(id));
        }
        for (_, r) in &node.regions {
            self.region(*r, scope);
        }
        self.operator(id);
        for (i, v) in node.outputs.iter().enumerate() {
            let Some(v) = *v else { continue };
            let def = model.values.get(v).map(|v| &v.def);
            let right = matches!(def, Some(Def::Node(n, k)) if *n == id && *k == i);
            self.define(v, right, scope, added);
        }
    }

    fn operator(&mut self, id: NodeId) {
        let node = &self.model.nodes[id];
        for (name, attr) in node.attrs.iter() {
            if matches!(attr, Attr::Ref(..)) && !self.in_function {
                let message = format!("attribute {name} refers to the caller outside of a function");
                self.error("ir.attr.ref", message, self.place(id));
            }
        }
        match &node.op {
            Op::Known(_) if self.model.stage == Stage::Foreign => {
                let message = "a hub operator in a model that is not of the hub yet".to_owned();
                self.error("ir.stage", message, self.place(id));
            }
            Op::Known(def) => {
                let found = schema::check(self.model, node, def, &def.schema);
                let place = self.place(id);
                self.out.extend(found.into_iter().map(|d| d.at(place.clone())));
            }
            Op::Call(f) => self.call(id, *f),
            Op::Foreign { .. } => {}
        }
    }

    fn call(&mut self, id: NodeId, f: FunctionId) {
        let node = &self.model.nodes[id];
        let region = self.model.functions.get(f).and_then(|f| self.model.regions.get(f.region));
        let Some(region) = region else {
            return self.error("ir.call", "the called function does not exist".into(), self.place(id));
        };
        if node.inputs.len() > region.params.len() || node.outputs.len() > region.results.len() {
            let message = format!(
                "the function takes {} operands and gives {} results, the call has {} and {}",
                region.params.len(),
                region.results.len(),
                node.inputs.len(),
                node.outputs.len()
            );
            self.error("ir.call", message, self.place(id));
        }
    }

    fn weight(&mut self, v: ValueId) {
        let Some(Def::Weight(_, w)) = self.model.values.get(v).map(|v| &v.def) else { return };
        let name = self.value_name(v);
        if let Err(message) = weights::check(w) {
            return self.error("ir.weight", message, Place::tensor(name));
        }
        let own = crate::Type::fixed(w.dtype(), &w.shape());
        let ty = &self.model.values[v].ty;
        if !own.refines(ty) {
            self.error("ir.weight.type", format!("the initializer is {own}, its type says {ty}"), Place::tensor(name));
        }
    }

    /// Nodes that stand in no region.
    fn orphans(&mut self) {
        for (id, _) in self.model.nodes.iter() {
            if !self.homes.contains_key(&id) {
                self.error("ir.node.orphan", "the node stands in no region".into(), self.place(id));
            }
        }
    }

    /// Functions that call each other in a circle.
    fn circles(&mut self) {
        let calls = |f: FunctionId| {
            let nodes = self.model.functions.get(f).map(|f| self.model.nodes_in(f.region)).unwrap_or_default();
            nodes.into_iter().filter_map(|n| match self.model.nodes.get(n)?.op {
                Op::Call(f) => Some(f),
                _ => None,
            })
        };
        let mut waiting = HashMap::new();
        let mut callers = HashMap::<_, Vec<_>>::new();
        for f in self.model.functions.ids() {
            let called = calls(f).collect::<HashSet<_>>();
            waiting.insert(f, called.len());
            called.into_iter().for_each(|c| callers.entry(c).or_default().push(f));
        }
        let mut free = waiting.iter().filter(|(_, n)| **n == 0).map(|(f, _)| *f).collect::<Vec<_>>();
        while let Some(f) = free.pop() {
            waiting.remove(&f);
            for caller in callers.remove(&f).unwrap_or_default() {
                if let Some(n) = waiting.get_mut(&caller) {
                    *n -= 1;
                    if *n == 0 {
                        free.push(caller);
                    }
                }
            }
        }
        let mut left = waiting.keys().filter_map(|f| self.model.functions.get(*f)).map(|f| &f.name).collect::<Vec<_>>();
        left.sort();
        if let Some(first) = left.first() {
            let message = format!("the function {first} calls itself, directly or through others");
            self.error("ir.function.circle", message, Place::default());
        }
    }
}

/// As [`Model::node_label`], for models whose ids may be stale.
fn label(model: &Model, id: NodeId) -> String {
    let Some(node) = model.nodes.get(id) else { return format!("#{}", id.index()) };
    let op = match &node.op {
        Op::Known(d) => d.name,
        Op::Foreign { name, .. } => name,
        Op::Call(f) => model.functions.get(*f).map_or("call", |f| f.name.as_str()),
    };
    match node.name.as_str() {
        "" => format!("{op}#{}", id.index()),
        name => format!("{name} ({op})"),
    }
}
