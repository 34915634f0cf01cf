//! Products and convolutions of 8-bit integers in i32 that wraps.
//!
//! Products: inputs A, B (packed as [`PackFormat::U8Quad16`] or [`PackFormat::I8Quad16`], or strided), then A's zero points
//! and B's where there are any. Convolutions: inputs x, weights, then the zero points of x and of the weights. The output
//! is the sums; it may share memory with nothing else.

mod drive;
mod left;
mod planes;
mod right;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod unit;

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack, roofline};
use crate::mem::{self, Dst, Scratch, Shared, Src};
use crate::pack::PackFormat;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};
use crate::span::{distinct, product, span};
use drive::{Item, Products, Zeros};
use left::Left;
use modelsmith_kop::{GemmB, IntegerConvProblem, IntegerGemmProblem, ZeroPoint};
use modelsmith_pool::Pool;
use planes::Planes;
use right::{From, Right};
#[cfg(target_arch = "x86_64")]
use tiles::Tiles;
use unit::{BLOCK, Plain, QUAD, Unit};
#[cfg(target_arch = "x86_64")]
use unit::{Dots, Pairs};

/// The address of an operand whose elements are not read.
const NOWHERE: Shared<u8> = Shared(std::ptr::null_mut());

/// An operand that is only read.
fn shared(data: *const u8) -> Shared<u8> {
    Shared(data.cast_mut())
}

/// Kernels for matrix products, best first.
pub static GEMM: &[KernelDef<IntegerGemmProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    gemm_def::<Avx512, Tiles>("i8_integer_gemm_32x64__amx"),
    #[cfg(target_arch = "x86_64")]
    gemm_def::<Avx512, Dots>("i8_integer_gemm_6x64__avx512_vnni"),
    #[cfg(target_arch = "x86_64")]
    gemm_def::<Avx2, Pairs>("i8_integer_gemm_4x16__avx2"),
    gemm_def::<Portable, Plain>("i8_integer_gemm_4x16__portable"),
];

/// Kernels for convolutions, best first.
pub static CONV: &[KernelDef<IntegerConvProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    conv_def::<Avx512, Tiles>("i8_integer_conv_32x64__amx"),
    #[cfg(target_arch = "x86_64")]
    conv_def::<Avx512, Dots>("i8_integer_conv_6x64__avx512_vnni"),
    #[cfg(target_arch = "x86_64")]
    conv_def::<Avx2, Pairs>("i8_integer_conv_4x16__avx2"),
    conv_def::<Portable, Plain>("i8_integer_conv_4x16__portable"),
];

const fn gemm_def<S: Simd, U: Unit>(name: &'static str) -> KernelDef<IntegerGemmProblem> {
    KernelDef {
        name,
        isa: U::ISA,
        accepts: accepts_gemm,
        cost: cost_gemm::<U>,
        pack_format,
        workspace: |p, threads| {
            let (head, each) = drive::scratch::<U>(&gemm_left(p, NOWHERE), &gemm_right(p, NOWHERE));
            Scratch::bytes(head, each, threads)
        },
        run: run_gemm::<S, U>,
    }
}

const fn conv_def<S: Simd, U: Unit>(name: &'static str) -> KernelDef<IntegerConvProblem> {
    KernelDef {
        name,
        isa: U::ISA,
        accepts: accepts_conv,
        cost: cost_conv::<U>,
        pack_format: no_pack,
        workspace: |p, threads| {
            let planes = Planes::of(p);
            let (head, each) = drive::scratch::<U>(&conv_left(p, NOWHERE), &conv_right(p, NOWHERE, &planes, &[]));
            Scratch::bytes(head.next_multiple_of(64).saturating_add(planes.bytes()), each, threads)
        },
        run: run_conv::<S, U>,
    }
}

fn pack_format(p: &IntegerGemmProblem) -> Option<PackFormat> {
    let format = if p.signed[1] { PackFormat::I8Quad16 } else { PackFormat::U8Quad16 };
    (p.b == GemmB::Packed).then_some(format)
}

