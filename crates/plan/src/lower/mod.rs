//! From the hub graph to blocks of steps.

mod control;
mod native;
mod probe;
mod scope;
mod unused;
mod weights;

pub use weights::Blobs;

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::infer::{Facts, Infer, Namer, resolve};
use crate::plan::{Block, Buffer, BufferId, EvalOp, Home, Plan, Step, StepOp};
use modelsmith_ir::{Attrs, Dim, Fact, Model, NodeId, Op, RegionId, Type, ValueId};
use modelsmith_kop::Layout;
use modelsmith_tensor::DType;
use scope::Scope;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use weights::WeightTable;

/// What a lowering is asked for.
#[derive(Clone, Debug, Default)]
pub struct LowerOptions {
    /// Hub values that stay visible, each with the index under which it is reported.
    pub watch: Vec<(ValueId, u32)>,
    /// Sizes of symbols for which kernels are chosen; 1 for those that are not named.
    pub sizes: BTreeMap<String, i64>,
    /// Run every node by its reference.
    pub reference_only: bool,
    /// Threads that make the bytes of weights; 0 is one. The result does not depend on it.
    pub threads: usize,
}

/// Lowers `model`, which must be of the hub, with the kernels that `backend` offers. Weights that several plans share
/// are added to `blobs` once.
///
/// # Errors
/// When a node is of no known operator or a weight cannot be read: all of it listed.
pub fn lower(model: &Model, backend: &dyn Backend, options: &LowerOptions, blobs: &mut Blobs) -> Result<Plan> {
    let (mut plan, weights) = unpacked(model, backend, options)?;
    weights.finish(backend, options.threads.max(1), &mut plan, blobs)?;
    Ok(plan)
}

/// Goes through all choices of [`lower`] and packs no weight: the backend is asked and told the same.
///
/// # Errors
/// When a node is of no known operator.
pub fn survey(model: &Model, backend: &dyn Backend, options: &LowerOptions) -> Result<()> {
    unpacked(model, backend, options).map(|_| ())
}

/// The plan before its weights have bytes.
fn unpacked(model: &Model, backend: &dyn Backend, options: &LowerOptions) -> Result<(Plan, WeightTable)> {
    let mut l = Lowering {
        model,
        backend,
        options,
        namer: Namer::default(),
        weights: WeightTable::default(),
        blocks: vec![],
        scopes: vec![],
        depth: 0,
        leading: leading(model),
        problems: vec![],
    };
    let main = l.main()?;
    debug_assert_eq!(main, 0);
    if !l.problems.is_empty() {
        return Err(Error::Unsupported(l.problems));
    }
    Ok((Plan { level: backend.level().into(), threads: options.threads, blocks: l.blocks, weights: vec![] }, l.weights))
}

fn leading(model: &Model) -> HashSet<String> {
    let shapes = model.graph().params.iter().filter_map(|&p| model.ty(p).shape()?.first()?.as_symbol());
    shapes.map(str::to_owned).collect()
}

/// The state of a lowering.
struct Lowering<'a> {
    model: &'a Model,
    backend: &'a dyn Backend,
    options: &'a LowerOptions,
    namer: Namer,
    weights: WeightTable,
    blocks: Vec<Block>,
    scopes: Vec<Scope>,
    depth: usize,
    /// Symbols that are the first size of an input: batches, of which one is the usual number.
    leading: HashSet<String>,
    problems: Vec<String>,
}

