//! Tensors that share elements: views are taken again after a write to what they show, and a write to a view is one to
//! what it is a view of.

use super::context::Context;
use super::error::{Outcome, unsupported};
use super::value::{Cell, Step, TensorRef, Val};
use modelsmith_ir::{Attrs, ValueId};

impl Context {
    /// A tensor with elements of its own.
    pub(crate) fn tensor(&mut self, value: ValueId) -> Val {
        Val::Tensor(self.base(value))
    }

    pub(crate) fn base(&mut self, value: ValueId) -> TensorRef {
        self.heap.tensors.push(Cell::Base { value, version: 0 });
        TensorRef(self.heap.tensors.len().saturating_sub(1))
    }

    /// A view of `of`, whose elements at present are `value`.
    pub(crate) fn view(&mut self, of: TensorRef, step: Step, value: ValueId) -> Val {
        let version = self.version(of);
        self.heap.tensors.push(Cell::View { of, step, value, version });
        Val::Tensor(TensorRef(self.heap.tensors.len().saturating_sub(1)))
    }

    /// How often the elements that `t` shows were written.
    fn version(&self, t: TensorRef) -> u32 {
        match self.heap.tensors.get(t.0) {
            Some(Cell::Base { version, .. }) => *version,
            Some(Cell::View { of, .. }) => self.version(*of),
            None => 0,
        }
    }

    /// The elements of `t` at present.
    pub(crate) fn read(&mut self, t: TensorRef) -> Outcome<ValueId> {
        match self.heap.tensors.get(t.0).cloned() {
            Some(Cell::Base { value, .. }) => Ok(value),
            Some(Cell::View { of, step, value, version }) => {
                let now = self.version(of);
                if now == version {
                    return Ok(value);
                }
                let shown = self.read(of)?;
                let value = self.take(shown, &step)?;
                if let Some(cell) = self.heap.tensors.get_mut(t.0) {
                    *cell = Cell::View { of, step, value, version: now };
                }
                Ok(value)
            }
            None => unsupported("a tensor that is not there"),
        }
    }

    /// Writes `new` to all elements of `t`; it has their shape and type.
    pub(crate) fn write(&mut self, t: TensorRef, new: ValueId) -> Outcome<()> {
        match self.heap.tensors.get(t.0).cloned() {
            Some(Cell::Base { version, .. }) => {
                if let Some(cell) = self.heap.tensors.get_mut(t.0) {
                    *cell = Cell::Base { value: new, version: version.saturating_add(1) };
                }
                Ok(())
            }
            Some(Cell::View { of, step, .. }) => {
                let whole = self.read(of)?;
                let changed = self.put(whole, &step, new)?;
                self.write(of, changed)?;
                let version = self.version(of);
                if let Some(cell) = self.heap.tensors.get_mut(t.0) {
                    *cell = Cell::View { of, step, value: new, version };
                }
                Ok(())
            }
            None => unsupported("a tensor that is not there"),
        }
    }

    /// What `step` shows of `v`.
    pub(crate) fn take(&mut self, v: ValueId, step: &Step) -> Outcome<ValueId> {
        match step {
            Step::Same => Ok(v),
            Step::Reshape(shape) => self.op("Reshape", &[v, *shape]),
            Step::Expand(shape) => self.op("Expand", &[v, *shape]),
            Step::Permute(perm) => self.permute(v, perm),
            Step::Select(axis, index) => {
                let axis = i64::try_from(*axis).unwrap_or(0);
                self.op_with("Gather", &[v, *index], Attrs::new().with("axis", axis))
            }
            Step::Slice(axis, start, end, step) => {
                let axes = self.ints(&[i64::try_from(*axis).unwrap_or(0)]);
                self.op("Slice", &[v, *start, *end, axes, *step])
            }
        }
    }

    pub(crate) fn permute(&mut self, v: ValueId, perm: &[usize]) -> Outcome<ValueId> {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(v);
        }
        let perm = perm.iter().map(|&p| i64::try_from(p).unwrap_or(0)).collect::<Vec<_>>();
        self.op_with("Transpose", &[v], Attrs::new().with("perm", perm))
    }

    /// `v` with `new` where `step` shows it.
    fn put(&mut self, v: ValueId, step: &Step, new: ValueId) -> Outcome<ValueId> {
        match step {
            Step::Same => Ok(new),
            Step::Reshape(_) => self.reshape_like(new, v),
            Step::Permute(perm) => {
                let mut back = vec![0; perm.len()];
                for (i, &p) in perm.iter().enumerate() {
                    if let Some(slot) = back.get_mut(p) {
                        *slot = i;
                    }
                }
                self.permute(new, &back)
            }
            Step::Expand(_) => unsupported("a write to elements that are repeated (expand)"),
            Step::Select(axis, index) => {
                let at = i64::try_from(*axis).unwrap_or(0);
                let axes = self.ints(&[at]);
                let row = self.op("Unsqueeze", &[new, axes])?;
                let one = self.ints(&[1]);
                let index = self.op("Reshape", &[*index, one])?;
                self.put_rows(v, *axis, index, row)
            }
            Step::Slice(axis, start, end, step) => {
                let size = self.size(v, *axis)?;
                let (zero, one) = (self.int(0), self.int(1));
                let all = self.op("Range", &[zero, size, one])?;
                let axes = self.ints(&[0]);
                let index = self.op("Slice", &[all, *start, *end, axes, *step])?;
                self.put_rows(v, *axis, index, new)
            }
        }
    }

    /// `v` with `rows` at the indices `index` of `axis`.
    pub(crate) fn put_rows(&mut self, v: ValueId, axis: usize, index: ValueId, rows: ValueId) -> Outcome<ValueId> {
        // ScatterND writes along the front: the axis goes there and back.
        let rank = self.rank(v)?;
        let mut perm = (0..rank).collect::<Vec<_>>();
        if axis > 0 && axis < rank {
            perm.swap(0, axis);
        }
        let (front, rows) = (self.permute(v, &perm)?, self.permute(rows, &perm)?);
        let axes = self.ints(&[1]);
        let index = self.op("Unsqueeze", &[index, axes])?;
        let done = self.op("ScatterND", &[front, index, rows])?;
        self.permute(done, &perm)
    }

    /// `v` in the shape of `like`.
    pub(crate) fn reshape_like(&mut self, v: ValueId, like: ValueId) -> Outcome<ValueId> {
        let shape = self.op("Shape", &[like])?;
        self.op("Reshape", &[v, shape])
    }
}
