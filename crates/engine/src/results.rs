//! Results in tensors of their own: a step writes where the caller will read, so that giving a result away copies
//! nothing. A tensor that the caller has dropped serves the next run.

use crate::chains::Chained;
use crate::joined::Part;
use modelsmith_kernels::{Dst, Src};
use modelsmith_kop::Layout;
use modelsmith_plan::{Block, BufferId, Home, Operand};
use modelsmith_tensor::Tensor;

/// The buffers that are results of `block` and can lie in tensors: plain, of sizes known before the run, made by one step
/// and inside no other image.
pub(crate) fn find(block: &Block, operands: &[Option<Operand>], parts: &[Part], chains: &[Chained]) -> Vec<BufferId> {
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
    found.sort_unstable();
    found.dedup();
    found
}

/// Tensors of a block's results, by buffer.
pub(crate) struct Results {
    tensors: Vec<Option<Tensor>>,
}

impl Results {
    pub fn new(block: &Block) -> Results {
        Results { tensors: vec![None; block.buffers.len()] }
    }

    /// Makes `id` ready to be written as `o`: the tensor of the last run where nobody else holds it, else a new one.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn ready(&mut self, id: BufferId, o: &Operand) -> modelsmith_tensor::Result<()> {
        let serves = |t: &Tensor| t.is_alone() && t.dtype() == o.dtype && t.shape() == o.shape;
        if !self.tensors[id].as_ref().is_some_and(serves) {
            self.tensors[id] = None;
            self.tensors[id] = Some(Tensor::zeros(o.dtype, &o.shape)?);
        }
        Ok(())
    }

    /// The tensor of `id`.
    pub fn tensor(&self, id: BufferId) -> Option<&Tensor> {
        self.tensors.get(id)?.as_ref()
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.tensors.iter().flatten().map(|t| t.bytes().len()).sum()
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
