//! Keys and values of a block in panels of sixteen columns, as micro-kernels read them.

use crate::pack::PANEL;
use crate::simd::Simd;

/// Transposed keys: panel `j` holds, for each of `size` columns, that column of keys `16 j..16 j + 16`; keys beyond `n`
/// are zeros.
///
/// # Safety
/// `from` is good for `n` rows of `size` values, `row` apart; `to` for `size` values of `n` keys rounded up to whole
/// panels; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn pack_keys<S: Simd>(from: *const f32, row: usize, (n, size): (usize, usize), to: *mut f32) {
    for first in (0..n).step_by(PANEL) {
        let count = (n - first).min(PANEL);
        let panel = to.wrapping_add(first * size);
        let source = from.wrapping_add(first * row);
        let mut done = 0;
        #[cfg(target_arch = "x86_64")]
        if count == PANEL && S::ISA.contains(modelsmith_kop::Isa::AVX2) {
            while done + 8 <= size {
                for half in [0, 8] {
                    // SAFETY: eight rows and eight columns from here exist; the panel has their places; the machine
                    // has what `S` needs, which is at least AVX2.
                    unsafe { turn(source.add(half * row + done), row, panel.add(done * PANEL + half)) };
                }
                done += 8;
            }
        }
        for k in done..size {
            for j in 0..PANEL {
                // SAFETY: key `first + j` exists where `j < count`; the panel has 16 places for each column.
                unsafe { panel.add(k * PANEL + j).write(if j < count { *source.add(j * row + k) } else { 0.0 }) };
            }
        }
    }
}

/// Eight rows of eight values, `row` apart, as columns of a panel.
///
/// # Safety
/// Both are good for these values and the machine has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn turn(from: *const f32, row: usize, to: *mut f32) {
    use core::arch::x86_64::*;
    // SAFETY: by the contract above.
    unsafe {
        let r: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(from.add(i * row)));
        let low: [__m256; 4] = std::array::from_fn(|i| _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]));
        let high: [__m256; 4] = std::array::from_fn(|i| _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]));
        // Columns 0 and 4, 1 and 5, 2 and 6, 3 and 7, of the first and of the last four rows.
        for half in 0..2 {
            let (a, b) = (low[2 * half], low[2 * half + 1]);
            let (c, d) = (high[2 * half], high[2 * half + 1]);
            let both = [
                _mm256_shuffle_ps::<0x44>(a, b),
                _mm256_shuffle_ps::<0xee>(a, b),
                _mm256_shuffle_ps::<0x44>(c, d),
                _mm256_shuffle_ps::<0xee>(c, d),
            ];
            for (i, v) in both.into_iter().enumerate() {
                _mm_storeu_ps(to.add(i * PANEL + 4 * half), _mm256_castps256_ps128(v));
                _mm_storeu_ps(to.add((i + 4) * PANEL + 4 * half), _mm256_extractf128_ps::<1>(v));
            }
        }
    }
}

/// Values: panel `j` holds columns `16 j..16 j + 16` of each of the `n` rows; columns beyond `size` are zeros.
///
/// # Safety
/// As for [`pack_keys`], with `to` good for `n` rows of whole panels.
#[inline(always)]
pub(super) unsafe fn pack_values<S: Simd>(from: *const f32, row: usize, (n, size): (usize, usize), to: *mut f32) {
    for first in (0..size).step_by(PANEL) {
        let panel = to.wrapping_add(first * n);
        for k in 0..n {
            for v in (0..PANEL).step_by(S::LANES) {
                let left = size.saturating_sub(first + v).min(S::LANES);
                // SAFETY: the row has `left` values from here; the panel has 16 places in each row.
                unsafe {
                    let source = from.wrapping_add(k * row + first + v);
                    let x = if left == S::LANES { S::load(source) } else { S::load_n(source, left) };
                    S::store(panel.add(k * PANEL + v), x);
                }
            }
        }
    }
}
