//! The graph in the making: nodes of the hub, facts about their results, and the heap of the program.

use super::error::{Outcome, Stop, unsupported};
use super::value::{Heap, Kind, List, Val};
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_ir::{Attrs, Def, Dim, Fact, Model, Node, Op, Origin, RegionId, Type, ValueId};
use modelsmith_ops::infer::Facts;
use modelsmith_tensor::{Tensor, WeightExpr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Nodes that a program may unfold into: a bound on loops that are unrolled and methods that are inlined.
const NODES: usize = 400_000;

/// An attribute that a run of the program changes.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Place of its object on the heap, and its name there.
    pub object: usize,
    pub attr: String,
    /// Its name from the module at the top: `decoder.h`.
    pub label: String,
    /// What its new value is, where that can be an input.
    pub form: Option<Form>,
}

/// What a state is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// A tensor of an element type and a rank.
    Tensor(DType, usize),
    Number(Kind),
}

/// What lowering works on. Nodes go to the end of `region`.
pub(crate) struct Context {
    pub model: Model,
    pub region: RegionId,
    pub facts: Facts,
    pub heap: Heap,
    pub findings: Vec<Diagnostic>,
    /// Where in the program the present operator is: file and line.
    pub place: String,
    /// Name of the module that runs, for names of nodes.
    pub module: String,
    /// Names of the dimensions of inputs, which may have to be others than was assumed.
    pub free: HashSet<Arc<str>>,
    /// Arguments that are lists of tensors of any length.
    pub open_lists: Vec<String>,
    /// Dictionaries of the heap that are arguments, with their names: their keys are what the program asks for.
    pub open_dicts: HashMap<usize, String>,
    /// Where an operand that is neither an input nor a weight demanded the size of an input.
    pub guilty: Option<String>,
    /// Attributes that the program leaves with another value than it found.
    pub changed: Vec<Change>,
    /// Quantized tensors: floats that lie on a grid.
    pub grids: super::ops::quantized::Grids,
    /// Tensors of complex numbers: their last axis holds the real and the imaginary part.
    pub complex: HashSet<ValueId>,
    constants: HashMap<(DType, Vec<usize>, Vec<u8>), ValueId>,
    weights: HashMap<*const WeightExpr, ValueId>,
    /// Sizes that were asked for, by value and axis, with the region they were made in.
    sizes: HashMap<(ValueId, usize, RegionId), ValueId>,
}

impl Context {
    pub(crate) fn new() -> Context {
        let model = Model::new();
        let region = model.main;
        Context {
            model,
            region,
            facts: Facts::default(),
            heap: Heap::default(),
            findings: Vec::new(),
            place: String::new(),
            module: String::new(),
            free: HashSet::new(),
            open_lists: Vec::new(),
            open_dicts: HashMap::new(),
            changed: Vec::new(),
            guilty: None,
            grids: HashMap::new(),
            complex: HashSet::new(),
            constants: HashMap::new(),
            weights: HashMap::new(),
            sizes: HashMap::new(),
        }
    }

    pub(crate) fn warn(&mut self, code: &'static str, message: String) {
        let found = Diagnostic::new(Severity::Warning, code, message);
        if !self.findings.contains(&found) {
            self.findings.push(found);
        }
    }

    /// Makes `v` the next output of the graph, called `name`.
    pub(crate) fn add_result(&mut self, v: ValueId, name: &str) -> Outcome<()> {
        let main = self.model.main;
        let own = matches!(self.model.values.get(v).map(|v| &v.def), Some(Def::Node(..)));
        let taken = self.model.regions.get(main).is_some_and(|r| r.results.contains(&v));
        let v = if own && !taken { v } else { self.op("Identity", &[v])? };
        if let Some(value) = self.model.values.get_mut(v) {
            value.name = name.to_owned();
        }
        if let Some(region) = self.model.regions.get_mut(main) {
            region.results.push(v);
        }
        Ok(())
    }

