//! Some rows of one group of heads: all blocks of keys, one after the other.

use super::Cut;
use super::few::{self, FEW};
use super::pack::{pack_keys, pack_values};
use crate::gemm::epilogue::{load, store};
use crate::gemm::tile::{Ahead, Tile, TileSet};
use crate::pack::PANEL;
use crate::simd::{Body, Simd, math};
use modelsmith_kop::{AttentionProblem, MaskKind};
use std::ops::Range;

/// At least the rows of the largest tile.
const MOST_TILE: usize = 16;

/// Added to the lanes from `n` on, read from `PANEL - n` on: they count as keys that are not seen.
static UNSEEN: [f32; 2 * PANEL] = {
    let mut lanes = [0.0; 2 * PANEL];
    let mut i = PANEL;
    while i < 2 * PANEL {
        lanes[i] = f32::NEG_INFINITY;
        i += 1;
    }
    lanes
};

/// A worker's scratch memory: offsets in values, and all bytes.
pub(super) struct Memory {
    /// Pointers of a tile's rows.
    table: usize,
    keys: usize,
    values: usize,
    scores: usize,
    /// What a mask of bytes adds, for one row.
    bias: usize,
    /// Results of each row before they are divided by its sum.
    sums: usize,
    /// Maximum of each row, then its sum.
    stats: usize,
    pub bytes: usize,
}

impl Memory {
    pub fn of(c: &Cut) -> Memory {
        let mut end = 0usize;
        let mut take = |n: usize| {
            let at = end;
            end = end.saturating_add(n.next_multiple_of(PANEL));
            at
        };
        let (table, keys) = (take(4 * PANEL), take(c.keys.saturating_mul(c.size)));
        let (values, scores) = (take(c.keys.saturating_mul(c.values)), take(c.keys.saturating_mul(c.tile)));
        let (bias, sums, stats) = (take(c.keys), take(c.most.saturating_mul(c.values)), take(2 * c.most));
        Memory { table, keys, values, scores, bias, sums, stats, bytes: end.saturating_mul(size_of::<f32>()) }
    }
}

/// A call's buffers.
pub(super) struct Block<'a> {
    pub p: &'a AttentionProblem,
    pub cuts: Cut,
    pub q: *const f32,
    pub k: *const f32,
    pub v: *const f32,
    /// Null, or f32 values or bytes.
    pub mask: *const u8,
    pub y: *mut f32,
    pub tiles: &'static TileSet,
}

// SAFETY: inputs are read only; tasks write different rows of the result.
unsafe impl Sync for Block<'_> {}

/// The rows of a task.
struct Rows<'a> {
    block: &'a Block<'a>,
    batch: usize,
    kv_head: usize,
    rows: Range<usize>,
    scratch: *mut f32,
}

impl Block<'_> {
    /// Computes `rows` of a group of heads.
    ///
    /// # Safety
    /// The buffers are good for the problem, `scratch` for the bytes of [`Memory`]; rows that are computed at once
    /// differ; the machine has `S` and what the tiles need.
    pub unsafe fn run<S: Simd>(&self, batch: usize, kv_head: usize, rows: Range<usize>, scratch: *mut f32) {
        // SAFETY: passed on.
        unsafe { S::enter(Rows { block: self, batch, kv_head, rows, scratch }) }
    }
}

impl Body for Rows<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (b, at) = (self.block, Memory::of(&self.block.cuts));
        let (p, count) = (b.p, self.rows.len());
        // SAFETY: by the contract of `Block::run`; `Memory` has room for all rows of a task and a block of keys.
        unsafe {
            let (keys, values) = (self.scratch.add(at.keys), self.scratch.add(at.values));
            let (tops, totals) = (self.scratch.add(at.stats), self.scratch.add(at.stats + self.block.cuts.most));
            for r in 0..count {
                *tops.add(r) = f32::NEG_INFINITY;
                *totals.add(r) = 0.0;
            }
            let last_seen = if p.causal { self.last_query() + 1 } else { p.keys }.min(p.keys);
            let mut key = 0;
            while key < last_seen {
                let n = b.cuts.keys.min(p.keys - key);
                let k = b.k.add(p.k.offset + self.batch * p.k.batch + self.kv_head * p.k.head + key * p.k.row);
                let v = b.v.add(p.v.offset + self.batch * p.v.batch + self.kv_head * p.v.head + key * p.v.row);
                if count <= FEW {
                    for r in 0..count {
                        self.row::<S>(&at, r, (k, v), key, n);
                    }
                    key += n;
                    continue;
                }
                pack_keys::<S>(k, p.k.row, (n, p.size), keys);
                pack_values::<S>(v, p.v.row, (n, p.values), values);
                let tiles = count.div_ceil(b.cuts.tile);
                for t in 0..tiles {
                    self.tile::<S>(&at, modelsmith_pool::cut(count, tiles, t), key, n);
                }
                key += n;
            }
            for r in 0..count {
                self.finish::<S>(r, self.scratch.add(at.sums + r * b.cuts.values), *totals.add(r));
            }
            if p.causal {
                self.spread::<S>(totals);
            }
        }
    }
}

