//! What copies do in registers: transposing blocks of 16 × 16 elements, copying short rows, and dealing two rows out in turns.

use super::copy::BLOCK;
use crate::mem::Plain;
use modelsmith_kop::Isa;

/// An instruction set whose registers a copy may use.
pub(super) trait Turn: Sync {
    /// What the machine must have.
    const ISA: Isa;

    /// Writes `d[i * to + j] = s[j * from + i]` for `i` below `across` and `j` below `along`, neither more than [`BLOCK`].
    /// False, with nothing written, where the elements of `size` bytes are none that the registers turn.
    ///
    /// # Safety
    /// Both are good for these elements, and the machine has [`Turn::ISA`].
    unsafe fn turn(size: usize, s: *const u8, from: isize, d: *mut u8, to: usize, block: (usize, usize)) -> bool;

    /// Copies `n` rows of `bytes` each, at least 16, that lie `from` and `to` bytes apart.
    ///
    /// # Safety
    /// Both are good for these rows and do not overlap, and the machine has [`Turn::ISA`].
    unsafe fn rows(s: *const u8, from: isize, d: *mut u8, to: usize, n: usize, bytes: usize);

    /// Writes `n` pairs of an element of `s` and the one `other` behind it.
    ///
    /// # Safety
    /// Both are good for these elements, which may be unaligned, and do not overlap, and the machine has [`Turn::ISA`].
    unsafe fn interleave<T: Plain>(s: *const T, other: isize, d: *mut T, n: usize);
}

/// Copies rows in pieces of type `W`, the last of them with some that was copied before. Rows are no shorter than one.
///
/// # Safety
/// Both are good for `n` rows of `bytes` each and do not overlap.
#[inline(always)]
unsafe fn by_pieces<W: Copy>(s: *const u8, from: isize, d: *mut u8, to: usize, n: usize, bytes: usize) {
    let last = bytes - size_of::<W>();
    for row in 0..n {
        let (s, d) = (s.wrapping_offset(row as isize * from), d.wrapping_add(row * to));
        let mut at = 0;
        // SAFETY: by the contract above; a piece may be unaligned.
        unsafe {
            while at < last {
                d.add(at).cast::<W>().write_unaligned(s.add(at).cast::<W>().read_unaligned());
                at += size_of::<W>();
            }
            d.add(last).cast::<W>().write_unaligned(s.add(last).cast::<W>().read_unaligned());
        }
    }
}

/// Pairs elements `LANES` at a time, the last of them with some that were paired before where there are so many.
///
/// # Safety
/// As for [`Turn::interleave`].
#[inline(always)]
unsafe fn by_pairs<T: Plain, const LANES: usize>(s: *const T, other: isize, d: *mut T, n: usize) {
    let (a, b) = (s, s.wrapping_offset(other));
    // SAFETY: by the contract above.
    unsafe {
        let some = |i: usize| {
            let a = a.add(i).cast::<[T; LANES]>().read_unaligned();
            let b = b.add(i).cast::<[T; LANES]>().read_unaligned();
            let pairs: [[T; 2]; LANES] = std::array::from_fn(|j| [a[j], b[j]]);
            d.add(2 * i).cast::<[[T; 2]; LANES]>().write_unaligned(pairs);
        };
        if n >= LANES {
            (0..n - LANES).step_by(LANES).for_each(some);
            some(n - LANES);
            return;
        }
        for i in 0..n {
            d.add(2 * i).cast::<[T; 2]>().write_unaligned([a.add(i).read_unaligned(), b.add(i).read_unaligned()]);
        }
    }
}

/// No registers but those that the compiler uses.
pub(super) struct Portable;

impl Turn for Portable {
    const ISA: Isa = Isa::PORTABLE;

    #[inline(always)]
    unsafe fn turn(_: usize, _: *const u8, _: isize, _: *mut u8, _: usize, _: (usize, usize)) -> bool {
        false
    }

    #[inline(always)]
    unsafe fn rows(s: *const u8, from: isize, d: *mut u8, to: usize, n: usize, bytes: usize) {
        // SAFETY: by the trait's contract.
        unsafe { by_pieces::<[u64; 2]>(s, from, d, to, n, bytes) };
    }

    #[inline(always)]
    unsafe fn interleave<T: Plain>(s: *const T, other: isize, d: *mut T, n: usize) {
        // SAFETY: passed on.
        unsafe { by_pairs::<T, 8>(s, other, d, n) };
    }
}

