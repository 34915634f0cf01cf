//! Normalisation of groups of channels of images in the channels-last layout, where the values of a group lie apart.
//!
//! Vectors hold channels, so that a group may be of any width, one channel among them. An image is cut into blocks of
//! channels and parts of its pixels; three passes follow each other: sums of each channel, sums of what is left and of
//! its square, and the result.

use super::Call;
use crate::gemm::epilogue::{load, store};
use crate::mem::{Scratch, Shared};
use crate::simd::{Body, Simd};
use modelsmith_kop::{Layout, NormKind, NormProblem};
use modelsmith_pool::{Pool, cut};
use std::ops::Range;

/// Most channels that a task takes.
const BLOCK: usize = 64;
/// Values that a task takes at least, where an image has as many.
const PIECE: usize = 16 * 1024;
/// Most parts of an image's pixels.
const MOST_PARTS: usize = 8;
/// Pixels that are summed before the sum is added to others, so that rounding grows with the root of both numbers.
const CHUNK: usize = 256;
/// Sums of each channel that are kept: of x, of x - mean, and of its square.
const KEPT: usize = 3;

/// Images, and how one is cut: a function of the problem alone, so that results have the same bits for any number of
/// threads.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    n: usize,
    c: usize,
    spatial: usize,
    groups: usize,
    blocks: usize,
    parts: usize,
}

impl Grid {
    /// None where the problem is not over groups of channels in the channels-last layout.
    pub fn of(p: &NormProblem) -> Option<Grid> {
        match p.kind {
            NormKind::Group { n, c, spatial, groups, layout: Layout::ChannelsLast } => {
                let most = spatial.saturating_mul(c.min(BLOCK)) / PIECE;
                let parts = most.clamp(1, MOST_PARTS).min(spatial.max(1));
                Some(Grid { n, c, spatial, groups, blocks: c.div_ceil(BLOCK), parts })
            }
            _ => None,
        }
    }

    fn kept(&self) -> usize {
        self.n.saturating_mul(self.parts).saturating_mul(self.c)
    }

    fn bytes(&self) -> usize {
        self.kept().saturating_mul(4 * KEPT)
    }

    pub fn workspace(&self) -> usize {
        Scratch::bytes(self.bytes(), 0, 1)
    }

    pub fn scratch(&self, workspace: &mut [u8]) -> Result<Scratch, crate::def::KernelError> {
        Scratch::new(workspace, self.bytes(), 0, 1)
    }

    /// Runs the three passes.
    ///
    /// # Safety
    /// The buffers of `call` hold the problem, and `sums` the bytes of the grid.
    pub unsafe fn run<S: Simd>(&self, call: &Call, sums: *mut f32, pool: &Pool) {
        let sums = Shared(sums);
        for pass in [Pass::Sums, Pass::Squares, Pass::Result] {
            pool.run(self.n * self.blocks * self.parts, |task, _| {
                let task = Task { grid: self, call, sums: sums.get(), pass, task };
                // SAFETY: tasks of a pass write different elements, and read what passes before wrote.
                unsafe { S::enter(task) }
            });
        }
    }
}

#[derive(Clone, Copy)]
enum Pass {
    Sums,
    Squares,
    Result,
}

struct Task<'a> {
    grid: &'a Grid,
    call: &'a Call,
    sums: *mut f32,
    pass: Pass,
    task: usize,
}

/// What a group's values are taken to have: `(x - mean - rest) / sqrt(var)`.
#[derive(Clone, Copy)]
struct Moments {
    mean: f32,
    rest: f32,
    inverse: f32,
}

impl Body for Task<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let grid = self.grid;
        let (line, part) = (self.task / grid.parts, self.task % grid.parts);
        let (image, block) = (line / grid.blocks, line % grid.blocks);
        let channels = block * BLOCK..(block * BLOCK + BLOCK).min(grid.c);
        let pixels = cut(grid.spatial, grid.parts, part);
        let (mut mean, mut factor, mut shift) = ([0f32; BLOCK], [0f32; BLOCK], [0f32; BLOCK]);
        // SAFETY: channels and pixels lie inside the image; arrays hold a block of channels.
        unsafe {
            if !matches!(self.pass, Pass::Sums) {
                self.block(image, channels.clone(), [&mut mean, &mut factor, &mut shift]);
            }
            let mut at = channels.start;
            while at < channels.end {
                let n = (channels.end - at).min(S::LANES);
                let lanes = at - channels.start;
                let first = image * grid.spatial * grid.c + at;
                let mean = load::<S>(mean.as_ptr().add(lanes), n);
                match self.pass {
                    Pass::Sums => {
                        let (sum, _) = self.moments::<S, false>(first, pixels.clone(), n, mean);
                        store::<S>(self.kept(0, image, part).add(at), n, sum);
                    }
                    Pass::Squares => {
                        let (sum, squares) = self.moments::<S, true>(first, pixels.clone(), n, mean);
                        store::<S>(self.kept(1, image, part).add(at), n, sum);
                        store::<S>(self.kept(2, image, part).add(at), n, squares);
                    }
                    Pass::Result => {
                        let factor = load::<S>(factor.as_ptr().add(lanes), n);
                        let shift = load::<S>(shift.as_ptr().add(lanes), n);
                        for pixel in pixels.clone() {
                            let i = first + pixel * grid.c;
                            let d = S::sub(self.call.get::<S>(i, n), mean);
                            store::<S>(self.call.y.add(i), n, S::fma(d, factor, shift));
                        }
                    }
                }
                at += n;
            }
        }
    }
}

