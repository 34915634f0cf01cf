//! Where the pixels under the taps of a convolution lie: tables of pointers, so that no patch matrix exists.

use crate::gemm::drive::Rows;
use modelsmith_kop::{ConvProblem, Depth};

/// Pixels under each kernel tap, one segment for each; taps outside the image point at zeros.
pub(super) struct TapRows<'a> {
    pub p: &'a ConvProblem,
    pub x: *const f32,
    pub zeros: *const f32,
    pub channels: usize,
    /// Bytes of a record of each pixel, the records, and one of zeros behind them.
    pub records: Option<(usize, *const u8)>,
}

// SAFETY: the pointers are read only, under the views' contract.
unsafe impl Sync for TapRows<'_> {}

impl Rows for TapRows<'_> {
    fn segments(&self) -> (usize, usize) {
        (self.p.taps(), self.channels)
    }

    unsafe fn fill(&self, first: usize, count: usize, table: *mut *const f32) {
        let place = Place { pixels: self.x, step: self.p.x_stride, outside: self.zeros };
        // SAFETY: passed on.
        unsafe { place.fill(self.p, (first, count), table) }
    }

    fn record_bytes(&self) -> Option<usize> {
        self.records.map(|(bytes, _)| bytes)
    }

    unsafe fn fill_records(&self, first: usize, count: usize, table: *mut *const u8) {
        let Some((bytes, pixels)) = self.records else { return };
        let outside = pixels.wrapping_add(self.p.planes() * self.p.h * self.p.w * bytes);
        // SAFETY: passed on.
        unsafe { Place { pixels, step: bytes, outside }.fill(self.p, (first, count), table) }
    }
}

/// Rows of a padded channels-last image, one segment per kernel row.
pub(super) struct KernelRows<'a> {
    pub p: &'a ConvProblem,
    pub x: *const f32,
    pub height: usize,
    pub width: usize,
}

// SAFETY: the pointer is read only and to the workspace.
unsafe impl Sync for KernelRows<'_> {}

impl Rows for KernelRows<'_> {
    fn segments(&self) -> (usize, usize) {
        (self.p.kernel[0], self.p.kernel[1] * self.p.c)
    }

    unsafe fn fill(&self, first: usize, count: usize, table: *mut *const f32) {
        let p = self.p;
        for run in Runs::new(p, first, count) {
            for ky in 0..p.kernel[0] {
                let y = run.plane * self.height + run.oy * p.stride[0] + ky * p.dilation[0];
                let from = self.x.wrapping_add((y * self.width + run.ox * p.stride[1]) * p.c);
                // SAFETY: the caller gives room for `kh * count` pointers.
                unsafe { spaced(table.add(ky * count + run.at), run.len, from, p.stride[1] * p.c) };
            }
        }
    }
}

/// Output pixels of one row that follow each other.
struct Run {
    /// Of the first, among all that are asked for.
    at: usize,
    /// Among the output planes of all images or volumes.
    plane: usize,
    oy: usize,
    ox: usize,
    len: usize,
}

/// Cuts pixels at the ends of rows.
struct Runs<'a> {
    p: &'a ConvProblem,
    next: Run,
    left: usize,
}

impl Runs<'_> {
    fn new(p: &ConvProblem, first: usize, count: usize) -> Runs<'_> {
        let (ox, rest) = (first % p.ow, first / p.ow);
        let len = count.min(p.ow - ox);
        Runs { p, next: Run { at: 0, plane: rest / p.oh, oy: rest % p.oh, ox, len }, left: count }
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let Run { at, plane, oy, len, .. } = self.next;
        self.left = self.left.checked_sub(len).filter(|_| len > 0)?;
        let (plane, oy) = if oy + 1 < self.p.oh { (plane, oy + 1) } else { (plane + 1, 0) };
        let next = Run { at: at + len, plane, oy, ox: 0, len: self.left.min(self.p.ow) };
        Some(std::mem::replace(&mut self.next, next))
    }
}

