//! Steps that nothing needs.

use crate::plan::{Block, BufferId, Home, StepOp};
use modelsmith_ir::Dim;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Removes steps whose results nothing reads and that settle no size that a later step needs. Operators that draw
/// random numbers have no other effect either.
pub(super) fn drop_unused(block: &mut Block, kept: &HashSet<BufferId>) {
    let mut live = block.outputs.iter().chain(kept).copied().collect::<HashSet<_>>();
    for id in live.clone() {
        live.insert(block.root(id));
    }
    let settles = settled_by(block);
    let mut sizes = HashSet::new();
    for &id in &live {
        sizes.extend(symbols_of(block, id));
    }
    let mut kept = Vec::new();
    for (i, step) in std::mem::take(&mut block.steps).into_iter().enumerate().rev() {
        let used = |id: &BufferId| live.contains(id);
        let settling = settles.get(&i).is_some_and(|names| names.iter().any(|n| sizes.contains(n)));
        if !settling && !step.outputs.iter().flatten().any(used) {
            continue;
        }
        let mut reads = step.inputs.iter().flatten().copied().collect::<Vec<_>>();
        match &step.op {
            StepOp::Eval(e) => reads.extend(e.bodies.iter().flat_map(|b| b.captures.iter().copied())),
            StepOp::Sizes { dims } => sizes.extend(dims.iter().flat_map(Dim::symbols)),
            _ => {}
        }
        for &id in reads.iter().chain(step.outputs.iter().flatten()) {
            sizes.extend(symbols_of(block, id));
        }
        for id in reads {
            let mut at = id;
            live.insert(at);
            while let Home::View(of) = block.buffers[at].home {
                live.insert(of);
                at = of;
            }
        }
        kept.push(step);
    }
    kept.reverse();
    block.steps = kept;
}

fn symbols_of(block: &Block, id: BufferId) -> Vec<Arc<str>> {
    block.buffers[id].ty.shape().unwrap_or_default().iter().flat_map(Dim::symbols).collect()
}

/// For each step, the symbols whose size is first known from one of its results.
fn settled_by(block: &Block) -> HashMap<usize, Vec<Arc<str>>> {
    let mut known = block.inputs.iter().flat_map(|&id| symbols_of(block, id)).collect::<HashSet<_>>();
    let mut out = HashMap::<usize, Vec<Arc<str>>>::new();
    for (i, step) in block.steps.iter().enumerate() {
        for symbol in step.outputs.iter().flatten().flat_map(|&id| symbols_of(block, id)) {
            if known.insert(symbol.clone()) {
                out.entry(i).or_default().push(symbol);
            }
        }
    }
    out
}
