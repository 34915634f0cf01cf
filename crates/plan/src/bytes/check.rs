//! Whether the indices of a plan point at something, and at what they may.

use crate::plan::{Block, BufferId, Home, Plan, StepOp};

type Checked = Result<(), String>;

pub(super) fn check(plan: &Plan, blobs: usize) -> Checked {
    if plan.blocks.is_empty() {
        return Err("the plan has no block".into());
    }
    if let Some(w) = plan.weights.iter().find(|w| w.blob >= blobs) {
        return Err(format!("weight {:?} names blob {}, there are {blobs}", w.name, w.blob));
    }
    let mut users = vec![0usize; plan.blocks.len()];
    for (i, block) in plan.blocks.iter().enumerate() {
        buffers(plan, block).map_err(|e| format!("block {i}: {e}"))?;
        for (s, _) in block.steps.iter().enumerate() {
            step(plan, i, s, &mut users).map_err(|e| format!("block {i}, step {s}: {e}"))?;
        }
    }
    match users.iter().any(|&n| n > 1) {
        true => Err("a block is used twice".into()),
        false => Ok(()),
    }
}

fn buffers(plan: &Plan, block: &Block) -> Checked {
    let n = block.buffers.len();
    let inside = |id: &BufferId| if *id < n { Ok(()) } else { Err(format!("there is no buffer {id}")) };
    block.inputs.iter().chain(&block.outputs).try_for_each(inside)?;
    for (id, b) in block.buffers.iter().enumerate() {
        match b.home {
            Home::View(of) if of >= n => return Err(format!("there is no buffer {of}")),
            Home::View(_)
                if matches!(block.buffers.get(block.root(id)).map(|b| b.home), Some(Home::View(_)) | None) =>
            {
                return Err(format!("buffer {id} views itself"));
            }
            Home::Weight(w) if w >= plan.weights.len() => return Err(format!("there is no weight {w}")),
            _ => {}
        }
    }
    let input = |id: &BufferId| block.buffers.get(*id).is_some_and(|b| b.home == Home::Input);
    match block.inputs.iter().all(input) {
        true => Ok(()),
        false => Err("an input has another home".into()),
    }
}

fn step(plan: &Plan, at: usize, index: usize, users: &mut [usize]) -> Checked {
    let Some(block) = plan.blocks.get(at) else { return Ok(()) };
    let Some(step) = block.steps.get(index) else { return Ok(()) };
    let n = block.buffers.len();
    let inside = |id: &BufferId| if *id < n { Ok(()) } else { Err(format!("there is no buffer {id}")) };
    step.inputs.iter().chain(&step.outputs).flatten().try_for_each(inside)?;
    let wanted = if matches!(step.op, StepOp::Native(_)) { Home::Arena } else { Home::Host };
    let home = |id: &BufferId| block.buffers.get(*id).is_some_and(|b| b.home == wanted);
    if !step.outputs.iter().flatten().all(home) {
        return Err(format!("a result does not lie in {wanted:?}"));
    }
    let mut inner = |b: usize, given: usize| -> Checked {
        let Some(found) = plan.blocks.get(b).filter(|_| b > at) else {
            return Err(format!("there is no inner block {b}"));
        };
        if let Some(u) = users.get_mut(b) {
            *u += 1;
        }
        match found.inputs.len() >= given {
            true => Ok(()),
            false => Err(format!("block {b} takes {} inputs, {given} are given", found.inputs.len())),
        }
    };
    match &step.op {
        StepOp::Eval(e) => {
            if modelsmith_ops::all().get(&e.domain, &e.name).is_none() {
                return Err(format!("there is no operator {} {}", e.domain, e.name));
            }
            for b in &e.bodies {
                b.captures.iter().try_for_each(inside)?;
                inner(b.block, b.captures.len())?;
            }
            Ok(())
        }
        StepOp::Call { block } => inner(*block, step.inputs.len()),
        StepOp::Native(_) | StepOp::Sizes { .. } => Ok(()),
    }
}
