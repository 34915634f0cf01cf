//! Running the blocks of a plan.

use crate::arena::{Arena, Span, Window};
use crate::bind::{self, Binding, Given, Ready, bytes_of, operand};
use crate::chains::Chained;
use crate::control::Bodies;
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::profile::{Clock, StepTime, work};
use crate::results::{Places, Results};
use crate::weights::{Blob, HostWeights};
use modelsmith_backend_cpu::Cpu;
use modelsmith_ir::{AttrView, Dim, EvalCx, OpDef, RunRegion, TensorType, Type};
use modelsmith_kernels::{Args, Dst, KernelError, Src};
use modelsmith_kop::Layout;
use modelsmith_ops::interp::Operators;
use modelsmith_plan::{Block, BufferId, EvalOp, Form, Home, Operand, Plan, Step, StepOp};
use modelsmith_pool::Pool;
use modelsmith_tensor::{DType, Tensor, Value};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// Bindings kept per block.
const KEPT: usize = 16;
/// Most operands of a kernel call.
const MAX_OPERANDS: usize = 40;
/// As many inputs or outputs as nearly all kernel calls have at most.
const FEW_OPERANDS: usize = 6;
/// What a profile says of a step that runs nothing, since others wrote its result where it belongs.
const IN_PLACE: &str = "in place";

/// What a block keeps between runs.
pub(crate) struct BlockState {
    kept: Vec<Arc<Binding>>,
    arena: Arena,
    /// Memory of buffers whose sizes only the run tells; taken from the start again in each run.
    growing: Arena,
    grown: usize,
    scratch: Arena,
    results: Results,
    slots: Vec<Option<Value>>,
    /// Sizes and places found during the run.
    operands: Vec<Option<Operand>>,
    spans: Vec<Option<Span>>,
    symbols: Vec<(String, i64)>,
    /// Calls made during earlier runs, with the operands that they were made for.
    made: Vec<Option<(Vec<Option<Operand>>, Arc<Vec<Ready>>)>>,
    /// Host buffers that end with each step.
    ends: Vec<Vec<BufferId>>,
    /// Operators of the steps that run one by its reference.
    defs: Vec<Option<&'static OpDef>>,
}

impl BlockState {
    /// The state of `block`, the main one or a body.
    pub fn new(block: &Block, main: bool) -> BlockState {
        let mut ends = vec![vec![]; block.steps.len()];
        for (id, life) in bind::lives(block).into_iter().enumerate() {
            if let Some((_, last)) = life.filter(|l| l.1 < ends.len() && block.buffers[id].home == Home::Host) {
                ends[last].push(id);
            }
        }
        let n = block.buffers.len();
        BlockState {
            kept: vec![],
            arena: Arena::default(),
            growing: Arena::default(),
            grown: 0,
            scratch: Arena::default(),
            results: Results::new(block, main),
            slots: vec![None; n],
            operands: vec![None; n],
            spans: vec![None; n],
            symbols: vec![],
            made: (0..block.steps.len()).map(|_| None).collect(),
            ends,
            defs: block.steps.iter().map(|s| operator(&s.op)).collect(),
        }
    }

    /// The sizes of the latest run.
    pub fn latest(&self) -> Option<&Arc<Binding>> {
        self.kept.last()
    }

    /// Bytes held: arena, growing arena, scratch memory and results.
    pub fn held(&self) -> [usize; 4] {
        [self.arena.len(), self.growing.len(), self.scratch.len(), self.results.len()]
    }
}

/// The operator that a step runs by its reference.
fn operator(op: &StepOp) -> Option<&'static OpDef> {
    match op {
        StepOp::Eval(e) => modelsmith_ops::all().get(&e.domain, &e.name),
        _ => None,
    }
}

/// Called with each hub value that a step makes.
pub(crate) type OnValue<'a> = &'a RefCell<&'a mut dyn FnMut(u32, &Value)>;

/// The memory in which the buffers of one kernel call lie.
struct Windows<'b> {
    fixed: Window<'b>,
    grown: Window<'b>,
    results: Places<'b>,
}

