//! Blocks of a product, cut for threads.
//!
//! Units multiply signed by unsigned bytes, so an operand of the other kind is moved by 128 and its zero point with it:
//! `sum (a - p)(b - q) = sum a b - q sum a - p (sum b - k q)`.

use super::left::{Left, Rows};
use super::right::{Pack, Right};
use super::unit::{BLOCK, PANEL, QUAD, Tile, Unit};
use crate::mem::{Scratch, Shared};
use crate::simd::{Body, Simd};
use modelsmith_kop::ZeroPoint;
use modelsmith_pool::{Pool, cut};
use std::marker::PhantomData;
use std::ops::Range;

/// Zero points of an operand.
#[derive(Clone, Copy)]
pub(super) struct Zeros {
    pub kind: ZeroPoint,
    /// Its bytes; nothing is read where there are none.
    pub data: Shared<u8>,
    pub signed: bool,
    /// What the operand's elements are moved by.
    pub moved: i32,
}

impl Zeros {
    /// The zero point of row or column `i`, moved as the elements are.
    ///
    /// # Safety
    /// There is one of it.
    #[inline(always)]
    unsafe fn at(&self, i: usize) -> i32 {
        let i = match self.kind {
            ZeroPoint::None => return self.moved,
            ZeroPoint::One => 0,
            ZeroPoint::Each => i,
        };
        // SAFETY: by the contract.
        let byte = unsafe { *self.data.get().add(i) };
        self.moved + if self.signed { i32::from(byte as i8) } else { i32::from(byte) }
    }

    /// Whether all are zero.
    ///
    /// # Safety
    /// As [`Zeros::at`], for all below `count`.
    unsafe fn vanish(&self, count: usize) -> bool {
        let count = if self.kind == ZeroPoint::Each { count } else { 1 };
        // SAFETY: by the contract.
        (0..count).all(|i| unsafe { self.at(i) } == 0)
    }
}

/// One matrix product.
#[derive(Clone, Copy)]
pub(super) struct Item {
    /// The matrix of the left operand.
    pub left: usize,
    /// Elements to where its right operand begins.
    pub right: usize,
    /// Elements to where its result begins.
    pub out: usize,
    /// Number of its first row among the zero points.
    pub zero: usize,
}

/// Products of matrices of one size.
pub(super) struct Products<'a> {
    pub left: Left,
    pub right: Right<'a>,
    /// Zero points of rows and of columns, and how many there are of each.
    pub zeros: [(Zeros, usize); 2],
    pub items: Vec<Item>,
    pub out: Shared<i32>,
    pub out_stride: usize,
    /// Where columns are pixels of rows with some more at the end: the columns of a row, and those that are kept.
    pub rows_of: Option<(usize, usize)>,
}

/// Rows that make a task of their own worth packing its block for.
const LEAST_ROWS: usize = 64;

/// Bytes of scratch memory: for all, and for each worker.
pub(super) fn scratch<U: Unit>(left: &Left, right: &Right) -> (usize, usize) {
    (left.bytes::<U>(), if right.is_packed() { 0 } else { right.block_bytes() })
}

impl Products<'_> {
    /// Computes all products.
    ///
    /// # Safety
    /// The operands, zero points and the result hold every element that the sizes reach, and the machine has what `S` and
    /// `U` need.
    pub unsafe fn run<S: Simd, U: Unit>(&self, scratch: &Scratch, pool: &Pool) {
        let (m, n) = (self.left.m, self.right.n);
        let [(rows, row_count), (columns, column_count)] = self.zeros;
        // SAFETY: by the contract.
        let plain = unsafe { [rows.vanish(row_count), columns.vanish(column_count)] };
        // SAFETY: the scratch memory was sized for it.
        let rows = unsafe { self.left.prepare::<S, U>(scratch.head(), !plain[1], pool) };
        let blocks = n.div_ceil(BLOCK);
        let wanted = if pool.threads() == 1 { 1 } else { pool.threads() * Pool::CHUNKS_PER_THREAD };
        let cuts = (wanted / (blocks * self.items.len()).max(1)).clamp(1, (m / LEAST_ROWS).max(1));
        pool.for_ranges(self.items.len() * blocks * cuts, 1, |tasks, worker| {
            for task in tasks {
                let (item, block, part) = (task / cuts / blocks, task / cuts % blocks, task % cuts);
                let body = Block::<U> {
                    products: self,
                    item: self.items[item],
                    first: block * BLOCK,
                    rows: cut(m, cuts, part),
                    prepared: rows,
                    plain,
                    panels: scratch.worker(worker),
                    unit: PhantomData,
                };
                // SAFETY: by the contract; tasks write rows and columns of their own.
                unsafe { S::enter(body) };
            }
        });
    }
}

