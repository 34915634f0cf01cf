//! Dense, grouped and transposed convolutions as products over pixels: the inner dimension is cut into one segment per
//! kernel tap (or per kernel row, where few channels make taps short), and the row table points at the shifted pixels.

use super::taps::{KernelRows, TapRows};
use super::{edge, extents, weight_shape};
use crate::def::{Args, KernelError};
use crate::gemm::Tiles;
use crate::gemm::drive::{MatrixRows, Product, Rows, table_bytes};
use crate::gemm::epilogue::Ready;
use crate::gemm::tile::TileSet;
use crate::mem::{self, Scratch, Shared};
use crate::pack::{PANEL, PackFormat};
use crate::simd::Simd;
use crate::span::product;
use modelsmith_kop::{ConvProblem, Depth, Layout};
use modelsmith_pool::Pool;

/// Height and width of the padded image that [`KernelRows`] reads: as far as the outputs reach.
pub(super) fn padded(p: &ConvProblem) -> Option<(usize, usize)> {
    let reach = |axis: usize, out: usize| {
        let kernel = p.dilation[axis].checked_mul(p.kernel[axis] - 1)?.checked_add(1)?;
        out.saturating_sub(1).checked_mul(p.stride[axis])?.checked_add(kernel)
    };
    let (h, w) = (reach(0, p.oh)?, reach(1, p.ow)?);
    product(&[p.n.max(1), h, w, p.c.max(1), 4])?;
    Some((h, w))
}

fn zeros_len(p: &ConvProblem) -> usize {
    (p.c / p.groups.max(1)).next_multiple_of(32)
}

fn is_product(p: &ConvProblem) -> bool {
    let flat = Depth { len: p.depth.len, out: p.depth.len, ..Depth::FLAT };
    let image = p.kernel == [1, 1] && p.stride == [1, 1] && p.pad == [0; 4] && (p.oh, p.ow) == (p.h, p.w);
    !p.transposed && image && p.depth == flat
}

/// Rows, columns and inner dimension of the product of one group.
pub(super) fn product_size(p: &ConvProblem) -> [usize; 3] {
    let groups = p.groups.max(1);
    [p.out_planes() * p.oh * p.ow, p.oc / groups, p.c / groups * p.taps()]
}

fn sizes<T: Tiles>(p: &ConvProblem) -> (usize, usize) {
    let (x, y) = edge::copies(p);
    let records = record_bytes::<T>(p).map_or(0, |bytes| (p.planes() * p.h * p.w + 1) * bytes);
    ((x + y + zeros_len(p)).saturating_mul(4).saturating_add(records), T::scratch(product_size(p), p.taps()))
}

/// Most bytes of records.
const RECORDS: usize = 4 << 20;

/// Bytes of a record of one pixel, where pixels are under several taps and their records fit the cache.
fn record_bytes<T: Tiles>(p: &ConvProblem) -> Option<usize> {
    let pixels = product(&[p.planes(), p.h, p.w])?;
    let uses = product(&[p.out_planes(), p.oh, p.ow, p.taps()])?;
    let bytes = T::record_bytes(p.c).filter(|_| p.groups == 1 && uses / 2 >= pixels)?;
    product(&[pixels + 1, bytes]).filter(|&all| all <= RECORDS).map(|_| bytes)
}

/// Makes the records of all pixels and one of zeros at `to`.
///
/// # Safety
/// `x` holds the image channels-last and `to` has room.
unsafe fn make_records<T: Tiles>(p: &ConvProblem, x: *const f32, bytes: usize, to: *mut u8, pool: &Pool) {
    let pixels = p.planes() * p.h * p.w;
    let (x, records) = (Shared(x.cast_mut()), Shared(to));
    pool.for_ranges(pixels, 16, |range, _| {
        for pixel in range {
            let from = x.get().cast_const().wrapping_add(pixel * p.x_stride);
            // SAFETY: the pixel exists and each record is written by one task.
            unsafe { T::record(from, p.c, records.get().wrapping_add(pixel * bytes)) };
        }
    });
    // SAFETY: there is room for one record more.
    unsafe { to.add(pixels * bytes).write_bytes(0, bytes) };
}

fn sizes_rows(p: &ConvProblem) -> (usize, usize) {
    let (h, w) = padded(p).unwrap_or((0, 0));
    let (_, y) = edge::copies(p);
    let image = (p.n * h * w * p.c).next_multiple_of(32);
    ((y + image).saturating_mul(4), table_bytes(p.kernel[0]))
}

pub(super) fn workspace<T: Tiles>(p: &ConvProblem, threads: usize) -> usize {
    let (head, each) = sizes::<T>(p);
    Scratch::bytes(head, each, threads)
}