/// Everything that a run needs.
pub(crate) struct Machine<'a> {
    pub plan: &'a Plan,
    pub shared: &'a Shared,
    pub host_weights: &'a HostWeights,
    pub pool: &'a Pool,
    pub cpu: &'a Cpu,
    pub memory_limit: usize,
    /// Runs of bodies that are left.
    pub iterations: Cell<u64>,
    pub states: &'a [RefCell<BlockState>],
    pub times: Option<&'a RefCell<Vec<StepTime>>>,
    pub watch: Option<OnValue<'a>>,
}

/// One run of one block.
pub(crate) struct Run<'a, 'm> {
    pub machine: &'a Machine<'m>,
    pub block: &'a Block,
    inputs: &'a [&'a Value],
    binding: Arc<Binding>,
}

impl Machine<'_> {
    /// The binding for these inputs, from an earlier run or made now.
    pub fn binding(&self, index: usize, inputs: &[&Value]) -> Result<Arc<Binding>> {
        let block = &self.plan.blocks[index];
        // What is watched must be made whole.
        let chained = self.watch.is_none();
        let mut state = self.states[index].borrow_mut();
        if let Some(latest) = state.kept.last().filter(|b| b.chained == chained && b.given.is(inputs)) {
            return Ok(latest.clone());
        }
        let symbols = bind::solve(block, inputs)?;
        if let Some(at) = state.kept.iter().position(|b| b.chained == chained && b.symbols == symbols) {
            let found = state.kept.remove(at);
            state.kept.push(found.clone());
            return Ok(found);
        }
        if index == 0 {
            bind::allowed(&self.shared.info.notes, &symbols)?;
        }
        let mut made = bind::bind(self.plan, index, symbols, self.cpu, self.pool.threads(), chained)?;
        made.given = Given::of(inputs);
        let made = Arc::new(made);
        if state.kept.len() >= KEPT {
            state.kept.remove(0);
        }
        state.kept.push(made.clone());
        Ok(made)
    }

    /// Runs block `index`.
    pub fn run(&self, index: usize, inputs: &[&Value]) -> Result<Vec<Value>> {
        let mut clock = Clock::start(self.times);
        let binding = self.binding(index, inputs)?;
        let block = &self.plan.blocks[index];
        let cell = &self.states[index];
        let mut state = cell.try_borrow_mut().map_err(|_| Error::Refused("a block runs inside itself".into()))?;
        let bytes = binding.arena.saturating_add(binding.scratch).saturating_add(binding.result_bytes());
        if bytes > self.memory_limit || !state.reserve(&binding) {
            return Err(Error::Refused(format!("{bytes} bytes of memory for activations are not to be had")));
        }
        state.reset();
        let run = Run { machine: self, block, inputs, binding };
        if self.watch.is_some() && index == 0 {
            block.inputs.iter().zip(inputs).for_each(|(&id, v)| run.tell(id, v));
        }
        clock.stop(|ns| StepTime::around(format!("({}: sizes and memory)", block.name), ns));
        let mut i = 0;
        while i < block.steps.len() {
            let chain = run.binding.chains.iter().find(|c| c.steps.start == i);
            let what = match chain {
                Some(c) => run.chain(&mut state, c)?,
                None => run.step(&mut state, i)?,
            };
            let done = chain.map_or(i..i + 1, |c| c.steps.clone());
            run.report(&state, i)?;
            let at = std::mem::replace(&mut i, done.end);
            for ended in done {
                for k in 0..state.ends[ended].len() {
                    let id = state.ends[ended][k];
                    state.slots[id] = None;
                }
            }
            clock.stop(|ns| match chain {
                Some(c) => run.chain_time(c, ns),
                None => run.time(&state, at, ns, what),
            });
        }
        let out = block.outputs.iter().map(|&id| run.value(&state, id).map(Cow::into_owned)).collect();
        state.slots.iter_mut().for_each(|s| *s = None);
        clock.stop(|ns| StepTime::around(format!("({}: results)", block.name), ns));
        out
    }
}

impl BlockState {
    /// Makes room for what `binding` has places for; false when there is none.
    fn reserve(&mut self, binding: &Binding) -> bool {
        let result = |&id: &BufferId| match &binding.operands[id] {
            Some(o) => self.results.ready(id, o).is_ok(),
            None => false,
        };
        self.arena.ensure(binding.arena) && self.scratch.ensure(binding.scratch) && binding.results.iter().all(result)
    }

    fn reset(&mut self) {
        self.grown = 0;
        self.symbols.clear();
        self.slots.iter_mut().for_each(|s| *s = None);
        self.operands.iter_mut().for_each(|s| *s = None);
        self.spans.iter_mut().for_each(|s| *s = None);
    }
}

