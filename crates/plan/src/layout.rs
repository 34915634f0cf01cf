//! The order of axes in memory: images are kept channels-last from the first convolution on, and brought into the plain
//! order where an operator wants it.

use crate::plan::{Block, Buffer, BufferId, Home, Step, StepOp};
use crate::recipe::{Move, Norm, NormOver, Post, Recipe};
use modelsmith_ir::{Dim, Type};
use modelsmith_kop::Layout;
use std::collections::{HashMap, HashSet};

use Layout::{ChannelsLast, Plain};

/// Gives every buffer of a block its layout, and adds the copies that change one.
pub(crate) fn assign(block: &mut Block) {
    let mut views: HashMap<BufferId, Vec<BufferId>> = HashMap::new();
    for (id, b) in block.buffers.iter().enumerate() {
        if let Home::View(of) = b.home {
            views.entry(of).or_default().push(id);
        }
    }
    let steps = std::mem::take(&mut block.steps);
    let captured = |s: &Step| match &s.op {
        StepOp::Eval(e) => e.bodies.iter().flat_map(|b| b.captures.clone()).collect(),
        _ => vec![],
    };
    let read = steps.iter().flat_map(|s| s.inputs.iter().copied().flatten().chain(captured(s))).collect();
    let mut a = Assign {
        block,
        views,
        read,
        plain: HashSet::new(),
        copies: HashMap::new(),
        steps: Vec::with_capacity(steps.len()),
    };
    a.plain = a.read_plain_only(&steps);
    for step in steps {
        a.step(step);
    }
    let outputs = a.block.outputs.clone();
    // What leaves the block leaves it in the plain order.
    let outputs = outputs.into_iter().map(|id| a.wanted(id, Plain)).collect();
    a.block.outputs = outputs;
    a.block.steps = std::mem::take(&mut a.steps);
}

struct Assign<'a> {
    block: &'a mut Block,
    views: HashMap<BufferId, Vec<BufferId>>,
    /// What steps and their bodies read.
    read: HashSet<BufferId>,
    /// What is read in the plain order only.
    plain: HashSet<BufferId>,
    /// Copies in another layout made so far.
    copies: HashMap<(BufferId, Layout), BufferId>,
    steps: Vec<Step>,
}

/// True where both layouts are the same order of memory.
fn flat(b: &Buffer) -> bool {
    match b.ty.shape() {
        Some([_, c, spatial @ ..]) if !spatial.is_empty() => {
            *c == Dim::Known(1) || spatial.iter().all(|d| *d == Dim::Known(1))
        }
        _ => true,
    }
}