/// Pixels `step` elements apart, and what stands for those outside of the image.
struct Place<T> {
    pixels: *const T,
    step: usize,
    outside: *const T,
}

impl<T> Place<T> {
    /// Writes where the pixels under each tap lie, tap by tap, for some output pixels.
    ///
    /// # Safety
    /// `table` has room for `kd * kh * kw * count` pointers.
    unsafe fn fill(&self, p: &ConvProblem, (first, count): (usize, usize), table: *mut *const T) {
        let [kh, kw] = p.kernel;
        for run in Runs::new(p, first, count) {
            for kz in 0..p.depth.kernel {
                let plane = plane_under(p, run.plane, kz);
                // SAFETY: by the contract above.
                unsafe { self.plane(p, &run, plane, (count, table.add(kz * kh * kw * count))) };
            }
        }
    }

    /// The pixels under the taps of one plane of a kernel, which lie in plane `plane` where it is inside.
    ///
    /// # Safety
    /// `table` has room for `kh * kw * count` pointers.
    unsafe fn plane(&self, p: &ConvProblem, run: &Run, plane: Option<usize>, (count, table): (usize, *mut *const T)) {
        let [kh, kw] = p.kernel;
        let height = Along::axis(p, 0);
        for kx in 0..kw {
            let inside = if p.transposed { 0..0 } else { columns(p, run, kx) };
            for ky in 0..kh {
                let row = plane.zip(height.under(run.oy, ky)).map(|(plane, iy)| (plane * p.h + iy) * p.w);
                // SAFETY: by the contract above.
                unsafe {
                    let to = table.add((ky * kw + kx) * count + run.at);
                    match row {
                        None => spaced(to, run.len, self.outside, 0),
                        Some(row) if p.transposed => self.scattered(p, (run, kx), row, to),
                        Some(row) => {
                            spaced(to, inside.start, self.outside, 0);
                            // Wraps where none is inside, and is not written then.
                            let column = (run.ox + inside.start) * p.stride[1] + kx * p.dilation[1];
                            let pixel = (row + column).wrapping_sub(p.pad[1]);
                            let from = self.pixels.wrapping_add(pixel.wrapping_mul(self.step));
                            spaced(to.add(inside.start), inside.len(), from, p.stride[1] * self.step);
                            spaced(to.add(inside.end), run.len - inside.end, self.outside, 0);
                        }
                    }
                }
            }
        }
    }

    /// The pixels of a transposed convolution, of which only some lie under a tap.
    ///
    /// # Safety
    /// `to` has room for the run.
    unsafe fn scattered(&self, p: &ConvProblem, (run, kx): (&Run, usize), row: usize, to: *mut *const T) {
        let width = Along::axis(p, 1);
        for i in 0..run.len {
            let pixel = width.under(run.ox + i, kx).map(|ix| self.pixels.wrapping_add((row + ix) * self.step));
            // SAFETY: by the contract above.
            unsafe { to.add(i).write(pixel.unwrap_or(self.outside)) };
        }
    }
}

/// Those of a run that have tap column `kx` inside of the image.
fn columns(p: &ConvProblem, run: &Run, kx: usize) -> std::ops::Range<usize> {
    let shift = kx * p.dilation[1];
    // Outputs before the one whose tap lies `distance` to the right of that of output 0.
    let before = |distance: usize| if p.stride[1] == 1 { distance } else { distance.div_ceil(p.stride[1]) };
    let of_run = |ox: usize| ox.saturating_sub(run.ox).min(run.len);
    let start = of_run(before(p.pad[1].saturating_sub(shift)));
    start..of_run(before((p.w + p.pad[1]).saturating_sub(shift))).max(start)
}

/// Input plane under tap plane `tap` of an output plane, both among those of all images or volumes, if it lies inside.
pub(super) fn plane_under(p: &ConvProblem, plane: usize, tap: usize) -> Option<usize> {
    if p.depth == Depth::FLAT {
        return Some(plane);
    }
    let d = &p.depth;
    let (volume, out) = (plane / d.out, plane % d.out);
    let along = Along { transposed: p.transposed, stride: d.stride, dilation: d.dilation, pad: d.pad[0], len: d.len };
    along.under(out, tap).map(|at| volume * d.len + at)
}

