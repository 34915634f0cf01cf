//! Sizes of a run: symbols solved from inputs, steps made ready, memory placed. Kept for the next run of the same sizes.

use crate::arena::Span;
use crate::chains::{self, Chained};
use crate::error::{Error, Result};
use crate::joined::{self, Part};
use crate::results;
use modelsmith_backend_cpu::{Cpu, KernelCall};
use modelsmith_ir::{Dim, Type};
use modelsmith_kop::EltwiseProblem;
use modelsmith_plan::memory::{self, Placement};
use modelsmith_plan::{Block, BufferId, Form, Home, Operand, Plan, Step, StepOp, instantiate};
use modelsmith_tensor::{DType, Value};
use std::collections::BTreeMap;

/// Most bytes of activations that lie in tensors of their own because steps read them as whole values, unless one alone
/// has more.
const SPARE: usize = 1 << 22;

/// Values of symbols.
pub(crate) type Symbols = BTreeMap<String, i64>;

/// A kernel call with its buffers.
pub(crate) struct Ready {
    pub call: KernelCall,
    pub inputs: Vec<BufferId>,
    pub outputs: Vec<BufferId>,
}

/// What can be seen of the inputs of a run without their elements.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given(Vec<Kind>);

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Tensor(DType, Vec<usize>),
    Other(&'static str),
}

impl Given {
    pub fn of(inputs: &[&Value]) -> Given {
        let kind = |v: &&Value| match v {
            Value::Tensor(t) => Kind::Tensor(t.dtype(), t.shape().to_vec()),
            other => Kind::Other(other.kind()),
        };
        Given(inputs.iter().map(kind).collect())
    }

    /// True for inputs of the same kinds, element types and shapes: what [`solve`] finds for them is the same.
    pub fn is(&self, inputs: &[&Value]) -> bool {
        // Size by size: slices would be held against each other by a call, which takes longer than so few sizes.
        let same = |(known, v): (&Kind, &&Value)| match (known, v) {
            (Kind::Tensor(dtype, shape), Value::Tensor(t)) => *dtype == t.dtype() && shape.iter().eq(t.shape()),
            (Kind::Other(kind), other) => *kind == other.kind(),
            (Kind::Tensor(..), _) => false,
        };
        self.0.len() == inputs.len() && self.0.iter().zip(inputs).all(same)
    }
}

/// A block for certain sizes.
pub(crate) struct Binding {
    /// The inputs for which it was made.
    pub given: Given,
    pub symbols: Symbols,
    /// Per buffer, where its sizes are known before the run.
    pub operands: Vec<Option<Operand>>,
    /// Per buffer of the arena whose size is known.
    pub spans: Vec<Option<Span>>,
    /// Buffers that lie in tensors of their own, in order.
    pub results: Vec<BufferId>,
    /// Per step, where it runs kernels on buffers of known sizes.
    pub steps: Vec<Option<Vec<Ready>>>,
    /// Whether steps may run as chains.
    pub chained: bool,
    /// Steps that run in bands, in order; what lies between two of them has no place.
    pub chains: Vec<Chained>,
    /// Bytes of the arena.
    pub arena: usize,
    /// Bytes of scratch memory.
    pub scratch: usize,
    /// Bytes alive during each step, and after the last.
    pub live: Vec<u64>,
}

impl Binding {
    /// Bytes of the results that lie in tensors of their own.
    pub fn result_bytes(&self) -> usize {
        let size = |&id: &BufferId| self.operands[id].as_ref().and_then(bytes_of).unwrap_or(0);
        self.results.iter().map(size).fold(0, usize::saturating_add)
    }

    /// The largest sum of bytes alive at once.
    pub fn largest_live(&self) -> u64 {
        self.live.iter().copied().max().unwrap_or(0)
    }
}

