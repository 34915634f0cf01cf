//! Steps that run together in bands: which ones, decided when sizes are known.

use crate::bind::{Ready, bytes_of, lives};
use crate::joined::Part;
use modelsmith_kernels::Chain;
use modelsmith_plan::{Block, BufferId, Home, Operand};
use std::ops::Range;

/// An image of fewer bytes stays in the cache from one step to the next anyway.
const LARGE: usize = 512 << 10;
/// Weights of more bytes do not stay in the second-level cache from one band to the next.
const HEAVY: usize = 768 << 10;
/// Most operands of a chain.
const MAX_OPERANDS: usize = 36;

/// Steps that run as one chain.
pub(crate) struct Chained {
    /// The steps.
    pub steps: Range<usize>,
    /// The chain.
    pub chain: Chain,
    /// Operands as the chain takes them.
    pub inputs: Vec<BufferId>,
    /// The result.
    pub output: BufferId,
}

/// The chains of a block whose steps are made ready.
pub(crate) fn find(
    block: &Block,
    operands: &[Option<Operand>],
    steps: &[Option<Vec<Ready>>],
    threads: usize,
) -> Vec<Chained> {
    let uses = uses(block);
    let ready = |i: usize| match steps.get(i)?.as_deref()? {
        [one] if one.call.runs_in_bands() => Some(one),
        _ => None,
    };
    let size = |id: BufferId| operands[id].as_ref().and_then(bytes_of).unwrap_or(0);
    let large = |id: BufferId| size(id) >= LARGE;
    let linked = |i: usize| {
        let (Some(a), Some(b)) = (ready(i), ready(i + 1)) else { return false };
        let ([out], Some((_, image))) = (&a.outputs[..], b.call.stage()) else { return false };
        let read_there = b.inputs.iter().enumerate().all(|(at, x)| (x == out) == (at == image));
        read_there && uses[*out] == 1 && block.buffers[*out].home == Home::Arena && large(*out)
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < steps.len() {
        let mut end = at + 1;
        while linked(end - 1) {
            end += 1;
        }
        // Where all do not go together, fewer may.
        while end > at + 1 {
            if let Some(chained) = chained(at..end, &ready, threads).filter(|c| pays(block, c, &size)) {
                found.push(chained);
                break;
            }
            end -= 1;
        }
        at = end;
    }
    found
}

/// Whether bands read fewer bytes of weights again than the images between the steps would take to memory and back.
fn pays(block: &Block, c: &Chained, size: &impl Fn(BufferId) -> usize) -> bool {
    let is_weight = |id: &&BufferId| matches!(block.buffers[block.root(**id)].home, Home::Weight(_));
    let read = c.inputs.iter().filter(is_weight).map(|&id| size(id)).sum::<usize>();
    let between = block.steps[c.steps.start..c.steps.end - 1].iter().flat_map(|s| s.outputs.iter().flatten());
    let saved = 2 * between.map(|&id| size(id)).sum::<usize>();
    read < HEAVY || read.saturating_mul(c.chain.bands()) < saved
}

fn chained<'r>(steps: Range<usize>, ready: &impl Fn(usize) -> Option<&'r Ready>, threads: usize) -> Option<Chained> {
    let calls = steps.clone().map(ready).collect::<Option<Vec<_>>>()?;
    let staged = calls.iter().map(|c| c.call.stage()).collect::<Option<Vec<_>>>()?;
    let mut inputs = vec![*calls.first()?.inputs.get(staged.first()?.1)?];
    for (call, (_, image)) in calls.iter().zip(&staged) {
        let others = call.inputs.iter().enumerate().filter(|(at, _)| at != image);
        inputs.extend(others.map(|(_, &buffer)| buffer));
    }
    if inputs.len() > MAX_OPERANDS {
        return None;
    }
    let stages = staged.into_iter().map(|(stage, _)| stage).collect();
    let chain = Chain::new(stages, threads).ok()?;
    Some(Chained { steps, chain, inputs, output: *calls.last()?.outputs.first()? })
}

/// How often each buffer is read: by steps, bodies, views and the caller.
pub(crate) fn uses(block: &Block) -> Vec<usize> {
    let mut uses = vec![0usize; block.buffers.len()];
    let mut count = |id: BufferId| uses[id] += 1;
    for step in &block.steps {
        step.inputs.iter().flatten().for_each(|&b| count(b));
        if let modelsmith_plan::StepOp::Eval(e) = &step.op {
            e.bodies.iter().flat_map(|b| &b.captures).for_each(|&b| count(b));
        }
    }
    block.outputs.iter().for_each(|&b| count(b));
    for b in &block.buffers {
        if let Home::View(of) = b.home {
            count(of);
        }
    }
    uses
}

/// First and last step that touch each root buffer when chains run as one and parts are written in place: what a chain
/// reads lives until its end, what it makes from its beginning, and what lies between has no place. A part has none of its
/// own either.
pub(crate) fn lives_in(block: &Block, chains: &[Chained], parts: &[Part]) -> Vec<Option<(usize, usize)>> {
    let mut lives = lives(block);
    for p in parts {
        let own = lives[p.buffer].take();
        if let (Some((made, read)), Some((first, last))) = (own, &mut lives[p.whole]) {
            (*first, *last) = (made.min(*first), read.max(*last));
        }
    }
    for c in chains {
        for &made in block.steps[c.steps.start..c.steps.end - 1].iter().flat_map(|s| s.outputs.iter().flatten()) {
            lives[block.root(made)] = None;
        }
        for (first, last) in lives.iter_mut().flatten() {
            if c.steps.contains(first) {
                *first = c.steps.start;
            }
            if c.steps.contains(last) {
                *last = c.steps.end - 1;
            }
        }
    }
    lives
}