impl Rows<'_> {
    /// Head and query of a row of the task.
    fn place(&self, row: usize) -> (usize, usize) {
        let (p, row) = (self.block.p, self.rows.start + row);
        (self.kv_head * (p.heads / p.kv_heads) + row / p.queries, row % p.queries)
    }

    /// The last query among the rows.
    fn last_query(&self) -> usize {
        let q = self.block.p.queries;
        if self.rows.len() >= q || self.rows.start / q != (self.rows.end - 1) / q {
            q - 1
        } else {
            (self.rows.end - 1) % q
        }
    }

    /// The first query among the rows.
    fn first_query(&self) -> usize {
        let q = self.block.p.queries;
        match self.rows.start / q == (self.rows.end - 1) / q {
            true => self.rows.start % q,
            false => 0,
        }
    }

    /// Keys of the block `key..key + n` that a query sees, from its first on.
    fn seen(&self, query: usize, key: usize, n: usize) -> usize {
        if self.block.p.causal { (query + 1).saturating_sub(key).min(n) } else { n }
    }

    /// A tile of rows with a block of keys.
    ///
    /// # Safety
    /// As for [`Block::run`]; the rows are of the task, and the keys from `key` to `key + n` are packed.
    #[inline(always)]
    unsafe fn tile<S: Simd>(&self, at: &Memory, rows: Range<usize>, key: usize, n: usize) {
        let (b, p) = (self.block, self.block.p);
        let (count, width) = (rows.len(), b.cuts.values);
        let seen = rows.clone().map(|r| self.seen(self.place(r).1, key, n)).max().unwrap_or(0);
        if seen == 0 {
            return;
        }
        // SAFETY: by the contract of `Block::run`: the rows' queries exist, and the scratch memory holds a tile of scores,
        // the packed keys and values, and the results of every row.
        unsafe {
            let table = self.scratch.add(at.table).cast::<*const f32>();
            for (i, r) in rows.clone().enumerate() {
                let (head, query) = self.place(r);
                table.add(i).write(b.q.add(p.q.offset + self.batch * p.q.batch + head * p.q.head + query * p.q.row));
            }
            let scores = self.scratch.add(at.scores);
            b.product(table, (count, p.size), (self.scratch.add(at.keys), p.size), (scores, b.cuts.keys, seen), false);
            let (tops, totals) = (self.scratch.add(at.stats), self.scratch.add(at.stats + b.cuts.most));
            let sums = self.scratch.add(at.sums);
            // A maximum and then its weights are a long chain of instructions that wait for each other. Maxima of all rows first,
            // the processor works on several rows at once.
            let mut most = [f32::NEG_INFINITY; MOST_TILE];
            for (i, r) in rows.clone().enumerate() {
                let (head, query) = self.place(r);
                let bias = self.bias(head, query, key, seen, self.scratch.add(at.bias));
                most[i] = scaled::<S>(scores.add(i * b.cuts.keys), self.seen(query, key, n), p.scale, bias);
            }
            for (i, r) in rows.clone().enumerate() {
                let line = scores.add(i * b.cuts.keys);
                let own = self.seen(self.place(r).1, key, n);
                let factor = weigh::<S>(line, (own, seen), most[i], (&mut *tops.add(r), &mut *totals.add(r)));
                if key > 0 && factor != 1.0 {
                    for v in (0..width).step_by(S::LANES) {
                        let to = sums.add(r * width + v);
                        S::store(to, S::mul(S::load(to), S::splat(factor)));
                    }
                }
                table.add(i).write(line);
            }
            let to = (sums.add(rows.start * width), width, width);
            b.product(table, (count, seen), (self.scratch.add(at.values), n), to, key > 0);
        }
    }

    /// A row with a block of keys, in place.
    ///
    /// # Safety
    /// As for [`Block::run`]; row `r` is of the task, `k` and `v` point at key `key`, from which on `n` exist.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, at: &Memory, r: usize, (k, v): (*const f32, *const f32), key: usize, n: usize) {
        let (b, p) = (self.block, self.block.p);
        let (head, query) = self.place(r);
        let seen = self.seen(query, key, n);
        if seen == 0 {
            return;
        }
        // SAFETY: as for `tile`.
        unsafe {
            let q = b.q.add(p.q.offset + self.batch * p.q.batch + head * p.q.head + query * p.q.row);
            let line = self.scratch.add(at.scores);
            few::scores::<S>(q, k, p.k.row, (seen, p.size), line);
            let (tops, totals) = (self.scratch.add(at.stats), self.scratch.add(at.stats + b.cuts.most));
            let bias = self.bias(head, query, key, seen, self.scratch.add(at.bias));
            let max = scaled::<S>(line, seen, p.scale, bias);
            let factor = weigh::<S>(line, (seen, seen), max, (&mut *tops.add(r), &mut *totals.add(r)));
            let sums = self.scratch.add(at.sums + r * b.cuts.values);
            few::weighted::<S>(line, v, p.v.row, (seen, p.values), (sums, factor, key == 0));
        }
    }

    /// What is added to the scores of a query with the keys from `key` on, or null.
    ///
    /// # Safety
    /// The head, the query and the keys exist; `room` is good for `n` values.
    #[inline(always)]
    unsafe fn bias(&self, head: usize, query: usize, key: usize, n: usize, room: *mut f32) -> *const f32 {
        let Some(m) = self.block.p.mask else { return std::ptr::null() };
        let at = self.batch * m.batch + head * m.head + query * m.row + key;
        // SAFETY: the mask has a value for each key of each query; `room` has one for each key of a block.
        unsafe {
            match m.kind {
                MaskKind::Add => self.block.mask.cast::<f32>().add(at),
                MaskKind::Keep => {
                    for i in 0..n {
                        let keep = *self.block.mask.add(at + i) != 0;
                        room.add(i).write(if keep { 0.0 } else { f32::NEG_INFINITY });
                    }
                    room
                }
            }
        }
    }

    /// Makes results NaN whose queries do not see a key with a NaN or an infinity among its values: such keys have the weight 0,
    /// and 0 times either is NaN. Which of them the products above met depends on how rows are cut.
    ///
    /// # Safety
    /// As for [`Block::run`]; the rows are written, `totals` holds the sum of the weights of each.
    #[inline(always)]
    unsafe fn spread<S: Simd>(&self, totals: *const f32) {
        let (b, p) = (self.block, self.block.p);
        if self.rows.is_empty() {
            return;
        }
        let first = p.v.offset + self.batch * p.v.batch + self.kv_head * p.v.head;
        // SAFETY: each key has as many values, and each row of the task a result that no one else writes.
        unsafe {
            let mut zero = S::splat(0.0);
            for key in self.first_query() + 1..p.keys {
                for i in (0..p.values).step_by(S::LANES) {
                    let some = load::<S>(b.v.add(first + key * p.v.row + i), (p.values - i).min(S::LANES));
                    zero = S::fma(some, S::splat(0.0), zero);
                }
            }
            if S::sum(zero) == 0.0 {
                return;
            }
            for r in (0..self.rows.len()).filter(|&r| *totals.add(r) != 0.0) {
                let (head, query) = self.place(r);
                let to = b.y.add(p.y.offset + self.batch * p.y.batch + head * p.y.head + query * p.y.row);
                for i in 0..p.values {
                    let mut unseen = (query + 1..p.keys).map(|key| *b.v.add(first + key * p.v.row + i));
                    if unseen.any(|v| !v.is_finite()) {
                        to.add(i).write(f32::NAN);
                    }
                }
            }
        }
    }

    /// Writes a row: its weighted values over the sum of its weights.
    ///
    /// # Safety
    /// As for [`Block::run`]; row `row` is of the task, `from` holds its values in whole panels.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, row: usize, from: *const f32, total: f32) {
        let (b, p) = (self.block, self.block.p);
        let (head, query) = self.place(row);
        // SAFETY: the row exists in the result and no one else writes it.
        unsafe {
            let to = b.y.add(p.y.offset + self.batch * p.y.batch + head * p.y.head + query * p.y.row);
            let scale = S::splat(1.0 / total);
            // Where no key was seen, there may be no values either.
            let blind = S::splat(if p.blind_zero { 0.0 } else { f32::NAN });
            let mut i = 0;
            while i < p.values {
                let n = (p.values - i).min(S::LANES);
                let v = if total == 0.0 { blind } else { S::mul(S::load(from.add(i)), scale) };
                store::<S>(to.add(i), n, v);
                i += n;
            }
        }
    }
}

