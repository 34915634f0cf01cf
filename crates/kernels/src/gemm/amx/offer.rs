//! What tile products take, and what they cost.

use super::{Blocks, STEP, TILE};
use crate::def::{Facts, Reject, roofline};
use crate::gemm;
use modelsmith_kop::{GemmB, GemmProblem, Isa};

/// What the machine must have.
pub(crate) const ISA: Isa = Isa::AMX.union(Isa::AVX512_BF16);
/// Share of the fused multiply-adds' peak that [`work`] is measured in.
pub(crate) const SHARE: f64 = gemm::tiles::FMA_SHARE;

/// Fewer rows than this are not worth splitting B for.
const FEWEST_ROWS: usize = 12;
/// Most values of the inner dimension: the error of what is lost as subnormal grows with them.
const LONGEST: usize = 1 << 16;
/// Six tile products to one fused multiply-add: how many times as fast they are at full tiles.
const SPEED: f64 = 2.3;
/// Values split in the time of one fused multiply-add of a vector of 16 lanes.
const SPLIT: f64 = 1.6;

pub(in crate::gemm) fn accepts(p: &GemmProblem) -> Result<(), Reject> {
    gemm::accepts(p)?;
    takes(p.m, p.k)
}

/// Whether a product of so many rows and values of the inner dimension is one for tiles.
pub(crate) fn takes(m: usize, k: usize) -> Result<(), Reject> {
    if m < FEWEST_ROWS {
        return Reject::because(format!(
            "{m} rows: below {FEWEST_ROWS}, splitting the weights costs more than it saves"
        ));
    }
    if k == 0 || k > LONGEST {
        return Reject::because(format!("an inner dimension of {k}: 1 to {LONGEST} is taken"));
    }
    Ok(())
}

pub(in crate::gemm) fn cost(p: &GemmProblem, facts: &Facts) -> f64 {
    let batch = p.batch_count() as f64;
    let packed = if p.b == GemmB::Packed { 0.0 } else { 2.0 * batch * (p.k * p.n) as f64 };
    let b = if p.b == GemmB::Packed { (p.k * p.n) as f64 } else { batch * (p.k * p.n) as f64 };
    let bytes = 4.0 * (batch * (p.m * p.k + p.m * p.n) as f64 + b);
    roofline(bytes, packed + batch * work([p.m, p.n, p.k], facts.threads, 1.0), SHARE, facts)
}

/// The work of one product, as multiplications and additions of the fused multiply-add unit; splitting A takes `gather` times
/// as long as where its rows lie whole.
pub(crate) fn work([m, n, k]: [usize; 3], threads: usize, gather: f64) -> f64 {
    let blocks = Blocks::new([m, n, k]);
    let rows = m.div_ceil(16) as f64 * 16.0;
    // A half tile takes three quarters of the time of a whole one.
    let rows = if m.div_ceil(16) % 2 == 1 { rows + 8.0 } else { rows };
    let (cols, inner) = ((blocks.col_tiles * TILE) as f64, (blocks.steps * STEP) as f64);
    let b_times = if blocks.keeps_b { threads.max(1) } else { blocks.row_tiles.div_ceil(blocks.block[0]) };
    // Where B is kept, row tiles pass through the first-level cache and their split waits for it.
    let a_times = if blocks.keeps_b { 1.7 } else { threads.max(1) as f64 };
    let split = inner * (b_times as f64 * cols + gather * a_times * m as f64);
    2.0 * rows * cols * inner / SPEED + 32.0 * split / SPLIT
}
