//! Strided copies. Input: the source. Output: the destination, of which only the view's elements are written; it may
//! not share memory with the source.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack, no_workspace};
use crate::mem::{self, Plain, Shared};
use crate::movement::turn::{self, Turn};
use modelsmith_kop::CopyProblem;
use modelsmith_pool::Pool;

/// Kernels for copies, best first. They differ in how transpositions of four-byte elements go.
pub static KERNELS: &[KernelDef<CopyProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<turn::Avx512>("copy_strided__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<turn::Avx2>("copy_strided__avx2"),
    def::<turn::Portable>("copy_strided__portable"),
];

const fn def<V: Turn>(name: &'static str) -> KernelDef<CopyProblem> {
    KernelDef { name, isa: V::ISA, accepts, cost, pack_format: no_pack, workspace: no_workspace, run: run::<V> }
}

/// Side of the square blocks in which transpositions go.
pub(super) const BLOCK: usize = 16;

/// Elements of a row of a transposition that one task writes at least.
const STRETCH: usize = 1024;

/// Bytes of a row up to which several are copied at once rather than each by a call.
const SHORT: usize = 512;

/// A dim of both views.
#[derive(Clone, Copy, Debug)]
struct Dim {
    len: usize,
    src: isize,
    dst: usize,
}

/// Lowest and highest element index of the source; `None` where it would be negative or overflow.
fn src_range(p: &CopyProblem) -> Option<(usize, usize)> {
    let (mut low, mut high) = (p.src_offset as i128, p.src_offset as i128);
    for (&len, &stride) in p.dims.iter().zip(&p.src_strides) {
        let reach = (len as i128 - 1).checked_mul(stride as i128)?;
        if reach < 0 { low += reach } else { high += reach }
    }
    (low >= 0 && high < (isize::MAX as i128) / 16).then_some((low as usize, high as usize))
}

fn dst_end(p: &CopyProblem) -> Option<usize> {
    let dims: Vec<_> = p.dims.iter().copied().zip(p.dst_strides.iter().copied()).collect();
    crate::span::span(&dims)?.checked_add(p.dst_offset)
}

fn accepts(p: &CopyProblem) -> Result<(), Reject> {
    if !matches!(p.elem_bytes, 1 | 2 | 4 | 8 | 16) {
        return Reject::because("element size is not 1, 2, 4, 8 or 16 bytes");
    }
    if p.src_strides.len() != p.dims.len() || p.dst_strides.len() != p.dims.len() {
        return Reject::because("as many strides as dims are needed");
    }
    if p.dims.contains(&0) {
        return Ok(());
    }
    if src_range(p).is_none() || dst_end(p).is_none_or(|e| e > isize::MAX as usize / 16) {
        return Reject::because("view reaches outside memory");
    }
    if crate::span::product(&p.dims).is_none() {
        return Reject::because("sizes overflow");
    }
    let mut dims: Vec<_> = p.dims.iter().zip(&p.dst_strides).filter(|d| *d.0 > 1).collect();
    dims.sort_by_key(|d| *d.1);
    let mut reach = 1usize;
    for (&len, &stride) in dims {
        if stride < reach {
            return Reject::because("elements of the destination overlap");
        }
        reach += (len - 1) * stride;
    }
    Ok(())
}

fn cost(p: &CopyProblem, facts: &Facts) -> f64 {
    let bytes = p.dims.iter().product::<usize>() as f64 * p.elem_bytes as f64;
    let contiguous = p.src_strides.last() == Some(&1) && p.dst_strides.last() == Some(&1);
    let share = if contiguous { 1.0 } else { 0.4 };
    500.0 + 2.0 * bytes / (facts.gbytes * share)
}

/// The dims in order of falling destination stride, neighbours that run on merged, dims of length 1 dropped.
fn canonical(p: &CopyProblem) -> Vec<Dim> {
    let mut dims: Vec<Dim> = (0..p.dims.len())
        .map(|i| Dim { len: p.dims[i], src: p.src_strides[i], dst: p.dst_strides[i] })
        .filter(|d| d.len != 1)
        .collect();
    dims.sort_by_key(|d| std::cmp::Reverse(d.dst));
    let mut merged: Vec<Dim> = Vec::with_capacity(dims.len());
    for d in dims {
        match merged.last_mut() {
            Some(o) if o.dst == d.dst * d.len && o.src == d.src * d.len as isize => {
                *o = Dim { len: o.len * d.len, ..d };
            }
            _ => merged.push(d),
        }
    }
    merged
}

fn run<V: Turn>(p: &CopyProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    if p.dims.contains(&0) {
        return Ok(());
    }
    let rejected = || KernelError::Rejected { kernel: "copy", reason: Reject("view reaches outside memory".into()) };
    let (low, high) = src_range(p).ok_or_else(rejected)?;
    let end = dst_end(p).ok_or_else(rejected)?;
    let src = mem::input(args.inputs, 0, "source")?;
    let dst = mem::output(args.outputs, "destination")?;
    let size = p.elem_bytes;
    let s = src.elements::<u8>((high + 1).saturating_mul(size), "source")?;
    let d = dst.elements::<u8>(end.saturating_mul(size), "destination")?;
    let (from, to) = (s.wrapping_add(low * size), d.wrapping_add(p.dst_offset * size));
    mem::apart((from, (high + 1 - low) * size), (to, (end - p.dst_offset) * size), "source")?;
    let job = Job { dims: canonical(p), src: s.wrapping_add(p.src_offset * size), dst: to };
    match size {
        1 => job.run::<u8, V>(pool),
        2 => job.run::<u16, V>(pool),
        4 => job.run::<u32, V>(pool),
        8 => job.run::<u64, V>(pool),
        _ => job.run::<[u64; 2], V>(pool),
    }
    Ok(())
}

// SAFETY: every bit pattern is a value and there is no padding.
unsafe impl Plain for [u64; 2] {}

struct Job {
    dims: Vec<Dim>,
    src: *const u8,
    dst: *mut u8,
}

// SAFETY: the pointers are used under the views' contract, for different elements by different tasks.
unsafe impl Sync for Job {}

impl Job {
    /// Where item `item` of the dims begins in both views.
    fn at<T>(&self, mut item: usize, mut s: *mut T, mut d: *mut T) -> (*mut T, *mut T) {
        for dim in self.dims.iter().rev() {
            let i = item % dim.len;
            item /= dim.len;
            s = s.wrapping_offset(i as isize * dim.src);
            d = d.wrapping_add(i * dim.dst);
        }
        (s, d)
    }

    /// Copies rows of `pairs` pairs whose halves lie `other` apart.
    fn interleave<T: Plain, V: Turn>(self, pairs: usize, other: isize, pool: &Pool) {
        let (src, dst) = (Shared(self.src.cast_mut().cast::<T>()), Shared(self.dst.cast::<T>()));
        let outer: usize = self.dims.iter().map(|d| d.len).product();
        let job = &self;
        pool.for_ranges(outer, (8 * 1024 / pairs.max(1)).max(1), |items, _| {
            for item in items {
                let (s, d) = job.at(item, src.get(), dst.get());
                // SAFETY: the views were checked; items write different elements.
                unsafe { V::interleave(s, other, d, pairs) };
            }
        });
    }

    /// Copies every element; the caller has checked both views.
    fn run<T: Plain, V: Turn>(mut self, pool: &Pool) {
        let (src, dst) = (Shared(self.src.cast_mut().cast::<T>()), Shared(self.dst.cast::<T>()));
        let Some(row) = self.dims.pop() else {
            // SAFETY: one element, checked; it may be unaligned.
            unsafe { dst.get().write_unaligned(src.get().read_unaligned()) };
            return;
        };
        if let Some(pairs) = self.dims.last().copied().filter(|d| interleaves(*d, row)) {
            self.dims.pop();
            return self.interleave::<T, V>(pairs.len, row.src, pool);
        }
        // A dim along which the source is denser than along the row makes it a transposition.
        let other = (0..self.dims.len()).min_by_key(|&i| self.dims[i].src.unsigned_abs()).filter(|&i| {
            row.src != 0 && self.dims[i].src.unsigned_abs() < row.src.unsigned_abs() && self.dims[i].src != 0
        });
        match other.map(|i| self.dims.remove(i)) {
            Some(across) => self.turn::<T, V>(across, row, pool),
            None => self.rows::<T, V>(row, pool),
        }
    }

    /// Copies row after row.
    fn rows<T: Plain, V: Turn>(mut self, row: Dim, pool: &Pool) {
        let (src, dst) = (Shared(self.src.cast_mut().cast::<T>()), Shared(self.dst.cast::<T>()));
        // Along the innermost of the other dims one row follows the other by steps.
        let inner = self.dims.pop().unwrap_or(Dim { len: 1, src: 0, dst: 0 });
        let outer: usize = self.dims.iter().map(|d| d.len).product();
        let size = size_of::<T>();
        let short = row.src == 1 && row.dst == 1 && (16..=SHORT).contains(&(row.len * size));
        let job = &self;
        pool.for_ranges(outer * inner.len, (16 * 1024 / row.len.max(1)).max(1), |items, _| {
            let mut item = items.start;
            while item < items.end {
                let (from, first) = (item / inner.len, item % inner.len);
                let (s, d) = job.at(from, src.get(), dst.get());
                let n = (inner.len - first).min(items.end - item);
                let row_at = |i: usize| (s.wrapping_offset(i as isize * inner.src), d.wrapping_add(i * inner.dst));
                // SAFETY: the views were checked; items write different elements.
                unsafe {
                    if short {
                        let (s, d) = row_at(first);
                        let (from, to) = (inner.src * size as isize, inner.dst * size);
                        V::rows(s.cast(), from, d.cast(), to, n, row.len * size);
                    } else {
                        (first..first + n).map(row_at).for_each(|(s, d)| copy_row(s, d, row));
                    }
                }
                item += n;
            }
        });
    }

    /// Transposes the planes of `across` and `row`, in strips of [`BLOCK`] along `across`.
    fn turn<T: Plain, V: Turn>(self, across: Dim, row: Dim, pool: &Pool) {
        let (src, dst) = (Shared(self.src.cast_mut().cast::<T>()), Shared(self.dst.cast::<T>()));
        let outer: usize = self.dims.iter().map(|d| d.len).product();
        let strips = across.len.div_ceil(BLOCK);
        let pieces = row.len.div_ceil(STRETCH);
        let grain = (16 * 1024 / (row.len.div_ceil(pieces.max(1)).max(1) * BLOCK)).max(1);
        let job = &self;
        pool.for_ranges(outer * strips * pieces, grain, |items, _| {
            for item in items {
                let (strip, piece) = (item / pieces % strips, item % pieces);
                let (s, d) = job.at(item / pieces / strips, src.get(), dst.get());
                let (first, along) = (strip * BLOCK, piece * STRETCH);
                let s = s.wrapping_offset(first as isize * across.src + along as isize * row.src);
                let d = d.wrapping_add(first * across.dst + along * row.dst);
                let across = Dim { len: BLOCK.min(across.len - first), ..across };
                let row = Dim { len: STRETCH.min(row.len - along), ..row };
                // SAFETY: the views were checked; items write different elements.
                unsafe { transpose_strip::<T, V>(s, d, across, row) };
            }
        });
    }
}

/// True where two stretches of the source become one of the destination, element by element in turns.
fn interleaves(pairs: Dim, row: Dim) -> bool {
    row.len == 2 && row.dst == 1 && pairs.src == 1 && pairs.dst == 2
}

/// # Safety
/// Both views hold `row.len` elements, which may be unaligned.
unsafe fn copy_row<T: Plain>(s: *const T, d: *mut T, row: Dim) {
    // SAFETY: by the contract above.
    unsafe {
        if row.src == 1 && row.dst == 1 {
            std::ptr::copy_nonoverlapping(s.cast::<u8>(), d.cast::<u8>(), row.len * size_of::<T>());
            return;
        }
        for i in 0..row.len {
            d.wrapping_add(i * row.dst).write_unaligned(s.wrapping_offset(i as isize * row.src).read_unaligned());
        }
    }
}

/// Copies `across.len` (at most `BLOCK`) × `row.len` elements, in blocks that stay in the first-level cache.
///
/// # Safety
/// Both views hold these elements, and the machine has what `V` needs.
unsafe fn transpose_strip<T: Plain, V: Turn>(s: *const T, d: *mut T, across: Dim, row: Dim) {
    let mut j = 0;
    while j < row.len {
        let n = BLOCK.min(row.len - j);
        let s = s.wrapping_offset(j as isize * row.src);
        let d = d.wrapping_add(j * row.dst);
        // SAFETY: by the contract above.
        unsafe {
            let unit = across.src == 1 && row.dst == 1;
            if unit && V::turn(size_of::<T>(), s.cast(), row.src, d.cast(), across.dst, (across.len, n)) {
                j += n;
                continue;
            }
            if n == BLOCK && across.len == BLOCK && unit {
                // Fixed bounds and unit strides, for the compiler.
                for i in 0..BLOCK {
                    for jj in 0..BLOCK {
                        let v = s.wrapping_offset(jj as isize * row.src + i as isize).read_unaligned();
                        d.wrapping_add(i * across.dst + jj).write_unaligned(v);
                    }
                }
            } else {
                for i in 0..across.len {
                    for jj in 0..n {
                        let v = s.wrapping_offset(jj as isize * row.src + i as isize * across.src).read_unaligned();
                        d.wrapping_add(i * across.dst + jj * row.dst).write_unaligned(v);
                    }
                }
            }
        }
        j += n;
    }
}

/// Transposes `n` planes of `rows × cols` f32 to `cols × rows`.
///
/// # Safety
/// Both are good for `n * rows * cols` and do not overlap.
pub(crate) unsafe fn transpose_planes(
    src: Shared<f32>,
    dst: Shared<f32>,
    n: usize,
    rows: usize,
    cols: usize,
    pool: &Pool,
) {
    if n * rows * cols == 0 {
        return;
    }
    let plane = rows * cols;
    let dims = vec![
        Dim { len: n, src: plane as isize, dst: plane },
        Dim { len: cols, src: 1, dst: rows },
        Dim { len: rows, src: cols as isize, dst: 1 },
    ];
    Job { dims, src: src.get().cast_const().cast(), dst: dst.get().cast() }.run::<u32, turn::Portable>(pool);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dst, Src};

    fn check(p: &CopyProblem, src_len: usize, dst_len: usize) {
        let src: Vec<u8> = (0..src_len * p.elem_bytes).map(|i| (i * 7 + i / 251) as u8).collect();
        let mut want = vec![0xabu8; dst_len * p.elem_bytes];
        let count: usize = p.dims.iter().product();
        for item in 0..count {
            let (mut rest, mut s, mut d) = (item, p.src_offset as isize, p.dst_offset);
            for i in (0..p.dims.len()).rev() {
                let at = rest % p.dims[i];
                rest /= p.dims[i];
                s += at as isize * p.src_strides[i];
                d += at * p.dst_strides[i];
            }
            for b in 0..p.elem_bytes {
                want[d * p.elem_bytes + b] = src[s as usize * p.elem_bytes + b];
            }
        }
        for k in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
            for threads in [1, 3] {
                let mut got = vec![0xabu8; want.len()];
                let args = Args { inputs: &[Src::new(&src)], outputs: &mut [Dst::new(&mut got)], workspace: &mut [] };
                k.run(p, args, &Pool::new(threads)).unwrap();
                assert!(got == want, "{} {p:?}", k.name);
            }
        }
    }

    #[test]
    fn every_pattern() {
        for elem_bytes in [1, 2, 4, 8, 16] {
            let p = |dims: &[usize], so: usize, s: &[isize], d_o: usize, d: &[usize]| CopyProblem {
                elem_bytes,
                dims: dims.to_vec(),
                src_offset: so,
                src_strides: s.to_vec(),
                dst_offset: d_o,
                dst_strides: d.to_vec(),
            };
            check(&p(&[], 3, &[], 2, &[]), 4, 4);
            check(&p(&[40, 50], 0, &[1, 40], 0, &[50, 1]), 2000, 2000);
            check(&p(&[2, 33, 18], 0, &[594, 1, 33], 0, &[594, 18, 1]), 1188, 1188);
            check(&p(&[3, 4, 5, 6], 0, &[120, 1, 24, 4], 0, &[120, 30, 6, 1]), 360, 360);
            // Transpositions with ends of fewer than a block on both sides, more than one task to a row, and gaps.
            check(&p(&[21, 2100], 0, &[1, 21], 3, &[2101, 1]), 44100, 44124);
            check(&p(&[2, 49, 1040], 5, &[60000, 1, 50], 0, &[51000, 1040, 1]), 112060, 102000);
            check(&p(&[3, 16, 16], 0, &[300, 1, 17], 1, &[256, 16, 1]), 900, 769);
            check(&p(&[17, 40], 640, &[1, -16], 0, &[40, 1]), 657, 680);
            for len in [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 65, 300] {
                let gap = len + 3;
                check(
                    &p(&[4, 5, len], 1, &[6 * gap as isize, gap as isize, 1], 2, &[5 * gap, gap, 1]),
                    24 * gap,
                    20 * gap + 2,
                );
            }
            check(&p(&[6, 11, 5], 2, &[300, 7, 1], 0, &[60, 5, 1]), 1900, 360);
            check(&p(&[7, 9], 8, &[9, -1], 5, &[20, 1]), 63, 140);
            check(&p(&[5, 6], 0, &[0, 1], 0, &[6, 1]), 6, 30);
            check(&p(&[300, 100], 0, &[100, 1], 50, &[200, 1]), 30000, 60050);
            check(&p(&[5, 29, 2], 7, &[116, 1, 58], 0, &[58, 2, 1]), 587, 290);
            check(&p(&[700, 16, 2], 0, &[32, 1, 16], 4, &[40, 2, 1]), 22400, 28004);
            check(&p(&[4, 0, 3], 0, &[0, 0, 0], 0, &[0, 0, 0]), 0, 0);
        }
    }

    #[test]
    fn what_reaches_outside_is_refused() {
        let mut p = CopyProblem {
            elem_bytes: 4,
            dims: vec![4],
            src_offset: 2,
            src_strides: vec![-1],
            dst_offset: 0,
            dst_strides: vec![1],
        };
        assert!(KERNELS[0].accepts(&p).is_err());
        (p.src_offset, p.dst_strides) = (3, vec![0]);
        assert!(KERNELS[0].accepts(&p).is_err());
        p.dst_strides = vec![1];
        let (src, mut dst) = ([0u32; 3], [0u32; 4]);
        let args = Args { inputs: &[Src::new(&src)], outputs: &mut [Dst::new(&mut dst)], workspace: &mut [] };
        let portable = &KERNELS[KERNELS.len() - 1];
        assert!(matches!(portable.run(&p, args, &Pool::new(1)), Err(KernelError::Buffer { what: "source", .. })));
    }
}
