//! Joining steps: activations and residuals into the products before them, chains of element-wise operators into one
//! program, transpositions into the strides of products.

mod attention;
mod epilogue;
mod program;
mod shuffle;
mod transpose;

pub(crate) use program::compact;

use crate::plan::{Block, BufferId, Home, Step, StepOp};
use crate::recipe::{Eltwise, Recipe};
use modelsmith_kop::{Activation, BinaryOp, Inst, Lane, UnaryOp};
use std::collections::HashSet;

/// Steps of a block while they are joined, and who makes and reads each buffer.
pub(super) struct Graph<'a> {
    pub block: &'a mut Block,
    pub steps: Vec<Option<Step>>,
    /// The step that writes a buffer.
    maker: Vec<Option<usize>>,
    /// Steps that read a buffer, once for each operand.
    readers: Vec<Vec<usize>>,
    /// Buffers that something else needs: the caller, a body, a view, a watcher.
    pinned: Vec<bool>,
    /// Buffers that the caller or a watcher was promised.
    given: Vec<bool>,
}

/// Joins what can be joined. `kept` buffers stay.
pub(crate) fn fuse(block: &mut Block, kept: &HashSet<BufferId>) {
    let mut g = Graph::new(block, kept);
    shuffle::recognise(&mut g);
    gates(&mut g);
    attention::recognise(&mut g);
    epilogue::absorb(&mut g);
    program::chains(&mut g);
    // Chains may have joined what follows a product into one program that it can take.
    epilogue::absorb(&mut g);
    transpose::absorb(&mut g);
    let steps = std::mem::take(&mut g.steps);
    block.steps = steps.into_iter().flatten().collect();
    for step in &mut block.steps {
        if let StepOp::Native(Recipe::Eltwise(e)) = &mut step.op
            && let Some(small) = compact(e)
        {
            *e = small;
        }
    }
}

impl Graph<'_> {
    fn new<'a>(block: &'a mut Block, kept: &HashSet<BufferId>) -> Graph<'a> {
        let steps = std::mem::take(&mut block.steps).into_iter().map(Some).collect();
        let mut given = vec![false; block.buffers.len()];
        block.outputs.iter().chain(kept).for_each(|&b| given[b] = true);
        let mut g = Graph { block, steps, maker: vec![], readers: vec![], pinned: vec![], given };
        g.recount();
        g
    }

    /// Finds anew who makes, reads and pins each buffer.
    pub fn recount(&mut self) {
        let n = self.block.buffers.len();
        let (mut maker, mut readers, mut pinned) = (vec![None; n], vec![vec![]; n], self.given.clone());
        for (i, s) in self.steps.iter().enumerate() {
            let Some(s) = s else { continue };
            s.outputs.iter().flatten().for_each(|&b| maker[b] = Some(i));
            s.inputs.iter().flatten().for_each(|&b| readers[b].push(i));
            if let StepOp::Eval(e) = &s.op {
                e.bodies.iter().flat_map(|b| &b.captures).for_each(|&b| pinned[b] = true);
            }
        }
        // A view that something reads pins what it views.
        let mut grew = true;
        while std::mem::take(&mut grew) {
            for (id, b) in self.block.buffers.iter().enumerate() {
                if let Home::View(of) = b.home
                    && (pinned[id] || !readers[id].is_empty())
                    && !std::mem::replace(&mut pinned[of], true)
                {
                    grew = true;
                }
            }
        }
        (self.maker, self.readers, self.pinned) = (maker, readers, pinned);
    }

    /// True when no step reads `b` and no one was promised it; views of it do not count.
    pub fn unread(&self, b: BufferId) -> bool {
        let captured = |s: &Step| match &s.op {
            StepOp::Eval(e) => e.bodies.iter().any(|x| x.captures.contains(&b)),
            _ => false,
        };
        self.readers[b].is_empty() && !self.given[b] && !self.steps.iter().flatten().any(captured)
    }

    /// The recipe of step `i`.
    pub fn recipe(&self, i: usize) -> Option<&Recipe> {
        match &self.steps[i].as_ref()?.op {
            StepOp::Native(r) => Some(r),
            _ => None,
        }
    }

    pub fn eltwise(&self, i: usize) -> Option<&Eltwise> {
        match self.recipe(i)? {
            Recipe::Eltwise(e) if e.outputs.len() == 1 => Some(e),
            _ => None,
        }
    }

    pub fn inputs(&self, i: usize) -> Vec<BufferId> {
        self.steps[i].iter().flat_map(|s| s.inputs.iter().flatten().copied()).collect()
    }

    pub fn output(&self, i: usize) -> Option<BufferId> {
        self.steps[i].as_ref()?.outputs.first().copied().flatten()
    }

    pub fn maker(&self, b: BufferId) -> Option<usize> {
        self.maker[b]
    }

    /// The step that alone reads `b`, with one operand, where nothing else needs it.
    pub fn only_reader(&self, b: BufferId) -> Option<usize> {
        match self.readers[b][..] {
            [one] if !self.pinned[b] => Some(one),
            _ => None,
        }
    }

    /// Puts `step` in the place of step `at`, and takes step `gone` out.
    pub fn replace(&mut self, at: usize, gone: Option<usize>, step: Step) {
        for i in [Some(at), gone].into_iter().flatten() {
            self.remove(i);
        }
        step.outputs.iter().flatten().for_each(|&b| self.maker[b] = Some(at));
        step.inputs.iter().flatten().for_each(|&b| self.readers[b].push(at));
        self.steps[at] = Some(step);
    }

    /// Takes a step out.
    pub fn remove(&mut self, i: usize) {
        let Some(old) = self.steps[i].take() else { return };
        for b in old.inputs.iter().flatten() {
            if let Some(k) = self.readers[*b].iter().position(|&r| r == i) {
                self.readers[*b].swap_remove(k);
            }
        }
        old.outputs.iter().flatten().for_each(|&b| self.maker[b] = None);
    }

    pub fn same_shape(&self, a: BufferId, b: BufferId) -> bool {
        let shape = |id: BufferId| self.block.buffers[id].ty.shape();
        shape(a).is_some() && shape(a) == shape(b)
    }
}

