//! Shape and type inference of a whole model, with symbolic values of small integer tensors.
//!
//! Types grow finer, never wider: what a file declares is met with what follows from the operators. A dimension of
//! which nothing is known gets a name of its own ([`is_invented`]), so that two tensors of the same unknown size are
//! known to be alike.

use crate::error::Error;
use modelsmith_base::{DType, Diagnostic, Place, Severity};
use modelsmith_ir::{
    Attr, AttrView, Attrs, Dim, Fact, FunctionId, InferCx, InferRegion, Model, NodeId, Op, OpError, OpResult, RegionId,
    SymTensor, TensorType, Type, ValueId, fact_of,
};
use modelsmith_tensor::Tensor;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

/// Function calls nested deeper than this are not followed.
const MAX_CALLS: usize = 32;
/// Symbolic values of more elements are not followed.
const MAX_VALUE: usize = 1024;

/// What is known of the values of a model.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    by_value: HashMap<ValueId, Fact>,
}

impl Facts {
    /// What is known of `value`; its declared type where it was not inferred.
    pub fn get(&self, model: &Model, value: ValueId) -> Fact {
        match self.by_value.get(&value) {
            Some(f) => f.clone(),
            None => declared(model, value),
        }
    }

    /// The elements of `value` as expressions, when they are known.
    pub fn value(&self, value: ValueId) -> Option<&SymTensor> {
        self.by_value.get(&value)?.value.as_ref()
    }

    /// The tensor itself, when it is small and follows from the types.
    pub fn constant(&self, value: ValueId) -> Option<&Tensor> {
        self.by_value.get(&value)?.constant.as_ref()
    }

    /// Infers one node of the hub without bodies and remembers its results; their types are written to the model
    /// where they are finer. For nodes that a rewrite adds.
    ///
    /// # Errors
    /// When the node breaks its specification.
    pub fn add_node(&mut self, model: &mut Model, node: NodeId) -> OpResult<()> {
        let walk = Walk::new(model, self.clone_inputs(model, node));
        let facts = walk.node_facts(node, &model.nodes[node].attrs)?;
        let outputs = model.nodes[node].outputs.clone();
        for (v, fact) in outputs.into_iter().zip(facts) {
            let Some(v) = v else { continue };
            let mut fact = walk_settle(model, v, fact, &mut Vec::new());
            name_unknown(&mut fact.ty, v, &mut Vec::new());
            model.values[v].ty = fact.ty.clone();
            self.by_value.insert(v, fact);
        }
        Ok(())
    }

    fn clone_inputs(&self, model: &Model, node: NodeId) -> HashMap<ValueId, Fact> {
        let operands = model.nodes[node].inputs.iter().flatten();
        operands.filter_map(|v| Some((*v, self.by_value.get(v)?.clone()))).collect()
    }
}

/// True for the names that inference gives to dimensions of which nothing is known. They mean nothing outside of
/// this program.
pub fn is_invented(symbol: &str) -> bool {
    symbol.strip_prefix("_d").and_then(|s| s.split_once('_')).is_some_and(|(value, axis)| {
        let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        number(value) && number(axis)
    })
}

/// The type with invented names taken out: what may be written to a file.
pub fn without_invented(ty: &Type) -> Type {
    map_dims(ty, &|d| match d.symbols().iter().any(|s| is_invented(s)) {
        true => Dim::Unknown,
        false => d.clone(),
    })
}

/// The type with `f` of each dimension.
pub(crate) fn map_dims(ty: &Type, f: &dyn Fn(&Dim) -> Dim) -> Type {
    let tensor =
        |t: &TensorType| TensorType { dtype: t.dtype, shape: t.shape.as_ref().map(|s| s.iter().map(f).collect()) };
    match ty {
        Type::Tensor(t) => Type::Tensor(tensor(t)),
        Type::Sparse(t) => Type::Sparse(tensor(t)),
        Type::Sequence(t) => Type::Sequence(Box::new(map_dims(t, f))),
        Type::Optional(t) => Type::Optional(Box::new(map_dims(t, f))),
        Type::Map(k, t) => Type::Map(*k, Box::new(map_dims(t, f))),
        other => other.clone(),
    }
}

