//! A row or two at a time on keys and values where they lie: for so few, packing would take longer than the products.

use crate::gemm::epilogue::load;
use crate::simd::Simd;

/// Most rows of a task for which packing does not pay.
pub(super) const FEW: usize = 3;
/// Vectors of values that are summed in registers at once.
const WIDE: usize = 4;

/// Products of `q` with `n` keys of `size` values, `row` apart.
///
/// # Safety
/// `q` and each key are good for `size` values, `to` for `n`; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn scores<S: Simd>(
    q: *const f32,
    k: *const f32,
    row: usize,
    (n, size): (usize, usize),
    to: *mut f32,
) {
    for j in 0..n {
        let key = k.wrapping_add(j * row);
        // SAFETY: by the contract above.
        unsafe {
            let mut sum = S::splat(0.0);
            let mut i = 0;
            while i < size {
                let left = (size - i).min(S::LANES);
                sum = S::fma(load::<S>(q.add(i), left), load::<S>(key.add(i), left), sum);
                i += left;
            }
            to.add(j).write(S::sum(sum));
        }
    }
}

/// `sums * factor` plus `n` rows of `size` values, `row` apart, each times its weight; `sums` is not read where `fresh`.
///
/// # Safety
/// `weights` is good for `n` values, each row for `size`, `sums` for `size` rounded up to whole vectors; the machine
/// has `S`.
#[inline(always)]
pub(super) unsafe fn weighted<S: Simd>(
    weights: *const f32,
    v: *const f32,
    row: usize,
    (n, size): (usize, usize),
    (sums, factor, fresh): (*mut f32, f32, bool),
) {
    let mut first = 0;
    while first < size {
        // SAFETY: by the contract above; the last vector of a row is cut to the values that exist.
        unsafe {
            let left = |w: usize| size.saturating_sub(first + w * S::LANES).min(S::LANES);
            let mut acc = [S::splat(0.0); WIDE];
            for (w, acc) in acc.iter_mut().enumerate() {
                if !fresh && left(w) > 0 {
                    *acc = S::mul(S::load(sums.add(first + w * S::LANES)), S::splat(factor));
                }
            }
            for j in 0..n {
                let (x, from) = (S::splat(*weights.add(j)), v.wrapping_add(j * row + first));
                for (w, acc) in acc.iter_mut().enumerate() {
                    if left(w) > 0 {
                        *acc = S::fma(x, load::<S>(from.add(w * S::LANES), left(w)), *acc);
                    }
                }
            }
            for (w, acc) in acc.iter().enumerate() {
                if left(w) > 0 {
                    S::store(sums.add(first + w * S::LANES), *acc);
                }
            }
        }
        first += WIDE * S::LANES;
    }
}
