//! The micro-kernel on tile registers: 32 × 32 results in four tiles, six products per pair of operand tiles, or three where
//! values have two parts.
//!
//! Operands lie in *steps* of 32 values of the inner dimension; a step of a tile is its parts after one another, 1 KiB
//! each. The compiler knows no tile registers and so leaves them alone: their configuration, loaded once by
//! [`Configured`], stays from one call to the next on the same thread.

use super::split::{Seen, UPPER, pairs};
use crate::amx::Configured;
use core::arch::asm;
use core::arch::x86_64::_mm512_set1_epi32;

/// Values of the inner dimension in a step.
pub(crate) const STEP: usize = 32;
/// Bytes of one part of a step of one operand tile of 16 rows (or columns).
pub(super) const PART_BYTES: usize = 1024;
/// Elements of the four result tiles: (row tile, column tile) after one another, each 16 × 16.
pub(super) const RESULT: usize = 4 * 256;

/// A share of splitting the next column tile, done between the products of a unit: its first [`Unit::feeds`] steps, each
/// within four or two steps of the unit.
#[derive(Clone, Copy)]
pub(super) struct Feed {
    /// The two panels at the first row.
    pub from: [*const f32; 2],
    /// Where their parts go.
    pub to: [*mut u8; 2],
}

/// Operands and result of a unit.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    /// `steps` steps of the two row tiles.
    pub a: [*const u8; 2],
    /// `steps` steps of the two column tiles.
    pub b: [*const u8; 2],
    /// [`RESULT`] elements.
    pub c: *mut f32,
    /// Steps, at least 1.
    pub steps: usize,
}

/// The products of one step, small ones first but for one: the order in which each next product shares a tile with the
/// last, so that 14 loads serve 24 products, or 8 serve 12. What stands between runs on vector ports meanwhile.
macro_rules! step {
    (parts2, $load_a:ident, $products:ident, $b1:expr, $b2:expr, $b3:expr, $b4:expr, $b5:expr, $b6:expr) => {
        concat!(
            $load_a!("0"),
            load_b!("1024"),
            $products!(),
            $b1,
            $b2,
            load_b!("0"),
            $products!(),
            $b3,
            $b4,
            $load_a!("1024"),
            $products!(),
            $b5,
            $b6,
            "add {a0}, 2048\n add {a1}, 2048\n add {b0}, 2048\n add {b1}, 2048\n",
        )
    };
    (parts3, $load_a:ident, $products:ident, $b1:expr, $b2:expr, $b3:expr, $b4:expr, $b5:expr, $b6:expr) => {
        concat!(
            $load_a!("0"),
            load_b!("2048"),
            $products!(),
            $b1,
            load_b!("1024"),
            $products!(),
            $b2,
            $load_a!("1024"),
            $products!(),
            $b3,
            load_b!("0"),
            $products!(),
            $b4,
            $load_a!("2048"),
            $products!(),
            $b5,
            $load_a!("0"),
            $products!(),
            $b6,
            "add {a0}, 3072\n add {a1}, 3072\n add {b0}, 3072\n add {b1}, 3072\n",
        )
    };
}
macro_rules! load_a_two {
    ($part:literal) => {
        concat!("tileloadd tmm4, [{a0}+{line}+", $part, "]\n tileloadd tmm5, [{a1}+{line}+", $part, "]\n")
    };
}
macro_rules! load_a_one {
    ($part:literal) => {
        concat!("tileloadd tmm4, [{a0}+{line}+", $part, "]\n")
    };
}
macro_rules! load_b {
    ($part:literal) => {
        concat!("tileloadd tmm6, [{b0}+{line}+", $part, "]\n tileloadd tmm7, [{b1}+{line}+", $part, "]\n")
    };
}
macro_rules! four_products {
    () => {
        concat!(
            "tdpbf16ps tmm0, tmm4, tmm6\n tdpbf16ps tmm1, tmm4, tmm7\n ",
            "tdpbf16ps tmm2, tmm5, tmm6\n tdpbf16ps tmm3, tmm5, tmm7\n"
        )
    };
}
macro_rules! two_products {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6\n tdpbf16ps tmm1, tmm4, tmm7\n"
    };
}

