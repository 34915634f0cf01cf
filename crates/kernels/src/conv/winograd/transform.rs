//! The three linear maps of F(4, 3) at the points 0, 1, -1, 1/2, -2 and infinity: of pixels, of kernels, and of sums.
//!
//! The points are those of least error for six (Barabasz, Anderson, Soodhalter and Gregg, "Error analysis and improving the
//! accuracy of Winograd convolution for deep neural networks", 2020).

use crate::gemm::epilogue::{Ready, load, store};
use crate::pack::PANEL;
use crate::simd::{Body, Simd};

/// Output pixels of a tile.
pub(super) const OUT: usize = 4;
/// Width of the kernel.
pub(super) const TAPS: usize = 3;
/// Products for each tile, and pixels under it.
pub(super) const POINTS: usize = OUT + TAPS - 1;

/// Sums of squares from here on come of values whose differences might overflow, of Inf, or of NaN.
const LARGEST_SQUARE: f32 = 1.0e30;

/// Whether all that was squared and summed is small enough for sums of its differences.
#[inline(always)]
unsafe fn small<S: Simd>(squares: S::F) -> bool {
    // SAFETY: the caller vouches for the machine.
    unsafe { S::max_lane(squares) < LARGEST_SQUARE }
}

/// A row of the image, to be brought to all points.
pub(super) struct Pixels<'a> {
    /// For each tile the pixels under it.
    pub under: &'a dyn Fn(usize) -> [*const f32; POINTS],
    pub tiles: usize,
    pub channels: usize,
    /// The first tile at the first point.
    pub to: *mut f32,
    /// Values to the next tile, which are set to zero behind the channels, and to the next point.
    pub tile_stride: usize,
    pub point_stride: usize,
}

impl Body for Pixels<'_> {
    /// Whether all pixels are small enough.
    type Out = bool;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> bool {
        // SAFETY: pixels hold all channels, and there is room for whole vectors of each tile.
        unsafe {
            let mut squares = S::splat(0.0);
            for tile in 0..self.tiles {
                let from = (self.under)(tile);
                let to = self.to.add(tile * self.tile_stride);
                for c in (0..self.channels).step_by(S::LANES) {
                    let n = (self.channels - c).min(S::LANES);
                    let d = from.map(|p| load::<S>(p.add(c), n));
                    // Tiles overlap by two pixels.
                    for d in &d[if tile == 0 { 0 } else { 2 }..] {
                        squares = S::fma(*d, *d, squares);
                    }
                    for (point, v) in pixels::<S>(d).into_iter().enumerate() {
                        S::store(to.add(point * self.point_stride + c), v);
                    }
                }
            }
            small::<S>(squares)
        }
    }
}

#[inline(always)]
unsafe fn pixels<S: Simd>(d: [S::F; POINTS]) -> [S::F; POINTS] {
    // SAFETY: the caller vouches for the machine.
    unsafe {
        let times = |x: f32, a, b| S::fma(S::splat(x), a, b);
        let (a, b) = (S::sub(d[4], d[2]), S::sub(d[3], d[1]));
        [
            S::add(d[0], times(1.5, b, times(-2.0, d[2], d[4]))),
            times(5.0, d[3], times(2.0, S::sub(d[4], d[1]), d[2])),
            times(5.0, d[2], times(-2.0, S::add(d[4], d[1]), S::sub(S::splat(0.0), d[3]))),
            S::sub(times(-2.0, b, S::splat(0.0)), a),
            S::sub(times(2.0, a, S::splat(0.0)), b),
            S::add(d[5], times(1.5, a, times(-2.0, d[3], d[1]))),
        ]
    }
}

/// A panel of the weights, to be brought to all points.
pub(super) struct Kernels {
    /// Rows tap by tap, each of all channels.
    pub from: *const f32,
    pub kernel_rows: usize,
    pub channels: usize,
    /// The panel at the first point: rows kernel row by kernel row, each of all channels.
    pub to: *mut f32,
    /// Values to the next point.
    pub point_stride: usize,
}

impl Body for Kernels {
    /// Whether all weights are small enough.
    type Out = bool;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> bool {
        // SAFETY: the panel holds `kernel_rows * TAPS * channels` rows, and there is room for a third at each point.
        unsafe {
            let mut squares = S::splat(0.0);
            let tap = self.channels * PANEL;
            for row in 0..self.kernel_rows {
                let (from, to) = (self.from.add(row * TAPS * tap), self.to.add(row * tap));
                for at in (0..tap).step_by(S::LANES) {
                    let g = [0, 1, 2].map(|i| S::load(from.add(i * tap + at)));
                    for g in g {
                        squares = S::fma(g, g, squares);
                    }
                    for (point, u) in kernels::<S>(g).into_iter().enumerate() {
                        S::store(to.add(point * self.point_stride + at), u);
                    }
                }
            }
            small::<S>(squares)
        }
    }
}