impl Lowering<'_> {
    fn main(&mut self) -> Result<usize> {
        let region = &self.model.regions[self.model.main];
        let mut known = HashSet::new();
        let mut facts = Facts::new();
        for &p in &region.params {
            let declared = self.model.ty(p);
            if let Some(shape) = declared.shape() {
                known.extend(shape.iter().flat_map(|d| d.symbols()).map(|s| s.to_string()));
            }
            facts.insert(p, Fact::of(self.namer.bind(declared, &mut known)));
        }
        Ok(self.block(self.model.main, facts, known, None, "main")?.0)
    }

    /// Lowers a region to a new block; returns its index and the outer buffers that it takes after its parameters.
    /// `facts` holds its parameters and all that it may capture, `known` the symbols of those.
    fn block(
        &mut self,
        region: RegionId,
        mut facts: Facts,
        known: HashSet<String>,
        call: Option<(Attrs, Attrs)>,
        name: &str,
    ) -> Result<(usize, Vec<BufferId>)> {
        let (model, index) = (self.model, self.blocks.len());
        self.blocks.push(Block { name: name.into(), ..Block::default() });
        let settled = known.clone();
        let known = RefCell::new(known);
        Infer { model, namer: &self.namer, call: call.as_ref(), known, depth: 0 }.region(region, &mut facts);
        self.scopes.push(Scope::new(index, facts, call, settled));
        for &p in &model.regions[region].params {
            let id = self.new_buffer(Some(p), Home::Input);
            self.blocks[index].inputs.push(id);
        }
        for &n in &model.regions[region].body {
            self.node(n)?;
        }
        let outputs = model.regions[region].results.iter().map(|&v| self.buffer(v)).collect::<Result<Vec<_>>>()?;
        self.blocks[index].outputs = outputs;
        let kept = self.kept();
        let block = &mut self.blocks[index];
        crate::fuse::fuse(block, &kept);
        unused::drop_unused(block, &kept);
        self.capture_sizes()?;
        let block = &mut self.blocks[index];
        crate::layout::assign(block);
        self.choose(index);
        let captures = self.scopes.pop().map(|s| s.captures).unwrap_or_default();
        Ok((index, captures))
    }

    /// Facts that a body sees of the values around it.
    fn outer_facts(&self) -> Facts {
        // Sizes of the outer block are not symbols of the inner one; each capture gets its own.
        let inner = |f: &Fact| Fact { ty: self.namer.rename(&f.ty, false), value: None, constant: f.constant.clone() };
        self.scope().facts.iter().map(|(&v, f)| (v, inner(f))).collect()
    }

    /// Buffers of the values that stay visible.
    fn kept(&self) -> HashSet<BufferId> {
        let s = self.scope();
        self.options.watch.iter().filter(|_| s.block == 0).filter_map(|(v, _)| s.buffers.get(v).copied()).collect()
    }

    fn scope(&self) -> &Scope {
        &self.scopes[self.scopes.len() - 1]
    }

    fn current(&mut self) -> &mut Block {
        let index = self.scopes[self.scopes.len() - 1].block;
        &mut self.blocks[index]
    }

    /// The type that inference found for a value.
    fn ty(&self, v: ValueId) -> Type {
        self.fact(v).ty
    }

    fn fact(&self, v: ValueId) -> Fact {
        match self.scope().facts.get(&v) {
            Some(f) => f.clone(),
            None => modelsmith_ir::fact_of(self.model, v),
        }
    }

    /// A new buffer for a value of the current block.
    fn new_buffer(&mut self, v: Option<ValueId>, home: Home) -> BufferId {
        let (name, ty) = match v {
            Some(v) => (self.model.values[v].name.clone(), self.ty(v)),
            None => (String::new(), Type::Unknown),
        };
        let watched = v.filter(|_| self.scope().block == 0);
        let value = watched.and_then(|v| self.options.watch.iter().find(|w| w.0 == v)).map(|w| w.1);
        if home == Home::Host {
            let symbols = ty.shape().unwrap_or_default().iter().flat_map(Dim::symbols).map(|s| s.to_string());
            let at = self.scopes.len() - 1;
            self.scopes[at].settled.extend(symbols);
        }
        let block = self.current();
        block.buffers.push(Buffer { name, ty, home, layout: Layout::Plain, value });
        let id = block.buffers.len() - 1;
        if let Some(v) = v {
            let at = self.scopes.len() - 1;
            self.scopes[at].buffers.insert(v, id);
        }
        id
    }

    fn node(&mut self, n: NodeId) -> Result<()> {
        let node = &self.model.nodes[n];
        match &node.op {
            Op::Known(def) if def.name == "Constant" && def.domain.is_empty() && self.constant(n) => Ok(()),
            Op::Known(_) if self.sizes(n) => Ok(()),
            Op::Known(_) => match self.native(n)? {
                true => Ok(()),
                false => self.eval(n),
            },
            Op::Call(f) => self.call(n, *f),
            Op::Foreign { .. } => {
                self.problems.push(format!("{}: no such operator", self.model.node_label(n)));
                Ok(())
            }
        }
    }

    /// A `Constant` node becomes a weight.
    fn constant(&mut self, n: NodeId) -> bool {
        let Some(v) = self.model.nodes[n].output(0) else { return true };
        let Some(t) = self.model.constant(v) else { return false };
        let name = self.model.values[v].name.clone();
        let w = self.weights.literal(name, t);
        self.new_buffer(Some(v), Home::Weight(w));
        true
    }

    /// A node whose results are expressions over sizes reads no tensor.
    fn sizes(&mut self, n: NodeId) -> bool {
        let node = &self.model.nodes[n];
        let [Some(v)] = node.outputs[..] else { return false };
        let fact = self.fact(v);
        let Some(value) = fact.value else { return false };
        let dtype = fact.ty.dtype();
        let shaped = fact.ty.sizes().is_some_and(|s| s == value.shape);
        if !matches!(dtype, Some(DType::I64 | DType::I32)) || !shaped || value.dims.contains(&Dim::Unknown) {
            return false;
        }
        let id = self.new_buffer(Some(v), Home::Host);
        let label = self.model.node_label(n);
        self.push(Step::new(label, StepOp::Sizes { dims: value.dims }, vec![], vec![Some(id)]));
        true
    }

    fn push(&mut self, step: Step) {
        self.current().steps.push(step);
    }

    /// The reference of the node's operator.
    fn eval(&mut self, n: NodeId) -> Result<()> {
        let node = &self.model.nodes[n];
        let Op::Known(def) = node.op else { return Ok(()) };
        let bodies = self.bodies(n)?;
        let inputs = node.inputs.iter().map(|v| v.map(|v| self.buffer(v)).transpose()).collect::<Result<Vec<_>>>()?;
        let outputs = node.outputs.iter().map(|v| v.map(|v| self.new_buffer(Some(v), Home::Host))).collect();
        let attrs = weights::literal_attrs(resolve(&node.attrs, self.scope().call.as_ref()))?;
        let op = StepOp::Eval(EvalOp { domain: def.domain.into(), name: def.name.into(), attrs, bodies });
        self.push(Step::new(self.model.node_label(n), op, inputs, outputs));
        Ok(())
    }
}
