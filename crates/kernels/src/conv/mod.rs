//! Convolutions over channels-last images as products whose rows are pixels read in place.
//!
//! Inputs: x, the packed weights, the bias where the epilogue has one, then the epilogue's operands. Output: y, which may
//! share memory with nothing else. A plain image is copied to channels-last in the workspace first (last), so every
//! problem has a kernel; plans that keep images channels-last pay nothing.
//!
//! Why channels-last and not blocks of channels: the pixels of a tile are rows of one product whether the kernel is
//! 1 × 1 or larger, so the micro-kernels of [`crate::gemm`] serve with a table of row pointers, any number of channels
//! goes without padding in memory, and matrix products, reductions over channels and concatenation see the same memory.

mod depthwise;
mod edge;
mod pixels;
mod spread;
mod taps;
mod winograd;

use crate::def::{Args, Facts, KernelDef, KernelError, Reject};
use crate::gemm::Tiles;
use crate::gemm::Tiles4x16;
#[cfg(target_arch = "x86_64")]
use crate::gemm::dots::{self, Dots};
use crate::gemm::drive::{shape_share, tile_work};
#[cfg(target_arch = "x86_64")]
use crate::gemm::{Amx32x32, Tiles6x16, Tiles6x64, Tiles8x48, Tiles14x32, amx};
use crate::pack::{PackFormat, WeightShape};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};
use crate::span::{product, span};
use modelsmith_kop::{ConvProblem, Depth, Layout};
pub(crate) use pixels::interleave;

/// Kernels for convolutions, best first.
pub static KERNELS: &[KernelDef<ConvProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    depthwise_def::<Avx512>("f32_conv_depthwise__avx512"),
    #[cfg(target_arch = "x86_64")]
    depthwise_def::<Avx2>("f32_conv_depthwise__avx2"),
    #[cfg(target_arch = "x86_64")]
    KernelDef {
        isa: amx::ISA,
        accepts: accepts_amx,
        cost: cost_amx::<3>,
        ..pixels_def::<Avx512, Amx32x32<3>>("f32_conv_pixels_32x32__amx_bf16x3")
    },
    #[cfg(target_arch = "x86_64")]
    winograd_def::<Avx512, Tiles14x32>("f32_conv_winograd_14x32__avx512"),
    #[cfg(target_arch = "x86_64")]
    winograd_def::<Avx512, Tiles6x64>("f32_conv_winograd_6x64__avx512"),
    #[cfg(target_arch = "x86_64")]
    rows_def::<Avx512, Tiles14x32>("f32_conv_rows_14x32__avx512"),
    #[cfg(target_arch = "x86_64")]
    dots_def::<Avx512, Tiles14x32>("f32_conv_dots__avx512"),
    #[cfg(target_arch = "x86_64")]
    pixels_def::<Avx512, Tiles14x32>("f32_conv_pixels_14x32__avx512"),
    #[cfg(target_arch = "x86_64")]
    pixels_def::<Avx512, Tiles8x48>("f32_conv_pixels_8x48__avx512"),
    #[cfg(target_arch = "x86_64")]
    pixels_def::<Avx512, Tiles6x64>("f32_conv_pixels_6x64__avx512"),
    #[cfg(target_arch = "x86_64")]
    winograd_def::<Avx2, Tiles6x16>("f32_conv_winograd_6x16__avx2"),
    #[cfg(target_arch = "x86_64")]
    rows_def::<Avx2, Tiles6x16>("f32_conv_rows_6x16__avx2"),
    #[cfg(target_arch = "x86_64")]
    dots_def::<Avx2, Tiles6x16>("f32_conv_dots__avx2"),
    #[cfg(target_arch = "x86_64")]
    pixels_def::<Avx2, Tiles6x16>("f32_conv_pixels_6x16__avx2"),
    depthwise_def::<Portable>("f32_conv_depthwise__portable"),
    winograd_def::<Portable, Tiles4x16>("f32_conv_winograd_4x16__portable"),
    rows_def::<Portable, Tiles4x16>("f32_conv_rows_4x16__portable"),
    pixels_def::<Portable, Tiles4x16>("f32_conv_pixels_4x16__portable"),
];

