//! Attention: `softmax(Q K^T * scale + mask) V`, streamed over blocks of keys with a running maximum and sum, so that
//! the scores of no more than a few queries and one block of keys exist at a time. Inputs: Q, K, V, the mask where there
//! is one. Output: the result. Operands are strided, so that heads are read where a projection left them and written
//! where the next one reads; the output may share memory with nothing else.

mod block;
mod few;
mod pack;
#[cfg(test)]
mod tests;

use crate::def::{Args, Facts, KernelDef, KernelError, Reject};
use crate::gemm::{Tiles, Tiles4x16};
#[cfg(target_arch = "x86_64")]
use crate::gemm::{Tiles6x16, Tiles14x32};
use crate::mem::{self, Scratch};
use crate::pack::PANEL;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};
use crate::span::{product, span};
use block::Block;
use modelsmith_kop::{AttentionProblem, HeadView, MaskKind};
use modelsmith_pool::{Pool, cut};

/// Kernels for attention, best first.
pub static KERNELS: &[KernelDef<AttentionProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512, Tiles14x32>("f32_attention_14x32__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2, Tiles6x16>("f32_attention_6x16__avx2"),
    def::<Portable, Tiles4x16>("f32_attention_4x16__portable"),
];

/// Values of a block of keys, so that it stays in the second-level cache with the same block of values.
const BLOCK_VALUES: usize = 20 * 1024;
/// Most rows of a task: their unfinished results stay in the second-level cache.
const MOST_ROWS: usize = 256;

const fn def<S: Simd, T: Tiles>(name: &'static str) -> KernelDef<AttentionProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts,
        cost: cost::<T>,
        pack_format: crate::def::no_pack,
        workspace: |p, threads| Scratch::bytes(0, Cut::of(p, T::SET, threads).bytes(), threads),
        run: run::<S, T>,
    }
}

/// Elements up to the end of a view of these sizes.
fn reach(v: &HeadView, dims: [usize; 4]) -> Option<usize> {
    let [b, h, rows, columns] = dims;
    match span(&[(b, v.batch), (h, v.head), (rows, v.row), (columns, 1)])? {
        0 => Some(0),
        n => n.checked_add(v.offset).filter(|&n| n <= isize::MAX as usize / 16),
    }
}

/// Elements that Q, K, V, the mask and the result reach.
fn extents(p: &AttentionProblem) -> Option<[usize; 5]> {
    product(&[p.batch, p.heads, p.queries.max(1), p.keys.max(1), p.size.max(1).max(p.values)])?;
    let mask = match &p.mask {
        Some(m) => span(&[(p.batch, m.batch), (p.heads, m.head), (p.queries, m.row), (p.keys, 1)])?,
        None => 0,
    };
    Some([
        reach(&p.q, [p.batch, p.heads, p.queries, p.size])?,
        reach(&p.k, [p.batch, p.kv_heads, p.keys, p.size])?,
        reach(&p.v, [p.batch, p.kv_heads, p.keys, p.values])?,
        mask,
        reach(&p.y, [p.batch, p.heads, p.queries, p.values])?,
    ])
}

fn accepts(p: &AttentionProblem) -> Result<(), Reject> {
    let Some([.., result]) = extents(p) else { return Reject::because("sizes overflow") };
    if p.kv_heads == 0 || !p.heads.is_multiple_of(p.kv_heads) {
        return Reject::because(format!("{} heads do not share {} heads of keys", p.heads, p.kv_heads));
    }
    // Every result is written once: the strides, from small to large, must each step over what lies inside.
    let mut dims = [(p.batch, p.y.batch), (p.heads, p.y.head), (p.queries, p.y.row), (p.values, 1)];
    dims.sort_by_key(|d| d.1);
    let mut inside = 1;
    for (len, stride) in dims.into_iter().filter(|d| d.0 > 1) {
        if stride < inside && result > 0 {
            return Reject::because("elements of the result overlap");
        }
        inside += stride * (len - 1);
    }
    Ok(())
}