/// One axis of a convolution.
struct Along {
    transposed: bool,
    stride: usize,
    dilation: usize,
    pad: usize,
    len: usize,
}

impl Along {
    /// Height, or width.
    fn axis(p: &ConvProblem, axis: usize) -> Along {
        Along {
            transposed: p.transposed,
            stride: p.stride[axis],
            dilation: p.dilation[axis],
            pad: p.pad[axis],
            len: [p.h, p.w][axis],
        }
    }

    /// Input coordinate under a tap, if it lies inside.
    #[inline]
    fn under(&self, out: usize, tap: usize) -> Option<usize> {
        let shift = tap * self.dilation;
        let at = if self.transposed {
            let at = (out + self.pad).checked_sub(shift)?;
            if !at.is_multiple_of(self.stride) {
                return None;
            }
            at / self.stride
        } else {
            (out * self.stride + shift).checked_sub(self.pad)?
        };
        (at < self.len).then_some(at)
    }
}

/// Writes `count` pointers from `from` on, `step` elements apart.
///
/// # Safety
/// `to` has room for them.
#[inline(always)]
pub(super) unsafe fn spaced<T>(to: *mut *const T, count: usize, from: *const T, step: usize) {
    for i in 0..count {
        // SAFETY: by the contract above.
        unsafe { to.add(i).write(from.wrapping_add(i * step)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_kop::{Epilogue, Layout};

    fn problem(transposed: bool, stride: [usize; 2], dilation: [usize; 2], pad: [usize; 4]) -> ConvProblem {
        ConvProblem {
            n: 2,
            c: 4,
            depth: Depth::FLAT,
            h: 6,
            w: 5,
            oc: 1,
            kernel: [3, 2],
            stride,
            dilation,
            pad,
            groups: 1,
            oh: 4,
            ow: 7,
            transposed,
            x_layout: Layout::ChannelsLast,
            y_layout: Layout::ChannelsLast,
            x_stride: 4,
            y_stride: 1,
            epilogue: Epilogue::default(),
        }
    }

    #[test]
    fn tables_hold_the_pixel_under_each_tap() {
        let problems = [
            problem(false, [1, 1], [1, 1], [1, 1, 1, 1]),
            problem(false, [2, 2], [1, 3], [0, 4, 0, 3]),
            problem(false, [1, 3], [2, 1], [3, 0, 1, 30]),
            problem(false, [1, 1], [1, 9], [0, 0, 0, 0]),
            problem(true, [2, 3], [1, 2], [1, 2, 0, 0]),
        ];
        for p in problems {
            let x = [0f32; 2 * 6 * 5 * 4];
            let zero = [0f32; 4];
            let rows = TapRows { p: &p, x: x.as_ptr(), zeros: zero.as_ptr(), channels: 4, records: None };
            for (first, count) in [(0, 56), (3, 14), (26, 5), (55, 1), (9, 0)] {
                let mut table = vec![std::ptr::null(); 6 * count];
                // SAFETY: the table has room.
                unsafe { rows.fill(first, count, table.as_mut_ptr()) };
                for (at, got) in table.iter().enumerate() {
                    let (tap, pixel) = (at / count, first + at % count);
                    let (ox, oy, image) = (pixel % 7, pixel / 7 % 4, pixel / 28);
                    let y = Along::axis(&p, 0).under(oy, tap / 2);
                    let want = y.zip(Along::axis(&p, 1).under(ox, tap % 2)).map(|(y, x)| ((image * 6 + y) * 5 + x) * 4);
                    let want = want.map_or(zero.as_ptr(), |at| x[at..].as_ptr());
                    assert_eq!(*got, want, "tap {tap} of pixel {pixel}: {p:?}");
                }
            }
        }
    }
}