/// Bytes of A and B, elements of C.
fn extents(p: &IntegerGemmProblem) -> Option<[usize; 3]> {
    let reach = |stride: fn(&modelsmith_kop::BatchDim) -> usize, tail: [(usize, usize); 2]| {
        let mut dims: Vec<(usize, usize)> = p.batch.iter().map(|d| (d.len, stride(d))).collect();
        dims.extend(tail);
        span(&dims)
    };
    let a = reach(|d| d.a_stride, [(p.m, p.a_row_stride), (p.k, p.a_col_stride)])?;
    let c = reach(|d| d.c_stride, [(p.m, p.c_row_stride), (p.n, 1)])?;
    let b = match p.b {
        GemmB::Packed => product(&[p.n.div_ceil(unit::PANEL), unit::PANEL * QUAD, p.k.max(1).div_ceil(QUAD)])?,
        GemmB::Strided { row_stride, col_stride } => reach(|d| d.b_stride, [(p.k, row_stride), (p.n, col_stride)])?,
    };
    Some([a, b, c])
}

fn accepts_gemm(p: &IntegerGemmProblem) -> Result<(), Reject> {
    let lens: Vec<usize> = p.batch.iter().map(|d| d.len).collect();
    let work = product(&lens).and_then(|batch| product(&[batch, p.m.max(1), p.n.max(1), p.k.max(1)]));
    if extents(p).is_none() || work.is_none() || product(&[p.k.max(1), 2 * BLOCK]).is_none() {
        return Reject::because("sizes overflow");
    }
    if p.b == GemmB::Packed && p.batch.iter().any(|d| d.b_stride != 0) {
        return Reject::because("packed B with a batch stride");
    }
    let mut dims: Vec<(usize, usize)> = p.batch.iter().map(|d| (d.len, d.c_stride)).collect();
    dims.extend([(p.m, p.c_row_stride), (p.n, 1)]);
    if !distinct(dims) {
        return Reject::because("elements of C overlap");
    }
    Ok(())
}

fn accepts_conv(p: &IntegerConvProblem) -> Result<(), Reject> {
    if p.groups == 0 || !p.c.is_multiple_of(p.groups) || !p.oc.is_multiple_of(p.groups) {
        return Reject::because("groups do not divide the channels");
    }
    if p.stride.contains(&0) || p.dilation.contains(&0) || p.kernel.contains(&0) {
        return Reject::because("a zero in stride, dilation or kernel");
    }
    if product(&p.kernel).is_none_or(|taps| taps > 1 << 16) {
        return Reject::because("a kernel of more than 65536 taps");
    }
    if p.x_zero == ZeroPoint::Each {
        return Reject::because("zero points of x by channel");
    }
    let limit = 1usize << 31;
    let scalars = [p.kernel, p.stride, p.dilation, [p.oh, p.ow], [p.h, p.w], [p.n, p.c], [p.oc, p.oc]];
    let sizes = [
        product(&[p.n.max(1), p.c.max(1), p.h.max(1), p.w.max(1)]),
        product(&[p.n.max(1), p.oc.max(1), p.oh.max(1), p.ow.max(1)]),
        product(&[p.oc.max(1), (p.c / p.groups).max(1), p.kernel[0], p.kernel[1], 2 * BLOCK]),
    ];
    if scalars.iter().flatten().chain(&p.pad).any(|&v| v > limit) || sizes.contains(&None) {
        return Reject::because("sizes overflow");
    }
    if product(&[p.n.max(1), p.c.max(1), Planes::of(p).channel().max(1), 2]).is_none() {
        return Reject::because("sizes overflow");
    }
    Ok(())
}

fn cost_gemm<U: Unit>(p: &IntegerGemmProblem, facts: &Facts) -> f64 {
    let Some([a, b, c]) = extents(p) else { return f64::INFINITY };
    let packing = if p.b == GemmB::Packed { 0.0 } else { 4.0 * (p.batch_count() * p.k * p.n) as f64 };
    roofline(a as f64 + b as f64 + 4.0 * c as f64, p.flops() + packing, U::SHARE, facts)
}

fn cost_conv<U: Unit>(p: &IntegerConvProblem, facts: &Facts) -> f64 {
    let windows = (p.n * p.c * p.oh * p.ow * p.kernel[0] * p.kernel[1]) as f64;
    let bytes = (p.n * p.c * p.h * p.w) as f64 + 4.0 * (p.n * p.oc * p.oh * p.ow) as f64;
    roofline(bytes, p.flops() + 4.0 * windows, U::SHARE, facts)
}

