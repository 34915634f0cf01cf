//! Views of buffers that kernels read and write.
//!
//! A view is a pointer and a length in bytes. Views are not slices because an input may be the very buffer of an
//! output where the family allows it; every kernel checks lengths, alignment and overlap before it touches one.

use crate::def::KernelError;
use std::marker::PhantomData;

/// Types that any bytes are a value of.
///
/// # Safety
/// Every bit pattern is valid and there is no padding.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: every bit pattern of these is a value.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}

/// A buffer that is read.
#[derive(Clone, Copy, Debug)]
pub struct Src<'a> {
    ptr: *const u8,
    len: usize,
    life: PhantomData<&'a [u8]>,
}

/// A buffer that is written.
#[derive(Debug)]
pub struct Dst<'a> {
    ptr: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: a view gives access to plain memory under the contract of its constructor, which speaks of all threads.
unsafe impl Send for Src<'_> {}
// SAFETY: as above.
unsafe impl Sync for Src<'_> {}
// SAFETY: as above.
unsafe impl Send for Dst<'_> {}
// SAFETY: as above.
unsafe impl Sync for Dst<'_> {}

impl<'a> Src<'a> {
    /// A view of `len` bytes at `ptr`.
    ///
    /// # Safety
    /// The memory is initialised and readable for `'a`, and nothing writes it in that time except kernels through
    /// a [`Dst`] given in the same call.
    pub unsafe fn from_raw(ptr: *const u8, len: usize) -> Src<'a> {
        Src { ptr, len, life: PhantomData }
    }

    /// A view of a slice.
    pub fn new<T: Plain>(slice: &'a [T]) -> Src<'a> {
        Src { ptr: slice.as_ptr().cast(), len: std::mem::size_of_val(slice), life: PhantomData }
    }

    /// Length in bytes.
    pub fn len_bytes(&self) -> usize {
        self.len
    }

    /// `len` bytes from `first` on; `None` where they do not lie inside.
    pub fn part(&self, first: usize, len: usize) -> Option<Src<'a>> {
        first.checked_add(len).filter(|&end| end <= self.len)?;
        Some(Src { ptr: self.ptr.wrapping_add(first), len, life: PhantomData })
    }

    /// Pointer to at least `count` elements of `T`.
    pub(crate) fn elements<T: Plain>(&self, count: usize, what: &'static str) -> Result<*const T, KernelError> {
        check::<T>(self.ptr, self.len, count, what)?;
        Ok(self.ptr.cast())
    }
}

impl<'a> Dst<'a> {
    /// A view of `len` bytes at `ptr`.
    ///
    /// # Safety
    /// The memory is initialised, and for `'a` nothing else reads or writes it except kernels through a [`Src`] given in
    /// the same call.
    pub unsafe fn from_raw(ptr: *mut u8, len: usize) -> Dst<'a> {
        Dst { ptr, len, life: PhantomData }
    }

    /// A view of a slice.
    pub fn new<T: Plain>(slice: &'a mut [T]) -> Dst<'a> {
        let len = std::mem::size_of_val(slice);
        Dst { ptr: slice.as_mut_ptr().cast(), len, life: PhantomData }
    }

    /// Length in bytes.
    pub fn len_bytes(&self) -> usize {
        self.len
    }

    /// Pointer to at least `count` elements of `T`.
    pub(crate) fn elements<T: Plain>(&self, count: usize, what: &'static str) -> Result<*mut T, KernelError> {
        check::<T>(self.ptr, self.len, count, what)?;
        Ok(self.ptr.cast())
    }
}

fn check<T>(ptr: *const u8, len: usize, count: usize, what: &'static str) -> Result<(), KernelError> {
    let fail = |problem: String| Err(KernelError::Buffer { what, problem });
    match count.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= len => {}
        _ => return fail(format!("{len} bytes given, {count} elements of {} needed", size_of::<T>())),
    }
    if count > 0 && !ptr.addr().is_multiple_of(align_of::<T>()) {
        return fail(format!("address is not a multiple of {}", align_of::<T>()));
    }
    Ok(())
}

