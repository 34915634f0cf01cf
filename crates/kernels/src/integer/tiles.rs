//! The micro-kernel on the tile registers of AMX: 32 rows with two panels at a time, 64 elements of k a step. What is left
//! of rows and of k is for the dot products of vectors.

use super::unit::{BLOCK, Dots, PANEL, QUAD, Tile, Unit, dots};
use crate::amx::Configured;
use core::arch::asm;
use modelsmith_kop::Isa;

/// Rows of a tile.
const ROWS: usize = 16;
/// Groups of four elements of k in a step.
const STEP: usize = 16;
/// Bytes of a row of sums.
const LINE: usize = 4 * BLOCK;

/// Products of tiles of bytes.
#[derive(Clone, Copy)]
pub(super) struct Tiles;

impl Unit for Tiles {
    const ISA: Isa = Isa::AMX.union(Isa::AVX512_VNNI);
    const ROWS: usize = 2 * ROWS;
    const A_BYTES: usize = 1;
    const A_ALIGN: usize = 64;
    const SHARE: f64 = 12.0;
    type Ready = Configured;

    unsafe fn ready() -> Configured {
        // SAFETY: by the contract.
        unsafe { Configured::new() }
    }

    unsafe fn sums(t: &Tile, rows: usize, panels: usize) {
        let (steps, whole) = (t.quads / STEP, rows / ROWS * ROWS);
        let tiled = if steps == 0 { 0 } else { whole };
        // SAFETY: by the contract: each part lies in what `t` describes.
        unsafe {
            for panel in (0..panels).step_by(2).filter(|_| tiled > 0) {
                let t = Tile { b: t.b.add(panel * t.b_stride), sums: t.sums.add(panel * PANEL), ..*t };
                match (tiled / ROWS, panels - panel) {
                    (2, 1) => two_by_one(&t, steps),
                    (2, _) => two_by_two(&t, steps),
                    (_, 1) => one_by_one(&t, steps),
                    _ => one_by_two(&t, steps),
                }
            }
            let rest = t.quads - steps * STEP;
            if tiled > 0 && rest > 0 {
                let (a, b) = (t.a.add(steps * STEP * QUAD), t.b.add(steps * STEP * PANEL * QUAD));
                by_dots::<true>(&Tile { a, b, quads: rest, ..*t }, 0..tiled, panels);
            }
            by_dots::<false>(t, tiled..rows, panels);
        }
    }
}

/// # Safety
/// As [`Unit::sums`].
unsafe fn by_dots<const ADD: bool>(t: &Tile, rows: std::ops::Range<usize>, panels: usize) {
    for row in rows.clone().step_by(Dots::ROWS) {
        // SAFETY: the rows are some of those of `t`.
        unsafe {
            let t = Tile { a: t.a.add(row * t.a_stride), sums: t.sums.add(row * BLOCK), ..*t };
            dots::<ADD>(&t, (rows.end - row).min(Dots::ROWS), panels);
        }
    }
}

/// Defines the function for so many tiles of rows and panels: `$zero` clears the sums, `$step` adds a step to them, and
/// `$store` writes them.
macro_rules! product {
    ($name:ident, $zero:expr, $step:expr, $store:expr) => {
        /// # Safety
        /// As [`Unit::sums`], for at least one step; the tile registers are configured.
        unsafe fn $name(t: &Tile, steps: usize) {
            // SAFETY: loads and stores stay in the rows, panels and sums of the contract.
            unsafe {
                asm!(
                    $zero,
                    "2:",
                    $step,
                    "add {a0}, 64", "add {a1}, 64", "add {b0}, 1024", "add {b1}, 1024",
                    "dec {n}", "jnz 2b",
                    $store,
                    a0 = inout(reg) t.a => _,
                    a1 = inout(reg) t.a.wrapping_add(ROWS * t.a_stride) => _,
                    b0 = inout(reg) t.b => _,
                    b1 = inout(reg) t.b.wrapping_add(t.b_stride) => _,
                    stride = in(reg) t.a_stride,
                    line = in(reg) PANEL * QUAD,
                    c = in(reg) t.sums,
                    c1 = in(reg) t.sums.wrapping_add(ROWS * BLOCK),
                    row = in(reg) LINE,
                    n = inout(reg) steps => _,
                    options(nostack),
                );
            }
        }
    };
}

product!(
    two_by_two,
    "tilezero tmm0\n tilezero tmm1\n tilezero tmm2\n tilezero tmm3",
    "tileloadd tmm4, [{a0}+{stride}]\n tileloadd tmm6, [{b0}+{line}]\n tdpbsud tmm0, tmm4, tmm6
     tileloadd tmm7, [{b1}+{line}]\n tdpbsud tmm1, tmm4, tmm7
     tileloadd tmm5, [{a1}+{stride}]\n tdpbsud tmm2, tmm5, tmm6\n tdpbsud tmm3, tmm5, tmm7",
    "tilestored [{c}+{row}], tmm0\n tilestored [{c}+{row}+64], tmm1
     tilestored [{c1}+{row}], tmm2\n tilestored [{c1}+{row}+64], tmm3"
);
product!(
    two_by_one,
    "tilezero tmm0\n tilezero tmm2",
    "tileloadd tmm4, [{a0}+{stride}]\n tileloadd tmm6, [{b0}+{line}]\n tdpbsud tmm0, tmm4, tmm6
     tileloadd tmm5, [{a1}+{stride}]\n tdpbsud tmm2, tmm5, tmm6\n /* {b1} */",
    "tilestored [{c}+{row}], tmm0\n tilestored [{c1}+{row}], tmm2"
);
product!(
    one_by_two,
    "tilezero tmm0\n tilezero tmm1",
    "tileloadd tmm4, [{a0}+{stride}]\n tileloadd tmm6, [{b0}+{line}]\n tdpbsud tmm0, tmm4, tmm6
     tileloadd tmm7, [{b1}+{line}]\n tdpbsud tmm1, tmm4, tmm7\n /* {a1} */",
    "tilestored [{c}+{row}], tmm0\n tilestored [{c}+{row}+64], tmm1\n /* {c1} */"
);
product!(
    one_by_one,
    "tilezero tmm0",
    "tileloadd tmm4, [{a0}+{stride}]\n tileloadd tmm6, [{b0}+{line}]\n tdpbsud tmm0, tmm4, tmm6\n /* {a1} {b1} */",
    "tilestored [{c}+{row}], tmm0\n /* {c1} */"
);
