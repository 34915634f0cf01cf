//! Concatenations written in place: a convolution or copy that makes a part of a channels-last image writes its channels
//! where the joined image has them, and an image that a later one begins with lies in that one.

use crate::bind::{Ready, bytes_of};
use crate::chains::uses;
use modelsmith_kop::Layout;
use modelsmith_plan::recipe::{Move, Recipe};
use modelsmith_plan::{Block, BufferId, Home, Operand, StepOp};

/// A buffer that lies inside another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The part.
    pub buffer: BufferId,
    /// The joined image.
    pub whole: BufferId,
    /// Bytes from its beginning to the part's first channel.
    pub offset: usize,
}

/// A step that joins images along their channels.
struct Join<'a> {
    step: usize,
    parts: Vec<BufferId>,
    whole: BufferId,
    image: &'a Operand,
}

/// Finds parts that can be written in place, makes what computes them do so, and takes their copies out.
pub(crate) fn find(block: &Block, operands: &[Option<Operand>], steps: &mut [Option<Vec<Ready>>]) -> Vec<Part> {
    let uses = uses(block);
    let joins = joins(block, operands, steps);
    let mut parts = Vec::new();
    // For each image the one that it lies in, itself where there is none.
    let mut root: Vec<usize> = (0..joins.len()).collect();
    for (i, join) in joins.iter().enumerate() {
        // Of images with the same beginning the last is the longest.
        let outer = (i + 1..joins.len()).rev().find(|&o| begins(&joins[o], join));
        if let Some(o) = outer.filter(|&o| lies_in(join, &joins[o], uses[join.whole], steps)) {
            root[i] = o;
            parts.push(Part { buffer: join.whole, whole: joins[o].whole, offset: 0 });
            steps[join.step] = Some(vec![]);
        }
    }
    for (r, join) in joins.iter().enumerate().filter(|&(r, _)| root[r] == r) {
        let family: Vec<&Join<'_>> = joins.iter().zip(&root).filter(|&(_, &of)| of == r).map(|(j, _)| j).collect();
        let mut channel = 0;
        for &part in &join.parts {
            let Some(own) = operands[part].as_ref() else { break };
            let holders: Vec<usize> = family.iter().filter(|j| j.parts.contains(&part)).map(|j| j.step).collect();
            let first = holders.first().copied().unwrap_or(join.step);
            let alone = uses[part] == holders.len() && block.buffers[part].home == Home::Arena;
            let maker = || (0..first).rev().find(|&m| block.steps[m].outputs.contains(&Some(part)));
            let copy = take_copy(steps, join.step, part);
            if let Some(m) = (alone && own.layout == join.image.layout).then(maker).flatten()
                && let Some(one) = writer(&mut steps[m], part)
                && one.call.write_every((own.shape[1], join.image.shape[1]))
            {
                parts.push(Part { buffer: part, whole: join.whole, offset: channel * own.dtype.bits() / 8 });
            } else if let (Some(copies), Some(copy)) = (&mut steps[first], copy) {
                copies.push(copy);
            }
            channel += own.shape[1];
        }
    }
    parts
}

/// The joins whose parts could lie in what they make.
fn joins<'a>(block: &Block, operands: &'a [Option<Operand>], steps: &[Option<Vec<Ready>>]) -> Vec<Join<'a>> {
    let of = |(i, step): (usize, &modelsmith_plan::Step)| {
        let StepOp::Native(Recipe::Move(Move::Concat(1))) = &step.op else { return None };
        let whole = step.outputs.first().copied().flatten()?;
        let image = operands[whole].as_ref().filter(|o| joins_pixels(o))?;
        bytes_of(image)?;
        let own = block.buffers[whole].home == Home::Arena && steps[i].is_some();
        own.then(|| Join { step: i, parts: step.inputs.iter().flatten().copied().collect(), whole, image })
    };
    block.steps.iter().enumerate().filter_map(of).collect()
}

/// True where the image of `outer` begins with that of `inner`.
fn begins(outer: &Join<'_>, inner: &Join<'_>) -> bool {
    let (a, b) = (inner.image, outer.image);
    let same = a.dtype == b.dtype && a.layout == b.layout && a.shape[0] == b.shape[0] && a.shape[2..] == b.shape[2..];
    same && outer.parts.len() > inner.parts.len() && outer.parts.starts_with(&inner.parts)
}

/// Lets all that read the image of `inner`, `uses` times, read it inside that of `outer`. False, with nothing changed,
/// where something reads it that cannot.
fn lies_in(inner: &Join<'_>, outer: &Join<'_>, uses: usize, steps: &mut [Option<Vec<Ready>>]) -> bool {
    let (whole, from, to) = (inner.whole, inner.image.shape[1], outer.image.shape[1]);
    let mut readers = Vec::new();
    let mut found = 0;
    for (i, step) in steps.iter().enumerate() {
        let Some([one]) = step.as_deref() else { continue };
        let places: Vec<usize> = (0..one.inputs.len()).filter(|&k| one.inputs[k] == whole).collect();
        if places.is_empty() {
            continue;
        }
        found += places.len();
        let mut call = one.call.clone();
        if !places.into_iter().all(|k| call.read_every(k, (from, to))) {
            return false;
        }
        readers.push((i, call));
    }
    if found != uses {
        return false;
    }
    for (i, call) in readers {
        if let Some([one]) = steps[i].as_deref_mut() {
            one.call = call;
        }
    }
    true
}

/// The call of a step that alone writes a buffer.
fn writer(step: &mut Option<Vec<Ready>>, buffer: BufferId) -> Option<&mut Ready> {
    let mut all = step.iter_mut().flatten().filter(|c| c.outputs.contains(&buffer));
    all.next().filter(|_| all.next().is_none())
}

/// Takes the copy of a part out of a step.
fn take_copy(steps: &mut [Option<Vec<Ready>>], step: usize, part: BufferId) -> Option<Ready> {
    let copies = steps[step].as_mut()?;
    let at = copies.iter().position(|c| c.inputs[..] == [part])?;
    Some(copies.remove(at))
}

/// True for images whose channels lie beside each other.
fn joins_pixels(o: &Operand) -> bool {
    o.layout == Layout::ChannelsLast && o.shape.len() >= 3 && !o.shape.contains(&0)
}