/// Whether the two ranges of elements share a byte.
pub(crate) fn overlaps<T, U>(a: *const T, a_count: usize, b: *const U, b_count: usize) -> bool {
    let (a0, b0) = (a.addr(), b.addr());
    let (a1, b1) = (a0 + a_count * size_of::<T>(), b0 + b_count * size_of::<U>());
    a_count > 0 && b_count > 0 && a0 < b1 && b0 < a1
}

/// Refuses an input that shares memory with an output.
pub(crate) fn apart<T, U>(src: (*const T, usize), dst: (*mut U, usize), what: &'static str) -> Result<(), KernelError> {
    if overlaps(src.0, src.1, dst.0.cast_const(), dst.1) {
        return Err(KernelError::Buffer { what, problem: "overlaps the output".into() });
    }
    Ok(())
}

/// Refuses an input that shares memory with an output, unless it begins at the same element.
pub(crate) fn apart_or_same<T, U>(
    src: (*const T, usize),
    dst: (*mut U, usize),
    what: &'static str,
) -> Result<(), KernelError> {
    if src.0.addr() == dst.0.addr() { Ok(()) } else { apart(src, dst, what) }
}

/// The `index`-th input.
pub(crate) fn input<'a>(inputs: &[Src<'a>], index: usize, what: &'static str) -> Result<Src<'a>, KernelError> {
    inputs.get(index).copied().ok_or_else(|| KernelError::Buffer { what, problem: "is missing".into() })
}

/// The only output.
pub(crate) fn output<'s, 'a>(outputs: &'s mut [Dst<'a>], what: &'static str) -> Result<&'s mut Dst<'a>, KernelError> {
    outputs.first_mut().ok_or_else(|| KernelError::Buffer { what, problem: "is missing".into() })
}

/// A raw pointer that closures run by the pool may share. Whoever uses it keeps to disjoint elements.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub *mut T);
// SAFETY: only the address is shared; each use states why its accesses do not meet.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn get(&self) -> *mut T {
        self.0
    }
}

/// Scratch memory cut into one aligned piece per worker after a shared aligned head.
pub(crate) struct Scratch {
    base: Shared<u8>,
    head: usize,
    each: usize,
    workers: usize,
}

const ALIGN: usize = 128;

impl Scratch {
    /// Bytes of workspace for [`Scratch::new`] with these sizes.
    pub(crate) fn bytes(head: usize, each: usize, workers: usize) -> usize {
        let sum = each.next_multiple_of(ALIGN).saturating_mul(workers).saturating_add(head.next_multiple_of(ALIGN));
        if sum == 0 { 0 } else { sum.saturating_add(ALIGN) }
    }

    pub(crate) fn new(workspace: &mut [u8], head: usize, each: usize, workers: usize) -> Result<Scratch, KernelError> {
        let needed = Self::bytes(head, each, workers);
        if workspace.len() < needed {
            let problem = format!("{} bytes given, {needed} needed", workspace.len());
            return Err(KernelError::Buffer { what: "workspace", problem });
        }
        let skip = if needed == 0 { 0 } else { workspace.as_ptr().align_offset(ALIGN).min(workspace.len()) };
        let base = Shared(workspace.as_mut_ptr().wrapping_add(skip));
        Ok(Scratch { base, head: head.next_multiple_of(ALIGN), each: each.next_multiple_of(ALIGN), workers })
    }

    pub(crate) fn head<T: Plain>(&self) -> *mut T {
        self.base.get().cast()
    }

    pub(crate) fn worker<T>(&self, worker: usize) -> *mut T {
        debug_assert!(worker < self.workers);
        self.base.get().wrapping_add(self.head + worker.min(self.workers.saturating_sub(1)) * self.each).cast()
    }
}