/// Four blocks of eight rows of eight elements.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Turn for Avx2 {
    const ISA: Isa = Isa::AVX2;

    #[inline(always)]
    unsafe fn turn(size: usize, s: *const u8, from: isize, d: *mut u8, to: usize, block: (usize, usize)) -> bool {
        if size != 4 || block != (BLOCK, BLOCK) {
            return false;
        }
        let (s, d) = (s.cast::<f32>(), d.cast::<f32>());
        for (i, j) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
            // SAFETY: a quarter of the block, which is whole; the machine has AVX2.
            unsafe { eight(s.wrapping_offset(j as isize * from + i as isize), from, d.wrapping_add(i * to + j), to) };
        }
        true
    }

    #[target_feature(enable = "avx2")]
    unsafe fn rows(s: *const u8, from: isize, d: *mut u8, to: usize, n: usize, bytes: usize) {
        // SAFETY: by the trait's contract.
        unsafe {
            match bytes {
                32.. => by_pieces::<core::arch::x86_64::__m256i>(s, from, d, to, n, bytes),
                _ => by_pieces::<[u64; 2]>(s, from, d, to, n, bytes),
            }
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn interleave<T: Plain>(s: *const T, other: isize, d: *mut T, n: usize) {
        // SAFETY: passed on.
        unsafe { by_pairs::<T, 8>(s, other, d, n) };
    }
}

/// # Safety
/// Both are good for eight rows of eight elements, and the machine has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn eight(s: *const f32, from: isize, d: *mut f32, to: usize) {
    use core::arch::x86_64::*;
    // SAFETY: by the contract above.
    unsafe {
        let r: [__m256; 8] = std::array::from_fn(|j| _mm256_loadu_ps(s.wrapping_offset(j as isize * from)));
        let low: [__m256; 4] = std::array::from_fn(|j| _mm256_unpacklo_ps(r[2 * j], r[2 * j + 1]));
        let high: [__m256; 4] = std::array::from_fn(|j| _mm256_unpackhi_ps(r[2 * j], r[2 * j + 1]));
        // Element `i % 4` of both halves of four rows.
        let four = |h: usize| {
            let (a, b, e, f) = (low[2 * h], low[2 * h + 1], high[2 * h], high[2 * h + 1]);
            [
                _mm256_shuffle_ps::<0x44>(a, b),
                _mm256_shuffle_ps::<0xee>(a, b),
                _mm256_shuffle_ps::<0x44>(e, f),
                _mm256_shuffle_ps::<0xee>(e, f),
            ]
        };
        let (first, last) = (four(0), four(1));
        for i in 0..4 {
            _mm256_storeu_ps(d.add(i * to), _mm256_permute2f128_ps::<0x20>(first[i], last[i]));
            _mm256_storeu_ps(d.add((i + 4) * to), _mm256_permute2f128_ps::<0x31>(first[i], last[i]));
        }
    }
}

/// One register for each row; masks where there are fewer than sixteen.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Turn for Avx512 {
    const ISA: Isa = Isa::AVX512;

    #[inline(always)]
    unsafe fn turn(size: usize, s: *const u8, from: isize, d: *mut u8, to: usize, block: (usize, usize)) -> bool {
        if size != 4 {
            return false;
        }
        // SAFETY: by the trait's contract.
        unsafe { sixteen(s.cast(), from, d.cast(), to, block) };
        true
    }

    #[target_feature(enable = "avx512f,avx2")]
    unsafe fn rows(s: *const u8, from: isize, d: *mut u8, to: usize, n: usize, bytes: usize) {
        // SAFETY: by the trait's contract.
        unsafe {
            match bytes {
                64.. => by_pieces::<core::arch::x86_64::__m512i>(s, from, d, to, n, bytes),
                32.. => by_pieces::<core::arch::x86_64::__m256i>(s, from, d, to, n, bytes),
                _ => by_pieces::<[u64; 2]>(s, from, d, to, n, bytes),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx2")]
    unsafe fn interleave<T: Plain>(s: *const T, other: isize, d: *mut T, n: usize) {
        // SAFETY: passed on.
        unsafe { by_pairs::<T, 16>(s, other, d, n) };
    }
}

/// # Safety
/// Both are good for `across` × `along` elements, at most sixteen each, and the machine has AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn sixteen(s: *const f32, from: isize, d: *mut f32, to: usize, (across, along): (usize, usize)) {
    use core::arch::x86_64::*;
    let some = |n: usize| ((1u32 << n.min(BLOCK)) - 1) as __mmask16;
    let (read, write) = (some(across), some(along));
    // SAFETY: lanes outside the masks are neither read nor written, and rows outside the block neither.
    unsafe {
        let row = |j: usize| match j < along {
            true => _mm512_maskz_loadu_ps(read, s.wrapping_offset(j as isize * from)),
            false => _mm512_setzero_ps(),
        };
        let r: [__m512; 16] = std::array::from_fn(row);
        let low: [__m512; 8] = std::array::from_fn(|j| _mm512_unpacklo_ps(r[2 * j], r[2 * j + 1]));
        let high: [__m512; 8] = std::array::from_fn(|j| _mm512_unpackhi_ps(r[2 * j], r[2 * j + 1]));
        // For four rows, element `i` of each quarter.
        let quarter = |q: usize| {
            let (a, b, e, f) = (low[2 * q], low[2 * q + 1], high[2 * q], high[2 * q + 1]);
            [
                _mm512_shuffle_ps::<0x44>(a, b),
                _mm512_shuffle_ps::<0xee>(a, b),
                _mm512_shuffle_ps::<0x44>(e, f),
                _mm512_shuffle_ps::<0xee>(e, f),
            ]
        };
        let t: [[__m512; 4]; 4] = std::array::from_fn(quarter);
        for i in 0..4 {
            // Quarters 0 and 2, 1 and 3, of two groups of four rows each.
            let even = [_mm512_shuffle_f32x4::<0x88>(t[0][i], t[1][i]), _mm512_shuffle_f32x4::<0x88>(t[2][i], t[3][i])];
            let odd = [_mm512_shuffle_f32x4::<0xdd>(t[0][i], t[1][i]), _mm512_shuffle_f32x4::<0xdd>(t[2][i], t[3][i])];
            let columns = [
                (i, _mm512_shuffle_f32x4::<0x88>(even[0], even[1])),
                (i + 4, _mm512_shuffle_f32x4::<0x88>(odd[0], odd[1])),
                (i + 8, _mm512_shuffle_f32x4::<0xdd>(even[0], even[1])),
                (i + 12, _mm512_shuffle_f32x4::<0xdd>(odd[0], odd[1])),
            ];
            for (column, v) in columns {
                if column < across {
                    _mm512_mask_storeu_ps(d.wrapping_add(column * to), write, v);
                }
            }
        }
    }
}