    /// A node of the hub with `outputs` results.
    pub(crate) fn node(
        &mut self,
        name: &str,
        inputs: &[Option<ValueId>],
        attrs: Attrs,
        outputs: usize,
    ) -> Outcome<Vec<ValueId>> {
        let def = modelsmith_ops::all().get("", name);
        let Some(def) = def else { return unsupported(format!("the hub has no operator {name}")) };
        if let Err(stop) = self.alike(name, inputs, &attrs) {
            self.guilty = inputs.iter().flatten().any(|&v| self.baked(v)).then(|| self.place.clone());
            return Err(stop);
        }
        let node = self.push(Op::Known(def), inputs, attrs, vec![], &vec![Some(""); outputs])?;
        if let Err(e) = self.facts.add_node(&mut self.model, node) {
            return unsupported(format!("{name}: {e}"));
        }
        Ok(self.results(node))
    }

    /// True for a value that is made of constants of the program alone, and has dimensions.
    fn baked(&self, v: ValueId) -> bool {
        let (mut seen, mut queue) = (HashSet::new(), vec![v]);
        while let Some(v) = queue.pop() {
            match self.model.values.get(v).map(|v| (&v.def, v.name.as_str())) {
                Some((Def::Node(n, _), _)) if seen.insert(*n) => {
                    queue.extend(self.model.nodes.get(*n).iter().flat_map(|n| n.inputs.iter().flatten()));
                }
                Some((Def::Node(..), _)) => {}
                Some((Def::Weight(..), name)) if name.is_empty() || name.starts_with("CONSTANTS") => {}
                _ => return false,
            }
        }
        self.ty(v).rank().is_some_and(|r| r > 0)
    }

    /// The results of a node.
    pub(crate) fn results(&self, node: modelsmith_ir::NodeId) -> Vec<ValueId> {
        self.model.nodes.get(node).map(|n| n.outputs.iter().flatten().copied().collect()).unwrap_or_default()
    }

    /// Appends a node of any kind; nothing is inferred.
    pub(crate) fn push(
        &mut self,
        op: Op,
        inputs: &[Option<ValueId>],
        attrs: Attrs,
        regions: Vec<(String, RegionId)>,
        names: &[Option<&str>],
    ) -> Outcome<modelsmith_ir::NodeId> {
        if self.model.nodes.len() > NODES {
            return unsupported(format!("the program unfolds into more than {NODES} nodes"));
        }
        let origin = Origin { doc: self.place.clone(), ..Origin::default() };
        let inputs = inputs.to_vec();
        let name = match &op {
            Op::Known(def) if !self.module.is_empty() => {
                format!("{}/{}_{}", self.module, def.name, self.model.nodes.len())
            }
            _ => String::new(),
        };
        let node = Node { op, inputs, outputs: vec![], attrs, regions, name, origin };
        let at = self.model.regions.get(self.region).map_or(0, |r| r.body.len());
        Ok(self.model.add_node(self.region, at, node, names))
    }

    /// Values that the present region may give as its results: those that it makes itself, each once.
    pub(crate) fn results_of_region(&mut self, values: Vec<ValueId>) -> Outcome<Vec<ValueId>> {
        let body = self.model.regions.get(self.region).map(|r| r.body.iter().copied().collect::<HashSet<_>>());
        let body = body.unwrap_or_default();
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        for v in values {
            let own = match self.model.values.get(v).map(|v| &v.def) {
                Some(Def::Node(n, _)) => body.contains(n),
                _ => false,
            };
            out.push(if own && seen.insert(v) { v } else { self.op("Identity", &[v])? });
        }
        Ok(out)
    }

    /// A node with one result.
    pub(crate) fn op(&mut self, name: &str, inputs: &[ValueId]) -> Outcome<ValueId> {
        self.op_with(name, inputs, Attrs::new())
    }

    /// A node with attributes and one result.
    pub(crate) fn op_with(&mut self, name: &str, inputs: &[ValueId], attrs: Attrs) -> Outcome<ValueId> {
        let inputs = inputs.iter().map(|&v| Some(v)).collect::<Vec<_>>();
        self.op_opt(name, &inputs, attrs)
    }

    /// A node with operands that may be absent and one result.
    pub(crate) fn op_opt(&mut self, name: &str, inputs: &[Option<ValueId>], attrs: Attrs) -> Outcome<ValueId> {
        let made = self.node(name, inputs, attrs, 1)?;
        made.first().copied().ok_or_else(|| Stop::Unsupported(format!("{name} has no result")))
    }

