//! Matrix products. Inputs: A, B (packed as [`PackFormat::F32Panel16`] or strided), the bias where the epilogue has
//! one, then the epilogue's operands. Output: C. The output may share memory with nothing else.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod dots;
pub(crate) mod drive;
pub(crate) mod epilogue;
pub(crate) mod tile;
mod tiles;

use crate::def::{Args, Facts, KernelDef, KernelError, Reject};
use crate::mem::{self, Scratch, Shared};
use crate::pack::{PANEL, PackFormat};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};
use crate::span::{distinct, product, span};
#[cfg(target_arch = "x86_64")]
pub(crate) use amx::Amx32x32;
use drive::{MatrixRows, Product, pack_panels};
use epilogue::Ready;
use modelsmith_kop::{GemmB, GemmProblem};
use modelsmith_pool::{Pool, cut};
use tile::TileSet;
pub(crate) use tiles::{Tiles, Tiles4x16};
#[cfg(target_arch = "x86_64")]
pub(crate) use tiles::{Tiles6x16, Tiles6x64, Tiles8x48, Tiles14x32};

/// Kernels for matrix products, best first.
pub static KERNELS: &[KernelDef<GemmProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    KernelDef {
        isa: amx::ISA,
        accepts: amx::accepts,
        cost: amx::cost::<3>,
        ..def::<Avx512, Amx32x32<3>>("f32_gemm_32x32__amx_bf16x3")
    },
    #[cfg(target_arch = "x86_64")]
    def::<Avx512, Tiles14x32>("f32_gemm_14x32__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx512, Tiles8x48>("f32_gemm_8x48__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx512, Tiles6x64>("f32_gemm_6x64__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2, Tiles6x16>("f32_gemm_6x16__avx2"),
    def::<Portable, Tiles4x16>("f32_gemm_4x16__portable"),
];

/// Kernels less precise than f32, for who asks for them: a result lies at most 2^-15 of the sum of the magnitudes of its
/// products, and the rounding of f32, from the exact one.
pub static FAST: &[KernelDef<GemmProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    KernelDef {
        isa: amx::ISA,
        accepts: amx::accepts,
        cost: amx::cost::<2>,
        ..def::<Avx512, Amx32x32<2>>("f32_gemm_32x32__amx_bf16x2")
    },
];

const fn def<S: Simd, T: Tiles>(name: &'static str) -> KernelDef<GemmProblem> {
    KernelDef { name, isa: S::ISA, accepts, cost: cost::<T>, pack_format, workspace: workspace::<T>, run: run::<S, T> }
}

/// Elements that A, B (strided) and C reach, or why the problem cannot be.
struct Extents {
    a: usize,
    b: usize,
    c: usize,
    batch: usize,
}

fn extents(p: &GemmProblem) -> Result<Extents, Reject> {
    let too_big = || Reject("sizes overflow".into());
    let lens: Vec<usize> = p.batch.iter().map(|d| d.len).collect();
    let batch = product(&lens).ok_or_else(too_big)?;
    let with = |stride: fn(&modelsmith_kop::BatchDim) -> usize, tail: [(usize, usize); 2]| {
        let mut dims: Vec<(usize, usize)> = p.batch.iter().map(|d| (d.len, stride(d))).collect();
        dims.extend(tail);
        span(&dims).ok_or_else(too_big)
    };
    let a = with(|d| d.a_stride, [(p.m, p.a_row_stride), (p.k, p.a_col_stride)])?;
    let c = with(|d| d.c_stride, [(p.m, p.c_row_stride), (p.n, 1)])?;
    let b = match p.b {
        GemmB::Packed => product(&[p.n.div_ceil(PANEL), PANEL, p.k.max(1)]).ok_or_else(too_big)?,
        GemmB::Strided { row_stride, col_stride } => with(|d| d.b_stride, [(p.k, row_stride), (p.n, col_stride)])?,
    };
    product(&[batch, p.m.max(1), p.n.max(1), p.k.max(1)]).ok_or_else(too_big)?;
    Ok(Extents { a, b, c, batch })
}

fn accepts(p: &GemmProblem) -> Result<(), Reject> {
    let e = extents(p)?;
    if p.b == GemmB::Packed && p.batch.iter().any(|d| d.b_stride != 0) {
        return Reject::because("packed B with a batch stride");
    }
    // Every element of C is written once.
    let mut dims: Vec<(usize, usize)> = p.batch.iter().map(|d| (d.len, d.c_stride)).collect();
    dims.extend([(p.m, p.c_row_stride), (p.n, 1)]);
    if e.c > 0 && !distinct(dims) {
        return Reject::because("elements of C overlap");
    }
    Ok(())
}

fn cost<T: Tiles>(p: &GemmProblem, facts: &Facts) -> f64 {
    let Ok(e) = extents(p) else { return f64::INFINITY };
    let packed = if p.b == GemmB::Packed { 0.0 } else { 2.0 * (e.batch * p.k * p.n) as f64 };
    let bytes = 4.0 * (e.a as f64 + e.b as f64 + e.c as f64);
    let row_stride = if packing(p).0 > 0 { p.k } else { p.a_row_stride };
    let share = T::SHARE * drive::shape_share(T::SET, p.n.max(1), row_stride);
    let ends = e.batch as f64 * drive::tile_work(T::SET, p.m, p.n);
    crate::def::roofline(bytes, p.flops() + packed + ends, share, facts)
}

fn pack_format(p: &GemmProblem) -> Option<PackFormat> {
    (p.b == GemmB::Packed).then_some(PackFormat::F32Panel16)
}

/// Elements of scratch for one packed A and one packed B; 0 where none is packed.
fn packing(p: &GemmProblem) -> (usize, usize) {
    let a = if p.a_col_stride == 1 || p.k <= 1 { 0 } else { p.m * p.k };
    let b = if p.b == GemmB::Packed { 0 } else { p.n.next_multiple_of(PANEL) * p.k };
    (a.next_multiple_of(PANEL), b)
}

/// True where each batch item is one task that packs for itself.
fn by_item(p: &GemmProblem, threads: usize) -> bool {
    threads == 1 || p.batch_count() >= 2 * threads
}

/// Bytes of scratch that the tiles want for one item.
fn own_scratch<T: Tiles>(p: &GemmProblem) -> usize {
    T::scratch([p.m, p.n, p.k], 1).next_multiple_of(64)
}

fn sizes<T: Tiles>(p: &GemmProblem, threads: usize) -> (usize, usize) {
    let (a, b) = packing(p);
    let packed = (a + b).saturating_mul(4);
    if by_item(p, threads) {
        (0, own_scratch::<T>(p).saturating_add(packed))
    } else {
        (packed.saturating_mul(p.batch_count()), own_scratch::<T>(p))
    }
}

fn workspace<T: Tiles>(p: &GemmProblem, threads: usize) -> usize {
    let (head, each) = sizes::<T>(p, threads);
    Scratch::bytes(head, each, threads)
}

/// The buffers of a call, checked.
struct Call<'a> {
    p: &'a GemmProblem,
    a: Shared<f32>,
    b: Shared<f32>,
    c: Shared<f32>,
    ready: Ready,
    tiles: &'static TileSet,
}

impl Call<'_> {
    /// Element offsets of batch item `item` in A, B and C.
    fn offsets(&self, mut item: usize) -> (usize, usize, usize) {
        let (mut a, mut b, mut c) = (0, 0, 0);
        for d in self.p.batch.iter().rev() {
            let i = item % d.len;
            item /= d.len;
            a += i * d.a_stride;
            b += i * d.b_stride;
            c += i * d.c_stride;
        }
        (a, b, c)
    }

    /// Packs what item `item` needs packed into `to` (A first, then B): rows `part` of `parts`.
    ///
    /// # Safety
    /// `to` has room for [`packing`]; different parts may run at once.
    unsafe fn pack(&self, item: usize, to: *mut f32, part: usize, parts: usize) {
        let p = self.p;
        let (a, _) = packing(p);
        let (at_a, at_b, _) = self.offsets(item);
        if a > 0 {
            for i in cut(p.m, parts, part) {
                for k in 0..p.k {
                    // SAFETY: (i, k) lies in A, whose extent was checked; the target has m × k places.
                    unsafe { *to.add(i * p.k + k) = *self.a.get().add(at_a + i * p.a_row_stride + k * p.a_col_stride) };
                }
            }
        }
        if let GemmB::Strided { row_stride, col_stride } = p.b {
            let from = self.b.get().wrapping_add(at_b);
            let panels = cut(p.n.div_ceil(PANEL), parts, part);
            // SAFETY: B's extent was checked; the target follows A's place.
            unsafe { pack_panels(from, (row_stride, col_stride), (p.k, p.n), panels, Shared(to.add(a))) };
        }
    }

    /// Computes one part of one item.
    ///
    /// # Safety
    /// `packed` holds what [`Call::pack`] wrote for the item; `scratch` is the worker's.
    unsafe fn item<S: Simd, T: Tiles>(
        &self,
        item: usize,
        packed: *mut f32,
        scratch: *mut u8,
        parts: (usize, usize),
        part: (usize, usize),
    ) {
        let p = self.p;
        let (a_len, _) = packing(p);
        let (at_a, at_b, at_c) = self.offsets(item);
        let rows = if a_len > 0 {
            MatrixRows { a: packed, stride: p.k, k: p.k }
        } else {
            MatrixRows { a: self.a.get().wrapping_add(at_a), stride: p.a_row_stride, k: p.k }
        };
        let b = match p.b {
            GemmB::Packed => self.b.get().wrapping_add(at_b),
            GemmB::Strided { .. } => packed.wrapping_add(a_len),
        };
        let product = Product {
            rows: &rows,
            m: p.m,
            n: p.n,
            b,
            c: self.c.get().wrapping_add(at_c),
            c_stride: p.c_row_stride,
            first_row: item * p.m,
            first_col: 0,
            ready: &self.ready,
            tiles: self.tiles,
        };
        // SAFETY: extents were checked and different items and parts write different elements of C.
        unsafe { T::part::<S, _>(&product, parts, part, scratch) }
    }
}

