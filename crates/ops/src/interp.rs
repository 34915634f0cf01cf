//! The reference backend: runs a hub model node by node through each operator's `eval`.

use crate::error::{Error, Result};
use crate::run::{Opts, Runner, Running, Watch, bind};
use modelsmith_base::Budget;
use modelsmith_ir::{
    Attr, AttrView, Attrs, Def, EvalCx, Model, Node, NodeId, Op, OpError, OpResult, RegionId, RunRegion, Type, ValueId,
};
use modelsmith_tensor::{DType, Evaluator, Tensor, Value, materialize};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The `reference` backend.
pub struct Reference;

impl Runner for Reference {
    fn name(&self) -> &str {
        "reference"
    }

    fn load(&self, model: &Model, opts: &Opts) -> Result<Box<dyn Running>> {
        let reachable = reachable_nodes(model);
        let missing = reachable.iter().filter(|&&n| matches!(model.nodes[n].op, Op::Foreign { .. }));
        let missing = missing.map(|&n| format!("{}: no such operator", model.node_label(n))).collect::<Vec<_>>();
        match missing.is_empty() {
            true => Ok(Box::new(Interpreter {
                model: model.clone(),
                weights: RefCell::default(),
                room: Cell::new(opts.kept_weights.unwrap_or(u64::MAX)),
            })),
            false => Err(Error::Unsupported(missing)),
        }
    }
}

fn reachable_nodes(model: &Model) -> Vec<NodeId> {
    let mut out = model.nodes_in(model.main);
    let mut seen = std::collections::HashSet::new();
    let mut at = 0;
    while at < out.len() {
        if let Op::Call(f) = model.nodes[out[at]].op
            && seen.insert(f)
        {
            out.extend(model.nodes_in(model.functions[f].region));
        }
        at += 1;
    }
    out
}

/// Calls nested deeper than this are refused: a function may call itself only by mistake.
const MAX_DEPTH: usize = 64;

struct Interpreter {
    model: Model,
    weights: RefCell<HashMap<ValueId, Value>>,
    /// Bytes by which the kept weights may grow.
    room: Cell<u64>,
}

impl Running for Interpreter {
    fn run(&mut self, inputs: &[Value], watch: Watch) -> Result<Vec<Value>> {
        bind(&self.model, inputs)?;
        let watch = RefCell::new(watch);
        let frame = Frame { machine: self, parent: None, values: RefCell::default(), call: None, depth: 0 };
        frame.run(self.model.main, inputs, &mut |v, x| (*watch.borrow_mut())(v, x))
    }
}

/// The values of one region while it runs; values of outer regions are found through `parent`.
struct Frame<'a> {
    machine: &'a Interpreter,
    parent: Option<&'a Frame<'a>>,
    values: RefCell<HashMap<ValueId, Value>>,
    /// Attributes of the function call whose body runs.
    call: Option<(&'a Attrs, &'a Attrs)>,
    depth: usize,
}