impl Task<'_> {
    /// Sum `what` of each channel of a part of an image.
    fn kept(&self, what: usize, image: usize, part: usize) -> *mut f32 {
        self.sums.wrapping_add(what * self.grid.kept() + (image * self.grid.parts + part) * self.grid.c)
    }

    /// Sums of `x - mean`, and of its square where `SQUARES`, of `n` channels from `first` on.
    ///
    /// # Safety
    /// The pixels and channels exist, and the machine has `S`.
    #[inline(always)]
    unsafe fn moments<S: Simd, const SQUARES: bool>(
        &self,
        first: usize,
        pixels: Range<usize>,
        n: usize,
        mean: S::F,
    ) -> (S::F, S::F) {
        // SAFETY: the pixels and channels exist.
        unsafe {
            let zero = S::splat(0.0);
            let (mut sum, mut squares) = (zero, zero);
            let mut pixel = pixels.start;
            while pixel < pixels.end {
                let end = (pixel + CHUNK).min(pixels.end);
                let (mut s, mut q) = ([zero; 4], [zero; 4]);
                while pixel < end {
                    for i in 0..(end - pixel).min(4) {
                        let d = S::sub(self.call.get::<S>(first + (pixel + i) * self.grid.c, n), mean);
                        s[i] = S::add(s[i], d);
                        if SQUARES {
                            q[i] = S::fma(d, d, q[i]);
                        }
                    }
                    pixel += 4;
                }
                sum = S::add(sum, S::add(S::add(s[0], s[1]), S::add(s[2], s[3])));
                squares = S::add(squares, S::add(S::add(q[0], q[1]), S::add(q[2], q[3])));
                pixel = end;
            }
            (sum, squares)
        }
    }

    /// Writes mean, factor and shift of each channel of a block: the result is `(x - mean) * factor + shift`.
    ///
    /// # Safety
    /// Passes before this one wrote their sums.
    unsafe fn block(&self, image: usize, channels: Range<usize>, [mean, factor, shift]: [&mut [f32; BLOCK]; 3]) {
        let width = self.grid.c / self.grid.groups;
        let param = |of: *const f32, c: usize, default: f32| match of.is_null() {
            true => default,
            // SAFETY: scale and bias hold a value for each channel.
            false => unsafe { *of.add(c) },
        };
        let mut at = channels.start;
        while at < channels.end {
            let group = at / width;
            let end = ((group + 1) * width).min(channels.end);
            // SAFETY: the group lies inside the image.
            let of = unsafe { self.group(image, group * width..(group + 1) * width) };
            for c in at..end {
                let i = c - channels.start;
                mean[i] = of.mean;
                factor[i] = of.inverse * param(self.call.scale, c, 1.0);
                shift[i] = param(self.call.bias, c, 0.0) - of.rest * factor[i];
            }
            at = end;
        }
    }

    /// What is known by now of a group, which holds `channels`.
    ///
    /// # Safety
    /// As for [`Task::block`].
    unsafe fn group(&self, image: usize, channels: Range<usize>) -> Moments {
        let count = (channels.len() * self.grid.spatial) as f64;
        let total = |what: usize| -> f64 {
            (0..self.grid.parts)
                .flat_map(|part| channels.clone().map(move |c| (part, c)))
                // SAFETY: passes before this one wrote the sums of all parts and channels.
                .map(|(part, c)| f64::from(unsafe { *self.kept(what, image, part).add(c) }))
                .sum()
        };
        let mean = (total(0) / count) as f32;
        match self.pass {
            Pass::Result => {
                let rest = total(1) / count;
                let var = (total(2) / count - rest * rest).max(0.0);
                let inverse = 1.0 / (var + f64::from(self.call.p.eps)).sqrt();
                Moments { mean, rest: rest as f32, inverse: inverse as f32 }
            }
            _ => Moments { mean, rest: 0.0, inverse: 0.0 },
        }
    }
}