impl Block<'_> {
    /// Rows of `k` values times panels with `stride` rows, into (or added to) `width` columns of C.
    ///
    /// # Safety
    /// The table holds `rows` pointers to `k` values, there are panels for all columns, C has room for whole panels.
    #[inline(always)]
    unsafe fn product(
        &self,
        table: *const *const f32,
        (rows, k): (usize, usize),
        (b, stride): (*const f32, usize),
        (c, c_stride, width): (*mut f32, usize, usize),
        accumulate: bool,
    ) {
        let (panels, most) = (width.div_ceil(PANEL), self.tiles.max_panels());
        let mut panel = 0;
        while panel < panels {
            let wide = (panels - panel).min(most);
            let call = Tile {
                rows: table,
                segs: 1,
                seg_len: k,
                offset: 0,
                b: b.wrapping_add(panel * stride * PANEL),
                b_stride: stride * PANEL,
                c: c.wrapping_add(panel * PANEL),
                c_stride,
                accumulate,
                bias: std::ptr::null(),
                residual: std::ptr::null(),
                residual_stride: 0,
                low: f32::NEG_INFINITY,
                high: f32::INFINITY,
                last: PANEL,
                ahead: Ahead::NONE,
            };
            // SAFETY: by the contract above; a tile has at most the rows that its panels allow.
            unsafe { self.tiles.table[wide - 1][rows - 1](&call) };
            panel += wide;
        }
    }
}