impl Frame<'_> {
    fn get(&self, id: ValueId) -> Result<Value> {
        if let Some(v) = self.values.borrow().get(&id) {
            return Ok(v.clone());
        }
        if let Def::Weight(_, w) = &self.machine.model.values[id].def {
            if let Some(v) = self.machine.weights.borrow().get(&id) {
                return Ok(v.clone());
            }
            let fail = |source| Error::Weight { tensor: self.machine.model.values[id].name.clone(), source };
            let v = Value::Tensor(materialize(w, &Operators, &Budget::unlimited()).map_err(fail)?);
            if let Some(left) = self.machine.room.get().checked_sub(w.byte_len()) {
                self.machine.room.set(left);
                self.machine.weights.borrow_mut().insert(id, v.clone());
            }
            return Ok(v);
        }
        match self.parent {
            Some(p) => p.get(id),
            None => {
                Err(Error::Model(format!("value {:?} is used before it is made", self.machine.model.values[id].name)))
            }
        }
    }

    fn run(&self, region: RegionId, inputs: &[Value], watch: &mut dyn FnMut(ValueId, &Value)) -> Result<Vec<Value>> {
        let r = &self.machine.model.regions[region];
        for (&p, v) in r.params.iter().zip(inputs) {
            self.values.borrow_mut().insert(p, v.clone());
            watch(p, v);
        }
        let last = last_uses(&self.machine.model, region);
        for &n in &r.body {
            let node = &self.machine.model.nodes[n];
            let results = self.node(n, node)?;
            for (&slot, value) in node.outputs.iter().zip(results) {
                if let Some(id) = slot {
                    watch(id, &value);
                    self.values.borrow_mut().insert(id, value);
                }
            }
            for v in last.get(&n).into_iter().flatten() {
                self.values.borrow_mut().remove(v);
            }
        }
        r.results.iter().map(|&v| self.get(v)).collect()
    }

    fn node(&self, id: NodeId, node: &Node) -> Result<Vec<Value>> {
        let inputs = node.inputs.iter().map(|v| v.map(|v| self.get(v)).transpose()).collect::<Result<Vec<_>>>()?;
        let inputs = inputs.iter().map(Option::as_ref).collect::<Vec<_>>();
        let fail = |source| Error::Node { node: self.machine.model.node_label(id), source };
        let attrs = self.resolve(&node.attrs).map_err(fail)?;
        let results = match &node.op {
            Op::Known(def) => {
                let bodies = Bodies { frame: self, node };
                let cx = EvalCx {
                    attrs: AttrView::new(def, &attrs),
                    outputs: node.outputs.len(),
                    regions: (!node.regions.is_empty()).then_some(&bodies as &dyn RunRegion),
                    evaluator: &Operators,
                };
                (def.eval)(&cx, &inputs).map_err(fail)?
            }
            Op::Call(f) => {
                if self.depth >= MAX_DEPTH {
                    return Err(fail(OpError::invalid("functions call each other more than 64 deep")));
                }
                let f = &self.machine.model.functions[*f];
                let inner = Frame {
                    machine: self.machine,
                    parent: None,
                    values: RefCell::default(),
                    call: Some((&attrs, &f.defaults)),
                    depth: self.depth + 1,
                };
                let missing = || fail(OpError::unsupported("a function called with an absent input"));
                let args = inputs.iter().map(|v| v.cloned().ok_or_else(missing)).collect::<Result<Vec<_>>>()?;
                inner.run(f.region, &args, &mut |_, _| {})?
            }
            Op::Foreign { .. } => return Err(fail(OpError::unsupported("no such operator"))),
        };
        let wanted = node.outputs.iter().rposition(Option::is_some).map_or(0, |i| i + 1);
        match results.len() < wanted {
            true => Err(fail(OpError::invalid(format!("{} outputs made, {wanted} are wanted", results.len())))),
            false => Ok(results),
        }
    }

    /// Replaces references to the attributes of the enclosing function call.
    fn resolve(&self, attrs: &Attrs) -> OpResult<Attrs> {
        let mut out = Attrs::new();
        for (name, value) in attrs.iter() {
            match value {
                Attr::Ref(source, _) => {
                    let frames = std::iter::successors(Some(self), |f| f.parent);
                    let call = frames.filter_map(|f| f.call).next();
                    let found = call.and_then(|(given, defaults)| given.get(source).or_else(|| defaults.get(source)));
                    if let Some(found) = found {
                        out.set(name, found.clone());
                    }
                }
                other => out.set(name, other.clone()),
            }
        }
        Ok(out)
    }
}

struct Bodies<'a> {
    frame: &'a Frame<'a>,
    node: &'a Node,
}

