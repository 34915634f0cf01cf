//! Two products with a softmax between them as one attention, which never holds the scores of all queries; and what lies
//! before and after an attention (transpositions, splits, slices, factors) as strides and factors of its operands.

use super::epilogue::posts;
use super::{Graph, join};
use crate::plan::{BufferId, Home, Step, StepOp};
use crate::recipe::{Attention, Axis, Gemm, Heads, Move, Post, Recipe};
use modelsmith_ir::Dim;
use modelsmith_tensor::DType;

pub(super) fn recognise(g: &mut Graph) {
    for i in 0..g.steps.len() {
        if let Some((step, gone)) = written_out(g, i) {
            g.replace(i, None, step);
            gone.into_iter().rev().for_each(|s| g.remove(s));
        }
        if matches!(g.recipe(i), Some(Recipe::Attention(_))) {
            in_place(g, i);
        }
    }
}

/// A product with nothing around it.
fn bare<'g>(g: &'g Graph, i: usize) -> Option<&'g Gemm> {
    match g.recipe(i)? {
        Recipe::Gemm(m) if m.packed.is_none() && !m.bias => {
            let plain = m.a_perm.is_empty() && m.b_perm.is_empty() && m.c_perm.is_empty();
            plain.then_some(m)
        }
        _ => None,
    }
}

/// Axes of operands of this rank: heads come before rows, batches before heads.
fn axes(rank: usize) -> Option<Vec<Axis>> {
    let all = [Axis::Batch, Axis::Head, Axis::Row, Axis::Column];
    (2..=4).contains(&rank).then(|| all[4 - rank..].to_vec())
}

/// The attention that ends with product `i`, and the steps that it stands for.
fn written_out(g: &Graph, i: usize) -> Option<(Step, Vec<usize>)> {
    bare(g, i).filter(|m| m.post.is_empty())?;
    let operands = g.inputs(i);
    let (&weights, &v) = (operands.first()?, operands.get(1)?);
    let softmax = g.maker(weights).filter(|_| g.only_reader(weights) == Some(i))?;
    let rank = g.block.buffers[weights].ty.rank()?;
    if g.recipe(softmax) != Some(&Recipe::Softmax { axis: rank.checked_sub(1)?, log: false }) {
        return None;
    }
    let Before { first, scale, mask, gone } = before(g, softmax)?;
    let (q, k) = (*g.inputs(first).first()?, *g.inputs(first).get(1)?);
    let out = g.output(i)?;
    if let Some(m) = mask {
        mask_fits(g, m, weights)?;
    }
    leads_fit(g, [q, k, v, out], rank)?;
    let mut k_axes = axes(rank)?;
    k_axes.swap(rank - 2, rank - 1);
    let heads = |b: BufferId, axes: Vec<Axis>| -> Option<Heads> {
        let dims = g.block.buffers[b].ty.shape()?.to_vec();
        (dims.len() == axes.len() && g.block.buffers[b].ty.dtype() == Some(DType::F32)).then_some(Heads { dims, axes })
    };
    // The kernel reads keys row by row: a transposition must lie before the product.
    let (k, k_heads, factor) = trace(g, k, heads(k, k_axes)?, true)?;
    let op = Attention {
        scale: scale * factor,
        causal: false,
        blind_zero: false,
        q: heads(q, axes(rank)?)?,
        k: k_heads,
        v: heads(v, axes(rank)?)?,
        y: heads(out, axes(rank)?)?,
    };
    let label = gone.iter().rev().chain([&i]).filter_map(|&s| g.steps[s].as_ref()).map(|s| s.label.clone());
    let label = label.reduce(|a, b| join(&a, &b))?;
    let inputs = [q, k, v].into_iter().chain(mask).map(Some).collect();
    Some((Step::new(label, StepOp::Native(Recipe::Attention(op)), inputs, vec![Some(out)]), gone))
}

/// What lies before a softmax.
struct Before {
    /// The product.
    first: usize,
    scale: f32,
    mask: Option<BufferId>,
    /// All steps from the softmax back to the product.
    gone: Vec<usize>,
}

