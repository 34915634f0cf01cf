//! Concatenations written in place: a convolution that makes a part of a channels-last image writes its channels where
//! the joined image has them.

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

/// Finds parts that can be written in place, makes their convolutions do so, and takes their copies out.
pub(crate) fn find(block: &Block, operands: &[Option<Operand>], steps: &mut [Option<Vec<Ready>>]) -> Vec<Part> {
    let uses = uses(block);
    let mut parts = Vec::new();
    for (i, step) in block.steps.iter().enumerate() {
        let StepOp::Native(Recipe::Move(Move::Concat(1))) = &step.op else { continue };
        let Some(whole) = step.outputs.first().copied().flatten() else { continue };
        let Some(image) = operands[whole].as_ref().filter(|o| joins_pixels(o)) else { continue };
        if block.buffers[whole].home != Home::Arena || bytes_of(image).is_none() || steps[i].is_none() {
            continue;
        }
        let mut channel = 0;
        for part in step.inputs.iter().flatten() {
            let Some(own) = operands[*part].as_ref() else { break };
            let alone = uses[*part] == 1 && block.buffers[*part].home == Home::Arena && own.layout == image.layout;
            let maker = || (0..i).rev().find(|&m| block.steps[m].outputs.contains(&Some(*part)));
            if let Some(m) = alone.then(maker).flatten()
                && let Some([one]) = steps[m].as_deref_mut()
                && one.call.write_every(image.shape[1])
            {
                parts.push(Part { buffer: *part, whole, offset: channel * own.dtype.bits() / 8 });
                if let Some(copies) = &mut steps[i] {
                    copies.retain(|c| c.inputs[..] != [*part]);
                }
            }
            channel += own.shape[1];
        }
    }
    parts
}

/// True for images whose channels lie beside each other.
fn joins_pixels(o: &Operand) -> bool {
    o.layout == Layout::ChannelsLast && o.shape.len() >= 3 && !o.shape.contains(&0)
}