impl RunRegion for Bodies<'_> {
    fn result_types(&self, name: &str) -> Vec<Type> {
        let model = &self.frame.machine.model;
        let region = self.node.region(name).map(|r| &model.regions[r]);
        region.map(|r| r.results.iter().map(|&v| model.ty(v).clone()).collect()).unwrap_or_default()
    }

    fn run(&self, name: &str, args: &[Value]) -> OpResult<Vec<Value>> {
        let region = self.node.region(name).ok_or_else(|| OpError::invalid(format!("body {name} is missing")))?;
        let expected = self.frame.machine.model.regions[region].params.len();
        if expected != args.len() {
            return Err(OpError::invalid(format!("body {name} takes {expected} inputs, {} given", args.len())));
        }
        let inner = Frame {
            machine: self.frame.machine,
            parent: Some(self.frame),
            values: RefCell::default(),
            call: None,
            depth: self.frame.depth,
        };
        inner.run(region, args, &mut |_, _| {}).map_err(|e| match e {
            Error::Node { node, source } => OpError::invalid(format!("in body {name}, node {node}: {source}")),
            other => OpError::invalid(format!("in body {name}: {other}")),
        })
    }
}

/// For each node of a region, the values that nothing needs after it.
fn last_uses(model: &Model, region: RegionId) -> HashMap<NodeId, Vec<ValueId>> {
    let r = &model.regions[region];
    let mut last = HashMap::new();
    for &n in &r.body {
        let node = &model.nodes[n];
        let inner = node.regions.iter().flat_map(|(_, b)| model.captures(*b));
        for v in node.inputs.iter().flatten().copied().chain(inner).chain(node.outputs.iter().flatten().copied()) {
            last.insert(v, n);
        }
    }
    let mut out = HashMap::<_, Vec<_>>::new();
    for (v, n) in last {
        if !r.results.contains(&v) && !matches!(model.values[v].def, Def::Weight(..)) {
            out.entry(n).or_default().push(v);
        }
    }
    out
}

/// Runs hub operators for lazy weights: the text is `Name() {attr = value}`, as [`modelsmith_ir::text::print_op`] prints it.
pub struct Operators;

impl Evaluator for Operators {
    fn eval(&self, op: &str, inputs: &[Tensor]) -> modelsmith_tensor::Result<Tensor> {
        let fail = |message: String| modelsmith_tensor::Error::Eval { op: op.into(), message };
        if let ("Mul()", [a, b]) = (op, inputs)
            && let Some(out) = scaled(a, b)?
        {
            return Ok(out);
        }
        let (def, attrs) = modelsmith_ir::text::parse_op(op, crate::all()).map_err(|e| fail(e.to_string()))?;
        let values = inputs.iter().cloned().map(Value::Tensor).collect::<Vec<_>>();
        let cx = EvalCx { attrs: AttrView::new(def, &attrs), outputs: 1, regions: None, evaluator: self };
        let refs = values.iter().map(Some).collect::<Vec<_>>();
        let mut out = (def.eval)(&cx, &refs).map_err(|e| fail(e.to_string()))?;
        match out.is_empty() {
            true => Err(fail("no result".into())),
            false => Ok(out.swap_remove(0).tensor()?.clone()),
        }
    }
}

/// `a * b` of `f32` where `b` varies along one axis of `a` only, as batch normalisation leaves it: the same as the
/// reference, which computes in `f64` and rounds once, for the product of two `f32` is exact there.
fn scaled(a: &Tensor, b: &Tensor) -> modelsmith_tensor::Result<Option<Tensor>> {
    let varying = b.shape().iter().enumerate().filter(|(_, d)| **d != 1).map(|(i, _)| i).collect::<Vec<_>>();
    let ([axis], true) = (&varying[..], a.dtype() == DType::F32 && b.dtype() == DType::F32) else { return Ok(None) };
    if a.rank() != b.rank() || a.shape()[*axis] != b.shape()[*axis] || a.is_empty() {
        return Ok(None);
    }
    let inner = a.shape()[axis + 1..].iter().product::<usize>();
    let (mut out, factors) = (a.clone(), b.as_slice::<f32>()?);
    for (row, factor) in out.as_mut_slice::<f32>()?.chunks_mut(inner).zip(factors.iter().cycle()) {
        row.iter_mut().for_each(|x| *x *= factor);
    }
    Ok(Some(out))
}