/// Scales the first `n` products of a row and adds its bias. Returns the largest.
///
/// # Safety
/// `line` is good for `n` values rounded up to whole panels, `bias`, where given, for `n`; the machine has `S`.
#[inline(always)]
unsafe fn scaled<S: Simd>(line: *mut f32, n: usize, scale: f32, bias: *const f32) -> f32 {
    // SAFETY: by the contract above.
    unsafe {
        let (scale, mut max) = (S::splat(scale), S::splat(f32::NEG_INFINITY));
        let mut i = 0;
        while i < n {
            let left = (n - i).min(S::LANES);
            let mut x = S::mul(S::load(line.add(i)), scale);
            if !bias.is_null() {
                x = S::add(x, load::<S>(bias.add(i), left));
            }
            if left < S::LANES {
                let keep = S::load(UNSEEN.as_ptr().add(PANEL - left));
                x = S::select(S::eq(keep, S::splat(0.0)), x, keep);
            }
            S::store(line.add(i), x);
            max = S::max(max, x);
            i += S::LANES;
        }
        S::max_lane(max)
    }
}

/// Turns the first `n` scores of a row, of which `max` is the largest, into weights and the following ones up to `full` into
/// zeros, and renews the row's maximum and sum. Returns the factor that makes earlier weights fit the new maximum.
///
/// # Safety
/// `line` is good for `full` values rounded up to whole panels; the machine has `S`.
#[inline(always)]
unsafe fn weigh<S: Simd>(
    line: *mut f32,
    (n, full): (usize, usize),
    max: f32,
    (top, total): (&mut f32, &mut f32),
) -> f32 {
    let new = max.max(*top);
    // A row that has seen no key yet: its weights are zeros whatever is subtracted.
    let shift = if new == f32::NEG_INFINITY { 0.0 } else { new };
    // SAFETY: by the contract above.
    unsafe {
        let mut sum = S::splat(0.0);
        let mut i = 0;
        while i < n {
            let w = math::weight::<S>(S::sub(S::load(line.add(i)), S::splat(shift)));
            sum = S::add(sum, w);
            S::store(line.add(i), w);
            i += S::LANES;
        }
        while i < full {
            S::store(line.add(i), S::splat(0.0));
            i += S::LANES;
        }
        let factor = match *top {
            // Nothing was seen before, or nothing larger is seen now.
            f32::NEG_INFINITY => 0.0,
            top if top == new => 1.0,
            top => S::max_lane(math::weight::<S>(S::splat(top - shift))),
        };
        *total = *total * factor + S::sum(sum);
        *top = new;
        factor
    }
}
