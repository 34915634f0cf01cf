//! Transpositions before and after a product as strides of its operands.

use super::{Graph, join};
use crate::plan::{BufferId, Step, StepOp};
use crate::recipe::{Gemm, Move, Post, Recipe};

fn perm_of(g: &Graph, i: usize) -> Option<Vec<usize>> {
    match g.recipe(i)? {
        Recipe::Move(Move::Transpose(p)) => Some(p.clone()),
        _ => None,
    }
}

pub(super) fn absorb(g: &mut Graph) {
    for i in 0..g.steps.len() {
        let Some(Recipe::Gemm(m)) = g.recipe(i) else { continue };
        let mut m = m.clone();
        let Some(mut step) = g.steps[i].clone() else { continue };
        let mut changed = false;
        let operands = if m.packed.is_some() { 1 } else { 2 };
        for q in 0..operands {
            let Some(b) = step.inputs.get(q).copied().flatten() else { continue };
            let Some((t, perm)) = g.maker(b).and_then(|t| Some((t, perm_of(g, t)?))) else { continue };
            let Some(&from) = g.inputs(t).first() else { continue };
            let own = if q == 0 { &mut m.a_perm } else { &mut m.b_perm };
            // Axis j of the operand is axis own[j] of the transposed buffer, which is axis perm[own[j]] of its source.
            *own = match own.is_empty() {
                true => perm,
                false => own.iter().filter_map(|&a| perm.get(a).copied()).collect(),
            };
            step.inputs[q] = Some(from);
            changed = true;
        }
        if changed {
            step.op = StepOp::Native(Recipe::Gemm(m.clone()));
            g.replace(i, None, step.clone());
        }
        if let Some((t, after)) = following(g, i, &m, &step) {
            g.replace(t, Some(i), after);
        }
    }
}

/// Product `i` with the transposition that alone reads its result.
fn following(g: &Graph, i: usize, m: &Gemm, step: &Step) -> Option<(usize, Step)> {
    let out = g.output(i)?;
    let t = g.only_reader(out)?;
    let perm = perm_of(g, t)?;
    let last_stays = perm.last() == Some(&(perm.len() - 1));
    let vectors = step.inputs.iter().skip(2).flatten().all(|&b| is_vector(g, b));
    let plain = m.post.iter().all(|p| !matches!(p, Post::Add | Post::Mul)) || vectors;
    if !m.c_perm.is_empty() || !last_stays || !plain {
        return None;
    }
    let (op, label) = (Gemm { c_perm: perm, ..m.clone() }, join(&step.label, &g.steps[t].as_ref()?.label));
    let outputs = g.steps[t].as_ref()?.outputs.clone();
    Some((t, Step::new(label, StepOp::Native(Recipe::Gemm(op)), step.inputs.clone(), outputs)))
}

fn is_vector(g: &Graph, b: BufferId) -> bool {
    g.block.buffers[b].ty.rank() == Some(1)
}