impl Assign<'_> {
    fn layout(&self, id: BufferId) -> Layout {
        self.block.buffers[id].layout
    }

    /// Whether a reduction of a channels-last image leaves nothing to order: without the spatial axes, or the channels.
    fn leaves_no_order(&self, id: BufferId, axes: &[usize]) -> bool {
        axes.iter().copied().eq(2..self.rank(id)) || axes == [1]
    }

    fn rank(&self, id: BufferId) -> usize {
        self.block.buffers[id].ty.rank().unwrap_or(0)
    }

    /// The buffer, or a copy of it, in a layout.
    fn wanted(&mut self, id: BufferId, layout: Layout) -> BufferId {
        let b = &self.block.buffers[id];
        if b.layout == layout || flat(b) || b.ty.shape().is_none() {
            return id;
        }
        if let Some(&copy) = self.copies.get(&(id, layout)) {
            return copy;
        }
        let copy = Buffer { layout, home: Home::Arena, value: None, ..b.clone() };
        let label = format!("{} to {}", if b.name.is_empty() { "value" } else { &b.name }, layout.name());
        self.block.buffers.push(copy);
        let to = self.block.buffers.len() - 1;
        let op = StepOp::Native(Recipe::Move(Move::Reorder));
        self.steps.push(Step::new(label, op, vec![Some(id)], vec![Some(to)]));
        self.copies.insert((id, layout), to);
        to
    }

    fn step(&mut self, mut step: Step) {
        self.read_as_rows(&mut step);
        let StepOp::Native(recipe) = &step.op else {
            self.whole(&mut step);
            self.steps.push(step);
            return;
        };
        let recipe = recipe.clone();
        if let Recipe::Move(Move::Transpose(perm)) = &recipe
            && self.turns_nothing(perm, &step)
        {
            return;
        }
        let ids: Vec<_> = step.inputs.iter().map(|b| b.unwrap_or(0)).collect();
        let first = ids.first().map_or(Plain, |&b| self.layout(b));
        let out = step.outputs.first().copied().flatten();
        let out_rank = out.map_or(0, |o| self.rank(o));
        let mut given = ids.clone();
        let layout = match &recipe {
            Recipe::Conv(c) => {
                let operands = c.post.iter().filter(|p| matches!(p, Post::Add | Post::Mul)).count();
                for g in given.iter_mut().skip(2 + usize::from(c.bias)).take(operands) {
                    *g = self.wanted(*g, ChannelsLast);
                }
                ChannelsLast
            }
            // Of what leaves the block in the plain order the smaller image is brought into it.
            Recipe::Resize { .. } if out.is_some_and(|o| self.leaves(o) && self.grows(ids[0], o)) => {
                given[0] = self.wanted(ids[0], Plain);
                Plain
            }
            Recipe::Pool(_) | Recipe::Resize { .. } | Recipe::Softmax { .. } => first,
            Recipe::Eltwise(_) => self.of_elements(&ids, out_rank),
            Recipe::Move(m) => self.moved(m, &ids, out),
            Recipe::Norm(Norm { over: NormOver::Group(_), .. }) => first,
            Recipe::Reduce { axes, .. } => {
                if first == ChannelsLast && !self.leaves_no_order(ids[0], axes) {
                    given[0] = self.wanted(ids[0], Plain);
                }
                Plain
            }
            // Products, gathers, recurrences and attention know rows and columns only.
            _ => {
                for g in &mut given {
                    *g = self.wanted(*g, Plain);
                }
                Plain
            }
        };
        for (slot, id) in step.inputs.iter_mut().zip(given) {
            *slot = slot.map(|_| id);
        }
        let made = step.outputs.clone();
        self.steps.push(step);
        made.into_iter().flatten().for_each(|id| self.settle(id, layout));
    }

    /// Lets a product that reads the pixels of a channels-last image as rows read them where they lie.
    fn read_as_rows(&mut self, step: &mut Step) {
        let StepOp::Native(Recipe::Gemm(g)) = &mut step.op else { return };
        let operands = if g.packed.is_some() { 1 } else { 2 };
        for (slot, perm) in step.inputs.iter_mut().zip([&mut g.a_perm, &mut g.b_perm]).take(operands) {
            let Some(image) = *slot else { continue };
            let buffer = &self.block.buffers[image];
            let (Some(shape), Some(dtype)) = (buffer.ty.shape(), buffer.ty.dtype()) else { continue };
            if buffer.layout != ChannelsLast || shape.len() < 3 || *perm != ChannelsLast.order(shape.len()) {
                continue;
            }
            let rows = perm.iter().map(|&axis| shape[axis].clone()).collect::<Vec<_>>();
            let (ty, home) = (Type::tensor(dtype, &rows), Home::View(image));
            let view = Buffer { ty, home, layout: Plain, value: None, ..buffer.clone() };
            self.block.buffers.push(view);
            (*slot, *perm) = (Some(self.block.buffers.len() - 1), vec![]);
        }
    }

    /// Makes the result of a transposition a view, where its elements in one of the layouts already follow each other in memory:
    /// channels brought to the end of an image that is channels-last, or from the end of rows to the front of an image.
    fn turns_nothing(&mut self, perm: &[usize], step: &Step) -> bool {
        let (&[Some(from)], &[Some(out)]) = (&step.inputs[..], &step.outputs[..]) else { return false };
        let (Some(shape), rank) = (self.block.buffers[from].ty.shape(), perm.len()) else { return false };
        if shape.len() != rank || self.block.buffers[out].home != Home::Arena || self.block.outputs.contains(&out) {
            return false;
        }
        let moving = |&axis: &usize| shape.get(axis).is_some_and(|d| *d != Dim::Known(1));
        let order: Vec<usize> = self.layout(from).order(rank).into_iter().filter(moving).collect();
        let follows = |layout: Layout| {
            let axes = layout.order(rank).into_iter().filter_map(|axis| perm.get(axis).copied());
            axes.filter(moving).eq(order.iter().copied())
        };
        let layout = match (follows(Plain), follows(ChannelsLast)) {
            (true, _) => Plain,
            (_, true) if !self.plain.contains(&out) => ChannelsLast,
            _ => return false,
        };
        self.block.buffers[out].home = Home::View(from);
        self.settle(out, layout);
        true
    }

    /// Brings what a step takes as whole values into the plain order, what its bodies capture included: kernels do that
    /// faster than taking a value out of memory would.
    fn whole(&mut self, step: &mut Step) {
        for id in step.inputs.iter_mut().flatten() {
            *id = self.wanted(*id, Plain);
        }
        if let StepOp::Eval(e) = &mut step.op {
            for id in e.bodies.iter_mut().flat_map(|b| &mut b.captures) {
                *id = self.wanted(*id, Plain);
            }
        }
    }

    /// Buffers all of whose readers take the plain order and no other.
    fn read_plain_only(&self, steps: &[Step]) -> HashSet<BufferId> {
        let mut only: HashMap<BufferId, bool> = self.block.outputs.iter().map(|&id| (id, true)).collect();
        for step in steps {
            for &id in step.inputs.iter().flatten() {
                *only.entry(id).or_insert(true) &= self.takes_plain_only(step, id);
            }
        }
        let viewed = |id: &BufferId| self.views.get(id).into_iter().flatten().any(|&v| self.needed(v));
        only.into_iter().filter(|(id, plain)| *plain && !viewed(id)).map(|(id, _)| id).collect()
    }

    fn takes_plain_only(&self, step: &Step, id: BufferId) -> bool {
        let StepOp::Native(recipe) = &step.op else { return true };
        match recipe {
            Recipe::Conv(_) | Recipe::Pool(_) | Recipe::Resize { .. } | Recipe::Softmax { .. } => false,
            Recipe::Eltwise(_) | Recipe::Norm(Norm { over: NormOver::Group(_), .. }) => false,
            Recipe::Move(Move::Transpose(perm)) => !perm.iter().copied().eq(ChannelsLast.order(perm.len())),
            Recipe::Move(_) => false,
            Recipe::Reduce { axes, .. } => !self.leaves_no_order(id, axes),
            _ => true,
        }
    }

    /// True where something reads a buffer or a view of it.
    fn needed(&self, id: BufferId) -> bool {
        let views = || self.views.get(&id).into_iter().flatten();
        self.read.contains(&id) || self.block.outputs.contains(&id) || views().any(|&v| self.needed(v))
    }

    /// True where a value is a result of the block and no step reads it.
    fn leaves(&self, id: BufferId) -> bool {
        self.block.outputs.contains(&id) && !self.read.contains(&id)
    }

    /// True where `to` is known to have more elements than `from`.
    fn grows(&self, from: BufferId, to: BufferId) -> bool {
        let of = |id: BufferId| {
            let known = |d: &Dim| if let Dim::Known(n) = d { Some(*n) } else { None };
            // A batch that is not known is the same on both sides.
            self.block.buffers[id].ty.shape()?.get(1..)?.iter().map(known).collect::<Option<Vec<_>>>()
        };
        of(from).zip(of(to)).is_some_and(|(a, b)| a.iter().zip(&b).all(|(a, b)| a <= b) && a != b)
    }

    /// The layout of what an element-wise program makes: that of any image it reads whose elements are its own.
    fn of_elements(&self, ids: &[BufferId], rank: usize) -> Layout {
        let last =
            |&b: &BufferId| self.layout(b) == ChannelsLast && self.rank(b) == rank && !flat(&self.block.buffers[b]);
        if ids.iter().any(last) { ChannelsLast } else { Plain }
    }

    /// The layout of what a copy makes.
    fn moved(&self, m: &Move, ids: &[BufferId], out: Option<BufferId>) -> Layout {
        let out_rank = out.map_or(0, |o| self.rank(o));
        let last = |&&b: &&BufferId| self.layout(b) == ChannelsLast && !flat(&self.block.buffers[b]);
        match m {
            Move::Reorder | Move::Transpose(_) => Plain,
            Move::Concat(_) if out.is_some_and(|o| self.plain.contains(&o)) => Plain,
            Move::Concat(_) => match 2 * ids.iter().filter(last).count() >= ids.len() {
                true => ChannelsLast,
                false => Plain,
            },
            Move::Shuffle { .. }
            | Move::Expand
            | Move::Slice { .. }
            | Move::Split(_)
            | Move::Pad { .. }
            | Move::Extend { .. } => match ids.iter().take(1).any(|b| last(&b) && self.rank(*b) == out_rank) {
                true => ChannelsLast,
                false => Plain,
            },
        }
    }

    /// Gives a result its layout, and the views of it theirs.
    fn settle(&mut self, id: BufferId, layout: Layout) {
        let layout = if self.rank(id) < 3 { Plain } else { layout };
        self.block.buffers[id].layout = layout;
        for v in self.views.get(&id).cloned().unwrap_or_default() {
            if !self.needed(v) {
                continue;
            }
            if layout == Plain || flat(&self.block.buffers[id]) {
                self.settle(v, Plain);
            } else if self.keeps_channels(id, v) {
                self.settle(v, ChannelsLast);
            } else {
                let plain = self.wanted(id, Plain);
                self.block.buffers[v].home = Home::View(plain);
                self.settle(v, Plain);
            }
        }
    }

    /// True where a view splits or joins spatial axes only.
    fn keeps_channels(&self, of: BufferId, view: BufferId) -> bool {
        match (self.block.buffers[of].ty.shape(), self.block.buffers[view].ty.shape()) {
            (Some([n, c, _, ..]), Some([m, d, _, ..])) => n == m && c == d,
            _ => false,
        }
    }
}