/// What a step ran, for the profile.
enum Ran {
    Kernels(Option<Arc<Vec<Ready>>>),
    Reference(&'static str),
    Inner,
}

impl Run<'_, '_> {
    fn symbol(&self, state: &BlockState, name: &str) -> Option<i64> {
        let found = state.symbols.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
        found.or_else(|| self.binding.symbols.get(name).copied())
    }

    /// Sizes of a buffer, known before the run or by now.
    fn operand(&self, state: &mut BlockState, id: BufferId) -> Result<Option<Operand>> {
        if let Some(o) = &self.binding.operands[id] {
            return Ok(Some(o.clone()));
        }
        if state.operands[id].is_none() {
            let found = operand(self.block, id, &|s| self.symbol(state, s))?;
            state.operands[id] = found;
        }
        Ok(state.operands[id].clone())
    }

    fn step(&self, state: &mut BlockState, i: usize) -> Result<Ran> {
        let step = &self.block.steps[i];
        match &step.op {
            StepOp::Native(_) => match &self.binding.steps[i] {
                Some(calls) => {
                    calls.iter().try_for_each(|r| self.kernel(state, step, r))?;
                    Ok(Ran::Kernels(None))
                }
                None => {
                    let calls = self.make_ready(state, i)?;
                    calls.iter().try_for_each(|r| self.kernel(state, step, r))?;
                    Ok(Ran::Kernels(Some(calls)))
                }
            },
            StepOp::Eval(e) => self.eval(state, i, e),
            StepOp::Call { block } => {
                let values = self.values(state, step)?;
                let inputs = values.iter().flatten().map(|v| &**v).collect::<Vec<_>>();
                let results = self.machine.run(*block, &inputs)?;
                self.keep(state, step, results)?;
                Ok(Ran::Inner)
            }
            StepOp::Sizes { dims } => {
                self.sizes(state, step, dims)?;
                Ok(Ran::Inner)
            }
        }
    }

    /// Kernel calls of a step whose sizes the run has just told, and memory for its results.
    fn make_ready(&self, state: &mut BlockState, i: usize) -> Result<Arc<Vec<Ready>>> {
        let step = &self.block.steps[i];
        let mut operands = Vec::with_capacity(step.inputs.len() + step.outputs.len());
        for b in step.inputs.iter().chain(&step.outputs) {
            operands.push(match b {
                Some(b) => match self.operand(state, *b)? {
                    Some(o) => Some(o),
                    None => return Err(Error::step(&step.label, "sizes of an operand are not known")),
                },
                None => None,
            });
        }
        let old = state.made[i].take().filter(|(same, _)| *same == operands);
        let calls = match old {
            Some((_, calls)) => calls,
            None => {
                let of = |b: BufferId| {
                    let at = step.inputs.iter().chain(&step.outputs).position(|x| *x == Some(b))?;
                    operands[at].clone()
                };
                Arc::new(bind::ready(
                    self.machine.plan,
                    self.block,
                    step,
                    &of,
                    &|s| self.symbol(state, s),
                    self.machine.cpu,
                )?)
            }
        };
        let no_memory = || Error::step(&step.label, "memory for the result is not to be had");
        for (b, o) in step.outputs.iter().zip(&operands[step.inputs.len()..]) {
            let (Some(b), Some(o)) = (b, o) else { continue };
            let placed = self.binding.spans[*b].is_some() || self.binding.results.contains(b);
            if self.block.buffers[*b].home != Home::Arena || placed {
                continue;
            }
            let len = bytes_of(o).ok_or_else(no_memory)?;
            let offset = state.grown.next_multiple_of(modelsmith_plan::memory::ALIGN);
            let end = offset.checked_add(len).ok_or_else(no_memory)?;
            if end > self.machine.memory_limit {
                return Err(no_memory());
            }
            // Growing in powers of two keeps the number of moves small.
            if end > state.growing.len()
                && !state.growing.ensure(end.checked_next_power_of_two().ok_or_else(no_memory)?)
            {
                return Err(no_memory());
            }
            state.grown = end;
            state.spans[*b] = Some(Span { offset, len });
        }
        let scratch = calls.iter().map(|r| r.call.workspace(self.machine.pool.threads())).max().unwrap_or(0);
        if scratch.saturating_add(state.grown) > self.machine.memory_limit || !state.scratch.ensure(scratch) {
            return Err(no_memory());
        }
        state.made[i] = Some((operands, calls.clone()));
        Ok(calls)
    }

