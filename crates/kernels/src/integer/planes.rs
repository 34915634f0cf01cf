//! The planes of an image in which every tap of a convolution is one run of bytes.
//!
//! With a step of one, row `y * width + x` of such a run is the pixel that a tap sees for output (y, x), where `width` is that
//! of the padded image: columns at the end of each row belong to no output and are dropped. With larger steps there is a
//! plane for each remainder of rows and columns.

use super::unit::BLOCK;
use crate::mem::Shared;
use modelsmith_kop::IntegerConvProblem;
use modelsmith_pool::Pool;

/// The planes of each channel.
pub(super) struct Planes<'a> {
    p: &'a IntegerConvProblem,
    /// Remainders of rows and of columns that some tap has.
    phases: [Vec<usize>; 2],
    height: usize,
    /// Bytes of a row of a plane.
    pub width: usize,
}

impl Planes<'_> {
    pub fn of(p: &IntegerConvProblem) -> Planes<'_> {
        let phases = |axis: usize| {
            let all = (0..p.kernel[axis].min(p.stride[axis])).map(|i| i * p.dilation[axis] % p.stride[axis]);
            let mut all = all.collect::<Vec<_>>();
            all.sort_unstable();
            all.dedup();
            all
        };
        let reach = |axis: usize| (p.kernel[axis] - 1) * p.dilation[axis] / p.stride[axis];
        Planes { p, phases: [phases(0), phases(1)], height: p.oh + reach(0), width: p.ow + reach(1) }
    }

    /// Bytes of all planes of a channel.
    pub fn channel(&self) -> usize {
        [self.phases[0].len(), self.phases[1].len(), self.height, self.width].into_iter().fold(1, usize::saturating_mul)
    }

    /// Bytes of scratch memory.
    pub fn bytes(&self) -> usize {
        self.p.n.saturating_mul(self.p.c).saturating_mul(self.channel()).saturating_add(BLOCK)
    }

    /// Columns of the product for an image.
    pub fn columns(&self) -> usize {
        if self.p.oh == 0 || self.p.ow == 0 { 0 } else { (self.p.oh - 1) * self.width + self.p.ow }
    }

    /// Where each tap of the channels of a group begins, channel first.
    pub fn offsets(&self) -> Vec<usize> {
        let IntegerConvProblem { kernel: [kh, kw], stride, dilation, .. } = *self.p;
        let place = |axis: usize, i: usize| {
            let at = i * dilation[axis];
            let phase = self.phases[axis].binary_search(&(at % stride[axis])).unwrap_or(0);
            (phase, at / stride[axis])
        };
        let mut taps = Vec::with_capacity(kh * kw);
        for (i, j) in (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j))) {
            let ((a, y), (b, x)) = (place(0, i), place(1, j));
            taps.push(((a * self.phases[1].len() + b) * self.height + y) * self.width + x);
        }
        let channels = 0..self.p.c / self.p.groups;
        channels.flat_map(|c| taps.iter().map(move |t| c * self.channel() + t)).collect()
    }

    /// Fills the planes of all channels of all images from `x`; what lies outside an image is `zero`.
    ///
    /// # Safety
    /// `x` holds the images and `to` [`Planes::bytes`] bytes.
    pub unsafe fn fill(&self, x: *const u8, zero: u8, to: *mut u8, pool: &Pool) {
        let (from, place) = (Shared(x.cast_mut()), Shared(to));
        let (plane, channel) = (self.p.h * self.p.w, self.channel());
        let channels = self.p.n * self.p.c;
        pool.for_ranges(channels, (32 * 1024 / channel.max(1)).max(1), |range, _| {
            for i in range {
                // SAFETY: each channel's planes are written by one task.
                unsafe { self.fill_channel(from.get().add(i * plane), zero, place.get().add(i * channel)) };
            }
        });
        // SAFETY: the last bytes lie behind all planes.
        unsafe { to.add(channels * channel).write_bytes(0, BLOCK) };
    }

    /// # Safety
    /// `x` is a channel of an image, `to` its planes.
    unsafe fn fill_channel(&self, x: *const u8, zero: u8, mut to: *mut u8) {
        let p = self.p;
        for (&a, &b) in self.phases[0].iter().flat_map(|a| self.phases[1].iter().map(move |b| (a, b))) {
            // Columns of the plane that lie in the image: 0 <= column * step + b - left < w.
            let first = p.pad[1].saturating_sub(b).div_ceil(p.stride[1]).min(self.width);
            let behind = (p.w + p.pad[1]).saturating_sub(b).div_ceil(p.stride[1]).clamp(first, self.width);
            for row in 0..self.height {
                // SAFETY: the plane has the row.
                let line = unsafe { std::slice::from_raw_parts_mut(to, self.width) };
                to = to.wrapping_add(self.width);
                let y = (row * p.stride[0] + a).wrapping_sub(p.pad[0]);
                if y >= p.h {
                    line.fill(zero);
                    continue;
                }
                line[..first].fill(zero);
                line[behind..].fill(zero);
                let at = (y * p.w + first * p.stride[1] + b).wrapping_sub(p.pad[1]);
                for (i, v) in line[first..behind].iter_mut().enumerate() {
                    // SAFETY: the pixel lies in the image.
                    *v = unsafe { *x.wrapping_add(at + i * p.stride[1]) };
                }
            }
        }
    }
}
