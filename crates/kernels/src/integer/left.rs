//! The left operand: rows of signed elements as a unit wants them, and their sums.

use super::unit::{QUAD, Unit};
use crate::mem::Shared;
use crate::simd::{Body, Simd};
use modelsmith_pool::Pool;
use std::marker::PhantomData;

/// A left operand as it lies in memory: matrices of `m` rows.
#[derive(Clone)]
pub(super) struct Left {
    pub data: Shared<u8>,
    pub signed: bool,
    /// How many matrices there are.
    pub count: usize,
    /// Elements from the first to each matrix; sizes alone do not need them.
    pub matrices: Vec<usize>,
    pub m: usize,
    pub k: usize,
    pub row_stride: usize,
    pub col_stride: usize,
}

/// The rows of a left operand, ready for a unit; addresses in scratch memory.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Sum of each row, all matrices one after the other.
    pub sums: Shared<i32>,
    /// A row of ones.
    pub ones: Shared<u8>,
    /// The rows, one after the other, where they were copied.
    copy: Shared<u8>,
    /// Bytes of a row there.
    pub row: usize,
}

impl Left {
    /// Whether the rows can be read where they lie: signed bytes, four of them at a time.
    pub fn in_place<U: Unit>(&self) -> bool {
        let aligned = self.row_stride.is_multiple_of(U::A_ALIGN);
        U::A_BYTES == 1 && self.signed && self.col_stride == 1 && self.k.is_multiple_of(QUAD) && aligned
    }

    fn rows_of_all(&self) -> usize {
        self.count.saturating_mul(self.m)
    }

    /// Bytes of a copied row.
    fn row<U: Unit>(&self) -> usize {
        self.k.next_multiple_of(QUAD).saturating_mul(U::A_BYTES).next_multiple_of(U::A_ALIGN)
    }

    /// Bytes of scratch memory.
    pub fn bytes<U: Unit>(&self) -> usize {
        self.parts::<U>().into_iter().fold(0, usize::saturating_add)
    }

    /// Bytes of the sums, the row of ones and the copies.
    fn parts<U: Unit>(&self) -> [usize; 3] {
        let row = self.row::<U>();
        let copies = if self.in_place::<U>() { 0 } else { row.saturating_mul(self.rows_of_all()) };
        [self.rows_of_all().saturating_mul(4).next_multiple_of(64), row.next_multiple_of(64), copies]
    }

    /// Makes rows and sums in `scratch`.
    ///
    /// # Safety
    /// The data holds every element, `scratch` [`Left::bytes`] bytes, aligned to 64, and the machine has what `S` needs.
    pub unsafe fn prepare<S: Simd, U: Unit>(&self, scratch: *mut u8, sums_wanted: bool, pool: &Pool) -> Rows {
        let [sums, ones, _] = self.parts::<U>();
        let row = self.row::<U>();
        let rows = Rows {
            sums: Shared(scratch.cast()),
            ones: Shared(scratch.wrapping_add(sums)),
            copy: Shared(scratch.wrapping_add(sums + ones)),
            row,
        };
        let one = Left { signed: true, row_stride: 0, col_stride: 0, ..self.clone() };
        // SAFETY: there is room for a row of ones, and every element of `one` is its only byte.
        unsafe { S::enter(Fill::<U> { left: &one, from: [1u8].as_ptr(), to: rows.ones.get(), unit: PhantomData }) };
        if !sums_wanted && self.in_place::<U>() {
            return rows;
        }
        pool.for_ranges(self.rows_of_all(), (16 * 1024 / self.k.max(1)).max(1), |range, _| {
            for i in range {
                let from = self.data.get().wrapping_add(self.matrices[i / self.m] + i % self.m * self.row_stride);
                let to = rows.copy.get().wrapping_add(i * row);
                // SAFETY: the row lies in the data; its sum and its copy are written by this task alone.
                unsafe {
                    if !self.in_place::<U>() {
                        S::enter(Fill::<U> { left: self, from, to, unit: PhantomData });
                    }
                    let sum = if sums_wanted { S::enter(Sum { left: self, from }) } else { 0 };
                    rows.sums.get().add(i).write(sum);
                }
            }
        });
        rows
    }

    /// The rows of a matrix from `first` on, and the bytes between them.
    pub fn rows<U: Unit>(&self, rows: &Rows, matrix: usize, first: usize) -> (*const u8, usize) {
        let (row, stride) = match self.in_place::<U>() {
            true => (self.data.get().wrapping_add(self.matrices[matrix] + first * self.row_stride), self.row_stride),
            false => (rows.copy.get().wrapping_add((matrix * self.m + first) * rows.row), rows.row),
        };
        (row.cast_const(), stride)
    }

    /// Element `k` of the row at `from`, as a signed number.
    ///
    /// # Safety
    /// The row has it.
    #[inline(always)]
    unsafe fn element(&self, from: *const u8, k: usize) -> i8 {
        // SAFETY: by the contract.
        let byte = unsafe { *from.add(k * self.col_stride) };
        (if self.signed { byte } else { byte ^ 0x80 }) as i8
    }
}

/// Copies a row in the unit's order.
struct Fill<'a, U> {
    left: &'a Left,
    from: *const u8,
    to: *mut u8,
    unit: PhantomData<U>,
}

impl<U: Unit> Body for Fill<'_, U> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Left { k, col_stride, signed, .. } = *self.left;
        if U::A_BYTES == 1 && col_stride == 1 {
            // SAFETY: the row has k bytes, and its copy room for whole quads.
            let (from, to) = unsafe {
                let to = std::slice::from_raw_parts_mut(self.to, k.next_multiple_of(QUAD));
                (std::slice::from_raw_parts(self.from, k), to)
            };
            let (to, rest) = to.split_at_mut(k);
            let flip = if signed { 0 } else { 0x80 };
            to.iter_mut().zip(from).for_each(|(t, f)| *t = f ^ flip);
            return rest.fill(0);
        }
        for q in 0..k.div_ceil(QUAD) {
            let mut quad = [0i8; QUAD];
            for (i, value) in quad.iter_mut().enumerate().take(k - q * QUAD) {
                // SAFETY: the index is below k.
                *value = unsafe { self.left.element(self.from, q * QUAD + i) };
            }
            // SAFETY: the row has room for all quads.
            unsafe {
                if U::A_BYTES == 1 {
                    self.to.add(q * QUAD).cast::<[i8; QUAD]>().write_unaligned(quad);
                } else {
                    let pairs = [quad[0], quad[2], quad[1], quad[3]].map(i16::from);
                    self.to.add(q * QUAD * 2).cast::<[i16; QUAD]>().write_unaligned(pairs);
                }
            }
        }
    }
}

/// The sum of a row.
struct Sum<'a> {
    left: &'a Left,
    from: *const u8,
}

impl Body for Sum<'_> {
    type Out = i32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> i32 {
        let Left { k, col_stride, signed, .. } = *self.left;
        if col_stride != 1 {
            // SAFETY: the indices are below k.
            return (0..k).fold(0i32, |sum, k| sum.wrapping_add(unsafe { self.left.element(self.from, k) }.into()));
        }
        // SAFETY: the row has k bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.from, k) };
        let flip = if signed { 0 } else { 0x80 };
        bytes.iter().fold(0i32, |sum, b| sum.wrapping_add(((b ^ flip) as i8).into()))
    }
}