    fn kernel(&self, state: &mut BlockState, step: &Step, ready: &Ready) -> Result<()> {
        self.call(state, &step.label, (&ready.inputs, &ready.outputs), |inputs, outputs, scratch| {
            ready.call.run(inputs, outputs, scratch, self.machine.pool)
        })
    }

    fn chain(&self, state: &mut BlockState, c: &Chained) -> Result<Ran> {
        let label = &self.block.steps[c.steps.start].label;
        self.call(state, label, (&c.inputs, &[c.output]), |inputs, outputs, scratch| {
            c.chain.run(Args { inputs, outputs, workspace: scratch }, self.machine.pool)
        })?;
        Ok(Ran::Inner)
    }

    /// Calls `body` with views of buffers and the scratch memory.
    fn call(
        &self,
        state: &mut BlockState,
        label: &str,
        buffers: (&[BufferId], &[BufferId]),
        body: impl for<'b> FnOnce(&'b [Src<'b>], &'b mut [Dst<'b>], &'b mut [u8]) -> std::result::Result<(), KernelError>,
    ) -> Result<()> {
        match buffers.0.len().max(buffers.1.len()) {
            0..=FEW_OPERANDS => self.call_with::<FEW_OPERANDS>(state, label, buffers, body),
            _ => self.call_with::<MAX_OPERANDS>(state, label, buffers, body),
        }
    }

    /// As [`Run::call`], with at most `N` buffers to read and `N` to write.
    fn call_with<const N: usize>(
        &self,
        state: &mut BlockState,
        label: &str,
        (from, to): (&[BufferId], &[BufferId]),
        body: impl for<'b> FnOnce(&'b [Src<'b>], &'b mut [Dst<'b>], &'b mut [u8]) -> std::result::Result<(), KernelError>,
    ) -> Result<()> {
        let fail = |message: &str| Error::step(label, message);
        if from.len() > N || to.len() > N {
            return Err(fail("too many operands"));
        }
        let BlockState { arena, growing, scratch, slots, spans, results, .. } = state;
        let windows = &Windows { fixed: arena.window(), grown: growing.window(), results: results.window() };
        let mut inputs: [Src<'_>; N] = [Src::new::<u8>(&[]); N];
        for (slot, &id) in inputs.iter_mut().zip(from) {
            *slot = self.src(slots, spans, windows, id).ok_or_else(|| fail("an operand has no bytes"))?;
        }
        let mut outputs: [Dst<'_>; N] = std::array::from_fn(|_| Dst::new::<u8>(&mut []));
        for (slot, &id) in outputs.iter_mut().zip(to) {
            *slot = self.dst(spans, windows, id).ok_or_else(|| fail("a result has no place"))?;
        }
        let scratch = scratch.head(usize::MAX);
        body(&inputs[..from.len()], &mut outputs[..to.len()], scratch).map_err(|e| Error::step(label, e))
    }

    fn src<'b>(
        &'b self,
        slots: &'b [Option<Value>],
        spans: &[Option<Span>],
        windows: &Windows<'b>,
        id: BufferId,
    ) -> Option<Src<'b>> {
        let root = self.block.root(id);
        match self.block.buffers[root].home {
            Home::Arena => match (self.binding.spans[root], spans[root]) {
                (Some(span), _) => windows.fixed.src(span),
                (None, Some(span)) => windows.grown.src(span),
                (None, None) => windows.results.src(root),
            },
            Home::Weight(w) => Some(Src::new(self.blob(w)?.bytes())),
            Home::Host => Some(Src::new(slots[root].as_ref()?.tensor().ok()?.bytes())),
            Home::Input => {
                let at = self.block.inputs.iter().position(|&b| b == root)?;
                Some(Src::new(self.inputs.get(at)?.tensor().ok()?.bytes()))
            }
            Home::View(_) => None,
        }
    }

    fn dst<'b>(&self, spans: &[Option<Span>], windows: &Windows<'b>, id: BufferId) -> Option<Dst<'b>> {
        match (self.block.buffers[id].home, self.binding.spans[id], spans[id]) {
            (Home::Arena, Some(span), _) => windows.fixed.dst(span),
            (Home::Arena, None, Some(span)) => windows.grown.dst(span),
            (Home::Arena, None, None) => windows.results.dst(id),
            _ => None,
        }
    }