/// Offsets of the matrices of a batch: of A, B and C.
fn offsets(p: &IntegerGemmProblem) -> Vec<[usize; 3]> {
    let mut all = vec![[0; 3]];
    for d in &p.batch {
        let steps = [d.a_stride, d.b_stride, d.c_stride];
        let moved = |at: &[usize; 3], i: usize| std::array::from_fn(|j| at[j] + i * steps[j]);
        all = all.iter().flat_map(|at| (0..d.len).map(move |i| moved(at, i))).collect();
    }
    all
}

/// A without the places of its matrices.
fn gemm_left(p: &IntegerGemmProblem, data: Shared<u8>) -> Left {
    let count = if p.batch.iter().all(|d| d.a_stride == 0) { 1 } else { p.batch_count() };
    let (row_stride, col_stride) = (p.a_row_stride, if p.k > 1 { p.a_col_stride } else { 1 });
    Left { data, signed: p.signed[0], count, matrices: vec![], m: p.m, k: p.k, row_stride, col_stride }
}

fn gemm_right(p: &IntegerGemmProblem, data: Shared<u8>) -> Right<'static> {
    let from = match p.b {
        GemmB::Packed => From::Packed,
        GemmB::Strided { row_stride, col_stride } => From::Strided { rows: row_stride, columns: col_stride },
    };
    Right { data, flip: if p.signed[1] { 0x80 } else { 0 }, k: p.k, n: p.n, from }
}

/// The weights without the places of their groups.
fn conv_left(p: &IntegerConvProblem, data: Shared<u8>) -> Left {
    let (m, k) = (p.oc / p.groups, p.c / p.groups * p.kernel[0] * p.kernel[1]);
    Left { data, signed: p.signed[1], count: p.groups, matrices: vec![], m, k, row_stride: k, col_stride: 1 }
}

fn conv_right<'a>(p: &IntegerConvProblem, data: Shared<u8>, planes: &Planes<'_>, offsets: &'a [usize]) -> Right<'a> {
    let k = p.c / p.groups * p.kernel[0] * p.kernel[1];
    let flip = if p.signed[0] { 0x80 } else { 0 };
    Right { data, flip, k, n: planes.columns(), from: From::Runs(offsets) }
}

