//! Copying regions, and putting bodies and functions where they are called.

use modelsmith_ir::{Attr, Attrs, Def, Edit, Model, NodeId, Op, OpSetImport, RegionId, Type, Value, ValueId};
use modelsmith_ops::infer::without_invented;
use std::collections::{HashMap, HashSet};

/// Most nodes that inlining may leave.
const MAX_NODES: usize = 1_000_000;

/// Inlines all calls of functions of the main graph, and removes the functions. A function is kept, with its calls,
/// where it imports another opset than the model, and foreign nodes in it would change their meaning.
///
/// Returns the number of calls inlined.
///
/// # Errors
/// When functions call each other in a circle, or the result would be too large.
pub fn inline_functions(model: &mut Model) -> Result<usize, String> {
    let mut done = 0;
    for _ in 0..64 {
        let calls = calls(model);
        if calls.is_empty() {
            break;
        }
        for (region, node) in calls {
            inline_call(model, region, node)?;
            done += 1;
            if model.nodes.len() > MAX_NODES {
                return Err("the functions of the model grow beyond a million nodes".into());
            }
        }
    }
    match calls(model).is_empty() {
        true => Ok(done),
        false => Err("functions call each other more than 64 deep".into()),
    }
}

/// Calls in the main graph and its bodies that can be inlined.
fn calls(model: &Model) -> Vec<(RegionId, NodeId)> {
    let regions = model.regions_in(model.main).into_iter();
    let nodes = regions.flat_map(|r| model.regions[r].body.iter().map(move |&n| (r, n)));
    nodes
        .filter(|&(_, n)| match model.nodes[n].op {
            Op::Call(f) => model.functions.get(f).is_some_and(|f| may_move(model, f.region, &f.opsets)),
            _ => false,
        })
        .collect()
}

/// Foreign nodes read their version from what the function imports.
fn may_move(model: &Model, region: RegionId, _opsets: &[OpSetImport]) -> bool {
    model.nodes_in(region).iter().all(|&n| match &model.nodes[n].op {
        Op::Foreign { domain, version, .. } => model.meta.opset(domain).is_none_or(|v| v == *version),
        _ => true,
    })
}

fn inline_call(model: &mut Model, region: RegionId, node: NodeId) -> Result<(), String> {
    let Op::Call(f) = model.nodes[node].op else { return Ok(()) };
    let function = model.functions[f].clone();
    let mut given = model.nodes[node].attrs.clone();
    for (name, value) in function.defaults.iter() {
        if given.get(name).is_none() {
            given.set(name, value.clone());
        }
    }
    let params = model.regions[function.region].params.clone();
    let mut map = HashMap::new();
    let mut absent = HashSet::new();
    for (i, p) in params.iter().enumerate() {
        match model.nodes[node].input(i) {
            Some(v) => drop(map.insert(*p, v)),
            None => drop(absent.insert(*p)),
        }
    }
    let at = model.regions[region].body.iter().position(|&n| n == node).ok_or("the call is in no region")?;
    let mut copier = Copier { model, map, absent, given: Some(given) };
    let results = copier.body_into(function.region, region, at);
    let outputs = model.nodes[node].outputs.clone();
    let mut edit = Edit::new(model);
    for (old, new) in outputs.into_iter().zip(results) {
        let (Some(old), Some(new)) = (old, new) else { continue };
        let name = edit.model().values[old].name.clone();
        edit.replace_uses(old, new);
        let value = &mut edit.model_mut().values[new];
        if value.name.is_empty() && matches!(value.def, Def::Node(..)) {
            value.name = name;
        }
    }
    edit.remove(node);
    Ok(())
}

/// Copies the body of `from` before position `at` of `to`, with `map` from its parameters to values; returns its results.
pub fn copy_body(
    model: &mut Model,
    from: RegionId,
    to: RegionId,
    at: usize,
    map: HashMap<ValueId, ValueId>,
) -> Vec<Option<ValueId>> {
    Copier { model, map, absent: HashSet::new(), given: None }.body_into(from, to, at)
}

struct Copier<'m> {
    model: &'m mut Model,
    map: HashMap<ValueId, ValueId>,
    /// Parameters for which the call gives nothing.
    absent: HashSet<ValueId>,
    /// Attributes of the call.
    given: Option<Attrs>,
}

