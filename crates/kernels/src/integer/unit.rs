//! Micro-kernels: sums of a few rows of A with panels of B.
//!
//! B is u8 in panels of 16 columns, each `[k / 4][16][4]`. A is signed, a row after the other, four elements of k at a
//! time: bytes for the instructions that multiply bytes, else 16-bit numbers in the order 0, 2, 1, 3, so that pairs of
//! them meet the even and the odd bytes of B.

use modelsmith_kop::Isa;

/// Columns of a panel.
pub(super) const PANEL: usize = 16;
/// Columns of a block: those for which one task has its panels together.
pub(super) const BLOCK: usize = 4 * PANEL;
/// Elements of k that lie together.
pub(super) const QUAD: usize = 4;

/// Operands and place of some sums.
pub(super) struct Tile {
    /// The first row of A.
    pub a: *const u8,
    /// Bytes between rows of A.
    pub a_stride: usize,
    /// The first panel of B.
    pub b: *const u8,
    /// Bytes between panels of B.
    pub b_stride: usize,
    /// Groups of four elements of k; a panel has 64 bytes for each.
    pub quads: usize,
    /// Rows of [`BLOCK`] sums each.
    pub sums: *mut i32,
}

/// A micro-kernel.
pub(super) trait Unit: Copy + Send + Sync + 'static {
    /// What the machine must have.
    const ISA: Isa;
    /// Most rows of a call.
    const ROWS: usize;
    /// Bytes of an element of A: 1 for i8, 2 for pairs of i16.
    const A_BYTES: usize;
    /// What the bytes between rows of A are a multiple of.
    const A_ALIGN: usize = 1;
    /// Share of the peak of f32 products; bytes may pass it.
    const SHARE: f64;

    /// What must live while sums are made on a thread.
    type Ready;

    /// Makes the thread ready for [`Unit::sums`].
    ///
    /// # Safety
    /// The machine has [`Unit::ISA`].
    unsafe fn ready() -> Self::Ready;

    /// Writes the sums of `rows` rows, at most [`Unit::ROWS`], with `panels` panels, at most 4.
    ///
    /// # Safety
    /// The machine has [`Unit::ISA`]; A holds the rows, B the panels and `sums` the rows of sums.
    unsafe fn sums(t: &Tile, rows: usize, panels: usize);
}