/// Some rows of a block of columns.
struct Block<'a, U> {
    products: &'a Products<'a>,
    item: Item,
    first: usize,
    rows: Range<usize>,
    prepared: Rows,
    /// Whether the zero points of rows and of columns are all zero.
    plain: [bool; 2],
    /// Room for the panels.
    panels: *mut u8,
    unit: PhantomData<U>,
}

/// Most rows of any unit.
const ROWS: usize = 32;

impl<U: Unit> Body for Block<'_, U> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        const { assert!(U::ROWS <= ROWS) };
        let Products { left, right, zeros, out, out_stride, .. } = self.products;
        let columns = (right.n - self.first).min(BLOCK);
        let panels = columns.div_ceil(PANEL);
        let quads = right.k.div_ceil(QUAD);
        let b_stride = quads * PANEL * QUAD;
        let mut sums = [0i32; ROWS * BLOCK];
        // SAFETY: the caller's, for all that follows: rows, columns and zero points lie in the operands.
        unsafe {
            let _ready = U::ready();
            let b = if right.is_packed() {
                right.packed_block(self.first / BLOCK)
            } else {
                let at = right.data.get().add(self.item.right);
                Pack { right, at, first: self.first, columns, to: self.panels }.run::<S>();
                self.panels.cast_const()
            };
            let (mut q, mut less) = ([0i32; BLOCK], [0i32; BLOCK]);
            for (i, q) in q.iter_mut().enumerate().take(columns) {
                *q = zeros[1].0.at(self.first + i);
            }
            if !self.plain[0] {
                let ones =
                    Tile { a: self.prepared.ones.get(), a_stride: 0, b, b_stride, quads, sums: sums.as_mut_ptr() };
                U::sums(&ones, 1, panels);
                let k = right.k as i32;
                less.iter_mut().zip(&sums).zip(&q).for_each(|((l, s), q)| *l = s.wrapping_sub(q.wrapping_mul(k)));
            }
            for row in self.rows.clone().step_by(U::ROWS) {
                let count = (self.rows.end - row).min(U::ROWS);
                let (a, a_stride) = left.rows::<U>(&self.prepared, self.item.left, row);
                U::sums(&Tile { a, a_stride, b, b_stride, quads, sums: sums.as_mut_ptr() }, count, panels);
                for (i, sums) in sums.as_chunks::<BLOCK>().0.iter().enumerate().take(count) {
                    let p = zeros[0].0.at(self.item.zero + row + i);
                    let of = self.item.left * left.m + row + i;
                    let sum = if self.plain[1] { 0 } else { *self.prepared.sums.get().add(of) };
                    let line = finish(sums, (&q, sum), (&less, p));
                    let to = out.get().add(self.item.out + (row + i) * out_stride);
                    self.store(&line[..columns], to);
                }
            }
        }
    }
}

impl<U: Unit> Block<'_, U> {
    /// Writes the sums of a row.
    ///
    /// # Safety
    /// `to` is where the sums of the row's first column belong.
    #[inline(always)]
    unsafe fn store(&self, line: &[i32], to: *mut i32) {
        // SAFETY: by the contract, kept columns are those of the result.
        let put = |at: usize, part: &[i32]| unsafe { to.add(at).copy_from_nonoverlapping(part.as_ptr(), part.len()) };
        let Some((all, kept)) = self.products.rows_of else { return put(self.first, line) };
        let (mut done, mut y, mut x) = (0, self.first / all, self.first % all);
        while done < line.len() {
            let part = &line[done..line.len().min(done + all - x)];
            if x < kept {
                put(y * kept + x, &part[..part.len().min(kept - x)]);
            }
            (done, y, x) = (done + part.len(), y + 1, 0);
        }
    }
}

/// Sums less what the zero points add to them.
#[inline(always)]
fn finish(sums: &[i32; BLOCK], (q, sum): (&[i32; BLOCK], i32), (less, p): (&[i32; BLOCK], i32)) -> [i32; BLOCK] {
    let mut line = *sums;
    for (i, v) in line.iter_mut().enumerate() {
        *v = v.wrapping_sub(q[i].wrapping_mul(sum)).wrapping_sub(less[i].wrapping_mul(p));
    }
    line
}
