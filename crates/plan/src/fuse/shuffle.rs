//! Channel shuffles: an image split into groups of channels, transposed and joined again, in one copy that any layout
//! allows.

use super::Graph;
use crate::plan::{BufferId, Home, Step, StepOp};
use crate::recipe::{Move, Recipe};
use modelsmith_ir::Dim;

pub(super) fn recognise(g: &mut Graph) {
    for i in 0..g.steps.len() {
        let Some((image, result, groups)) = shuffle(g, i) else { continue };
        let Some(step) = g.steps[i].clone() else { continue };
        // The view becomes a buffer of its own, which the copy fills.
        g.block.buffers[result].home = Home::Arena;
        let op = StepOp::Native(Recipe::Move(Move::Shuffle { groups }));
        g.replace(i, None, Step::new(step.label, op, vec![Some(image)], vec![Some(result)]));
        g.recount();
        split(g, i);
    }
}

/// Lets a shuffle write the parts into which its result is split.
fn split(g: &mut Graph, i: usize) {
    let (Some(Recipe::Move(Move::Shuffle { groups })), Some(result)) = (g.recipe(i), g.output(i)) else { return };
    let groups = *groups;
    let Some(reader) = g.only_reader(result) else { return };
    let Some(Recipe::Move(Move::Split(1))) = g.recipe(reader) else { return };
    let (Some(a), Some(b)) = (g.steps[i].clone(), g.steps[reader].clone()) else { return };
    let whole = |o: &Option<BufferId>| {
        let channels = o.and_then(|o| g.block.buffers[o].ty.shape()?.get(1)?.size());
        channels.is_some_and(|c| c.is_multiple_of(groups))
    };
    if b.outputs.iter().all(whole) {
        let op = StepOp::Native(Recipe::Move(Move::Shuffle { groups }));
        g.replace(i, Some(reader), Step::new(super::join(&a.label, &b.label), op, a.inputs, b.outputs));
        g.recount();
    }
}

/// The image, the view that is the shuffled image, and the groups.
fn shuffle(g: &Graph, i: usize) -> Option<(BufferId, BufferId, usize)> {
    let Recipe::Move(Move::Transpose(perm)) = g.recipe(i)? else { return None };
    let (from, out) = (*g.inputs(i).first()?, g.output(i)?);
    let buffers = &g.block.buffers;
    let Home::View(image) = buffers[from].home else { return None };
    let swaps = perm.len() >= 4 && perm[..3] == [0, 2, 1] && perm[3..].iter().copied().eq(3..perm.len());
    // The transposed buffer is read through one view only.
    let mut views = (0..buffers.len()).filter(|&b| buffers[b].home == Home::View(out));
    let (result, one) = (views.next()?, views.next().is_none());
    if !swaps || !one || !g.unread(out) || buffers[image].layout != buffers[result].layout {
        return None;
    }
    let shape = |b: BufferId| buffers[b].ty.shape();
    let (whole, split, joined) = (shape(image)?, shape(from)?, shape(result)?);
    let groups = split.get(1)?.size()?;
    let same = whole == joined && whole.len() + 1 == split.len() && whole[0] == split[0] && whole[2..] == split[3..];
    let channels = split[1].clone() * split[2].clone() == whole[1] && whole[1] != Dim::Unknown;
    (same && channels && groups > 0 && whole.len() >= 3).then_some((image, result, groups))
}