pub(super) fn workspace_rows(p: &ConvProblem, threads: usize) -> usize {
    let (head, each) = sizes_rows(p);
    Scratch::bytes(head, each, threads)
}

/// The checked buffers of a call.
pub(super) struct Call {
    pub x: *const f32,
    pub w: *const f32,
    pub y: *mut f32,
    pub ready: Ready,
    pub empty: bool,
}

pub(super) fn buffers(p: &ConvProblem, args: &mut Args<'_>) -> Result<Call, KernelError> {
    let e = extents(p).map_err(|reason| KernelError::Rejected { kernel: "conv", reason })?;
    let weights = PackFormat::F32Panel16.packed_len(&weight_shape(p)).unwrap_or(usize::MAX);
    let y = mem::output(args.outputs, "y")?.elements::<f32>(e.y, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(e.x, "x")?;
    let w = mem::input(args.inputs, 1, "weights")?.elements::<f32>(weights, "weights")?;
    mem::apart((x, e.x), (y, e.y), "x")?;
    mem::apart((w, weights), (y, e.y), "weights")?;
    let ready = Ready::new(&p.epilogue, &args.inputs[2..], p.out_planes() * p.oh * p.ow, p.oc, (y, e.y))?;
    Ok(Call { x, w, y, ready, empty: e.y == 0 })
}

/// Runs a convolution with one segment per tap.
pub(super) fn run<S: Simd, T: Tiles>(p: &ConvProblem, mut args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let call = buffers(p, &mut args)?;
    if call.empty {
        return Ok(());
    }
    let (head, each) = sizes::<T>(p);
    let scratch = Scratch::new(args.workspace, head, each, pool.threads())?;
    let (x_copy, y_copy) = edge::copy_places(p, &scratch);
    let zeros = y_copy.wrapping_add(edge::copies(p).1);
    // SAFETY: the workspace was sized for both copies and the zeros.
    let x = unsafe {
        zeros.write_bytes(0, zeros_len(p));
        edge::take_x(p, call.x, x_copy, pool)
    };
    let y = edge::place_y(p, call.y, y_copy);
    let records_at = Shared(zeros.wrapping_add(zeros_len(p)).cast::<u8>());
    let records = record_bytes::<T>(p);
    if let Some(bytes) = records {
        // SAFETY: the workspace was sized for the records.
        unsafe { make_records::<T>(p, x, bytes, records_at.get(), pool) };
    }
    let channels = p.c / p.groups;
    let columns = p.oc / p.groups;
    let group_len = columns.div_ceil(PANEL) * PANEL * channels * p.taps();
    let [m, _, k] = product_size(p);
    let parts = T::grid([m, columns, k], pool.threads().div_ceil(p.groups));
    let each = parts.0 * parts.1;
    let (x, w, y_at) = (Shared(x.cast_mut()), Shared(call.w.cast_mut()), Shared(y));
    let ready = &call.ready;
    pool.run(p.groups * each, |i, worker| {
        let (g, chunk) = (i / each, i % each);
        let x = x.get().cast_const().wrapping_add(g * channels);
        let b = w.get().cast_const().wrapping_add(g * group_len);
        let c = y_at.get().wrapping_add(g * columns);
        let part = (chunk % parts.0, chunk / parts.0);
        let own = scratch.worker(worker);
        let size = Size { m, n: columns, b, c, c_stride: p.y_stride, first_col: g * columns };
        // SAFETY: buffers and workspace were checked; groups and parts write different elements of y.
        unsafe {
            if is_product(p) {
                let rows = MatrixRows { a: x, stride: p.x_stride, k: channels };
                T::part::<S, _>(&size.of(&rows, ready, T::SET), parts, part, own);
            } else {
                let records = records.map(|bytes| (bytes, records_at.get().cast_const()));
                let rows = TapRows { p, x, zeros: y_zeros(&scratch, p), channels, records };
                T::part::<S, _>(&size.of(&rows, ready, T::SET), parts, part, own);
            }
        }
    });
    // SAFETY: the result is complete and y has room for it.
    unsafe { edge::give_y(p, y, call.y, pool) };
    Ok(())
}

/// The zeros that taps outside the image read.
fn y_zeros(scratch: &Scratch, p: &ConvProblem) -> *const f32 {
    edge::copy_places(p, scratch).1.wrapping_add(edge::copies(p).1)
}

struct Size {
    m: usize,
    n: usize,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    first_col: usize,
}

impl Size {
    fn of<'a, R: Rows>(&self, rows: &'a R, ready: &'a Ready, tiles: &'static TileSet) -> Product<'a, R> {
        let &Size { m, n, b, c, c_stride, first_col } = self;
        Product { rows, m, n, b, c, c_stride, first_row: 0, first_col, ready, tiles }
    }
}

