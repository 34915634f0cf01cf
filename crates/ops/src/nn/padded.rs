//! The padded images over which the windows of a convolution slide, laid out so that neighbouring windows read
//! neighbouring elements: every axis is stored phase by phase of its stride.

use super::convolution::zeros;
use super::window::Axis;
use crate::prelude::*;

/// Layout of padded images.
pub struct Padded {
    axes: Vec<Axis>,
    /// Phases of each axis: its stride, or 1 where there is one window.
    phases: Vec<usize>,
    /// Elements between neighbours of one phase, along each axis.
    steps: Vec<usize>,
    /// Elements between neighbouring phases of each axis.
    jumps: Vec<usize>,
    /// Where each row of an input channel begins.
    rows: Vec<usize>,
    /// Elements of the image of one channel.
    plane: usize,
}

/// Windows that are summed in one go, tile after tile: rows of windows, and what lies between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Where each run begins.
    pub starts: Vec<usize>,
    /// Rows of a run.
    pub rows: usize,
    /// Elements between the beginnings of its rows.
    pub pitch: usize,
    /// Windows of a row.
    pub width: usize,
}

impl Runs {
    /// Elements from the first window of a run to its last.
    pub fn len(&self) -> usize {
        (self.rows.max(1) - 1) * self.pitch + self.width
    }

    /// True when a run has no window.
    pub fn is_empty(&self) -> bool {
        self.width == 0
    }

    /// The rows of windows in `sums` = `[filters, starts, len]`, numbered through.
    pub fn each_row(&self, sums: &[f64], mut each: impl FnMut(usize, &[f64])) {
        for (i, run) in sums.chunks_exact(self.len()).enumerate() {
            (0..self.rows).for_each(|r| each(i * self.rows + r, &run[r * self.pitch..][..self.width]));
        }
    }
}

impl Padded {
    /// The layout for windows over `axes`.
    ///
    /// # Errors
    /// When an image is too large for memory.
    pub fn new(axes: &[Axis]) -> OpResult<Padded> {
        let axes = merged(axes);
        if axes.is_empty() {
            return Err(OpError::invalid("a convolution needs a spatial axis"));
        }
        let phases = axes.iter().map(|a| if a.output > 1 { a.stride } else { 1 }).collect::<Vec<_>>();
        let too_large = || modelsmith_tensor::Error::TooLarge { dtype: F64, shape: axes.iter().map(extent).collect() };
        let mut plane = 1usize;
        // From the innermost axis outwards: first the neighbours of one phase, then the phases.
        let mut pitches = |sizes: Vec<usize>| {
            let mut out = vec![0; sizes.len()];
            for (to, size) in out.iter_mut().zip(sizes).rev() {
                *to = plane;
                plane = plane.checked_mul(size).ok_or_else(too_large)?;
            }
            Ok::<_, modelsmith_tensor::Error>(out)
        };
        let steps = pitches(axes.iter().zip(&phases).map(|(a, &p)| extent(a).div_ceil(p)).collect())?;
        let jumps = pitches(phases.clone())?;
        let mut out = Padded { axes, phases, steps, jumps, rows: vec![0], plane };
        for (i, a) in out.axes.iter().enumerate().take(out.axes.len() - 1) {
            let places = (0..a.input).map(|x| out.place(i, a.begin + x)).collect::<Vec<_>>();
            out.rows = out.rows.iter().flat_map(|row| places.iter().map(move |p| row + p)).collect();
        }
        Ok(out)
    }

    /// Images of `channels` channels, all zero, with room for tiles that read `slack` elements past the last window.
    ///
    /// # Errors
    /// When they are too large for memory.
    pub fn images(&self, channels: usize, slack: usize) -> OpResult<Vec<f64>> {
        let mut out = zeros(&[channels, self.plane])?;
        out.resize(out.len() + slack, 0.0);
        Ok(out)
    }