    /// A constant. Equal small ones are one.
    pub(crate) fn constant(&mut self, tensor: Tensor) -> ValueId {
        let main = self.model.main;
        if tensor.len() > 64 || tensor.dtype() == DType::String {
            return self.model.add_weight(main, "", Arc::new(WeightExpr::Literal(tensor)));
        }
        let key = (tensor.dtype(), tensor.shape().to_vec(), tensor.bytes().to_vec());
        if let Some(&v) = self.constants.get(&key) {
            return v;
        }
        let v = self.model.add_weight(main, "", Arc::new(WeightExpr::Literal(tensor)));
        self.constants.insert(key, v);
        v
    }

    /// A weight of the file. The same weight is the same value.
    pub(crate) fn weight(&mut self, name: &str, weight: &Arc<WeightExpr>) -> ValueId {
        let main = self.model.main;
        let key = Arc::as_ptr(weight);
        if let Some(&v) = self.weights.get(&key) {
            return v;
        }
        let v = self.model.add_weight(main, name, weight.clone());
        self.weights.insert(key, v);
        v
    }

    pub(crate) fn ints(&mut self, values: &[i64]) -> ValueId {
        self.constant(Tensor::vector(values))
    }

    pub(crate) fn int(&mut self, value: i64) -> ValueId {
        self.constant(Tensor::scalar(value))
    }

    pub(crate) fn scalar(&mut self, dtype: DType, value: f64) -> Outcome<ValueId> {
        Ok(self.constant(Tensor::from_f64s(dtype, &[], &[value])?))
    }

    pub(crate) fn fact(&self, v: ValueId) -> Fact {
        self.facts.get(&self.model, v)
    }

    pub(crate) fn ty(&self, v: ValueId) -> &Type {
        self.model.ty(v)
    }

    /// The element type of `v`.
    pub(crate) fn dtype(&self, v: ValueId) -> Outcome<DType> {
        let known = self.ty(v).dtype();
        known.ok_or_else(|| Stop::Unsupported("the element type of an operand is not known".into()))
    }

    /// The rank of `v`; where it is not known the walk starts again with `guess`, if the value is an input.
    pub(crate) fn rank_or(&self, v: ValueId, guess: Option<usize>) -> Outcome<usize> {
        self.ty(v).rank().ok_or(Stop::Rank(v, guess))
    }

    pub(crate) fn rank(&self, v: ValueId) -> Outcome<usize> {
        self.rank_or(v, None)
    }

    pub(crate) fn shape(&self, v: ValueId) -> Outcome<Vec<Dim>> {
        self.ty(v).shape().map(<[Dim]>::to_vec).ok_or(Stop::Rank(v, None))
    }

    /// The size of `v` along `axis` as a scalar of the graph.
    pub(crate) fn size(&mut self, v: ValueId, axis: usize) -> Outcome<ValueId> {
        if let Some(n) = self.ty(v).shape().and_then(|s| s.get(axis)).and_then(Dim::known) {
            return Ok(self.int(n));
        }
        let key = (v, axis, self.region);
        if let Some(&size) = self.sizes.get(&key) {
            return Ok(size);
        }
        let shape = self.op("Shape", &[v])?;
        let at = self.int(i64::try_from(axis).unwrap_or(0));
        let size = self.op_with("Gather", &[shape, at], Attrs::new().with("axis", 0))?;
        self.sizes.insert(key, size);
        Ok(size)
    }

    /// The size of `v` along `axis` as a number of the program.
    pub(crate) fn size_val(&mut self, v: ValueId, axis: usize) -> Outcome<Val> {
        let size = self.size(v, axis)?;
        Ok(self.number_of(Kind::Int, size))
    }

    /// A scalar of the graph as a number of the program: known where it is constant.
    pub(crate) fn number_of(&self, kind: Kind, v: ValueId) -> Val {
        let fact = self.fact(v);
        let whole = fact.value.and_then(|t| t.known()).and_then(|k| k.first().copied());
        match (kind, whole) {
            (Kind::Int, Some(n)) => return Val::Int(n),
            (Kind::Bool, Some(n)) => return Val::Bool(n != 0),
            _ => {}
        }
        let number = self.model.constant(v).and_then(|t| t.to_f64s().ok()).and_then(|x| x.first().copied());
        match (kind, number) {
            (Kind::Float, Some(x)) => Val::Float(x),
            (Kind::Bool, Some(x)) => Val::Bool(x != 0.0),
            _ => Val::Num(kind, v),
        }
    }

