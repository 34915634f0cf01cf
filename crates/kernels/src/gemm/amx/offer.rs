//! What tile products take, and what they cost.

use super::{Blocks, FEW, STEP, TILE};
use crate::def::{Facts, Reject, roofline};
use crate::gemm;
use modelsmith_kop::{GemmB, GemmProblem, Isa};

/// What the machine must have.
pub(crate) const ISA: Isa = Isa::AMX.union(Isa::AVX512_BF16);
/// Share of the fused multiply-adds' peak that [`work`] is measured in.
const SHARE: f64 = gemm::tiles::FMA_SHARE;

/// Most values of the inner dimension: the error of what is lost as subnormal grows with them.
const LONGEST: usize = 1 << 16;
/// Costs in multiplications and additions of the fused multiply-add kernel in the same time, measured: one result tile
/// (from registers to C, and what starting and ending a sum takes), one step of its products, one value split alone and
/// one split between products.
struct Costs {
    tile: f64,
    step: f64,
    split: f64,
    feed: f64,
}
const THREE: Costs = Costs { tile: 50e3, step: 25e3, split: 34.0, feed: 20.0 };
const TWO: Costs = Costs { tile: 50e3, step: 12.5e3, split: 24.0, feed: 14.0 };

impl Costs {
    /// One value split between the products of so many row tiles: few leave no time for it.
    fn fed(&self, row_tiles: usize) -> f64 {
        if row_tiles < FEW { self.split } else { self.feed }
    }
}

/// Parts of columns read rows that another core made, and share the lines of their result with it.
const ELSEWHERE: f64 = 1.25;
/// Tile products lose more than vectors where the core is shared with other programs: less than this is no gain.
const MARGIN: f64 = 1.1;
/// Fewer rows never pay. Operands that lie in a cache arrive faster than `facts` says memory delivers them, so that a bound
/// by memory must not make all kernels seem alike.
const FEWEST: usize = TILE / 2;
const NEVER: f64 = 1e3;

pub(in crate::gemm) fn accepts(p: &GemmProblem) -> Result<(), Reject> {
    gemm::accepts(p)?;
    takes(p.k)
}

/// Whether a product of so many values of the inner dimension is one for tiles.
pub(crate) fn takes(k: usize) -> Result<(), Reject> {
    if k == 0 || k > LONGEST {
        return Reject::because(format!("an inner dimension of {k}: 1 to {LONGEST} is taken"));
    }
    Ok(())
}

pub(in crate::gemm) fn cost<const PARTS: usize>(p: &GemmProblem, facts: &Facts) -> f64 {
    let batch = p.batch_count() as f64;
    let packed = if p.b == GemmB::Packed { 0.0 } else { 2.0 * batch * (p.k * p.n) as f64 };
    let b = if p.b == GemmB::Packed { (p.k * p.n) as f64 } else { batch * (p.k * p.n) as f64 };
    let bytes = 4.0 * (batch * (p.m * p.k + p.m * p.n) as f64 + b);
    // A product of a single tile is made by one thread, while the others wait.
    let (by_rows, by_cols) = grid::<PARTS>(&Blocks::new([p.m, p.n, p.k], PARTS), facts.threads);
    let busy = (p.batch_count() * by_rows * by_cols).clamp(1, facts.threads.max(1));
    let waits = facts.threads.max(1) as f64 / busy as f64;
    let few = if p.m < FEWEST { NEVER } else { 1.0 };
    few * nanoseconds(bytes, packed + waits * batch * work::<PARTS>([p.m, p.n, p.k], facts.threads, 1.0), facts)
}

/// Nanoseconds of [`work`] that moves `bytes`. Where memory decides, other kernels need as long with less to do.
pub(crate) fn nanoseconds(bytes: f64, work: f64, facts: &Facts) -> f64 {
    roofline(bytes, work, SHARE, facts) + 0.05 * roofline(0.0, work, SHARE, facts)
}

const fn costs<const PARTS: usize>() -> &'static Costs {
    if PARTS == 2 { &TWO } else { &THREE }
}

