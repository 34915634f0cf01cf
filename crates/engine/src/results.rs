//! What leaves a block in tensors of its own: a step writes where the caller, or a step that works on whole values, will
//! read, so that handing it over copies nothing. A tensor that nobody else holds serves the next run.

use crate::bind::bytes_of;
use crate::chains::Chained;
use crate::joined::Part;
use modelsmith_kernels::{Dst, Src};
use modelsmith_kop::Layout;
use modelsmith_plan::{Block, BufferId, Home, Operand, StepOp};
use modelsmith_tensor::Tensor;

/// Bytes of a tensor up to which a second one is kept where the first is still held.
const SMALL: usize = 64 * 1024;

/// The buffers that leave `block` and can lie in tensors: plain, of sizes known before the run, made by one step and inside
/// no other image. Results do; of what steps read as whole values, bodies that capture it among them, as much as `spare`
/// bytes allow, since memory of the arena would serve several.
pub(crate) fn find(
    block: &Block,
    operands: &[Option<Operand>],
    (parts, chains): (&[Part], &[Chained]),
    spare: usize,
) -> Vec<BufferId> {
    let between = |id: BufferId| {
        let inner = |c: &Chained| block.steps[c.steps.start..c.steps.end - 1].iter();
        chains.iter().flat_map(inner).any(|s| s.outputs.contains(&Some(id)))
    };
    let fits = |&id: &BufferId| {
        let plain = operands[id].as_ref().is_some_and(|o| o.layout == Layout::Plain && !o.shape.contains(&0));
        let joined = parts.iter().any(|p| p.buffer == id || p.whole == id);
        block.buffers[id].home == Home::Arena && plain && !joined && !between(id)
    };
    let mut found: Vec<BufferId> = block.outputs.iter().map(|&id| block.root(id)).filter(fits).collect();
    let mut left = spare;
    for id in read_whole(block).into_iter().filter(fits) {
        let bytes = operands[id].as_ref().and_then(bytes_of).unwrap_or(usize::MAX);
        if !found.contains(&id) && bytes <= left {
            left -= bytes;
            found.push(id);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Buffers whose bytes steps take as values.
fn read_whole(block: &Block) -> Vec<BufferId> {
    let mut read = Vec::new();
    for step in &block.steps {
        let captures = match &step.op {
            StepOp::Eval(e) => e.bodies.iter().flat_map(|b| &b.captures).copied().collect(),
            StepOp::Call { .. } => vec![],
            StepOp::Native(_) | StepOp::Sizes { .. } => continue,
        };
        read.extend(step.inputs.iter().flatten().copied().chain(captures).map(|id| block.root(id)));
    }
    read
}

/// Tensors of what leaves a block, by buffer.
pub(crate) struct Results {
    tensors: Vec<Option<Tensor>>,
    /// Tensors of the run before the last: a loop still reads what one run of its body made while the next makes more.
    earlier: Vec<Option<Tensor>>,
    main: bool,
}

impl Results {
    /// None yet, for `block`, the main one or a body.
    pub fn new(block: &Block, main: bool) -> Results {
        let none = vec![None; block.buffers.len()];
        Results { tensors: none.clone(), earlier: none, main }
    }

    /// Makes `id` ready to be written as `o`: a tensor of an earlier run where nobody else holds it, else a new one.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn ready(&mut self, id: BufferId, o: &Operand) -> modelsmith_tensor::Result<()> {
        let serves = |t: &Tensor| t.is_alone() && t.dtype() == o.dtype && t.shape().iter().eq(&o.shape);
        if self.tensors[id].as_ref().is_some_and(serves) {
            return Ok(());
        }
        let last = self.tensors[id].take();
        let earlier = self.earlier[id].take().filter(serves);
        // Large results of a model are held twice only by a caller who wants them.
        self.earlier[id] = last.filter(|t| !self.main || t.bytes().len() <= SMALL);
        self.tensors[id] = Some(match earlier {
            Some(t) => t,
            None => Tensor::zeros(o.dtype, &o.shape)?,
        });
        Ok(())
    }

    /// The tensor of `id`.
    pub fn tensor(&self, id: BufferId) -> Option<&Tensor> {
        self.tensors.get(id)?.as_ref()
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.tensors.iter().chain(&self.earlier).flatten().map(|t| t.bytes().len()).sum()
    }

    /// Access for one kernel call.
    pub fn window(&mut self) -> Places<'_> {
        Places { results: self, life: std::marker::PhantomData }
    }
}

/// Access to the tensors of results for one kernel call.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    results: *mut Results,
    life: std::marker::PhantomData<&'a mut Results>,
}

impl<'a> Places<'a> {
    /// A view of `id` to read.
    pub fn src(&self, id: BufferId) -> Option<Src<'a>> {
        // SAFETY: the results are borrowed exclusively for 'a, and no other reference to them is alive here.
        let results = unsafe { &*self.results };
        let bytes = results.tensor(id)?.bytes();
        // SAFETY: the bytes stay in place for 'a; only kernels write them, through views given in the same call.
        Some(unsafe { Src::from_raw(bytes.as_ptr(), bytes.len()) })
    }

    /// A view of `id` to write.
    pub fn dst(&self, id: BufferId) -> Option<Dst<'a>> {
        // SAFETY: as above.
        let results = unsafe { &mut *self.results };
        let bytes = results.tensors.get_mut(id)?.as_mut()?.bytes_mut();
        // SAFETY: as above; nothing else reads or writes the range but kernels through views of the same call.
        Some(unsafe { Dst::from_raw(bytes.as_mut_ptr(), bytes.len()) })
    }
}