/// Solves the symbols of a block's input types from values.
pub(crate) fn solve(block: &Block, inputs: &[&Value]) -> Result<Symbols> {
    if block.inputs.len() != inputs.len() {
        let names = block.inputs.iter().map(|&b| block.buffers[b].name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::Input {
            input: names,
            message: format!("{} inputs given, {} are wanted", inputs.len(), block.inputs.len()),
        });
    }
    let mut symbols = Symbols::new();
    let mut origin = BTreeMap::new();
    let mut later = Vec::new();
    for (&id, value) in block.inputs.iter().zip(inputs) {
        let b = &block.buffers[id];
        let fail = |message: String| Err(Error::Input { input: b.name.clone(), message });
        let (Type::Tensor(ty), Value::Tensor(t)) = (&b.ty, value) else {
            match (&b.ty, value) {
                (Type::Tensor(ty), other) => return fail(format!("{ty} is wanted, a {} is given", other.kind())),
                (Type::Sequence(_), other) if other.kind() != "sequence" => {
                    return fail(format!("{} is wanted, a {} is given", b.ty, other.kind()));
                }
                _ => continue,
            }
        };
        if let Some(d) = ty.dtype.filter(|d| *d != t.dtype()) {
            return fail(format!("element type {d} is wanted, {} is given", t.dtype()));
        }
        let Some(shape) = &ty.shape else { continue };
        if shape.len() != t.rank() {
            return fail(format!("shape {ty} is wanted, rank {} is given", t.rank()));
        }
        for (axis, (dim, &size)) in shape.iter().zip(t.shape()).enumerate() {
            let size = size as i64;
            match (dim, dim.as_symbol()) {
                (Dim::Known(n), _) if *n != size => return fail(format!("axis {axis} must be {n}, {size} is given")),
                (_, Some(symbol)) => match symbols.get(symbol) {
                    Some(n) if *n != size => {
                        let from = origin.get(symbol).cloned().unwrap_or_default();
                        return fail(format!("{symbol} is {n} in {from} and {size} in `{}` (axis {axis})", b.name));
                    }
                    Some(_) => {}
                    None => {
                        origin.insert(symbol.to_string(), format!("`{}` (axis {axis})", b.name));
                        symbols.insert(symbol.into(), size);
                    }
                },
                (Dim::Expr(_), None) => later.push((b.name.clone(), axis, dim.clone(), size)),
                _ => {}
            }
        }
    }
    for (input, axis, dim, size) in later {
        match dim.eval(&|s| symbols.get(s).copied()) {
            Some(n) if n != size => {
                return Err(Error::Input {
                    input,
                    message: format!("axis {axis} must be {dim} = {n}, {size} is given"),
                });
            }
            _ => {}
        }
    }
    Ok(symbols)
}

/// Checks that the dimensions of the inputs have sizes that the notes of the engine allow.
///
/// # Errors
/// When one has not; it is named with the range.
pub(crate) fn allowed(notes: &[(String, String)], symbols: &Symbols) -> Result<()> {
    for (symbol, &size) in symbols {
        let range = modelsmith_ir::dim_range(notes, symbol);
        if !range.contains(&size) {
            let (low, high) = (range.start(), range.end());
            let wanted = if *high == i64::MAX { format!("{low} or more") } else { format!("{low} to {high}") };
            return Err(Error::Refused(format!(
                "the dimension {symbol} is {size}: the model is made for sizes of {wanted}"
            )));
        }
    }
    Ok(())
}

/// What is known of a buffer when the symbols have these values; `None` where sizes are still open.
///
/// # Errors
/// When a size is negative or does not hold.
pub(crate) fn operand(block: &Block, id: BufferId, symbols: &dyn Fn(&str) -> Option<i64>) -> Result<Option<Operand>> {
    let b = &block.buffers[id];
    let (Some(dtype), Some(shape)) = (b.ty.dtype(), b.ty.shape()) else { return Ok(None) };
    let mut sizes = Vec::with_capacity(shape.len());
    for (axis, dim) in shape.iter().enumerate() {
        match dim.eval(symbols) {
            Some(n) => match usize::try_from(n) {
                Ok(n) => sizes.push(n),
                Err(_) => return Err(Error::step(&b.name, format!("axis {axis} is {dim} = {n}, which is no size"))),
            },
            // A host result has the size that the reference gives it.
            None if b.home != Home::Host && dim.symbols().iter().all(|s| symbols(s).is_some()) => {
                let given =
                    dim.symbols().iter().map(|s| format!("{s} = {}", symbols(s).unwrap_or(0))).collect::<Vec<_>>();
                let message = format!("axis {axis} is {dim}, which does not hold for {}", given.join(", "));
                return Err(Error::step(&b.name, message));
            }
            None => return Ok(None),
        }
    }
    Ok(Some(Operand { dtype, shape: sizes, layout: b.layout }))
}

/// Bytes of an operand; `None` where they overflow.
pub(crate) fn bytes_of(o: &Operand) -> Option<usize> {
    if o.shape.contains(&0) {
        return Some(0);
    }
    let n = o.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    o.dtype.bytes_for(n).filter(|&b| b <= isize::MAX as usize / 16)
}