fn before(g: &Graph, softmax: usize) -> Option<Before> {
    let mut gone = vec![softmax];
    let (mut scale, mut mask) = (1.0f32, None);
    let mut at = *g.inputs(softmax).first()?;
    // Backwards: at most one mask, then factors, then the product.
    let first = loop {
        let step = g.maker(at).filter(|_| g.only_reader(at) == Some(gone[gone.len() - 1]))?;
        gone.push(step);
        if let Some(m) = bare(g, step) {
            factors(&m.post, &mut scale)?;
            break step;
        }
        let program = g.eltwise(step)?;
        let inputs = g.inputs(step);
        let out = g.output(step)?;
        let next = (0..inputs.len()).find(|&q| g.same_shape(inputs[q], out) && product_behind(g, inputs[q]))?;
        let (list, used) = posts(program, next as u8)?;
        match (&list[..], &used[..]) {
            ([.., Post::Add], [operand]) if mask.is_none() && scale == 1.0 => {
                factors(&list[..list.len() - 1], &mut scale)?;
                mask = Some(*inputs.get(usize::from(*operand))?);
            }
            (all, []) => factors(all, &mut scale)?,
            _ => return None,
        }
        at = inputs[next];
    };
    Some(Before { first, scale, mask, gone })
}

/// Whether `b` is made by a product, perhaps with factors between.
fn product_behind(g: &Graph, b: BufferId) -> bool {
    let Some(step) = g.maker(b) else { return false };
    match g.eltwise(step) {
        Some(e) => {
            let inputs = g.inputs(step);
            matches!(posts(e, 0), Some((_, used)) if used.is_empty())
                && inputs.len() == 1
                && product_behind(g, inputs[0])
        }
        None => bare(g, step).is_some(),
    }
}

/// Multiplies `scale` by factors; `None` where a step is something else.
fn factors(list: &[Post], scale: &mut f32) -> Option<()> {
    list.iter().try_for_each(|p| match p {
        Post::MulScalar(x) => {
            *scale *= x;
            Some(())
        }
        _ => None,
    })
}

/// Batches and heads agree; keys and values may be the same for all.
fn leads_fit(g: &Graph, operands: [BufferId; 4], rank: usize) -> Option<()> {
    let lead = |b: BufferId| g.block.buffers[b].ty.shape().filter(|s| s.len() == rank).map(|s| &s[..rank - 2]);
    let [q, k, v, y] = operands.map(lead);
    let (q, k) = (q?, k?);
    let shared = k.iter().zip(q).all(|(k, q)| k == q || *k == Dim::Known(1));
    (Some(q) == y && Some(k) == v && shared && !q.contains(&Dim::Unknown)).then_some(())
}

/// A mask must span the keys and be repeated over whole axes only.
fn mask_fits(g: &Graph, mask: BufferId, scores: BufferId) -> Option<()> {
    let (m, s) = (&g.block.buffers[mask].ty, &g.block.buffers[scores].ty);
    let (own, all) = (m.shape()?, s.shape()?);
    let lead = all.len().checked_sub(own.len())?;
    let fits = own.iter().zip(&all[lead..]).all(|(a, b)| a == b || *a == Dim::Known(1));
    (m.dtype() == Some(DType::F32) && fits && own.last()? == all.last()?).then_some(())
}

/// Reads operands of attention `i` where they were made, and writes the result where it is read.
fn in_place(g: &mut Graph, i: usize) {
    let Some(Recipe::Attention(op)) = g.recipe(i) else { return };
    let (mut op, Some(mut step)) = (op.clone(), g.steps[i].clone()) else { return };
    for (slot, heads) in [&mut op.q, &mut op.k, &mut op.v].into_iter().enumerate() {
        let Some(Some(b)) = step.inputs.get(slot).copied() else { return };
        if let Some((from, traced, factor)) = trace(g, b, heads.clone(), slot < 2) {
            *heads = traced;
            op.scale *= factor;
            step.inputs[slot] = Some(from);
        }
    }
    step.op = StepOp::Native(Recipe::Attention(op.clone()));
    g.replace(i, None, step.clone());
    let Some(out) = g.output(i) else { return };
    let Some(t) = g.only_reader(out) else { return };
    let Some(Recipe::Move(Move::Transpose(perm))) = g.recipe(t) else { return };
    let Some(after) = permuted(g, out, &op.y, perm).filter(neighbours) else { return };
    let (Some(follower), label) = (g.steps[t].clone(), step.label.clone()) else { return };
    op.y = after;
    let recipe = StepOp::Native(Recipe::Attention(op));
    g.replace(t, Some(i), Step::new(join(&label, &follower.label), recipe, step.inputs, follower.outputs));
}

/// The result's axes in the order of its transposition.
fn permuted(g: &Graph, out: BufferId, y: &Heads, perm: &[usize]) -> Option<Heads> {
    let groups = groups(y, g.block.buffers[out].ty.shape()?)?;
    (perm.len() == groups.len()).then(|| gather(y, perm.iter().filter_map(|&p| groups.get(p).cloned())))
}

fn gather(h: &Heads, order: impl Iterator<Item = std::ops::Range<usize>>) -> Heads {
    let mut new = Heads { dims: vec![], axes: vec![] };
    for range in order {
        new.dims.extend_from_slice(&h.dims[range.clone()]);
        new.axes.extend_from_slice(&h.axes[range]);
    }
    new
}