/// The zero points of an operand at input `*next`, where there are any, and their number.
fn zeros(
    kind: ZeroPoint,
    each: usize,
    signed: bool,
    moved: i32,
    inputs: &[Src<'_>],
    next: &mut usize,
) -> Result<(Zeros, usize), KernelError> {
    let (count, mut data) = (if kind == ZeroPoint::Each { each } else { 1 }, NOWHERE);
    if kind != ZeroPoint::None {
        data = shared(mem::input(inputs, *next, "zero points")?.elements::<u8>(count, "zero points")?);
        *next += 1;
    }
    Ok((Zeros { kind, data, signed, moved }, count))
}

/// What signed bytes are moved by as a right operand, and unsigned ones as a left.
fn moved(signed: bool, left: bool) -> i32 {
    match (signed, left) {
        (true, false) => 128,
        (false, true) => -128,
        _ => 0,
    }
}

/// The output, apart from every input.
fn output(outputs: &mut [Dst<'_>], inputs: &[(*const u8, usize)], len: usize) -> Result<*mut i32, KernelError> {
    let out = mem::output(outputs, "sums")?.elements::<i32>(len, "sums")?;
    inputs.iter().try_for_each(|&(data, bytes)| mem::apart((data, bytes), (out, len), "operand"))?;
    Ok(out)
}

fn run_gemm<S: Simd, U: Unit>(p: &IntegerGemmProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let Some([a_len, b_len, c_len]) = extents(p) else { return Ok(()) };
    let a = mem::input(args.inputs, 0, "A")?.elements::<u8>(a_len, "A")?;
    let b = mem::input(args.inputs, 1, "B")?.elements::<u8>(b_len, "B")?;
    let mut next = 2;
    let rows = zeros(p.zeros[0], p.m, p.signed[0], moved(p.signed[0], true), args.inputs, &mut next)?;
    let columns = zeros(p.zeros[1], p.n, p.signed[1], moved(p.signed[1], false), args.inputs, &mut next)?;
    let points =
        [rows, columns].map(|(z, n)| (z.data.get().cast_const(), if z.kind == ZeroPoint::None { 0 } else { n }));
    let out = output(args.outputs, &[(a, a_len), (b, b_len), points[0], points[1]], c_len)?;
    if c_len == 0 {
        return Ok(());
    }
    let (mut left, right) = (gemm_left(p, shared(a)), gemm_right(p, shared(b)));
    let places = offsets(p);
    left.matrices = places.iter().take(left.count).map(|o| o[0]).collect();
    let one = left.count == 1;
    let items = places.into_iter().enumerate();
    let items = items.map(|(i, o)| Item { left: if one { 0 } else { i }, right: o[1], out: o[2], zero: 0 }).collect();
    let (head, each) = drive::scratch::<U>(&left, &right);
    let scratch = Scratch::new(args.workspace, head, each, pool.threads())?;
    let all = Products {
        left,
        right,
        zeros: [rows, columns],
        items,
        out: Shared(out),
        out_stride: p.c_row_stride,
        rows_of: None,
    };
    // SAFETY: all buffers were checked against the sizes.
    unsafe { all.run::<S, U>(&scratch, pool) };
    Ok(())
}

fn run_conv<S: Simd, U: Unit>(p: &IntegerConvProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let (m, plane, pixels) = (p.oc / p.groups, p.h * p.w, p.oh * p.ow);
    let k = p.c / p.groups * p.kernel[0] * p.kernel[1];
    let (x_len, w_len, y_len) = (p.n * p.c * plane, p.oc * k, p.n * p.oc * pixels);
    let x = mem::input(args.inputs, 0, "x")?.elements::<u8>(x_len, "x")?;
    let w = mem::input(args.inputs, 1, "weights")?.elements::<u8>(w_len, "weights")?;
    let mut next = 2;
    let columns = zeros(p.x_zero, 1, p.signed[0], moved(p.signed[0], false), args.inputs, &mut next)?;
    let rows = zeros(p.w_zero, p.oc, p.signed[1], moved(p.signed[1], true), args.inputs, &mut next)?;
    let points =
        [rows, columns].map(|(z, n)| (z.data.get().cast_const(), if z.kind == ZeroPoint::None { 0 } else { n }));
    let out = output(args.outputs, &[(x, x_len), (w, w_len), points[0], points[1]], y_len)?;
    if y_len == 0 {
        return Ok(());
    }
    // SAFETY: where there is a zero point, its buffer was checked.
    let zero = if p.x_zero == ZeroPoint::None { 0 } else { unsafe { *columns.0.data.get() } };
    let planes = Planes::of(p);
    let offsets = planes.offsets();
    let mut left = conv_left(p, shared(w));
    left.matrices = (0..p.groups).map(|g| g * m * k).collect();
    let head = left.bytes::<U>().next_multiple_of(64);
    let each = conv_right(p, NOWHERE, &planes, &offsets).block_bytes();
    let scratch = Scratch::new(args.workspace, head + planes.bytes(), each, pool.threads())?;
    let data = scratch.head::<u8>().wrapping_add(head);
    // SAFETY: x and the scratch memory were checked against the sizes.
    unsafe { planes.fill(x, zero, data, pool) };
    let right = conv_right(p, Shared(data), &planes, &offsets);
    let products = (0..p.n).flat_map(|image| (0..p.groups).map(move |g| (image, g)));
    let item = |(image, g): (usize, usize)| Item {
        left: g,
        right: (image * p.c + g * (p.c / p.groups)) * planes.channel(),
        out: (image * p.oc + g * m) * pixels,
        zero: g * m,
    };
    let items = products.map(item).collect();
    let rows_of = Some((planes.width, p.ow));
    let all = Products { left, right, zeros: [rows, columns], items, out: Shared(out), out_stride: pixels, rows_of };
    // SAFETY: all buffers were checked against the sizes.
    unsafe { all.run::<S, U>(&scratch, pool) };
    Ok(())
}