fn cost<T: Tiles>(p: &AttentionProblem, facts: &Facts) -> f64 {
    let scores = (p.batch * p.heads * p.queries) as f64 * p.keys as f64;
    let packed = (p.batch * p.kv_heads * p.keys) as f64 * (p.size + p.values) as f64;
    let bytes = 4.0 * (packed + 2.0 * (p.batch * p.heads * p.queries * p.values) as f64);
    crate::def::roofline(bytes, p.flops() + 30.0 * scores + 8.0 * packed, T::SHARE, facts)
}

/// How a problem is cut.
#[derive(Clone, Copy)]
struct Cut {
    /// Rows that share keys and values: queries of all heads of a group.
    rows: usize,
    /// Tasks that share them.
    parts: usize,
    /// Most rows of a task.
    most: usize,
    /// Keys of a block: whole panels.
    keys: usize,
    /// Columns of Q.
    size: usize,
    /// Columns of the result, in whole panels.
    values: usize,
    /// Most rows of a tile.
    tile: usize,
}

impl Cut {
    fn of(p: &AttentionProblem, tiles: &crate::gemm::tile::TileSet, threads: usize) -> Cut {
        let rows = p.heads / p.kv_heads.max(1) * p.queries;
        let tile = tiles.max_rows[tiles.max_panels() - 1];
        let units = p.batch.saturating_mul(p.kv_heads).max(1);
        let wanted = if threads <= 1 { 1 } else { (Pool::CHUNKS_PER_THREAD * threads).div_ceil(units) };
        let parts = wanted.min(rows.div_ceil(2 * tile)).max(rows.div_ceil(MOST_ROWS)).max(1);
        let block = (BLOCK_VALUES / p.size.max(p.values).max(1)).clamp(4 * PANEL, 20 * PANEL);
        let blocks = p.keys.div_ceil(block).max(1);
        Cut {
            rows,
            parts,
            most: rows.div_ceil(parts),
            keys: p.keys.div_ceil(blocks).next_multiple_of(PANEL),
            size: p.size,
            values: p.values.next_multiple_of(PANEL),
            tile,
        }
    }

    /// Bytes of scratch memory of a worker.
    fn bytes(&self) -> usize {
        block::Memory::of(self).bytes
    }
}

fn run<S: Simd, T: Tiles>(p: &AttentionProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let Some([q_len, k_len, v_len, mask_len, y_len]) = extents(p) else { return Ok(()) };
    let y = mem::output(args.outputs, "result")?.elements::<f32>(y_len, "result")?;
    let given = |i: usize, len: usize, what: &'static str| {
        let x = mem::input(args.inputs, i, what)?.elements::<f32>(len, what)?;
        mem::apart((x, len), (y, y_len), what).map(|()| x)
    };
    let (q, k, v) = (given(0, q_len, "queries")?, given(1, k_len, "keys")?, given(2, v_len, "values")?);
    let mask = match p.mask.map(|m| m.kind) {
        None => std::ptr::null(),
        Some(MaskKind::Add) => given(3, mask_len, "mask")?.cast(),
        Some(MaskKind::Keep) => {
            let x = mem::input(args.inputs, 3, "mask")?.elements::<u8>(mask_len, "mask")?;
            mem::apart((x, mask_len), (y, y_len), "mask")?;
            x
        }
    };
    if y_len == 0 {
        return Ok(());
    }
    let cuts = Cut::of(p, T::SET, pool.threads());
    let scratch = Scratch::new(args.workspace, 0, cuts.bytes(), pool.threads())?;
    let block = Block { p, cuts, q, k, v, mask, y, tiles: T::SET };
    pool.run(p.batch * p.kv_heads * cuts.parts, |task, worker| {
        let (unit, part) = (task / cuts.parts, task % cuts.parts);
        // SAFETY: all buffers were checked; tasks write different rows; the worker's scratch has the bytes of the cut,
        // and `KernelDef::run` has checked the machine.
        unsafe {
            block.run::<S>(
                unit / p.kv_heads,
                unit % p.kv_heads,
                cut(cuts.rows, cuts.parts, part),
                scratch.worker(worker),
            )
        }
    });
    Ok(())
}