    /// A number of the program as a scalar of the graph: int64, float64 or bool.
    pub(crate) fn scalar_of(&mut self, v: &Val) -> Outcome<ValueId> {
        match v {
            Val::Bool(b) => Ok(self.constant(Tensor::from_bools(&[], vec![*b])?)),
            Val::Int(i) => Ok(self.int(*i)),
            Val::Float(x) => self.scalar(DType::F64, *x),
            Val::Num(_, v) => Ok(*v),
            Val::Tensor(t) => self.read(*t),
            other => unsupported(format!("{} stands where a number is wanted", other.what())),
        }
    }

    /// A number or tensor as an operand of `dtype`.
    pub(crate) fn operand(&mut self, v: &Val, dtype: DType) -> Outcome<ValueId> {
        match v {
            Val::Bool(b) => self.scalar(dtype, f64::from(u8::from(*b))),
            Val::Int(i) if dtype.is_int() => Ok(self.constant(Tensor::from_i64s(dtype, &[], &[*i])?)),
            Val::Int(i) => self.scalar(dtype, super::value::float(*i)),
            Val::Float(x) => self.scalar(dtype, *x),
            other => {
                let v = self.scalar_of(other)?;
                self.cast(v, dtype)
            }
        }
    }

    /// `v` as `dtype`, without a node where it is that already.
    pub(crate) fn cast(&mut self, v: ValueId, dtype: DType) -> Outcome<ValueId> {
        if self.ty(v).dtype() == Some(dtype) {
            return Ok(v);
        }
        self.op_with("Cast", &[v], Attrs::new().with("to", dtype))
    }

    /// Integers of the program, known or not, as a vector.
    pub(crate) fn vector(&mut self, items: &[Val]) -> Outcome<ValueId> {
        let known = items.iter().map(|v| if let Val::Int(i) = v { Some(*i) } else { None }).collect::<Option<Vec<_>>>();
        if let Some(known) = known {
            return Ok(self.ints(&known));
        }
        let mut parts = Vec::new();
        for item in items {
            let scalar = self.operand(item, DType::I64)?;
            let one = self.ints(&[1]);
            parts.push(self.op("Reshape", &[scalar, one])?);
        }
        match *parts {
            [one] => Ok(one),
            _ => self.op_with("Concat", &parts, Attrs::new().with("axis", 0)),
        }
    }

    /// The items of a list or tuple.
    pub(crate) fn items(&self, v: &Val) -> Outcome<Vec<Val>> {
        match v {
            Val::Tuple(t) => Ok(t.items.clone()),
            Val::List(r) => match self.heap.lists.get(r.0) {
                Some(List::Items(items)) => Ok(items.clone()),
                _ => unsupported("the length of a list is known only by running"),
            },
            other => unsupported(format!("{} stands where a list is wanted", other.what())),
        }
    }

    pub(crate) fn list(&mut self, items: Vec<Val>) -> Val {
        self.add_list(List::Items(items))
    }

    pub(crate) fn add_list(&mut self, list: List) -> Val {
        self.heap.lists.push(list);
        Val::List(super::value::ListRef(self.heap.lists.len().saturating_sub(1)))
    }

    /// Elements of a small integer or bool value where they are known.
    pub(crate) fn known_ints(&self, v: ValueId) -> Option<Vec<i64>> {
        self.fact(v).value.and_then(|t| t.known())
    }

    /// A constant tensor behind a value.
    pub(crate) fn known_tensor(&self, v: ValueId) -> Option<Tensor> {
        self.model.constant(v).or_else(|| self.fact(v).constant)
    }
}

/// `axis` of a tensor of `rank` dimensions, counted from the front. A scalar has an axis 0.
pub(crate) fn axis_at(axis: i64, rank: usize) -> Outcome<usize> {
    let rank = i64::try_from(rank.max(1)).unwrap_or(i64::MAX);
    let at = if axis < 0 { axis.saturating_add(rank) } else { axis };
    match usize::try_from(at) {
        Ok(at_) if at < rank => Ok(at_),
        _ => unsupported(format!("axis {axis} of a tensor of {rank} dimensions")),
    }
}