/// Infers all values of the main graph and of the bodies in it, and writes their types to the model. Returns what is
/// known, and a diagnostic for each node that breaks its specification and each declared type that contradicts
/// what follows from the operators.
pub fn infer(model: &mut Model) -> (Facts, Vec<Diagnostic>) {
    let (facts, found) = {
        let walk = Walk::new(model, HashMap::new());
        walk.region(model.main, None);
        (walk.facts.into_inner(), walk.found.into_inner())
    };
    for (&v, fact) in &facts {
        if let Some(value) = model.values.get_mut(v) {
            value.ty = fact.ty.clone();
        }
    }
    (Facts { by_value: facts }, found)
}

/// As [`infer`], failing on the first diagnostic.
///
/// # Errors
/// When a node breaks its specification or a declared type contradicts it.
pub fn infer_strict(model: &mut Model) -> Result<Facts, Error> {
    let (facts, found) = infer(model);
    match found.first() {
        None => Ok(facts),
        Some(d) => Err(Error::Model(d.to_string())),
    }
}

/// What the file says of a value: its type, and its elements when it is a small constant that no caller overrides.
fn declared(model: &Model, value: ValueId) -> Fact {
    match model.overridable(value) {
        true => Fact::of(model.ty(value).clone()),
        false => fact_of(model, value),
    }
}

struct Walk<'m> {
    model: &'m Model,
    facts: RefCell<HashMap<ValueId, Fact>>,
    found: RefCell<Vec<Diagnostic>>,
    /// Names invented so far; those of a body end with it.
    invented: RefCell<Vec<String>>,
    /// Nodes that may still be visited: bodies and functions may be walked more than once, but not without end.
    fuel: Cell<usize>,
    /// Attributes of the calls around, innermost last.
    calls: RefCell<Vec<Attrs>>,
}