/// Multiplications and additions of one product of tiles.
const TILE_FLOPS: usize = 2 * 16 * 16 * 32;

/// A tile of bf16 of both signs between 1 and 2. Tiles of zeros draw less power, and the clock of a core falls with power:
/// their products are a fifth faster than those of any model.
#[repr(C, align(64))]
struct Noise([u16; PART_BYTES / 2]);
static NOISE: Noise = {
    let mut values = [0; PART_BYTES / 2];
    let (mut state, mut at) = (12345u32, 0);
    while at < values.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        values[at] = 0x3f80 | (state >> 25) as u16 | ((state >> 9) as u16 & 0x8000);
        at += 1;
    }
    Noise(values)
};

/// Runs `rounds` times 16 products of tiles of noise that wait for nothing but each other's sums, four at a time; says how
/// many multiplications and additions that was.
///
/// # Safety
/// The machine has AMX and the process may use it.
pub(crate) unsafe fn products(rounds: usize) -> usize {
    // SAFETY: by the contract above; registers are zeroed or loaded, with a whole tile, before they are read.
    unsafe {
        let _tiles = Configured::new();
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            "tileloadd tmm4, [{data}+{line}]", "tileloadd tmm5, [{data}+{line}]",
            "tileloadd tmm6, [{data}+{line}]", "tileloadd tmm7, [{data}+{line}]",
            "2:",
            concat!(four_products!(), four_products!(), four_products!(), four_products!()),
            "dec {n}", "jnz 2b",
            n = inout(reg) rounds.max(1) => _, data = in(reg) &raw const NOISE, line = in(reg) 64usize,
            options(nostack, readonly),
        );
    }
    16 * TILE_FLOPS * rounds.max(1)
}

/// Splits a pair of rows as [`super::split`] does. zmm16 and 17 gather magnitudes, 18 is all ones, 19 the order of pairs,
/// 20 the upper halves; k1 the odd words.
macro_rules! pair {
    (parts2, $from:literal, $to:literal, $at:literal) => {
        first_parts!($from, $to, $at)
    };
    (parts3, $from:literal, $to:literal, $at:literal) => {
        concat!(
            first_parts!($from, $to, $at),
            "vpslld zmm26, zmm25, 16\n vsubps zmm21, zmm21, zmm26\n",
            "vpandd zmm25, zmm25, zmm20\n vsubps zmm22, zmm22, zmm25\n",
            "vpsrld zmm21, zmm21, 16\n vmovdqu16 zmm21{{k1}}, zmm22\n",
            "vmovdqa64 [",
            $to,
            "+",
            $at,
            "+2048], zmm21\n",
        )
    };
}
macro_rules! first_parts {
    ($from:literal, $to:literal, $at:literal) => {
        concat!(
            "vmovups zmm21, [",
            $from,
            "+",
            $at,
            "]\n vmovups zmm22, [",
            $from,
            "+",
            $at,
            "+1024]\n",
            "prefetcht1 [",
            $from,
            "+",
            $at,
            "+4096]\n prefetcht1 [",
            $from,
            "+",
            $at,
            "+5120]\n",
            "vpaddd zmm23, zmm21, zmm21\n vpmaxud zmm16, zmm16, zmm23\n",
            "vpaddd zmm23, zmm23, zmm18\n vpminud zmm17, zmm17, zmm23\n",
            "vpaddd zmm24, zmm22, zmm22\n vpmaxud zmm16, zmm16, zmm24\n",
            "vpaddd zmm24, zmm24, zmm18\n vpminud zmm17, zmm17, zmm24\n",
            "vcvtne2ps2bf16 zmm25, zmm22, zmm21\n vpermw zmm25, zmm19, zmm25\n",
            "vmovdqa64 [",
            $to,
            "+",
            $at,
            "], zmm25\n",
            "vpslld zmm26, zmm25, 16\n vsubps zmm21, zmm21, zmm26\n",
            "vpandd zmm25, zmm25, zmm20\n vsubps zmm22, zmm22, zmm25\n",
            "vcvtne2ps2bf16 zmm25, zmm22, zmm21\n vpermw zmm25, zmm19, zmm25\n",
            "vmovdqa64 [",
            $to,
            "+",
            $at,
            "+1024], zmm25\n",
        )
    };
}