fn run<S: Simd, T: Tiles>(p: &GemmProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let rejected = |reason| KernelError::Rejected { kernel: "gemm", reason };
    let e = extents(p).map_err(rejected)?;
    let c = mem::output(args.outputs, "C")?.elements::<f32>(e.c, "C")?;
    let a = mem::input(args.inputs, 0, "A")?.elements::<f32>(e.a, "A")?;
    let b = mem::input(args.inputs, 1, "B")?.elements::<f32>(e.b, "B")?;
    mem::apart((a, e.a), (c, e.c), "A")?;
    mem::apart((b, e.b), (c, e.c), "B")?;
    let ready = Ready::new(&p.epilogue, &args.inputs[2..], e.batch * p.m, p.n, (c, e.c))?;
    if e.c == 0 {
        return Ok(());
    }
    let threads = pool.threads();
    let (head, each) = sizes::<T>(p, threads);
    let scratch = Scratch::new(args.workspace, head, each, threads)?;
    let call = Call { p, a: Shared(a.cast_mut()), b: Shared(b.cast_mut()), c: Shared(c), ready, tiles: T::SET };
    let (pack_a, pack_b) = packing(p);
    let packed = pack_a + pack_b;
    if by_item(p, threads) && (packed > 0 || e.batch > 1) {
        pool.run(e.batch, |item, worker| {
            let own = scratch.worker::<u8>(worker);
            let to = own.wrapping_add(own_scratch::<T>(p)).cast();
            // SAFETY: the scratch was sized for both; items write different matrices of C.
            unsafe {
                call.pack(item, to, 0, 1);
                call.item::<S, T>(item, to, own, (1, 1), (0, 0));
            }
        });
        return Ok(());
    }
    let shared = Shared(scratch.head::<f32>());
    let at = |item: usize| shared.get().wrapping_add(item * packed);
    if packed > 0 {
        let parts = threads * Pool::CHUNKS_PER_THREAD;
        // SAFETY: the head was sized for all items; parts differ.
        pool.run(e.batch * parts, |i, _| unsafe { call.pack(i / parts, at(i / parts), i % parts, parts) });
    }
    let parts = T::grid([p.m, p.n, p.k], threads);
    let each = parts.0 * parts.1;
    pool.run(e.batch * each, |i, worker| {
        let (item, chunk) = (i / each, i % each);
        let part = (chunk % parts.0, chunk / parts.0);
        // SAFETY: every (item, part) is a different block of C.
        unsafe { call.item::<S, T>(item, at(item), scratch.worker(worker), parts, part) }
    });
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