/// Runs a convolution of few channels with one segment per kernel row, over a padded copy of x.
pub(super) fn run_rows<S: Simd>(
    p: &ConvProblem,
    mut args: Args<'_>,
    pool: &Pool,
    tiles: &'static TileSet,
) -> Result<(), KernelError> {
    let call = buffers(p, &mut args)?;
    let (Some((height, width)), false) = (padded(p), call.empty) else { return Ok(()) };
    let (head, each) = sizes_rows(p);
    let scratch = Scratch::new(args.workspace, head, each, pool.threads())?;
    let y_copy = scratch.head::<f32>();
    let image = y_copy.wrapping_add(edge::copies(p).1);
    let x = Shared(call.x.cast_mut());
    let to = Shared(image);
    pool.for_ranges(p.n * height, 8, |rows, _| {
        for row in rows {
            let into = to.get().wrapping_add(row * width * p.c);
            // SAFETY: the workspace holds `n * height` rows of `width * c`; each is written by one task.
            unsafe { pad_row(p, x.get(), row / height, row % height, width, into) };
        }
    });
    let y = edge::place_y(p, call.y, y_copy);
    let rows = KernelRows { p, x: image, height, width };
    let size = Size { m: p.n * p.oh * p.ow, n: p.oc, b: call.w, c: y, c_stride: p.y_stride, first_col: 0 };
    let product = size.of(&rows, &call.ready, tiles);
    // SAFETY: buffers and workspace were checked.
    unsafe {
        crate::gemm::drive::whole::<S, _>(&product, &scratch, pool);
        edge::give_y(p, y, call.y, pool);
    }
    Ok(())
}

/// Writes row `y` of the padded channels-last image.
///
/// # Safety
/// `x` holds the image, `to` has room for `width * c`.
unsafe fn pad_row(p: &ConvProblem, x: *const f32, image: usize, y: usize, width: usize, to: *mut f32) {
    let inside = y.checked_sub(p.pad[0]).filter(|&iy| iy < p.h);
    let left = p.pad[1].min(width);
    let right = (left + p.w).min(width);
    // SAFETY: columns `left..right` lie inside the image's row, all others are zero.
    unsafe {
        let Some(iy) = inside else {
            to.write_bytes(0, width * p.c);
            return;
        };
        to.write_bytes(0, left * p.c);
        to.add(right * p.c).write_bytes(0, (width - right) * p.c);
        let to = to.add(left * p.c);
        match p.x_layout {
            Layout::Plain => {
                let plane = |ch| x.add(((image * p.c + ch) * p.h + iy) * p.w);
                interleave(plane, p.c, to, right - left);
            }
            Layout::ChannelsLast if p.x_stride == p.c => {
                let from = x.add((image * p.h + iy) * p.w * p.c);
                std::ptr::copy_nonoverlapping(from, to, (right - left) * p.c);
            }
            Layout::ChannelsLast => {
                for i in 0..right - left {
                    let from = x.add(((image * p.h + iy) * p.w + i) * p.x_stride);
                    std::ptr::copy_nonoverlapping(from, to.add(i * p.c), p.c);
                }
            }
        }
    }
}

/// Writes `n` pixels of `c` channels each, whose values lie in planes.
///
/// # Safety
/// The planes hold `n` values, `to` has room for `c * n`.
pub(crate) unsafe fn interleave(plane: impl Fn(usize) -> *const f32, c: usize, to: *mut f32, n: usize) {
    // SAFETY: by the contract above.
    unsafe {
        if c == 3 {
            return interleave3([plane(0), plane(1), plane(2)], to, n);
        }
        for ch in 0..c {
            let from = plane(ch);
            for i in 0..n {
                *to.add(i * c + ch) = *from.add(i);
            }
        }
    }
}

/// Writes `n` pixels of three channels each. The blocks are fixed so that the compiler can use shuffles.
///
/// # Safety
/// The planes hold `n` values, `to` has room for `3 * n`.
unsafe fn interleave3(planes: [*const f32; 3], to: *mut f32, n: usize) {
    const BLOCK: usize = 16;
    let mut i = 0;
    // SAFETY: by the contract above.
    unsafe {
        while i + BLOCK <= n {
            let [a, b, c] = planes.map(|p| p.add(i).cast::<[f32; BLOCK]>().read_unaligned());
            let mut out = [0f32; 3 * BLOCK];
            for j in 0..BLOCK {
                out[3 * j] = a[j];
                out[3 * j + 1] = b[j];
                out[3 * j + 2] = c[j];
            }
            to.add(3 * i).cast::<[f32; 3 * BLOCK]>().write_unaligned(out);
            i += BLOCK;
        }
        while i < n {
            for ch in 0..3 {
                *to.add(3 * i + ch) = *planes[ch].add(i);
            }
            i += 1;
        }
    }
}