/// A step of the unit with four pairs of each panel, a quarter of a step of the next column tile.
macro_rules! quarter {
    ($parts:ident, $load_a:ident, $products:ident) => {
        concat!(
            step!(
                $parts,
                $load_a,
                $products,
                both!($parts, "0"),
                pair!($parts, "{f0}", "{t0}", "64"),
                pair!($parts, "{f1}", "{t1}", "64"),
                both!($parts, "128"),
                pair!($parts, "{f0}", "{t0}", "192"),
                pair!($parts, "{f1}", "{t1}", "192")
            ),
            "add {f0}, 256\n add {f1}, 256\n add {t0}, 256\n add {t1}, 256\n",
        )
    };
}

/// A step of the unit with half a step of the next column tile.
macro_rules! half {
    ($parts:ident, $load_a:ident, $products:ident) => {
        concat!(
            step!(
                $parts,
                $load_a,
                $products,
                concat!(both!($parts, "0"), pair!($parts, "{f0}", "{t0}", "64")),
                concat!(pair!($parts, "{f1}", "{t1}", "64"), both!($parts, "128")),
                concat!(both!($parts, "192"), pair!($parts, "{f0}", "{t0}", "256")),
                concat!(pair!($parts, "{f1}", "{t1}", "256"), both!($parts, "320")),
                both!($parts, "384"),
                both!($parts, "448")
            ),
            "add {f0}, 512\n add {f1}, 512\n add {t0}, 512\n add {t1}, 512\n",
        )
    };
}
macro_rules! both {
    ($parts:ident, $at:literal) => {
        concat!(pair!($parts, "{f0}", "{t0}", $at), pair!($parts, "{f1}", "{t1}", $at))
    };
}

/// From the end of one step's first part to the next step.
macro_rules! others {
    (parts2) => {
        "add {t0}, 1024\n add {t1}, 1024"
    };
    (parts3) => {
        "add {t0}, 2048\n add {t1}, 2048"
    };
}

macro_rules! unit {
    ($name:ident, $doc:literal, $parts:ident, $tiles:ident, $feeding:ident, $turn:literal) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// As for [`Unit::run`].
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        unsafe fn $name(self, feed: Feed, feeds: usize, seen: &mut Seen) {
            let Unit { a, b, c, steps } = self;
            // The top bits of `feeds` count the steps of the unit within one of the feed.
            // SAFETY: by the contract above.
            unsafe {
                asm!(
                    $tiles!(clear),
                    "kmovd k1, {odd:e}",
                    "test {feeds}, {feeds}", "jz 5f",
                    "3:",
                    $tiles!($feeding $parts),
                    "dec {n}",
                    $turn, "jnc 3b",
                    "add {f0}, 1024", "add {f1}, 1024", others!($parts),
                    "dec {feeds:e}", "jnz 3b",
                    "test {n}, {n}", "jz 6f",
                    "5:",
                    $tiles!(plain $parts),
                    "dec {n}", "jnz 5b",
                    "6:",
                    $tiles!(keep),
                    a0 = inout(reg) a[0] => _, a1 = inout(reg) a[1] => _,
                    b0 = inout(reg) b[0] => _, b1 = inout(reg) b[1] => _,
                    f0 = inout(reg) feed.from[0] => _, f1 = inout(reg) feed.from[1] => _,
                    t0 = inout(reg) feed.to[0] => _, t1 = inout(reg) feed.to[1] => _,
                    c = in(reg) c, n = inout(reg) steps => _, line = in(reg) 64usize,
                    feeds = inout(reg) feeds => _, odd = in(reg) 0xaaaa_aaaau32,
                    inout("zmm16") seen.most, inout("zmm17") seen.least,
                    in("zmm18") _mm512_set1_epi32(-1), in("zmm19") pairs(), in("zmm20") _mm512_set1_epi32(UPPER),
                    out("zmm21") _, out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _, out("zmm26") _,
                    out("k1") _,
                    options(nostack),
                );
            }
        }
    };
}