/// True where the columns are neighbours in memory.
fn neighbours(h: &Heads) -> bool {
    let mut inner = h.dims.iter().zip(&h.axes).rev().filter(|(d, _)| **d != Dim::Known(1));
    inner.next().is_none_or(|(_, a)| *a == Axis::Column) || !h.axes.contains(&Axis::Column)
}

/// The neighbouring axes of `h` that make up each axis of `shape`.
fn groups(h: &Heads, shape: &[Dim]) -> Option<Vec<std::ops::Range<usize>>> {
    let mut at = 0;
    let mut all = Vec::new();
    for (i, want) in shape.iter().enumerate() {
        let (start, mut size) = (at, Dim::Known(1));
        while size != *want {
            size = size * h.dims.get(at)?.clone();
            at += 1;
        }
        if i + 1 == shape.len() {
            at = h.dims.len();
            let rest = h.dims[start..at].iter().fold(Dim::Known(1), |n, d| n * d.clone());
            if rest != *want {
                return None;
            }
        }
        all.push(start..at);
    }
    Some(all)
}

/// The operand in the earliest buffer that holds all of it with columns next to each other, and the factors that lie
/// between, where `scaled` allows any. `None` where not even `b` does.
fn trace(g: &Graph, b: BufferId, h: Heads, scaled: bool) -> Option<(BufferId, Heads, f32)> {
    let mut best = None;
    let mut now = Some((b, h, 1.0));
    while let Some((b, h, factor)) = now {
        let next = back(g, b, &h, scaled).map(|(from, h, f)| (from, h, factor * f));
        if neighbours(&h) {
            best = Some((b, h, factor));
        }
        now = next;
    }
    best
}

/// One step back.
fn back(g: &Graph, b: BufferId, h: &Heads, scaled: bool) -> Option<(BufferId, Heads, f32)> {
    if let Home::View(of) = g.block.buffers[b].home {
        // The same elements in the same order.
        return Some((of, h.clone(), 1.0));
    }
    let step = g.maker(b)?;
    let from = *g.inputs(step).first()?;
    let shape = g.block.buffers[from].ty.shape()?;
    match g.recipe(step)? {
        Recipe::Move(Move::Transpose(perm)) => {
            let groups = groups(h, g.block.buffers[b].ty.shape()?)?;
            let mut inverse = vec![None; perm.len()];
            perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = groups.get(i).cloned());
            Some((from, gather(h, inverse.into_iter().flatten()), 1.0))
        }
        Recipe::Move(Move::Slice { start, step }) => {
            let own = g.block.buffers[b].ty.shape()?;
            let mut cut = (0..own.len()).filter(|&a| own[a] != shape[a]);
            let axis = cut.next()?;
            let whole = (0..own.len()).all(|a| a == axis || start[a] == Dim::Known(0));
            if cut.next().is_some() || !whole || step.iter().any(|&s| s != 1) {
                return None;
            }
            Some((from, part(h, own, axis, shape, start[axis].size()?)?, 1.0))
        }
        Recipe::Move(Move::Split(axis)) => {
            let outputs = &g.steps[step].as_ref()?.outputs;
            let own = g.block.buffers[b].ty.shape()?;
            let len = own.get(*axis)?;
            let equal = outputs
                .iter()
                .flatten()
                .all(|&o| g.block.buffers[o].ty.shape().and_then(|s| s.get(*axis)) == Some(len));
            let index = outputs.iter().position(|&o| o == Some(b)).filter(|_| equal)?;
            Some((from, part(h, own, *axis, shape, index * len.size()?)?, 1.0))
        }
        Recipe::Eltwise(_) if scaled && g.same_shape(from, b) => {
            let (list, used) = posts(g.eltwise(step)?, 0)?;
            let mut factor = 1.0;
            factors(&list, &mut factor).filter(|()| used.is_empty())?;
            Some((from, h.clone(), factor))
        }
        _ => None,
    }
}

/// `h` as part of a buffer that is longer on one axis, from `start` on.
fn part(h: &Heads, own: &[Dim], axis: usize, shape: &[Dim], start: usize) -> Option<Heads> {
    let (len, whole) = (own.get(axis)?.size()?, shape.get(axis)?.size()?);
    if len == 0 || !whole.is_multiple_of(len) || !start.is_multiple_of(len) {
        return None;
    }
    let group = groups(h, own)?.get(axis)?.clone();
    let mut new = h.clone();
    new.dims.insert(group.start, Dim::from(whole / len));
    new.axes.insert(group.start, Axis::At(start / len));
    Some(new)
}
