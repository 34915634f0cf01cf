//! Sampling an image at normalised positions: which elements a position mixes, with which weights. Positions are
//! computed in `f32`, as runtimes do, so that nearest picks the same element.

use super::resampling::{Mode, cubic_weight};
use crate::prelude::*;

/// What stands for elements outside of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Zeros.
    Zeros,
    /// The nearest element.
    Border,
    /// The image, mirrored at its border.
    Reflection,
}

/// The attributes of GridSample.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Interpolation.
    pub mode: Mode,
    /// Outside.
    pub padding: Padding,
    /// -1 and 1 are the centres of the outer elements, not their outer edges.
    pub align: bool,
}

impl Sampling {
    /// Reads the attributes.
    ///
    /// # Errors
    /// When one has a value that the specification does not know.
    pub fn of(attrs: &AttrView) -> OpResult<Sampling> {
        Ok(Sampling {
            mode: match attrs.string("mode")? {
                "nearest" => Mode::Nearest,
                "linear" => Mode::Linear,
                "cubic" => Mode::Cubic,
                other => return Err(OpError::invalid(format!("mode is {other:?}"))),
            },
            padding: match attrs.string("padding_mode")? {
                "zeros" => Padding::Zeros,
                "border" => Padding::Border,
                "reflection" => Padding::Reflection,
                other => return Err(OpError::invalid(format!("padding_mode is {other:?}"))),
            },
            align: attrs.flag("align_corners")?,
        })
    }

    /// Appends the flat positions and weights at `point`, whose coordinates come innermost axis first, in an image of `shape`.
    pub fn taps(&self, point: &[f64], shape: &[usize], out: &mut Vec<(usize, f64)>) {
        let first = out.len();
        out.push((0, 1.0));
        for (&at, &len) in point.iter().rev().zip(shape) {
            let (axis, count) = self.along(at as f32, len);
            let old = out.len() - first;
            out.resize(first + old * count, (0, 0.0));
            // From the last: what a tap becomes lies at its own place or behind it.
            for tap in (0..old.min(old * count)).rev() {
                let (p, v) = out[first + tap];
                for (j, (i, w)) in axis[..count].iter().enumerate() {
                    out[first + tap * count + j] = (p * len + i, v * w);
                }
            }
        }
    }

    /// Positions and weights along one axis, and how many there are.
    fn along(&self, at: f32, len: usize) -> ([(usize, f64); 4], usize) {
        let size = len as f32;
        let (low, high) = if self.align { (0.0, size - 1.0) } else { (-0.5, size - 0.5) };
        let mut x = if self.align { (at + 1.0) / 2.0 * (size - 1.0) } else { ((at + 1.0) * size - 1.0) / 2.0 };
        if self.mode == Mode::Nearest {
            x = x.round_ties_even();
        }
        if x < low || x > high {
            match self.padding {
                Padding::Zeros => {}
                // The taps of the cubic filter are clamped one by one.
                Padding::Border if self.mode == Mode::Cubic => {}
                Padding::Border => x = x.clamp(0.0, size - 1.0),
                Padding::Reflection => x = reflected(x, low, high),
            }
        }
        let base = f64::from(x).floor();
        let ratio = f64::from(x) - base;
        let cubic = |i: f64| (base + i, cubic_weight((i - ratio).abs(), -0.75));
        let none = (0.0, 0.0);
        let (taps, wanted) = match self.mode {
            Mode::Nearest => ([(f64::from(x), 1.0), none, none, none], 1),
            Mode::Linear => ([(base, 1.0 - ratio), (base + 1.0, ratio), none, none], 2),
            Mode::Cubic => ([-1.0, 0.0, 1.0, 2.0].map(cubic), 4),
        };
        let (mut found, mut count) = ([(0, 0.0); 4], 0);
        for (i, w) in &taps[..wanted] {
            if let Some(at) = self.element(*i, len, low, high) {
                found[count] = (at, *w);
                count += 1;
            }
        }
        (found, count)
    }

    /// The element of the image that stands at position `i`.
    fn element(&self, i: f64, len: usize, low: f32, high: f32) -> Option<usize> {
        let last = len as f64 - 1.0;
        let inside = (0.0..=last).contains(&i);
        match self.padding {
            _ if len == 0 || i.is_nan() => None,
            _ if inside => Some(i as usize),
            Padding::Zeros => None,
            Padding::Border => Some(i.clamp(0.0, last) as usize),
            Padding::Reflection => Some(f64::from(reflected(i as f32, low, high)).clamp(0.0, last) as usize),
        }
    }
}

/// `x` mirrored at `low` and `high` until it lies between them.
fn reflected(x: f32, low: f32, high: f32) -> f32 {
    let range = high - low;
    if range <= 0.0 || !x.is_finite() {
        return low.max(0.0);
    }
    let far = if x < low { low - x } else { x - high };
    if far < 0.0 {
        return x;
    }
    let turns = (far / range).floor();
    let rest = far - turns * range;
    let from_low = (turns % 2.0 == 0.0) == (x < low);
    if from_low { low + rest } else { high - rest }
}