/// The kernel calls of a step.
pub(crate) fn ready(
    plan: &Plan,
    block: &Block,
    step: &Step,
    operands: &dyn Fn(BufferId) -> Option<Operand>,
    sizes: &dyn Fn(&str) -> Option<i64>,
    cpu: &Cpu,
) -> Result<Vec<Ready>> {
    let StepOp::Native(recipe) = &step.op else { return Ok(vec![]) };
    let all = |list: &[Option<BufferId>]| list.iter().map(|b| b.and_then(operands)).collect::<Vec<_>>();
    let fail = |message: String| Error::step(&step.label, message);
    let calls = instantiate(recipe, &all(&step.inputs), &all(&step.outputs), sizes).map_err(fail)?;
    let packed = packed_format(plan, block, step);
    let shapes = || step.inputs.iter().flatten().filter_map(|&b| operands(b)).map(|o| o.shape);
    // At build, open sizes were guessed.
    let guessed = step.is_open(block) && !shapes().eq(step.measured_at.iter().cloned());
    let mut out = Vec::with_capacity(calls.len());
    for (i, c) in calls.into_iter().enumerate() {
        let prefer = step.kernels.get(i).or(step.kernels.first()).map_or("", String::as_str);
        let call = if guessed { cpu.cheapest(c.op, packed) } else { cpu.prepare(c.op, prefer, packed) };
        let call = call.map_err(|e| fail(e.to_string()))?;
        let buffers = |list: &[Option<BufferId>], which: &[usize]| {
            which.iter().map(|&i| list.get(i).copied().flatten()).collect::<Option<Vec<_>>>()
        };
        let missing = || fail("an operand is missing".into());
        out.push(Ready {
            call,
            inputs: buffers(&step.inputs, &c.inputs).ok_or_else(missing)?,
            outputs: buffers(&step.outputs, &c.outputs).ok_or_else(missing)?,
        });
    }
    Ok(out)
}

/// The pack format of the constant weight among a step's operands.
fn packed_format<'p>(plan: &'p Plan, block: &Block, step: &Step) -> Option<&'p str> {
    step.inputs.iter().flatten().find_map(|&b| match block.buffers[b].home {
        Home::Weight(w) => match &plan.weights[w].form {
            Form::Packed { format, .. } => Some(format.as_str()),
            Form::Raw => None,
        },
        _ => None,
    })
}

/// Makes block `index` ready for these symbols. Every step's results have a place unless steps may be chained.
pub(crate) fn bind(
    plan: &Plan,
    index: usize,
    symbols: Symbols,
    cpu: &Cpu,
    threads: usize,
    chained: bool,
) -> Result<Binding> {
    let block = &plan.blocks[index];
    let lookup = |s: &str| symbols.get(s).copied();
    let mut operands = Vec::with_capacity(block.buffers.len());
    for id in 0..block.buffers.len() {
        operands.push(operand(block, id, &lookup)?);
    }
    let mut steps = Vec::with_capacity(block.steps.len());
    for step in &block.steps {
        let known = |b: &BufferId| operands[*b].is_some();
        let native = matches!(step.op, StepOp::Native(_));
        if !native || !step.inputs.iter().chain(&step.outputs).flatten().all(known) {
            steps.push(None);
            continue;
        }
        steps.push(Some(ready(plan, block, step, &|b| operands[b].clone(), &lookup, cpu)?));
    }
    let parts = if chained { joined::find(block, &operands, &mut steps) } else { vec![] };
    let chains = if chained { chains::find(block, &operands, &steps, threads) } else { vec![] };
    let of_calls = steps.iter().flatten().flatten().map(|r| r.call.workspace(threads)).max().unwrap_or(0);
    let scratch = chains.iter().map(|c| c.chain.workspace(threads)).max().unwrap_or(0).max(of_calls);
    let largest = operands.iter().flatten().filter_map(bytes_of).max().unwrap_or(0);
    let results = results::find(block, &operands, (&parts, &chains), SPARE.max(largest));
    let (spans, placed) = place(block, &operands, &steps, (&chains, &parts), &results)?;
    let Placement { total: arena, live, .. } = placed;
    Ok(Binding {
        given: Given::default(),
        operands,
        spans,
        results,
        steps,
        chained,
        chains,
        arena,
        scratch,
        live,
        symbols,
    })
}