/// Kernels less precise than f32, as [`crate::gemm::FAST`].
pub static FAST: &[KernelDef<ConvProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    KernelDef {
        isa: amx::ISA,
        accepts: accepts_amx,
        cost: cost_amx::<2>,
        ..pixels_def::<Avx512, Amx32x32<2>>("f32_conv_pixels_32x32__amx_bf16x2")
    },
];

const fn pixels_def<S: Simd, T: Tiles>(name: &'static str) -> KernelDef<ConvProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts,
        cost: cost_pixels::<T>,
        pack_format: |_| Some(PackFormat::F32Panel16),
        workspace: pixels::workspace::<T>,
        run: pixels::run::<S, T>,
    }
}

#[cfg(target_arch = "x86_64")]
const fn dots_def<S: Simd, T: Tiles>(name: &'static str) -> KernelDef<ConvProblem> {
    KernelDef { accepts: accepts_dots, cost: cost_dots::<S, T>, ..pixels_def::<S, Dots<T>>(name) }
}

const fn winograd_def<S: Simd, T: Tiles>(name: &'static str) -> KernelDef<ConvProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts: winograd::accepts,
        cost: winograd::cost::<T>,
        pack_format: |_| Some(PackFormat::F32Panel16),
        workspace: winograd::workspace::<T>,
        run: winograd::run::<S, T>,
    }
}

const fn rows_def<S: Simd, T: Tiles>(name: &'static str) -> KernelDef<ConvProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts: accepts_rows,
        cost: cost_rows::<T>,
        pack_format: |_| Some(PackFormat::F32Panel16),
        workspace: pixels::workspace_rows,
        run: run_rows::<S, T>,
    }
}

const fn depthwise_def<S: Simd>(name: &'static str) -> KernelDef<ConvProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts: accepts_depthwise,
        cost: cost_depthwise,
        pack_format: |_| Some(PackFormat::F32TapsChannels),
        workspace: depthwise::workspace,
        run: depthwise::run::<S>,
    }
}

fn run_rows<S: Simd, T: Tiles>(
    p: &ConvProblem,
    args: Args<'_>,
    pool: &modelsmith_pool::Pool,
) -> Result<(), KernelError> {
    pixels::run_rows::<S>(p, args, pool, T::SET)
}

/// Shape of a convolution's weights for [`PackFormat`]. Planes of a kernel over volumes follow each other as its rows do.
pub fn weight_shape(p: &ConvProblem) -> WeightShape {
    let [kh, kw] = [p.depth.kernel * p.kernel[0], p.kernel[1]];
    let groups = p.groups.max(1);
    if p.transposed {
        WeightShape::ConvTransposed { c: p.c, oc: p.oc / groups, kh, kw, groups }
    } else {
        WeightShape::Conv { oc: p.oc, ic: p.c / groups, kh, kw, groups }
    }
}

/// Elements that x and y reach.
pub(crate) struct Extents {
    pub x: usize,
    pub y: usize,
}

pub(crate) fn extents(p: &ConvProblem) -> Result<Extents, Reject> {
    let too_big = || Reject("sizes overflow".into());
    let image = |layout, d: usize, h: usize, w: usize, c: usize, stride| match layout {
        Layout::Plain => product(&[p.n, d, h, w, c]),
        Layout::ChannelsLast => {
            let pixels = product(&[p.n, d, h, w])?;
            span(&[(pixels, stride), (c, 1)])
        }
    };
    let x = image(p.x_layout, p.depth.len, p.h, p.w, p.c, p.x_stride).ok_or_else(too_big)?;
    let y = image(p.y_layout, p.depth.out, p.oh, p.ow, p.oc, p.y_stride).ok_or_else(too_big)?;
    Ok(Extents { x, y })
}

