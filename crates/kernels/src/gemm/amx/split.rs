//! f32 as sums of three bf16 parts, or of two.
//!
//! Each part is the nearest bf16 (ties to even) to what the parts before it leave. A value has 24 bits and a part 8, so
//! the three parts of a normal value that is not very small are the value itself, bit by bit; two are it but for 2^-17.
//!
//! Tile products read every subnormal as zero and write none. What that spoils is found here: [`Range::HUGE`] are values
//! of at least 2^40, among them Inf and NaN, which the first part cannot hold; [`Range::TINY`] are values below 2^-50
//! other than zero, whose parts, or the products of whose parts, may be subnormal.

use super::unit::{PART_BYTES, STEP};
use crate::gemm::drive::Rows;
use crate::pack::PANEL;
use core::arch::x86_64::*;
use std::ops::Range as Span;

/// What lies outside of the magnitudes that split without loss: bits.
pub(super) struct Range;

impl Range {
    pub const HUGE: u8 = 1;
    pub const TINY: u8 = 2;
}

/// Bits of an f32 without its sign, shifted left by one.
const fn magnitude(exponent: i32) -> i32 {
    (exponent + 127) << 24
}

/// Largest and smallest magnitudes seen, as [`magnitude`] spells them; smallest less one, so that zero is the largest.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub most: __m512i,
    pub least: __m512i,
}

impl Seen {
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn nothing() -> Seen {
        Seen { most: _mm512_setzero_si512(), least: _mm512_set1_epi32(-1) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn add(&mut self, x: __m512) {
        let bits = _mm512_castps_si512(x);
        let shifted = _mm512_add_epi32(bits, bits);
        self.most = _mm512_max_epu32(self.most, shifted);
        self.least = _mm512_min_epu32(self.least, _mm512_add_epi32(shifted, _mm512_set1_epi32(-1)));
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn flags(self) -> u8 {
        let huge = _mm512_cmpge_epu32_mask(self.most, _mm512_set1_epi32(magnitude(40))) != 0;
        let tiny = _mm512_cmplt_epu32_mask(self.least, _mm512_set1_epi32(magnitude(-50) - 1)) != 0;
        u8::from(huge) * Range::HUGE + u8::from(tiny) * Range::TINY
    }
}

/// The upper half of a lane.
pub(super) const UPPER: i32 = 0xffff_0000u32 as i32;

/// The order that makes pairs of "all low, then all high".
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn pairs() -> __m512i {
    _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1,
        16, 0,
    )
}

/// Splits 32 values into lines of pairs, one for each part: lane `i` of a line holds the parts of `low[i]` and `high[i]`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn split<const PARTS: usize>(low: __m512, high: __m512, seen: &mut Seen) -> [__m512i; PARTS] {
    seen.add(low);
    seen.add(high);
    let (pairs, upper) = (pairs(), _mm512_set1_epi32(UPPER));
    let (mut low, mut high) = (low, high);
    let mut lines = [_mm512_setzero_si512(); PARTS];
    for (part, line) in lines.iter_mut().enumerate() {
        if part == 2 {
            // What is left has 8 bits at most.
            let (low, high) = (_mm512_castps_si512(low), _mm512_castps_si512(high));
            *line = _mm512_mask_blend_epi16(0xaaaa_aaaa, _mm512_srli_epi32::<16>(low), high);
            break;
        }
        // SAFETY: both are 512 bits of plain data.
        let parts: __m512i = unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(high, low)) };
        *line = _mm512_permutexvar_epi16(pairs, parts);
        low = _mm512_sub_ps(low, _mm512_castsi512_ps(_mm512_slli_epi32::<16>(*line)));
        high = _mm512_sub_ps(high, _mm512_castsi512_ps(_mm512_and_si512(*line, upper)));
    }
    lines
}

/// Writes the parts of row `row` of a step.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store<const PARTS: usize>(lines: [__m512i; PARTS], step: *mut u8, row: usize) {
    for (part, line) in lines.into_iter().enumerate() {
        // SAFETY: a step holds each part as 16 rows of 64 bytes.
        unsafe { _mm512_store_si512(step.add(part * PART_BYTES + row * 64).cast(), line) };
    }
}

/// Splits steps `steps` of a panel of 16 columns, `[k][16]`, into `to`.
///
/// # Safety
/// `panel` holds `k` rows, `to` has room for the steps and is aligned to 64 bytes, and the machine has the features.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn panel<const PARTS: usize>(
    panel: *const f32,
    k: usize,
    steps: Span<usize>,
    to: *mut u8,
    seen: &mut Seen,
) {
    for (i, step) in steps.enumerate() {
        let to = to.wrapping_add(i * PARTS * PART_BYTES);
        let first = step * STEP;
        for row in 0..STEP / 2 {
            let read = |at: usize| {
                // SAFETY: row `at` of the panel exists.
                if at < k { unsafe { _mm512_loadu_ps(panel.add(at * PANEL)) } } else { _mm512_setzero_ps() }
            };
            let lines = split::<PARTS>(read(first + row), read(first + row + STEP / 2), seen);
            // SAFETY: by this function's contract.
            unsafe { store(lines, to, row) };
        }
    }
}