    /// The windows in runs of one row each.
    pub fn rows(&self) -> Runs {
        let (last, outer) = self.axes.split_last().expect("there is a spatial axis");
        let shape = outer.iter().map(|a| a.output).collect::<Vec<_>>();
        let starts = index::Offsets::unsigned(&shape, &self.steps[..outer.len()]).collect();
        Runs { starts, rows: 1, pitch: 0, width: last.output }
    }

    /// The windows in long runs: short rows that lie close together are one, with a few elements between them.
    pub fn runs(&self) -> Runs {
        let single = self.rows();
        let Some(i) = self.axes.len().checked_sub(2) else { return single };
        let (pitch, rows) = (self.steps[i], self.axes[i].output);
        if single.width >= 64 || 2 * pitch > 3 * single.width || rows == 0 {
            return single;
        }
        Runs { starts: single.starts.into_iter().step_by(rows).collect(), rows, pitch, ..single }
    }

    /// Distance of each element of a window from its first, channel by channel.
    pub fn taps(&self, channels: usize) -> Vec<usize> {
        let mut out = (0..channels).map(|c| c * self.plane).collect::<Vec<_>>();
        for (i, a) in self.axes.iter().enumerate() {
            let places = (0..a.kernel).map(|k| self.place(i, k * a.dilation)).collect::<Vec<_>>();
            out = out.iter().flat_map(|tap| places.iter().map(move |p| tap + p)).collect();
        }
        out
    }

    /// What padded position `at` along axis `i` adds to the place of an element.
    fn place(&self, i: usize, at: usize) -> usize {
        at % self.phases[i] * self.jumps[i] + at / self.phases[i] * self.steps[i]
    }

    /// Copies dense images into the middle of padded ones.
    pub fn fill<T: contract::Factor>(&self, x: &[T], images: &mut [f64]) {
        let last = self.axes.len() - 1;
        let (width, begin, phases) = (self.axes[last].input.max(1), self.axes[last].begin, self.phases[last]);
        // The first element of each phase, and where it goes.
        let firsts = (0..phases.min(width)).map(|i| (i, self.place(last, begin + i))).collect::<Vec<_>>();
        let planes = x.chunks(width * self.rows.len().max(1)).zip(images.chunks_mut(self.plane.max(1)));
        for (from, to) in planes {
            for (from, row) in from.chunks_exact(width).zip(&self.rows) {
                match firsts[..] {
                    [(_, place)] => to[row + place..].iter_mut().zip(from).for_each(|(to, &x)| *to = x.into()),
                    [(_, even), (_, odd)] => dealt(from, &mut to[*row..], even, odd),
                    _ => firsts.iter().for_each(|&(first, place)| {
                        let from = from[first..].iter().step_by(phases);
                        to[row + place..].iter_mut().zip(from).for_each(|(to, &x)| *to = x.into());
                    }),
                }
            }
        }
    }
}

/// Elements of `from` in turn to `even` and to `odd` in `to`.
fn dealt<T: contract::Factor>(from: &[T], to: &mut [f64], even: usize, odd: usize) {
    let (first, second) = to.split_at_mut(even.max(odd));
    let (even, odd) = if even < odd { (&mut first[even..], second) } else { (second, &mut first[odd..]) };
    let pairs = from.chunks_exact(2);
    if let ([x], Some(to)) = (pairs.remainder(), even.get_mut(from.len() / 2)) {
        *to = (*x).into();
    }
    for ((pair, even), odd) in pairs.zip(even).zip(odd) {
        (*even, *odd) = (pair[0].into(), pair[1].into());
    }
}

/// Elements of a padded axis. A window may reach past the padding when the number of windows is rounded up; it never
/// does in a convolution.
fn extent(axis: &Axis) -> usize {
    axis.begin + axis.input + axis.end
}