#[inline(always)]
unsafe fn kernels<S: Simd>(g: [S::F; TAPS]) -> [S::F; POINTS] {
    // SAFETY: the caller vouches for the machine.
    unsafe {
        let times = |x: f32, a| S::mul(S::splat(x), a);
        let ends = S::add(g[0], g[2]);
        let half = S::fma(S::splat(4.0), g[0], S::fma(S::splat(2.0), g[1], g[2]));
        let minus_two = S::fma(S::splat(4.0), g[2], S::fma(S::splat(-2.0), g[1], g[0]));
        [
            g[0],
            times(1.0 / 6.0, S::add(ends, g[1])),
            times(1.0 / 6.0, S::sub(ends, g[1])),
            times(4.0 / 15.0, half),
            times(1.0 / 30.0, minus_two),
            g[2],
        ]
    }
}

/// Sums of all points, to be brought to a row of the result.
pub(super) struct Sums<'a> {
    /// The first tile at the first point.
    pub from: *const f32,
    /// Values to the next tile and to the next point.
    pub tile_stride: usize,
    pub point_stride: usize,
    pub ready: &'a Ready,
    /// The first pixel's first value, and values to the next pixel.
    pub to: *mut f32,
    pub y_stride: usize,
    pub pixels: usize,
    /// The first value's place in the whole result.
    pub row: usize,
    pub col: usize,
    pub columns: usize,
}

impl Body for Sums<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: sums hold whole panels of each tile; pixels and columns of the result exist.
        unsafe {
            let (low, high) = (S::splat(self.ready.low), S::splat(self.ready.high));
            let bias = self.ready.bias_at(self.col);
            let (residual, residual_stride) = self.ready.residual_at(self.row, self.col);
            for (tile, first) in (0..self.pixels).step_by(OUT).enumerate() {
                let from = self.from.add(tile * self.tile_stride);
                let count = (self.pixels - first).min(OUT);
                for j in (0..self.columns).step_by(S::LANES) {
                    let n = (self.columns - j).min(S::LANES);
                    let mut m = [S::splat(0.0); POINTS];
                    for (point, m) in m.iter_mut().enumerate() {
                        *m = S::load(from.add(point * self.point_stride + j));
                    }
                    let y = sums::<S>(m);
                    let rest = if bias.is_null() { S::splat(0.0) } else { load::<S>(bias.add(j), n) };
                    for (i, y) in y.into_iter().enumerate().take(count) {
                        let rest = match residual.is_null() {
                            true => rest,
                            false => S::add(rest, load::<S>(residual.add((first + i) * residual_stride + j), n)),
                        };
                        let y = S::min(high, S::max(low, S::add(y, rest)));
                        store::<S>(self.to.add((first + i) * self.y_stride + j), n, y);
                    }
                }
            }
            if self.ready.remains() {
                self.ready.finish::<S>(self.to, self.y_stride, self.row, self.col, self.pixels, self.columns);
            }
        }
    }
}

#[inline(always)]
unsafe fn sums<S: Simd>(m: [S::F; POINTS]) -> [S::F; OUT] {
    // SAFETY: the caller vouches for the machine.
    unsafe {
        let times = |x: f32, a, b| S::fma(S::splat(x), a, b);
        let (even, odd) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        [
            S::add(S::add(m[0], even), S::add(m[3], m[4])),
            times(0.5, m[3], times(-2.0, m[4], odd)),
            times(0.25, m[3], times(4.0, m[4], even)),
            S::add(times(0.125, m[3], times(-8.0, m[4], odd)), m[5]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;

    /// The maps of a unit kernel move the pixels: each output pixel is the input pixel under its tap.
    #[test]
    fn unit_kernels_choose_pixels() {
        for tap in 0..TAPS {
            for pixel in 0..POINTS {
                let one = |at: usize, i: usize| [if at == i { 1.0 } else { 0.0 }; 16];
                // SAFETY: the portable vectors need nothing of the machine.
                let y = unsafe {
                    let lanes = |v: [f32; 16]| Portable::load(v.as_ptr());
                    let d = pixels::<Portable>(std::array::from_fn(|i| lanes(one(pixel, i))));
                    let g = kernels::<Portable>(std::array::from_fn(|i| lanes(one(tap, i))));
                    let m = std::array::from_fn(|i| Portable::mul(d[i], g[i]));
                    sums::<Portable>(m).map(|v| Portable::max_lane(v))
                };
                for (out, y) in y.into_iter().enumerate() {
                    let want = if out + tap == pixel { 1.0 } else { 0.0 };
                    assert!((y - want).abs() < 2e-6, "tap {tap}, pixel {pixel}, output {out}: {y}");
                }
            }
        }
    }
}