fn accepts(p: &ConvProblem) -> Result<(), Reject> {
    if p.groups == 0 || !p.c.is_multiple_of(p.groups) || !p.oc.is_multiple_of(p.groups) {
        return Reject::because("groups do not divide the channels");
    }
    let d = &p.depth;
    let windows = [p.stride, p.dilation, p.kernel, [d.stride, d.dilation], [d.kernel, 1]];
    if windows.iter().flatten().any(|&v| v == 0) {
        return Reject::because("a zero in stride, dilation or kernel");
    }
    if p.x_stride < p.c || p.y_stride < p.oc {
        return Reject::because("pixels overlap");
    }
    if (p.x_layout == Layout::Plain && p.x_stride != p.c) || (p.y_layout == Layout::Plain && p.y_stride != p.oc) {
        return Reject::because("a plain image with a pixel stride");
    }
    extents(p)?;
    let limit = 1usize << 40;
    let image = [p.kernel, p.stride, p.dilation, [p.oh, p.ow], [p.h, p.w], [p.n, p.c]];
    let volume = [[d.len, d.out], [d.kernel, d.stride], [d.dilation, 1], d.pad];
    let taps = product(&[d.kernel, p.kernel[0], p.kernel[1]]).filter(|&t| t <= 1 << 16);
    if image.iter().chain(&volume).flatten().chain(&p.pad).any(|&v| v > limit) || taps.is_none() {
        return Reject::because("sizes overflow");
    }
    // Coordinates are computed as signed numbers of 64 bits.
    for (out, stride, kernel, dilation) in [
        (d.out.max(d.len), d.stride, d.kernel, d.dilation),
        (p.oh, p.stride[0], p.kernel[0], p.dilation[0]),
        (p.ow, p.stride[1], p.kernel[1], p.dilation[1]),
        (p.h, p.stride[0], p.kernel[0], p.dilation[0]),
        (p.w, p.stride[1], p.kernel[1], p.dilation[1]),
    ] {
        if product(&[out.max(1), stride]).is_none() || product(&[kernel, dilation]).is_none() {
            return Reject::because("sizes overflow");
        }
    }
    let weights = PackFormat::F32Panel16.packed_len(&weight_shape(p));
    if weights.is_none_or(|w| w > isize::MAX as usize / 16) {
        return Reject::because("sizes overflow");
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn accepts_amx(p: &ConvProblem) -> Result<(), Reject> {
    accepts(p)?;
    if p.transposed {
        return Reject::because("transposed");
    }
    let channels = p.c / p.groups;
    if p.taps() > 1 && channels < amx::STEP / 2 {
        return Reject::because(format!(
            "{channels} channels under each tap: gathering so few at a time costs more than it saves"
        ));
    }
    let [_, _, k] = pixels::product_size(p);
    amx::takes(k)
}

#[cfg(target_arch = "x86_64")]
fn accepts_dots(p: &ConvProblem) -> Result<(), Reject> {
    accepts(p)?;
    if p.oc > dots::COLUMNS || p.groups != 1 {
        return Reject::because("more than 4 output channels, or groups: tiles fill their lanes");
    }
    if p.c < 8 {
        return Reject::because("fewer than 8 channels: vectors over them would be short");
    }
    Ok(())
}

fn accepts_rows(p: &ConvProblem) -> Result<(), Reject> {
    accepts(p)?;
    if p.transposed || p.groups != 1 || p.dilation[1] != 1 || p.depth != Depth::FLAT {
        return Reject::because("grouped, transposed, dilated in width or over volumes");
    }
    if p.c > 8 && p.x_layout == Layout::ChannelsLast {
        return Reject::because("more than 8 channels, read in place by another kernel");
    }
    pixels::padded(p).map(|_| ()).ok_or_else(|| Reject("sizes overflow".into()))
}

fn accepts_depthwise(p: &ConvProblem) -> Result<(), Reject> {
    accepts(p)?;
    if !p.is_depthwise() || p.transposed || p.depth != Depth::FLAT {
        return Reject::because("not depthwise over images");
    }
    Ok(())
}

/// Bytes moved: input, output and weights once, plain images twice more.
fn bytes(p: &ConvProblem) -> f64 {
    let x = (p.planes() * p.h * p.w * p.c) as f64 * if p.x_layout == Layout::Plain { 3.0 } else { 1.0 };
    let y = (p.out_planes() * p.oh * p.ow * p.oc) as f64 * if p.y_layout == Layout::Plain { 3.0 } else { 1.0 };
    let weights = weight_shape(p).len().unwrap_or(0) as f64;
    4.0 * (x + y + weights)
}

/// Multiplications and additions under all taps, which for a transposed convolution read zeros where no pixel lies.
fn tap_flops(p: &ConvProblem) -> f64 {
    let zeros = if p.transposed { p.depth.stride * p.stride[0] * p.stride[1] } else { 1 };
    p.flops() * zeros as f64
}

fn cost_pixels<T: Tiles>(p: &ConvProblem, facts: &Facts) -> f64 {
    let columns = p.oc / p.groups.max(1);
    // Fetching row pointers costs about as much as four values of the inner dimension.
    let segment = p.c as f64 / p.groups.max(1) as f64;
    let stride = p.x_stride * if p.transposed { 1 } else { p.stride[1] };
    let share = T::SHARE * shape_share(T::SET, columns.max(1), stride) * segment / (segment + 4.0);
    let flops = tap_flops(p);
    let ends = p.groups as f64 * tile_work(T::SET, p.out_planes() * p.oh * p.ow, columns);
    crate::def::roofline(bytes(p), flops + ends, share, facts)
}

/// Adding the lanes of an element and fetching its share of a row's pointers is counted as 600 multiplications and additions, a
/// round figure.
#[cfg(target_arch = "x86_64")]
fn cost_dots<S: Simd, T: Tiles>(p: &ConvProblem, facts: &Facts) -> f64 {
    let filled = p.c as f64 / p.c.next_multiple_of(S::LANES) as f64;
    let columns = p.oc.max(1);
    let loads = (dots::ROWS + columns) as f64 / (dots::ROWS * columns) as f64;
    let flops = tap_flops(p);
    let ends = 600.0 * (p.out_planes() * p.oh * p.ow * p.oc) as f64;
    crate::def::roofline(bytes(p), flops + ends, Dots::<T>::SHARE * filled / loads.max(1.0), facts)
}

#[cfg(target_arch = "x86_64")]
fn cost_amx<const PARTS: usize>(p: &ConvProblem, facts: &Facts) -> f64 {
    let size = pixels::product_size(p);
    // Segments that are no whole steps are gathered piece by piece before they are split.
    let taps = p.taps();
    let pieces = taps > 1 && !(p.c / p.groups.max(1)).is_multiple_of(amx::STEP);
    let work = amx::work::<PARTS>(size, facts.threads, if pieces { 3.0 } else { 1.0 });
    amx::nanoseconds(bytes(p), p.groups as f64 * work, facts)
}

fn cost_rows<T: Tiles>(p: &ConvProblem, facts: &Facts) -> f64 {
    let segment = (p.c * p.kernel[1]) as f64;
    let share = T::SHARE * shape_share(T::SET, p.oc.max(1), 0) * segment / (segment + 4.0);
    let ends = tile_work(T::SET, p.n * p.oh * p.ow, p.oc);
    crate::def::roofline(bytes(p), p.flops() + ends, share, facts)
}

fn cost_depthwise(p: &ConvProblem, facts: &Facts) -> f64 {
    crate::def::roofline(bytes(p), p.flops(), 0.3, facts)
}

#[cfg(test)]
mod tests;
