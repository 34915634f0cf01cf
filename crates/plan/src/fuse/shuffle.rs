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
        cut(g, i);
    }
}

/// Lets a shuffle write the parts into which its result is cut: by one split, or by slices that take all channels in turn.
fn cut(g: &mut Graph, i: usize) {
    let (Some(Recipe::Move(Move::Shuffle { groups })), Some(result)) = (g.recipe(i), g.output(i)) else { return };
    let groups = *groups;
    if g.pinned[result] {
        return;
    }
    let Some((readers, parts)) = split(g, result).or_else(|| slices(g, result)) else { return };
    let channels = |b: BufferId| g.block.buffers[b].ty.shape()?.get(1)?.size();
    let whole = |o: &Option<BufferId>| o.and_then(channels).is_some_and(|c| c.is_multiple_of(groups));
    let Some(step) = g.steps[i].clone().filter(|_| parts.iter().all(whole)) else { return };
    let mut label = step.label;
    for reader in readers {
        label = super::join(&label, &g.steps[reader].take().map(|s| s.label).unwrap_or_default());
    }
    let op = StepOp::Native(Recipe::Move(Move::Shuffle { groups }));
    g.replace(i, None, Step::new(label, op, step.inputs, parts));
    g.recount();
}

/// The steps that cut a buffer, and its parts in order.
type Parts = (Vec<usize>, Vec<Option<BufferId>>);

fn split(g: &Graph, whole: BufferId) -> Option<Parts> {
    let reader = g.only_reader(whole)?;
    let Recipe::Move(Move::Split(1)) = g.recipe(reader)? else { return None };
    Some((vec![reader], g.steps[reader].as_ref()?.outputs.clone()))
}

fn slices(g: &Graph, whole: BufferId) -> Option<Parts> {
    let shape = |b: BufferId| g.block.buffers[b].ty.shape();
    let mut found = Vec::new();
    for &reader in &g.readers[whole] {
        let Recipe::Move(Move::Slice { start, step }) = g.recipe(reader)? else { return None };
        let part = g.output(reader)?;
        let (from, to) = (shape(whole)?, shape(part)?);
        let others = |i: usize| i == 1 || start[i] == Dim::Known(0) && from[i] == to[i];
        if to.len() != from.len() || step.iter().any(|&s| s != 1) || !(0..from.len()).all(others) {
            return None;
        }
        found.push((start.get(1)?.size()?, to[1].size()?, reader, part));
    }
    found.sort_unstable();
    let mut end = 0;
    for &(start, channels, ..) in &found {
        end = (start == end).then_some(end + channels)?;
    }
    let all = Some(end) == shape(whole)?.get(1)?.size();
    all.then(|| (found.iter().map(|f| f.2).collect(), found.iter().map(|f| Some(f.3)).collect()))
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