/// Parts of rows and of columns for `threads`. Each part splits its own operands, so that parts of rows split B more often
/// and parts of columns A: those are taken whose longest part is shortest.
pub(super) fn grid<const PARTS: usize>(blocks: &Blocks, threads: usize) -> (usize, usize) {
    let costs = costs::<PARTS>();
    let tile = costs.tile + blocks.steps as f64 * costs.step;
    let split = (blocks.steps * STEP * TILE) as f64;
    let time = |(by_rows, by_cols): (usize, usize)| {
        let (halves, cols) = (blocks.halves.div_ceil(by_rows), blocks.col_tiles.div_ceil(by_cols) as f64);
        let b = match blocks.keeps_b {
            true => costs.split,
            false => costs.fed(halves.div_ceil(2)) * halves.div_ceil(2 * blocks.block[0]) as f64,
        };
        let own = whole(halves) * cols * tile + split * (costs.split * halves as f64 / 2.0 + b * cols);
        if by_cols > 1 { ELSEWHERE * own } else { own }
    };
    let mut best = ((1, 1), time((1, 1)));
    for by_rows in 1..=threads.min(blocks.halves) {
        let parts = (by_rows, (threads / by_rows).min(blocks.col_tiles).max(1));
        let found = time(parts);
        if found < best.1 {
            best = (parts, found);
        }
    }
    // Twice as many parts let a thread that is held up be helped, where that costs next to nothing.
    let (more, parts) = ((2 * best.0.0, best.0.1), best.0.0 * best.0.1);
    let helps = parts >= threads && more.0 <= blocks.row_tiles && 2.0 * time(more) <= 1.02 * best.1;
    if helps { more } else { best.0 }
}

/// Whole row tiles in whose time so many half tiles are computed: one alone takes three quarters.
fn whole(halves: usize) -> f64 {
    (halves / 2) as f64 + 0.75 * (halves % 2) as f64
}

/// The work of one product, as multiplications and additions of the fused multiply-add unit; splitting A takes `gather` times
/// as long as where its rows lie whole.
pub(crate) fn work<const PARTS: usize>([m, n, k]: [usize; 3], threads: usize, gather: f64) -> f64 {
    let blocks = Blocks::new([m, n, k], PARTS);
    let costs = costs::<PARTS>();
    let (cols, inner) = ((blocks.col_tiles * TILE) as f64, (blocks.steps * STEP) as f64);
    let (by_rows, by_cols) = if threads > 1 { grid::<PARTS>(&blocks, threads) } else { (1, 1) };
    // The longest part decides.
    let longest = whole(blocks.halves.div_ceil(by_rows)) * blocks.col_tiles.div_ceil(by_cols) as f64;
    let tiles = longest * (by_rows * by_cols) as f64;
    // Not [`Costs::fed`]: estimated with it, products of two row tiles went to vectors, which are slower.
    let (b_times, b_cost) = match blocks.keeps_b {
        true => (by_rows, costs.split),
        false => (blocks.row_tiles.div_ceil(blocks.block[0]).max(by_rows), costs.feed),
    };
    let split = inner * (b_cost * b_times as f64 * cols + costs.split * gather * (by_cols * m) as f64);
    let margin = if by_cols > 1 { MARGIN * ELSEWHERE } else { MARGIN };
    margin * (tiles * (costs.tile + blocks.steps as f64 * costs.step) + split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{choose, gemm::KERNELS};

    /// What was measured: few rows, few columns or a short inner dimension are better off without tiles.
    #[test]
    fn tiles_are_chosen_where_they_pay() {
        let facts = Facts::guess(ISA, 1);
        for (m, n, k, pays) in [
            (128, 768, 768, true),
            (64, 768, 3072, true),
            (32, 768, 768, true),
            (49, 512, 2048, true),
            (3136, 64, 256, true),
            (16, 768, 768, false),
            (1, 4096, 4096, false),
            (12544, 96, 16, false),
            (3136, 24, 96, false),
            (784, 40, 144, false),
            (1, 10, 65536, false),
        ] {
            let p = GemmProblem::dense(m, n, k, GemmB::Packed);
            let name = choose(KERNELS, &p, &facts).map_or("", |k| k.name);
            assert_eq!(name.contains("amx"), pays, "{m} x {n} x {k}: {name}");
        }
        // However slow memory was found.
        let slow = Facts { gbytes: 0.5, ..facts };
        for (m, n, k) in [(1, 120, 400), (8, 1000, 1280)] {
            let p = GemmProblem::dense(m, n, k, GemmB::Packed);
            let name = choose(KERNELS, &p, &slow).map_or("", |k| k.name);
            assert!(!name.contains("amx"), "{m} x {n} x {k}: {name}");
        }
        // More threads do not make a single tile faster.
        let p = GemmProblem::dense(1, 10, 65536, GemmB::Packed);
        let name = choose(KERNELS, &p, &Facts::guess(ISA, 4)).map_or("", |k| k.name);
        assert!(!name.contains("amx"), "{name}");
    }

    #[test]
    fn products_without_elements_have_a_cost() {
        for (m, n, k) in [(0, 5, 3), (5, 0, 3), (5, 3, 0), (0, 0, 0)] {
            for threads in [1, 4] {
                let facts = Facts::guess(ISA, threads);
                for b in [GemmB::Packed, GemmB::Strided { row_stride: n, col_stride: 1 }] {
                    let p = GemmProblem::dense(m, n, k, b);
                    assert!(cost::<2>(&p, &facts) >= 0.0 && cost::<3>(&p, &facts) >= 0.0, "{m} x {n} x {k}");
                }
            }
        }
    }
}