impl Copier<'_> {
    fn body_into(&mut self, from: RegionId, to: RegionId, mut at: usize) -> Vec<Option<ValueId>> {
        let source = self.model.regions[from].clone();
        for w in source.weights {
            self.weight(w, to);
        }
        for n in source.body {
            let copy = self.node(n);
            self.model.regions[to].body.insert(at, copy);
            at += 1;
        }
        source.results.iter().map(|v| self.value(*v)).collect()
    }

    fn value(&self, v: ValueId) -> Option<ValueId> {
        if self.absent.contains(&v) {
            return None;
        }
        Some(self.map.get(&v).copied().unwrap_or(v))
    }

    /// A copy loses its name, which the original keeps, and the names of sizes that are its own.
    fn fresh(&mut self, old: ValueId, def: Def) -> ValueId {
        let value = &self.model.values[old];
        let ty = match value.ty {
            Type::Unknown => Type::Unknown,
            ref ty => without_invented(ty),
        };
        let new = Value { name: String::new(), ty, def, origin: value.origin.clone() };
        let id = self.model.values.push(new);
        self.map.insert(old, id);
        id
    }

    fn weight(&mut self, w: ValueId, to: RegionId) {
        let Def::Weight(_, expr) = self.model.values[w].def.clone() else { return };
        let id = self.fresh(w, Def::Weight(to, expr));
        self.model.regions[to].weights.push(id);
    }

    fn node(&mut self, n: NodeId) -> NodeId {
        let mut node = self.model.nodes[n].clone();
        node.inputs = node.inputs.iter().map(|v| v.and_then(|v| self.value(v))).collect();
        if let Some(given) = &self.given {
            node.attrs = bound(&node.attrs, given);
        }
        let outputs = std::mem::take(&mut node.outputs);
        let regions = std::mem::take(&mut node.regions);
        node.name = String::new();
        let id = self.model.nodes.push(node);
        for (name, r) in regions {
            let copy = self.region(r);
            self.model.nodes[id].regions.push((name, copy));
        }
        for (i, v) in outputs.into_iter().enumerate() {
            let v = v.map(|v| self.fresh(v, Def::Node(id, i)));
            self.model.nodes[id].outputs.push(v);
        }
        id
    }

    fn region(&mut self, r: RegionId) -> RegionId {
        let source = self.model.regions[r].clone();
        let id = self.model.add_region(&source.name);
        for (i, p) in source.params.iter().enumerate() {
            let p = self.fresh(*p, Def::Param(id, i));
            self.model.regions[id].params.push(p);
        }
        let results = self.body_into(r, id, 0);
        self.model.regions[id].results = results.into_iter().flatten().collect();
        self.model.regions[id].origin = source.origin;
        id
    }
}

/// Attributes with references to those of the call replaced; one that the call does not give is left out.
fn bound(attrs: &Attrs, given: &Attrs) -> Attrs {
    let mut out = Attrs::new();
    for (name, value) in attrs.iter() {
        match value {
            Attr::Ref(source, _) => given.get(source).into_iter().for_each(|v| out.set(name, v.clone())),
            other => out.set(name, other.clone()),
        }
    }
    out
}

/// Moves the body of region `from` before position `at` of `to` and leaves `from` empty; returns its results.
/// Names that would meet others are dropped.
pub fn move_body(model: &mut Model, from: RegionId, to: RegionId, at: usize) -> Vec<ValueId> {
    let inside = model.regions_in(from).into_iter().collect::<HashSet<_>>();
    let taken = names_outside(model, &inside);
    let source = std::mem::take(&mut model.regions[from]);
    for &w in &source.weights {
        if let Def::Weight(r, _) = &mut model.values[w].def {
            *r = to;
        }
    }
    let outputs = source.body.iter().flat_map(|&n| model.nodes[n].outputs.iter().flatten().copied());
    for v in outputs.chain(source.weights.iter().copied()).collect::<Vec<_>>() {
        if taken.contains(&model.values[v].name) {
            model.values[v].name = String::new();
        }
    }
    model.regions[to].weights.extend(source.weights);
    model.regions[to].body.splice(at..at, source.body);
    source.results
}

/// Names of all values that are defined outside of these regions.
fn names_outside(model: &Model, inside: &HashSet<RegionId>) -> HashSet<String> {
    let homes = model.regions.iter().flat_map(|(r, region)| region.body.iter().map(move |&n| (n, r)));
    let homes = homes.collect::<HashMap<_, _>>();
    let outside = model.values.iter().filter(|(_, v)| match &v.def {
        Def::Param(r, _) | Def::Weight(r, _) => !inside.contains(r),
        Def::Node(n, _) => homes.get(n).is_none_or(|r| !inside.contains(r)),
        Def::Nothing => true,
    });
    outside.map(|(_, v)| v.name.clone()).collect()
}