/// Splits steps `steps` of rows `first..first + count` (at most 16) into one row tile at `to`; rows beyond are left as they
/// are. Says what lay outside of the range.
///
/// # Safety
/// The rows exist, `table` has room for their pointers, `to` for the steps, aligned to 64 bytes, and the machine has the
/// features.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn rows<R: Rows, const PARTS: usize>(
    source: &R,
    (first, count): (usize, usize),
    steps: Span<usize>,
    table: *mut *const f32,
    to: *mut u8,
) -> u8 {
    if let Some(bytes) = source.record_bytes() {
        // SAFETY: passed on.
        return unsafe { records::<R, PARTS>(source, bytes, (first, count), steps, table.cast(), to) };
    }
    let (segs, seg_len) = source.segments();
    // SAFETY: by this function's contract.
    unsafe { source.fill(first, count, table) };
    let mut seen = Seen::nothing();
    for (i, step) in steps.enumerate() {
        let to = to.wrapping_add(i * PARTS * PART_BYTES);
        let (seg, offset) = (step * STEP / seg_len, step * STEP % seg_len);
        let whole = offset + STEP <= seg_len;
        for row in 0..count {
            // SAFETY: the table holds `segs * count` pointers, each to `seg_len` values; the step begins inside.
            unsafe {
                let (low, high) = if whole {
                    let at = (*table.add(seg * count + row)).add(offset);
                    (_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16)))
                } else {
                    gather(table.add(row), (seg, offset), (segs, seg_len), count)
                };
                store(split::<PARTS>(low, high, &mut seen), to, row);
            }
        }
    }
    seen.flags()
}

/// What row `row` holds that lies outside of the range.
///
/// # Safety
/// The row exists, `table` has room for its pointers, and the machine has the features.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn row_flags<R: Rows>(source: &R, row: usize, table: *mut *const f32) -> u8 {
    let (segs, seg_len) = source.segments();
    let mut seen = Seen::nothing();
    // SAFETY: by the contract above; each segment holds `seg_len` values, of which the last few are read under a mask.
    unsafe {
        source.fill(row, 1, table);
        for seg in 0..segs {
            for at in (0..seg_len).step_by(16) {
                let mask = if seg_len - at >= 16 { 0xffff } else { (1u16 << (seg_len - at)) - 1 };
                seen.add(_mm512_maskz_loadu_ps(mask, (*table.add(seg)).add(at)));
            }
        }
    }
    seen.flags()
}

/// Bytes of a line of a record; a step takes one for each part.
pub(super) const LINE: usize = 64;
/// Bytes at the end of a record, of which the first is what lay outside of the range.
pub(super) const RECORD_FLAGS: usize = 64;

/// Splits `values` values, whole steps of them, into a record.
///
/// # Safety
/// `from` holds the values, `to` has room for the record and is aligned to 64 bytes, and the machine has the features.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn record<const PARTS: usize>(from: *const f32, values: usize, to: *mut u8) {
    let mut seen = Seen::nothing();
    // SAFETY: by the contract above.
    unsafe {
        for step in 0..values / STEP {
            let at = from.add(step * STEP);
            let lines = split::<PARTS>(_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(STEP / 2)), &mut seen);
            for (part, line) in lines.into_iter().enumerate() {
                _mm512_store_si512(to.add((step * PARTS + part) * LINE).cast(), line);
            }
        }
        *to.add(values / STEP * PARTS * LINE) = seen.flags();
    }
}

/// As [`rows`], from records of `bytes` bytes.
///
/// # Safety
/// As for [`rows`].
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn records<R: Rows, const PARTS: usize>(
    source: &R,
    bytes: usize,
    (first, count): (usize, usize),
    steps: Span<usize>,
    table: *mut *const u8,
    to: *mut u8,
) -> u8 {
    let in_record = (bytes - RECORD_FLAGS) / (PARTS * LINE);
    let mut flags = 0;
    // SAFETY: the table holds a pointer for each segment and row, each to a record; the rest as for `rows`.
    unsafe {
        source.fill_records(first, count, table);
        for (i, step) in steps.enumerate() {
            let (seg, at) = (step / in_record, step % in_record);
            for row in 0..count {
                let from = *table.add(seg * count + row);
                if at == 0 || i == 0 {
                    flags |= *from.add(bytes - RECORD_FLAGS);
                }
                for part in 0..PARTS {
                    let line = _mm512_load_si512(from.add((at * PARTS + part) * LINE).cast());
                    _mm512_store_si512(to.add((i * PARTS + part) * PART_BYTES + row * 64).cast(), line);
                }
            }
        }
    }
    flags
}

/// 32 values of a row from segment `seg` at `offset` on, over as many segments as it takes; zeros behind the last.
///
/// # Safety
/// `table` points at the row's pointer of segment 0, `count` pointers before that of the next segment.
#[target_feature(enable = "avx512f")]
unsafe fn gather(
    table: *const *const f32,
    (mut seg, mut offset): (usize, usize),
    (segs, seg_len): (usize, usize),
    count: usize,
) -> (__m512, __m512) {
    let mut values = [0f32; STEP];
    let mut have = 0;
    while have < STEP && seg < segs {
        let n = (STEP - have).min(seg_len - offset);
        // SAFETY: the segment holds `seg_len` values, and `have + n <= STEP`.
        unsafe {
            let from = (*table.add(seg * count)).add(offset);
            let mut at = 0;
            while at < n {
                let mask = if n - at >= 16 { 0xffff } else { (1u16 << (n - at)) - 1 };
                let v = _mm512_maskz_loadu_ps(mask, from.add(at));
                _mm512_mask_storeu_ps(values.as_mut_ptr().add(have + at), mask, v);
                at += 16;
            }
        }
        have += n;
        (seg, offset) = (seg + 1, 0);
    }
    // SAFETY: the array holds 32 values.
    unsafe { (_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values.as_ptr().add(16))) }
}