/// The same windows over fewer axes: one along which windows neither extend nor skip nor pad is part of the axis
/// before it, whose windows must be dense. So a pointwise convolution has one long row.
fn merged(axes: &[Axis]) -> Vec<Axis> {
    let mut out: Vec<Axis> = Vec::with_capacity(axes.len());
    for &axis in axes {
        let axis = Axis { dilation: if axis.kernel == 1 { 1 } else { axis.dilation }, ..axis };
        let plain = axis.kernel == 1 && axis.stride == 1 && axis.begin == 0 && axis.end == 0;
        match out.last_mut().filter(|last| plain && last.stride == 1) {
            Some(last) => {
                let n = axis.input;
                *last = Axis {
                    input: last.input * n,
                    dilation: last.dilation * n,
                    begin: last.begin * n,
                    end: last.end * n,
                    output: last.output * n,
                    ..*last
                };
            }
            None => out.push(axis),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(input: usize, kernel: usize, stride: usize, dilation: usize, begin: usize, end: usize) -> Axis {
        let output = (begin + input + end - (kernel - 1) * dilation - 1) / stride + 1;
        Axis { input, kernel, stride, dilation, begin, end, output }
    }

    /// Windows read through the layout, beside windows read by their definition.
    fn check(axes: &[Axis]) {
        let channels = 2;
        let shape = [channels].into_iter().chain(axes.iter().map(|a| a.input)).collect::<Vec<_>>();
        let x = (0..shape.iter().product::<usize>()).map(|i| 1.0 + i as f64).collect::<Vec<_>>();
        let layout = Padded::new(axes).unwrap();
        let mut images = layout.images(channels, 0).unwrap();
        layout.fill(&x, &mut images);
        let taps = layout.taps(channels);
        let places = |runs: Runs| {
            let rows = runs.starts.iter().flat_map(|s| (0..runs.rows).map(move |r| s + r * runs.pitch));
            rows.flat_map(|s| (0..runs.width).map(move |j| s + j)).collect::<Vec<_>>()
        };
        let windows = places(layout.rows());
        assert_eq!(windows, places(layout.runs()));
        let output = axes.iter().map(|a| a.output).collect::<Vec<_>>();
        let kernel = [channels].into_iter().chain(axes.iter().map(|a| a.kernel)).collect::<Vec<_>>();
        for (w, at) in windows.into_iter().enumerate() {
            let window = index::unravel(w, &output);
            for (t, tap) in taps.iter().enumerate() {
                let tap_at = index::unravel(t, &kernel);
                let flat = axes.iter().enumerate().try_fold(tap_at[0], |flat, (i, a)| {
                    let p = (window[i] * a.stride + tap_at[i + 1] * a.dilation).checked_sub(a.begin)?;
                    (p < a.input).then_some(flat * a.input + p)
                });
                assert_eq!(images[at + tap], flat.map_or(0.0, |i| x[i]), "{axes:?} window {w} tap {t}");
            }
        }
    }

    #[test]
    fn windows_are_those_of_the_definition() {
        check(&[axis(5, 3, 1, 1, 1, 1), axis(6, 3, 1, 1, 1, 1)]);
        check(&[axis(7, 3, 2, 1, 1, 1), axis(8, 3, 2, 1, 0, 1)]);
        check(&[axis(9, 3, 1, 2, 2, 2), axis(9, 2, 3, 3, 1, 2)]);
        check(&[axis(4, 1, 1, 1, 0, 0), axis(5, 1, 1, 1, 0, 0)]);
        check(&[axis(4, 3, 1, 2, 2, 2), axis(5, 1, 1, 1, 0, 0)]);
        check(&[axis(4, 1, 2, 1, 0, 0), axis(5, 1, 2, 1, 0, 0)]);
        check(&[axis(3, 2, 1, 1, 0, 1), axis(4, 1, 1, 1, 0, 0), axis(3, 2, 2, 1, 1, 1)]);
        check(&[axis(11, 4, 3, 2, 3, 0)]);
        check(&[axis(3, 3, 5, 1, 0, 0)]);
    }

    #[test]
    fn pointwise_windows_are_one_row() {
        let layout = Padded::new(&[axis(4, 1, 1, 1, 0, 0), axis(5, 1, 1, 1, 0, 0)]).unwrap();
        assert_eq!((layout.rows().width, layout.rows().starts), (20, vec![0]));
    }
}