/// The parts of a unit of two row tiles.
macro_rules! two {
    (clear) => {
        "tilezero tmm0\n tilezero tmm1\n tilezero tmm2\n tilezero tmm3"
    };
    (keep) => {
        "tilestored [{c}+{line}], tmm0\n tilestored [{c}+{line}+1024], tmm1
         tilestored [{c}+{line}+2048], tmm2\n tilestored [{c}+{line}+3072], tmm3"
    };
    (plain $parts:ident) => {
        step!($parts, load_a_two, four_products, "", "", "", "", "", "")
    };
    ($feeding:ident $parts:ident) => {
        $feeding!($parts, load_a_two, four_products)
    };
}

/// The parts of a unit of one row tile.
macro_rules! one {
    (clear) => {
        "tilezero tmm0\n tilezero tmm1"
    };
    (keep) => {
        "tilestored [{c}+{line}], tmm0\n tilestored [{c}+{line}+1024], tmm1"
    };
    (plain $parts:ident) => {
        step!($parts, load_a_one, two_products, "", "", "", "", "", "")
    };
    ($feeding:ident $parts:ident) => {
        $feeding!($parts, load_a_one, two_products)
    };
}

impl Unit {
    /// Steps of the next column tile that a run can split: a quarter of its own, or half where `fast`.
    pub fn feeds(&self, fast: bool) -> usize {
        self.steps / if fast { 2 } else { 4 }
    }

    /// Computes 32 rows of operands of `PARTS` parts, 2 or 3; the first 16, touching nothing of the others, where `half`.
    ///
    /// # Safety
    /// The pointers are good as the fields say and aligned to 64 bytes; the thread holds a [`Configured`]; `feed` has
    /// whole steps, as many as `feeds`, which is at most [`Unit::feeds`] of `fast`; the machine has the features.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn run<const PARTS: usize>(self, (half, fast): (bool, bool), feed: Feed, feeds: usize, seen: &mut Seen) {
        // SAFETY: passed on.
        unsafe {
            match (PARTS, half, fast) {
                (2, false, false) => self.two_parts(feed, feeds, seen),
                (2, false, true) => self.two_parts_fast(feed, feeds, seen),
                (2, true, false) => self.two_parts_half(feed, feeds, seen),
                (2, true, true) => self.two_parts_half_fast(feed, feeds, seen),
                (_, false, false) => self.three_parts(feed, feeds, seen),
                (_, false, true) => self.three_parts_fast(feed, feeds, seen),
                (_, true, false) => self.three_parts_half(feed, feeds, seen),
                (_, true, true) => self.three_parts_half_fast(feed, feeds, seen),
            }
        }
    }

    unit!(two_parts, "32 rows of two parts.", parts2, two, quarter, "add {feeds:e}, 0x40000000");
    unit!(two_parts_fast, "32 rows of two parts, feeding fast.", parts2, two, half, "add {feeds:e}, 0x80000000");
    unit!(two_parts_half, "16 rows of two parts.", parts2, one, quarter, "add {feeds:e}, 0x40000000");
    unit!(two_parts_half_fast, "16 rows of two parts, feeding fast.", parts2, one, half, "add {feeds:e}, 0x80000000");
    unit!(three_parts, "32 rows of three parts.", parts3, two, quarter, "add {feeds:e}, 0x40000000");
    unit!(three_parts_fast, "32 rows of three parts, feeding fast.", parts3, two, half, "add {feeds:e}, 0x80000000");
    unit!(three_parts_half, "16 rows of three parts.", parts3, one, quarter, "add {feeds:e}, 0x40000000");
    unit!(
        three_parts_half_fast,
        "16 rows of three parts, feeding fast.",
        parts3,
        one,
        half,
        "add {feeds:e}, 0x80000000"
    );
}