/// First and last step that touch each root buffer; the number of steps stands for the caller.
pub(crate) fn lives(block: &Block) -> Vec<Option<(usize, usize)>> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; block.buffers.len()];
    let mut touch = |id: BufferId, at: usize| {
        let slot = &mut lives[block.root(id)];
        *slot = Some(slot.map_or((at, at), |(a, b)| (a.min(at), b.max(at))));
    };
    for (i, step) in block.steps.iter().enumerate() {
        step.inputs.iter().chain(&step.outputs).flatten().for_each(|&b| touch(b, i));
        if let StepOp::Eval(e) = &step.op {
            e.bodies.iter().flat_map(|b| &b.captures).for_each(|&b| touch(b, i));
        }
    }
    block.outputs.iter().for_each(|&b| touch(b, block.steps.len()));
    lives
}

/// Places the arena buffers of known size, but for those of `results`.
fn place(
    block: &Block,
    operands: &[Option<Operand>],
    steps: &[Option<Vec<Ready>>],
    (chains, parts): (&[Chained], &[Part]),
    results: &[BufferId],
) -> Result<(Vec<Option<Span>>, Placement)> {
    let too_large = |id: BufferId| Error::step(&block.buffers[id].name, "the tensor is too large for memory");
    let mut lives = chains::lives_in(block, chains, parts);
    results.iter().for_each(|&id| lives[id] = None);
    // Buffers that share memory because a step works in place are one class, named by its first member.
    let mut class = (0..block.buffers.len()).collect::<Vec<_>>();
    let mut spans = vec![None; block.buffers.len()];
    let mut blocks = BTreeMap::new();
    for (id, b) in block.buffers.iter().enumerate() {
        if let (Home::Arena, Some((first, last)), Some(o)) = (b.home, lives[id], &operands[id]) {
            let bytes = bytes_of(o).ok_or_else(|| too_large(id))?;
            blocks.insert(id, memory::Block { bytes, first, last });
        }
    }
    for (i, made) in steps.iter().enumerate() {
        if let Some([one]) = made.as_deref() {
            share(block, one, i, &mut class, &mut blocks);
        }
    }
    let list = blocks.values().copied().collect::<Vec<_>>();
    let placed = memory::place(&list, block.steps.len()).ok_or_else(|| too_large(0))?;
    for (id, &offset) in blocks.keys().zip(&placed.offsets) {
        spans[*id] = Some(Span { offset, len: 0 });
    }
    let mut spans: Vec<Option<Span>> = (0..block.buffers.len())
        .map(|id| {
            let o = operands[id].as_ref().filter(|_| block.buffers[id].home == Home::Arena && lives[id].is_some())?;
            let at: Span = spans[class[id]]?;
            Some(Span { offset: at.offset, len: bytes_of(o)? })
        })
        .collect();
    for p in parts {
        let whole = spans[p.whole].filter(|w| p.offset <= w.len);
        spans[p.buffer] = whole.map(|w| Span { offset: w.offset + p.offset, len: w.len - p.offset });
    }
    Ok((spans, placed))
}

/// Lets the result of a step take the place of an operand that ends there, where the kernel works in place.
fn share(
    block: &Block,
    ready: &Ready,
    at: usize,
    class: &mut [BufferId],
    blocks: &mut BTreeMap<BufferId, memory::Block>,
) {
    let [out] = ready.outputs[..] else { return };
    let Some(result) = blocks.get(&out).copied().filter(|r| r.first == at && class[out] == out) else { return };
    let candidates: Vec<usize> = match &ready.call {
        KernelCall::Eltwise(_, p) => (0..ready.inputs.len()).filter(|&i| in_step(p, i)).collect(),
        KernelCall::Softmax(..) | KernelCall::Norm(..) => vec![0],
        _ => return,
    };
    for i in candidates {
        let root = block.root(ready.inputs[i]);
        let from = class[root];
        let Some(source) = blocks.get(&from).copied() else { continue };
        let same = |&j: &usize| class[block.root(ready.inputs[j])] == from;
        let others = (0..ready.inputs.len()).filter(same).all(|j| match &ready.call {
            KernelCall::Eltwise(_, p) => in_step(p, j),
            _ => j == i,
        });
        if from != out && source.last == at && source.bytes == result.bytes && others {
            blocks.remove(&out);
            class[out] = from;
            blocks.insert(from, memory::Block { last: result.last, ..source });
            return;
        }
    }
}

/// True where input `i` of a program is walked exactly as its only output.
fn in_step(p: &EltwiseProblem, i: usize) -> bool {
    match (p.inputs.get(i), &p.outputs[..]) {
        (Some(a), [b]) => a.strides == b.strides && a.lane.bytes() == b.lane.bytes(),
        _ => false,
    }
}
