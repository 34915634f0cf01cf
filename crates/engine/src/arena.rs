//! The memory that steps share.

use modelsmith_kernels::{Dst, Src};

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [u8; 64]);

/// Zeroed memory, aligned to 64 bytes, that grows and never shrinks.
#[derive(Default)]
pub(crate) struct Arena {
    lines: Vec<Line>,
}

/// A range of an arena, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub offset: usize,
    pub len: usize,
}

/// Access to an arena for one kernel call.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    base: *mut u8,
    len: usize,
    life: std::marker::PhantomData<&'a mut Line>,
}

impl Arena {
    /// Makes room for `bytes`; false when there is none.
    pub fn ensure(&mut self, bytes: usize) -> bool {
        let lines = bytes.div_ceil(64);
        if lines > self.lines.len() {
            if self.lines.try_reserve_exact(lines - self.lines.len()).is_err() {
                return false;
            }
            self.lines.resize(lines, Line([0; 64]));
        }
        true
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.lines.len() * 64
    }

    /// Access for one kernel call.
    pub fn window(&mut self) -> Window<'_> {
        let len = self.len();
        Window { base: self.lines.as_mut_ptr().cast(), len, life: std::marker::PhantomData }
    }

    /// The bytes of `span`; empty where it does not lie inside.
    pub fn bytes(&self, span: Span) -> &[u8] {
        match span.offset.checked_add(span.len).filter(|&end| end <= self.len()) {
            // SAFETY: the range lies inside the lines, which are initialised, and `u8` has no alignment.
            Some(_) => unsafe {
                std::slice::from_raw_parts(self.lines.as_ptr().cast::<u8>().add(span.offset), span.len)
            },
            None => &[],
        }
    }

    /// The first `len` bytes, to be written; fewer where there are fewer.
    pub fn head(&mut self, len: usize) -> &mut [u8] {
        let len = len.min(self.len());
        // SAFETY: the range lies inside the lines, and the exclusive borrow lasts as long as the slice.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }
}

impl<'a> Window<'a> {
    fn fits(&self, span: Span) -> bool {
        span.offset.checked_add(span.len).is_some_and(|end| end <= self.len)
    }

    /// A view to read; `None` where it does not lie inside.
    pub fn src(&self, span: Span) -> Option<Src<'a>> {
        // SAFETY: the range lies inside the arena, which is initialised and borrowed exclusively for 'a; only kernels
        // write it, through views given in the same call.
        self.fits(span).then(|| unsafe { Src::from_raw(self.base.add(span.offset), span.len) })
    }

    /// A view to write; `None` where it does not lie inside.
    pub fn dst(&self, span: Span) -> Option<Dst<'a>> {
        // SAFETY: as above; nothing else reads or writes the range but kernels through views of the same call.
        self.fits(span).then(|| unsafe { Dst::from_raw(self.base.add(span.offset), span.len) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_lie_inside() {
        let mut a = Arena::default();
        assert!(a.ensure(100));
        assert_eq!(a.len(), 128);
        let w = a.window();
        assert!(w.src(Span { offset: 0, len: 128 }).is_some());
        assert!(w.src(Span { offset: 64, len: 65 }).is_none());
        assert!(w.dst(Span { offset: usize::MAX, len: 2 }).is_none());
        assert_eq!(a.bytes(Span { offset: 64, len: 64 }), [0; 64]);
        assert!(a.bytes(Span { offset: 64, len: 65 }).is_empty());
    }
}