    fn blob(&self, w: usize) -> Option<&Blob> {
        self.machine.shared.blobs.get(self.machine.plan.weights.get(w)?.blob)
    }

    /// A buffer as a value: the one that the run holds, or one of its own.
    pub fn value<'v>(&'v self, state: &'v BlockState, id: BufferId) -> Result<Cow<'v, Value>> {
        let root = self.block.root(id);
        let b = &self.block.buffers[root];
        let fail = |message: String| Error::step(&b.name, message);
        let found = match b.home {
            Home::Input => {
                let at = self.block.inputs.iter().position(|&x| x == root);
                at.and_then(|at| self.inputs.get(at)).map(|v| Cow::Borrowed(*v))
            }
            Home::Host => state.slots[root].as_ref().map(Cow::Borrowed),
            Home::Weight(w) => {
                let weight = &self.machine.plan.weights[w];
                if weight.form != Form::Raw {
                    return Err(fail("a packed weight is read as a tensor".into()));
                }
                let blob = self.blob(w).ok_or_else(|| fail("the weight is missing".into()))?;
                let v = self.machine.host_weights.get(w, weight, blob);
                Some(Cow::Owned(v.map_err(|e| fail(e.to_string()))?))
            }
            Home::Arena => return Ok(Cow::Owned(Value::Tensor(self.image(state, root, id)?))),
            Home::View(_) => None,
        };
        let found = found.ok_or_else(|| fail("the value is read before it is made".into()))?;
        if let (false, Value::Tensor(t)) = (id == root, &*found) {
            let o = self.known(state, id).ok_or_else(|| fail("its sizes are not known".into()))?;
            return Ok(Cow::Owned(Value::Tensor(viewed(&o, t).map_err(|e| fail(e.to_string()))?)));
        }
        Ok(found)
    }

    /// A buffer that kernels write, or a view `id` of it, as a tensor.
    fn image(&self, state: &BlockState, root: BufferId, id: BufferId) -> Result<Tensor> {
        let fail = |message: &str| Error::step(&self.block.buffers[root].name, message);
        let sizes = || self.known(state, id).ok_or_else(|| fail("its sizes are not known"));
        if self.binding.results.binary_search(&root).is_ok() {
            let whole = state.results.tensor(root).ok_or_else(|| fail("the value is read before it is made"))?;
            return if id == root {
                Ok(whole.clone())
            } else {
                viewed(&sizes()?, whole).map_err(|e| fail(&e.to_string()))
            };
        }
        let o = sizes()?;
        let bytes = match (self.binding.spans[root], state.spans[root]) {
            (Some(span), _) => state.arena.bytes(span),
            (None, Some(span)) => state.growing.bytes(span),
            (None, None) => return Err(fail("it has no place")),
        };
        host_tensor(&o, bytes).map_err(|e| fail(&e.to_string()))
    }

    /// Sizes of a buffer, where they are known by now.
    fn known(&self, state: &BlockState, id: BufferId) -> Option<Operand> {
        match &self.binding.operands[id] {
            Some(o) => Some(o.clone()),
            None => operand(self.block, id, &|s| self.symbol(state, s)).ok().flatten(),
        }
    }

    fn values<'v>(&'v self, state: &'v BlockState, step: &Step) -> Result<Vec<Option<Cow<'v, Value>>>> {
        step.inputs.iter().map(|b| b.map(|b| self.value(state, b)).transpose()).collect()
    }

    fn eval(&self, state: &mut BlockState, i: usize, e: &EvalOp) -> Result<Ran> {
        let step = &self.block.steps[i];
        let fail = |message: String| Error::step(&step.label, message);
        let def = state.defs[i].ok_or_else(|| fail("no such operator".into()))?;
        let values = self.values(state, step)?;
        let bodies = Bodies::new(self, state, &e.bodies);
        let cx = EvalCx {
            attrs: AttrView::new(def, &e.attrs),
            outputs: step.outputs.len(),
            regions: (!e.bodies.is_empty()).then_some(&bodies as &dyn RunRegion),
            evaluator: &Operators,
        };
        let refs = values.iter().map(Option::as_deref).collect::<Vec<_>>();
        let results = (def.eval)(&cx, &refs).map_err(|e| fail(e.to_string()))?;
        self.keep(state, step, results)?;
        Ok(Ran::Reference(def.name))
    }