/// `x * sigmoid(x)` and `x * hardsigmoid(x)` in two steps become one function, so that a product before can take it.
fn gates(g: &mut Graph) {
    for i in 0..g.steps.len() {
        let Some(e) = g.eltwise(i) else { continue };
        let product = matches!(
            e.code[..],
            [
                Inst::Load { .. },
                Inst::Load { .. },
                Inst::Binary { op: BinaryOp::Mul, lane: Lane::F32, .. },
                Inst::Store { .. }
            ]
        );
        let inputs = g.inputs(i);
        if !product || inputs.len() != 2 {
            continue;
        }
        for (x, s) in [(inputs[0], inputs[1]), (inputs[1], inputs[0])] {
            let Some(gate) = g.maker(s).filter(|_| g.only_reader(s) == Some(i)) else { continue };
            let Some(act) = g.eltwise(gate).and_then(gate_of).filter(|_| g.inputs(gate) == [x]) else { continue };
            let (Some(a), Some(b)) = (g.steps[gate].clone(), g.steps[i].clone()) else { continue };
            let code = vec![
                Inst::Load { dst: 0, input: 0 },
                Inst::Unary { op: UnaryOp::Act(act), lane: Lane::F32, dst: 1, a: 0 },
                Inst::Store { output: 0, a: 1 },
            ];
            let e = Eltwise { inputs: vec![Lane::F32], outputs: vec![Lane::F32], registers: 2, code };
            let label = join(&a.label, &b.label);
            let step = Step::new(label, StepOp::Native(Recipe::Eltwise(e)), vec![Some(x)], b.outputs);
            g.replace(i, Some(gate), step);
            break;
        }
    }
}

/// The product of a value with this function of it, where it has a name.
fn gate_of(e: &Eltwise) -> Option<Activation> {
    match e.code[..] {
        [Inst::Load { .. }, Inst::Unary { op: UnaryOp::Act(a), .. }, Inst::Store { .. }] => match a {
            Activation::Sigmoid => Some(Activation::Silu),
            Activation::HardSigmoid { alpha, beta } if (alpha - 1.0 / 6.0).abs() < 1e-7 && beta == 0.5 => {
                Some(Activation::HardSwish)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Labels of joined steps.
pub(super) fn join(a: &str, b: &str) -> String {
    if a.len() + b.len() > 400 { a.to_owned() } else { format!("{a} + {b}") }
}
