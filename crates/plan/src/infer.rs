//! Types of all values of a region, with a symbol of its own for every size that only a run can tell.

use modelsmith_ir::{
    Attr, AttrView, Attrs, Def, Dim, Fact, InferCx, InferRegion, Model, Node, Op, OpResult, RegionId, SymTensor, Type,
    ValueId, fact_of,
};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

/// What is known of the values in reach of a region.
pub(crate) type Facts = HashMap<ValueId, Fact>;

/// Names the sizes that nothing determines before a run.
#[derive(Default)]
pub(crate) struct Namer {
    next: Cell<usize>,
}

impl Namer {
    /// A symbol that nothing else uses.
    pub fn fresh(&self) -> Dim {
        let n = self.next.get();
        self.next.set(n + 1);
        Dim::symbol(&format!("?{n}"))
    }

    /// `ty` with a fresh symbol for each size that is unknown, or that names a symbol outside `known`.
    pub fn bind(&self, ty: &Type, known: &mut HashSet<String>) -> Type {
        let Type::Tensor(t) = ty else { return ty.clone() };
        let mut t = t.clone();
        for d in t.shape.iter_mut().flatten() {
            if !in_reach(d, known) {
                *d = self.fresh();
                known.extend(d.symbols().iter().map(|s| s.to_string()));
            }
        }
        Type::Tensor(t)
    }

    /// `ty` with a fresh symbol for every size that is not a number (`all`: for every size).
    pub fn rename(&self, ty: &Type, all: bool) -> Type {
        let Type::Tensor(t) = ty else { return ty.clone() };
        let mut t = t.clone();
        for d in t.shape.iter_mut().flatten() {
            if all || d.size().is_none() {
                *d = self.fresh();
            }
        }
        Type::Tensor(t)
    }
}

fn in_reach(d: &Dim, known: &HashSet<String>) -> bool {
    match d {
        Dim::Known(n) => *n >= 0,
        Dim::Unknown => false,
        Dim::Expr(_) => d.symbols().iter().all(|s| known.contains(s.as_ref())),
    }
}

/// Attributes of a node inside a called function, with references to the call's attributes replaced.
pub(crate) fn resolve(attrs: &Attrs, call: Option<&(Attrs, Attrs)>) -> Attrs {
    let mut out = Attrs::new();
    for (name, value) in attrs.iter() {
        match value {
            Attr::Ref(source, _) => {
                if let Some((given, defaults)) = call
                    && let Some(found) = given.get(source).or_else(|| defaults.get(source))
                {
                    out.set(name, found.clone());
                }
            }
            other => out.set(name, other.clone()),
        }
    }
    out
}

/// Infers regions.
pub(crate) struct Infer<'a> {
    pub model: &'a Model,
    pub namer: &'a Namer,
    /// Attributes of the call whose function is inferred, and their defaults.
    pub call: Option<&'a (Attrs, Attrs)>,
    /// Symbols that have a value when the region runs.
    pub known: RefCell<HashSet<String>>,
    pub depth: usize,
}

/// Bodies and calls nested deeper than this are not looked into.
const MAX_DEPTH: usize = 64;

impl Infer<'_> {
    /// Facts of all nodes of `region`, added to `facts`.
    pub fn region(&self, region: RegionId, facts: &mut Facts) {
        for &n in &self.model.regions[region].body {
            let node = &self.model.nodes[n];
            for (slot, fact) in node.outputs.iter().zip(self.node(node, facts)) {
                if let Some(v) = slot {
                    facts.insert(*v, fact);
                }
            }
        }
    }

    /// The fact of a value in reach.
    pub fn fact(&self, v: ValueId, facts: &Facts) -> Fact {
        match (facts.get(&v), &self.model.values[v].def) {
            (Some(f), _) => f.clone(),
            (None, Def::Weight(..)) => fact_of(self.model, v),
            _ => Fact::default(),
        }
    }

    fn node(&self, node: &Node, facts: &Facts) -> Vec<Fact> {
        let inputs = node.inputs.iter().map(|v| v.map(|v| self.fact(v, facts))).collect::<Vec<_>>();
        let mut out = match &node.op {
            Op::Known(def) => {
                let attrs = resolve(&node.attrs, self.call);
                let bodies = Bodies { infer: self, node, facts };
                let mut cx = InferCx::new(AttrView::new(def, &attrs), &inputs, node.outputs.len(), &bodies);
                match (def.infer)(&mut cx) {
                    Ok(()) => cx.finish(),
                    // The step itself will say at run time what is wrong, if it is reached.
                    Err(_) => vec![Fact::default(); node.outputs.len()],
                }
            }
            _ => vec![Fact::default(); node.outputs.len()],
        };
        out.resize(node.outputs.len(), Fact::default());
        for (fact, slot) in out.iter_mut().zip(&node.outputs) {
            let declared = slot.map(|v| self.model.ty(v).clone()).unwrap_or_default();
            if fact.ty.shape().is_none() && matches!(fact.ty, Type::Unknown | Type::Tensor(_)) {
                fact.ty = fact.ty.meet(&declared);
            }
            fact.ty = self.namer.bind(&fact.ty, &mut self.known.borrow_mut());
            self.check_value(fact);
        }
        out
    }

    /// Drops symbolic elements that name sizes out of reach.
    fn check_value(&self, fact: &mut Fact) {
        let known = self.known.borrow();
        let in_reach = |v: &SymTensor| v.dims.iter().all(|d| d.symbols().iter().all(|s| known.contains(s.as_ref())));
        if fact.value.as_ref().is_some_and(|v| !in_reach(v)) {
            fact.value = None;
        }
    }
}

struct Bodies<'a> {
    infer: &'a Infer<'a>,
    node: &'a Node,
    facts: &'a Facts,
}

impl InferRegion for Bodies<'_> {
    fn infer(&self, name: &str, params: &[Fact]) -> OpResult<Vec<Fact>> {
        let Some(region) = self.node.region(name).filter(|_| self.infer.depth < MAX_DEPTH) else { return Ok(vec![]) };
        let model = self.infer.model;
        let r = &model.regions[region];
        let inner = Infer {
            model,
            namer: self.infer.namer,
            call: self.infer.call,
            known: RefCell::new(self.infer.known.borrow().clone()),
            depth: self.infer.depth + 1,
        };
        let mut facts = self.facts.clone();
        for (i, &p) in r.params.iter().enumerate() {
            // What is carried may change between iterations, values above all.
            let ty = params.get(i).map(|f| f.ty.clone()).unwrap_or_default().meet(model.ty(p));
            let ty = inner.namer.bind(&ty, &mut inner.known.borrow_mut());
            facts.insert(p, Fact::of(ty));
        }
        inner.region(region, &mut facts);
        Ok(r.results.iter().map(|&v| inner.fact(v, &facts)).collect())
    }
}