    /// A tensor without elements in the sizes that the plan knows: what a loop stacks that never ran has no others.
    fn empty_as_planned(&self, state: &BlockState, ty: &Type, value: Value) -> Value {
        let (Value::Tensor(t), Some(shape)) = (&value, ty.shape()) else { return value };
        if !t.is_empty() || shape.len() != t.rank() {
            return value;
        }
        let size =
            |d: &Dim, n: usize| d.eval(&|s| self.symbol(state, s)).and_then(|k| usize::try_from(k).ok()).unwrap_or(n);
        let planned = shape.iter().zip(t.shape()).map(|(d, &n)| size(d, n)).collect::<Vec<_>>();
        t.reshaped(&planned).map(Value::Tensor).unwrap_or(value)
    }

    /// Types of the results of a body, with the sizes that are known here.
    pub fn result_types(&self, state: &BlockState, block: usize) -> Vec<Type> {
        let block = &self.machine.plan.blocks[block];
        let mut types = block.outputs.iter().map(|&id| block.buffers[id].ty.clone()).collect::<Vec<_>>();
        for ty in &mut types {
            if let Type::Tensor(TensorType { shape: Some(shape), .. }) = ty {
                shape.iter_mut().for_each(|d| *d = d.substitute(&|s| self.symbol(state, s).map(Dim::Known)));
            }
        }
        types
    }

    /// Keeps host results, after checking them against what the plan says of them; sizes that only now are known
    /// become symbols.
    fn keep(&self, state: &mut BlockState, step: &Step, results: Vec<Value>) -> Result<()> {
        let fail = |message: String| Error::step(&step.label, message);
        let wanted = step.outputs.iter().rposition(Option::is_some).map_or(0, |i| i + 1);
        if results.len() < wanted {
            return Err(fail(format!("{} outputs made, {wanted} are wanted", results.len())));
        }
        for (i, (slot, value)) in step.outputs.iter().zip(results).enumerate() {
            let Some(id) = *slot else { continue };
            let b = &self.block.buffers[id];
            let value = self.empty_as_planned(state, &b.ty, value);
            if let Type::Tensor(ty) = &b.ty {
                let t = value.tensor().map_err(|e| fail(e.to_string()))?;
                let wrong = || fail(format!("output {i} is {}{:?}, {ty} was planned", t.dtype(), t.shape()));
                if ty.dtype.is_some_and(|d| d != t.dtype()) {
                    return Err(wrong());
                }
                if let Some(shape) = &ty.shape {
                    if shape.len() != t.rank() {
                        return Err(wrong());
                    }
                    for (dim, &n) in shape.iter().zip(t.shape()) {
                        let known = dim.eval(&|s| self.symbol(state, s));
                        match (known, dim.as_symbol()) {
                            (Some(k), _) if k == n as i64 => {}
                            (None, Some(s)) if self.symbol(state, s).is_none() => {
                                state.symbols.push((s.into(), n as i64))
                            }
                            // An expression whose value left the numbers says nothing.
                            (None, None) if dim.symbols().iter().all(|s| self.symbol(state, s).is_some()) => {}
                            _ => return Err(wrong()),
                        }
                    }
                }
            }
            if b.home != Home::Host {
                return Err(fail("a host result has another home".into()));
            }
            state.slots[id] = Some(value);
        }
        Ok(())
    }

    fn sizes(&self, state: &mut BlockState, step: &Step, dims: &[Dim]) -> Result<()> {
        let fail = |message: String| Error::step(&step.label, message);
        let Some(id) = step.outputs.first().copied().flatten() else { return Ok(()) };
        let ty = &self.block.buffers[id].ty;
        let (Some(dtype), Some(shape)) = (ty.dtype(), ty.sizes()) else {
            return Err(fail("its type is not known".into()));
        };
        let value = |d: &Dim| d.eval(&|s| self.symbol(state, s)).ok_or_else(|| fail(format!("{d} is not known")));
        let values = dims.iter().map(value).collect::<Result<Vec<_>>>()?;
        let t = Tensor::from_i64s(dtype, &shape, &values).map_err(|e| fail(e.to_string()))?;
        self.keep(state, step, vec![Value::Tensor(t)])
    }