/// Plain loops.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Unit for Plain {
    const ISA: Isa = Isa::PORTABLE;
    const ROWS: usize = 4;
    const A_BYTES: usize = 2;
    const SHARE: f64 = 0.5;
    type Ready = ();

    unsafe fn ready() {}

    unsafe fn sums(t: &Tile, rows: usize, panels: usize) {
        for (panel, row) in (0..panels).flat_map(|p| (0..rows).map(move |r| (p, r))) {
            let mut sums = [0i32; PANEL];
            for q in 0..t.quads {
                // SAFETY: by the contract, and q lies below the number of quads.
                let (a, b) = unsafe {
                    let a = t.a.add(row * t.a_stride + q * 2 * QUAD).cast::<[i16; QUAD]>();
                    let b = t.b.add(panel * t.b_stride + q * PANEL * QUAD).cast::<[[u8; QUAD]; PANEL]>();
                    (a.read_unaligned().map(i32::from), b.read_unaligned())
                };
                for (sum, b) in sums.iter_mut().zip(b) {
                    let b = b.map(i32::from);
                    let pairs = (a[0] * b[0] + a[1] * b[2]).wrapping_add(a[2] * b[1] + a[3] * b[3]);
                    *sum = sum.wrapping_add(pairs);
                }
            }
            // SAFETY: the row has BLOCK sums, of which the panel has 16.
            unsafe { t.sums.add(row * BLOCK + panel * PANEL).cast::<[i32; PANEL]>().write_unaligned(sums) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Dots, Pairs, dots};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BLOCK, PANEL, QUAD, Tile, Unit};
    use core::arch::x86_64::*;
    use modelsmith_kop::Isa;

    /// Calls `$f::<ROWS, PANELS, ADD>` for the sizes at run time.
    macro_rules! sized {
        ($f:ident, $add:ident, $t:expr, $rows:expr, $panels:expr; $($r:literal),+) => {
            match ($rows, $panels) {
                $(
                    ($r, 1) => $f::<$r, 1, $add>($t),
                    ($r, 2) => $f::<$r, 2, $add>($t),
                    ($r, 3) => $f::<$r, 3, $add>($t),
                    ($r, 4) => $f::<$r, 4, $add>($t),
                )+
                _ => debug_assert!(false, "a tile of {} rows and {} panels", $rows, $panels),
            }
        };
    }

    /// Pairs of 16-bit numbers, which no step can saturate.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Pairs;

    impl Unit for Pairs {
        const ISA: Isa = Isa::AVX2;
        const ROWS: usize = 4;
        const A_BYTES: usize = 2;
        const SHARE: f64 = 0.8;
        type Ready = ();

        unsafe fn ready() {}

        unsafe fn sums(t: &Tile, rows: usize, panels: usize) {
            for panel in 0..panels {
                // SAFETY: by the contract; the panel is one of `panels`.
                unsafe {
                    let b = t.b.add(panel * t.b_stride);
                    let t = Tile { b, sums: t.sums.add(panel * PANEL), ..*t };
                    match rows {
                        1 => pairs::<1>(&t),
                        2 => pairs::<2>(&t),
                        3 => pairs::<3>(&t),
                        _ => pairs::<4>(&t),
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn pairs<const ROWS: usize>(t: &Tile) {
        let even = _mm256_set1_epi16(0xff);
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        for q in 0..t.quads {
            for half in 0..2 {
                // SAFETY: by the contract of `Unit::sums`; a panel has 64 bytes for each quad.
                let b = unsafe { _mm256_loadu_si256(t.b.add((2 * q + half) * 32).cast()) };
                let (low, high) = (_mm256_and_si256(b, even), _mm256_srli_epi16::<8>(b));
                for (row, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: by the contract; a row has 8 bytes for each quad.
                    let a = unsafe { t.a.add(row * t.a_stride + q * 2 * QUAD).cast::<[i32; 2]>().read_unaligned() };
                    let first = _mm256_madd_epi16(_mm256_set1_epi32(a[0]), low);
                    let second = _mm256_madd_epi16(_mm256_set1_epi32(a[1]), high);
                    sums[half] = _mm256_add_epi32(sums[half], _mm256_add_epi32(first, second));
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (half, &sum) in sums.iter().enumerate() {
                // SAFETY: a row has room for a panel of sums.
                unsafe { _mm256_storeu_si256(t.sums.add(row * BLOCK + half * 8).cast(), sum) };
            }
        }
    }

    /// Dot products of four bytes (VNNI).
    #[derive(Clone, Copy)]
    pub(in super::super) struct Dots;

    impl Unit for Dots {
        const ISA: Isa = Isa::AVX512_VNNI;
        const ROWS: usize = 6;
        const A_BYTES: usize = 1;
        const SHARE: f64 = 3.0;
        type Ready = ();

        unsafe fn ready() {}

        unsafe fn sums(t: &Tile, rows: usize, panels: usize) {
            // SAFETY: by the contract.
            unsafe { dots::<false>(t, rows, panels) }
        }
    }

    /// [`Unit::sums`] of [`Dots`]; where `ADD`, to what the sums hold.
    ///
    /// # Safety
    /// As there.
    pub(in super::super) unsafe fn dots<const ADD: bool>(t: &Tile, rows: usize, panels: usize) {
        // SAFETY: by the contract.
        unsafe { sized!(dots_of, ADD, t, rows, panels; 1, 2, 3, 4, 5, 6) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn dots_of<const ROWS: usize, const PANELS: usize, const ADD: bool>(t: &Tile) {
        let mut sums = [[_mm512_setzero_si512(); PANELS]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate().filter(|_| ADD) {
            for (panel, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a row has the panels' sums.
                *sum = unsafe { _mm512_loadu_si512(t.sums.add(row * BLOCK + panel * PANEL).cast()) };
            }
        }
        for q in 0..t.quads {
            let mut b = [_mm512_setzero_si512(); PANELS];
            for (panel, b) in b.iter_mut().enumerate() {
                // SAFETY: by the contract of `Unit::sums`; a panel has 64 bytes for each quad.
                *b = unsafe { _mm512_loadu_si512(t.b.add(panel * t.b_stride + q * PANEL * QUAD).cast()) };
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: by the contract; a row has 4 bytes for each quad.
                let a = unsafe { t.a.add(row * t.a_stride + q * QUAD).cast::<i32>().read_unaligned() };
                let a = _mm512_set1_epi32(a);
                for (sum, &b) in sums.iter_mut().zip(&b) {
                    *sum = _mm512_dpbusd_epi32(*sum, b, a);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (panel, &sum) in sums.iter().enumerate() {
                // SAFETY: a row has room for the panels' sums.
                unsafe { _mm512_storeu_si512(t.sums.add(row * BLOCK + panel * PANEL).cast(), sum) };
            }
        }
    }
}