impl<'m> Walk<'m> {
    fn new(model: &'m Model, facts: HashMap<ValueId, Fact>) -> Walk<'m> {
        Walk {
            model,
            facts: RefCell::new(facts),
            found: RefCell::default(),
            invented: RefCell::default(),
            fuel: Cell::new(10_000 + 32 * model.nodes.len()),
            calls: RefCell::default(),
        }
    }

    /// Walks a region; `params` are facts that hold besides the declared types.
    fn region(&self, id: RegionId, params: Option<&[Fact]>) -> Vec<Fact> {
        let region = &self.model.regions[id];
        for (i, &p) in region.params.iter().enumerate() {
            let given = params.and_then(|p| p.get(i)).cloned().unwrap_or_default();
            let mut found = Vec::new();
            let mut fact = settle(given, &Fact::of(self.model.ty(p).clone()), &mut found);
            name_unknown(&mut fact.ty, p, &mut self.invented.borrow_mut());
            self.facts.borrow_mut().insert(p, fact);
        }
        for &w in &region.weights {
            self.facts.borrow_mut().insert(w, declared(self.model, w));
        }
        for &n in &region.body {
            self.node(n);
        }
        region.results.iter().map(|&v| self.fact(v)).collect()
    }

    fn fact(&self, v: ValueId) -> Fact {
        match self.facts.borrow().get(&v) {
            Some(f) => f.clone(),
            None => declared(self.model, v),
        }
    }

    fn report(&self, node: NodeId, code: &'static str, message: String) {
        // Bodies are walked more than once.
        let d = Diagnostic::new(Severity::Warning, code, message).at(Place::node(self.model.node_label(node)));
        let mut found = self.found.borrow_mut();
        if !found.contains(&d) {
            found.push(d);
        }
    }

    fn node(&self, id: NodeId) {
        let node = &self.model.nodes[id];
        let Some(fuel) = self.fuel.get().checked_sub(1) else { return };
        self.fuel.set(fuel);
        let resolved;
        let attrs = match self.calls.borrow().last() {
            Some(given) => {
                resolved = resolve(&node.attrs, given);
                &resolved
            }
            None => &node.attrs,
        };
        let facts = self.node_facts(id, attrs).unwrap_or_else(|e| {
            self.report(id, "shape.invalid", e.to_string());
            vec![Fact::default(); node.outputs.len()]
        });
        for (v, fact) in node.outputs.iter().zip(facts) {
            let Some(v) = *v else { continue };
            let mut contradictions = Vec::new();
            let mut fact = walk_settle(self.model, v, fact, &mut contradictions);
            for message in contradictions {
                let name = &self.model.values[v].name;
                self.report(id, "shape.contradiction", format!("{name}: {message}"));
            }
            name_unknown(&mut fact.ty, v, &mut self.invented.borrow_mut());
            self.facts.borrow_mut().insert(v, fact);
        }
    }

    fn node_facts(&self, id: NodeId, attrs: &Attrs) -> OpResult<Vec<Fact>> {
        let node = &self.model.nodes[id];
        let inputs = node.inputs.iter().map(|v| v.map(|v| self.fact(v))).collect::<Vec<_>>();
        match node.op {
            Op::Known(def) => {
                let bodies = Bodies { walk: self, node: id, seen: RefCell::default() };
                let mut cx = InferCx::new(AttrView::new(def, attrs), &inputs, node.outputs.len(), &bodies);
                let done = (def.infer)(&mut cx);
                let out = cx.finish();
                // Bodies that the operator did not ask for are walked with what they declare.
                for (name, region) in &node.regions {
                    if !bodies.seen.borrow().contains(name.as_str()) {
                        self.body(*region, None);
                    }
                }
                done.map(|()| out.into_iter().map(complete).collect())
            }
            Op::Call(f) => Ok(self.call(f, attrs, &inputs)),
            Op::Foreign { .. } => {
                for (_, region) in &node.regions {
                    self.body(*region, None);
                }
                Ok(vec![Fact::default(); node.outputs.len()])
            }
        }
    }

    /// Walks a body; names invented inside do not leave it.
    fn body(&self, region: RegionId, params: Option<&[Fact]>) -> Vec<Fact> {
        let before = self.invented.borrow().len();
        let results = self.region(region, params);
        let inner = self.invented.borrow_mut().split_off(before).into_iter().collect::<HashSet<_>>();
        let hide = |d: &Dim| match inner.is_empty() {
            true => d.clone(),
            false => d.substitute(&|s| inner.contains(s).then_some(Dim::Unknown)),
        };
        let hidden = results.into_iter().map(|f| Fact {
            ty: map_dims(&f.ty, &hide),
            value: f.value.map(|v| SymTensor { shape: v.shape, dims: v.dims.iter().map(hide).collect() }),
            constant: f.constant,
        });
        hidden.collect()
    }

    /// Results of a function on these operands. Types of its body depend on the call, so they are not kept.
    fn call(&self, f: FunctionId, attrs: &Attrs, inputs: &[Option<Fact>]) -> Vec<Fact> {
        let Some(function) = self.model.functions.get(f) else { return Vec::new() };
        if self.calls.borrow().len() >= MAX_CALLS || self.fuel.get() == 0 {
            return Vec::new();
        }
        let mut given = attrs.clone();
        for (name, value) in function.defaults.iter() {
            if given.get(name).is_none() {
                given.set(name, value.clone());
            }
        }
        let kept = self.facts.replace(HashMap::new());
        self.calls.borrow_mut().push(given);
        let params = inputs.iter().map(|f| f.clone().unwrap_or_default()).collect::<Vec<_>>();
        let results = self.body(function.region, Some(&params));
        self.calls.borrow_mut().pop();
        self.facts.replace(kept);
        results
    }
}

fn resolve(attrs: &Attrs, given: &Attrs) -> Attrs {
    let mut out = Attrs::new();
    for (name, value) in attrs.iter() {
        match value {
            Attr::Ref(source, _) => {
                if let Some(value) = given.get(source) {
                    out.set(name, value.clone());
                }
            }
            other => out.set(name, other.clone()),
        }
    }
    out
}

struct Bodies<'w, 'm> {
    walk: &'w Walk<'m>,
    node: NodeId,
    seen: RefCell<HashSet<String>>,
}

impl InferRegion for Bodies<'_, '_> {
    fn infer(&self, name: &str, params: &[Fact]) -> OpResult<Vec<Fact>> {
        let region = self.walk.model.nodes[self.node].region(name);
        let region = region.ok_or_else(|| OpError::invalid(format!("body {name} is missing")))?;
        self.seen.borrow_mut().insert(name.into());
        let wanted = self.walk.model.regions[region].params.len();
        if wanted != params.len() {
            return Err(OpError::invalid(format!("body {name} takes {wanted} inputs, {} given", params.len())));
        }
        Ok(self.walk.body(region, Some(params)))
    }
}

/// Fills in what follows from the rest of a fact: a tensor whose elements are all numbers is a constant, and a type
/// whose element type and sizes are those of its elements.
fn complete(mut fact: Fact) -> Fact {
    if fact.value.as_ref().is_some_and(|v| v.dims.len() > MAX_VALUE || v.dims.len() != v.shape.iter().product()) {
        fact.value = None;
    }
    let dtype = fact.ty.dtype().filter(|d| d.is_int() || *d == DType::Bool);
    if let (Some(v), Some(dtype), None) = (&fact.value, dtype, &fact.constant) {
        fact.constant = v.known().and_then(|n| Tensor::from_i64s(dtype, &v.shape, &n).ok());
    }
    fact
}

/// What follows from the operator, met with what the model declares of the value.
fn walk_settle(model: &Model, v: ValueId, inferred: Fact, contradictions: &mut Vec<String>) -> Fact {
    // The elements of Constant nodes are read by `declared`.
    let known = declared(model, v);
    let mut out = settle(inferred, &known, contradictions);
    if out.constant.is_none() {
        out.constant = known.constant;
    }
    if out.value.is_none() {
        out.value = known.value;
    }
    out
}

fn settle(inferred: Fact, declared: &Fact, contradictions: &mut Vec<String>) -> Fact {
    let ty = match (&inferred.ty, &declared.ty) {
        (Type::Tensor(a), Type::Tensor(b)) => Type::Tensor(settle_tensor(a, b, contradictions)),
        (a, b) => a.meet(b),
    };
    Fact { ty, ..inferred }
}

fn settle_tensor(inferred: &TensorType, declared: &TensorType, contradictions: &mut Vec<String>) -> TensorType {
    let dtype = match (inferred.dtype, declared.dtype) {
        (Some(a), Some(b)) if a != b => {
            contradictions.push(format!("the element type is declared {b} and follows to be {a}"));
            Some(a)
        }
        (a, b) => a.or(b),
    };
    let shape = match (&inferred.shape, &declared.shape) {
        (Some(a), Some(b)) if a.len() != b.len() => {
            contradictions.push(format!("the rank is declared {} and follows to be {}", b.len(), a.len()));
            Some(a.clone())
        }
        (Some(a), Some(b)) => {
            let dims = a.iter().zip(b).enumerate();
            Some(dims.map(|(axis, (a, b))| settle_dim(axis, a, b, contradictions)).collect())
        }
        (a, b) => a.clone().or_else(|| b.clone()),
    };
    TensorType { dtype, shape }
}

fn settle_dim(axis: usize, inferred: &Dim, declared: &Dim, contradictions: &mut Vec<String>) -> Dim {
    match (inferred, declared) {
        (Dim::Unknown, d) | (d, Dim::Unknown) => d.clone(),
        (Dim::Known(a), Dim::Known(b)) if a != b => {
            contradictions.push(format!("axis {axis} is declared {b} and follows to be {a}"));
            inferred.clone()
        }
        (Dim::Known(_), _) => inferred.clone(),
        (_, Dim::Known(_)) => declared.clone(),
        // A name of the file says more than one made here.
        (i, d) if i.as_symbol().is_some_and(is_invented) => d.clone(),
        (i, _) => i.clone(),
    }
}

/// Gives a name to each dimension of a tensor of which nothing is known, and notes those given before.
fn name_unknown(ty: &mut Type, v: ValueId, invented: &mut Vec<String>) {
    let Type::Tensor(TensorType { shape: Some(shape), .. }) = ty else { return };
    for (axis, d) in shape.iter_mut().enumerate() {
        let unknown = *d == Dim::Unknown;
        if !unknown && !d.as_symbol().is_some_and(is_invented) {
            continue;
        }
        let name = format!("_d{}_{axis}", v.index());
        if unknown {
            *d = Dim::symbol(&name);
        }
        if d.as_symbol() == Some(&name) {
            invented.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_ir::{AttrDef, AttrKind, OpDef, OpSet, Param, Schema, text::parse};

    /// Add, Identity, and a conditional whose results join those of its bodies.
    fn ops() -> OpSet {
        static IF: OpDef = OpDef {
            name: "If",
            schema: Schema {
                inputs: &[Param::one("cond", "B")],
                outputs: &[Param::mixed("out", "V", 1)],
                attrs: &[AttrDef::required("then", AttrKind::Graph), AttrDef::required("else", AttrKind::Graph)],
                types: &[],
            },
            infer: |cx| {
                let (a, b) = (cx.region("then", &[])?, cx.region("else", &[])?);
                for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                    cx.set(i, a.ty.join(&b.ty));
                }
                Ok(())
            },
            ..OpDef::BASE
        };
        let mut all = crate::all().iter().filter(|d| d.name != "If").collect::<Vec<_>>();
        all.push(&IF);
        OpSet::new(&all)
    }

    fn types(text: &str) -> (String, Vec<String>) {
        let mut m = parse(text, &ops()).unwrap();
        let (_, found) = infer(&mut m);
        let types = m.graph().results.iter().map(|&v| m.ty(v).to_string()).collect::<Vec<_>>();
        (types.join(" "), found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn symbols_of_the_file_are_kept_and_unknown_sizes_get_names() {
        let (ty, found) = types("graph(%x: f32[n, ?]) { %y = Add(%x, %x) %z = Foo@1(%y) return %y, %z }");
        assert_eq!((ty.as_str(), found.len()), ("f32[n, _d0_1] ?", 0));
        assert!(is_invented("_d0_1") && !is_invented("_d0") && !is_invented("_dx_1") && !is_invented("n"));
        assert_eq!(without_invented(&Type::tensor(DType::F32, &[Dim::symbol("_d0_1")])).to_string(), "f32[?]");
    }

    #[test]
    fn declared_types_are_met_and_contradictions_reported() {
        let (ty, found) =
            types("graph(%x: f32[?, 3]) { %y: f32[m, ?] = Foo@1(%x) %z: f32[m, 4] = Add(%x, %x) return %y, %z }");
        assert_eq!(ty, "f32[m, _d1_1] f32[m, 3]");
        assert_eq!(found, ["warning[shape.contradiction]: z: axis 1 is declared 4 and follows to be 3 (node Add#1)"]);
        let (_, found) = types("graph(%x: f32[2], %y: f32[3]) { %z = Add(%x, %y) return %z }");
        assert!(found[0].contains("do not broadcast"), "{found:?}");
    }

    #[test]
    fn bodies_are_walked_and_their_names_stay_inside() {
        let text = "graph(%x: f32[n], %c: bool[]) {
          %y, %z = If(%c) {then = graph() {
            %a: f32[?] = Foo@1(%x)
            %b = Add(%a, %a)
            return %b, %x
          }, else = graph() {
            %d = Add(%x, %x)
            return %d, %x
          }}
          return %y, %z
        }";
        let mut m = parse(text, &ops()).unwrap();
        for _ in 0..2 {
            let (_, found) = infer(&mut m);
            assert!(found.is_empty(), "{found:?}");
        }
        let by_name = |name: &str| m.values.iter().find(|(_, v)| v.name == name).unwrap().1.ty.to_string();
        assert_eq!((by_name("d").as_str(), by_name("z").as_str()), ("f32[n]", "f32[n]"));
        assert!(by_name("b").starts_with("f32[_d"), "{}", by_name("b"));
        assert_ne!(by_name("b"), by_name("y"));
    }

    #[test]
    fn functions_are_followed_per_call_and_without_end_they_stop() {
        let text = "function f.Twice graph(%a) { %b = Add(%a, %a) return %b }
        graph(%x: f32[n], %y: f32[2]) {
          %u = call f.Twice(%x)
          %v = call f.Twice(%y)
          return %u, %v
        }";
        assert_eq!(types(text), ("f32[n] f32[2]".into(), vec![]));
        let circle = "function f.A graph(%a) { %b = call f.A(%a) %c = call f.A(%a) return %b }
          graph(%x: f32[n]) { %u = call f.A(%x) return %u }";
        assert_eq!(types(circle).0, "?");
    }

    #[test]
    fn initializers_that_a_caller_may_override_are_no_constants() {
        let fact = |meta: &str| {
            let text = format!("{meta} graph() {{ weight %w = i64[2] [1, 2] expose %w return %w }}");
            let mut m = parse(&text, &ops()).unwrap();
            let (facts, _) = infer(&mut m);
            facts.value(m.graph().results[0]).is_some()
        };
        assert!(!fact("meta {ir_version = 8}"));
        assert!(fact("meta {ir_version = 3}"));
    }
}