    /// Shows the hub values that step `i` made.
    fn report(&self, state: &BlockState, i: usize) -> Result<()> {
        if self.machine.watch.is_none() {
            return Ok(());
        }
        for &made in self.block.steps[i].outputs.iter().flatten() {
            // What a step makes may be a value of the model, and so may the views of it.
            for id in 0..self.block.buffers.len() {
                if self.block.buffers[id].value.is_some() && self.block.root(id) == made {
                    let v = self.value(state, id)?;
                    self.tell(id, &v);
                }
            }
        }
        Ok(())
    }

    fn tell(&self, id: BufferId, v: &Value) {
        if let (Some(watch), Some(value)) = (self.machine.watch, self.block.buffers[id].value) {
            (*watch.borrow_mut())(value, v);
        }
    }

    /// What a chain took: all of its steps as one. Images between them count as no bytes.
    fn chain_time(&self, c: &Chained, ns: u64) -> StepTime {
        let steps = &self.block.steps[c.steps.clone()];
        let size = |id: &BufferId| self.binding.operands[*id].as_ref().and_then(bytes_of).unwrap_or(0) as f64;
        let calls = self.binding.steps[c.steps.clone()].iter().flatten().flatten();
        let label = steps.iter().map(|s| s.label.as_str()).collect::<Vec<_>>().join(" > ");
        let kernels = c.chain.kernels().join(" > ");
        let [flops, tile_flops, tile_products] = work(calls.map(|r| &r.call));
        StepTime {
            label,
            kernel: format!("bands of {} rows: {kernels}", c.chain.band_rows()),
            reference: false,
            ns,
            flops,
            tile_flops,
            tile_products,
            bytes: c.inputs.iter().chain([&c.output]).map(size).sum(),
        }
    }

    fn time(&self, state: &BlockState, i: usize, ns: u64, ran: Ran) -> StepTime {
        let step = &self.block.steps[i];
        let calls = match &ran {
            Ran::Kernels(made) => made.as_deref().or(self.binding.steps[i].as_ref()),
            _ => None,
        };
        let mut names = calls.into_iter().flatten().map(|r| r.call.kernel()).collect::<Vec<_>>();
        names.dedup();
        let (kernel, reference) = match &ran {
            Ran::Reference(op) => (format!("reference {op}"), true),
            Ran::Inner => (String::from("control"), false),
            Ran::Kernels(_) if names.is_empty() => (String::from(IN_PLACE), false),
            Ran::Kernels(_) => (names.join(" + "), false),
        };
        let size = |id: &BufferId| {
            let o = self.binding.operands[*id].as_ref().or(state.operands[*id].as_ref());
            o.and_then(bytes_of).unwrap_or(0) as f64
        };
        let [flops, tile_flops, tile_products] = work(calls.into_iter().flatten().map(|r| &r.call));
        let bytes = match kernel == IN_PLACE {
            true => 0.0,
            false => step.inputs.iter().chain(&step.outputs).flatten().map(size).sum(),
        };
        StepTime { label: step.label.clone(), kernel, reference, ns, flops, tile_flops, tile_products, bytes }
    }
}

/// A view of a plain tensor.
fn viewed(o: &Operand, whole: &Tensor) -> modelsmith_tensor::Result<Tensor> {
    match o.layout {
        Layout::Plain => whole.reshaped(&o.shape),
        Layout::ChannelsLast => host_tensor(o, whole.bytes()),
    }
}

/// A tensor over a copy of `bytes` in logical order.
fn host_tensor(o: &Operand, bytes: &[u8]) -> modelsmith_tensor::Result<Tensor> {
    if o.layout == Layout::Plain || o.shape.len() < 3 || o.dtype == DType::String {
        return Tensor::from_bytes(o.dtype, &o.shape, bytes);
    }
    let stored = std::iter::once(o.shape[0]).chain(o.shape[2..].iter().copied()).chain([o.shape[1]]);
    let stored = Tensor::from_bytes(o.dtype, &stored.collect::<Vec<_>>(), bytes)?;
    let strides = o.layout.strides(&o.shape).into_iter().map(|s| s as isize).collect::<Vec<_>>();
    stored.strided(&o.shape, &strides, 0)
}
