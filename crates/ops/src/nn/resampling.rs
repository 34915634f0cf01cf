//! Where each element of a resized axis comes from: coordinates, and the taps with their weights. Coordinates are
//! computed in `f32`, the type of the operator's scales: with other roundings, nearest would pick other elements.

use crate::prelude::*;

/// What is sampled between two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The nearest element.
    Nearest,
    /// A mix of the two neighbours.
    Linear,
    /// A mix of four neighbours.
    Cubic,
}

/// Which element is nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// How a coordinate of the output becomes one of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    TfHalfPixelForNn,
    AlignCorners,
    Asymmetric,
    TfCropAndResize,
}

/// What becomes of the aspect ratio when sizes are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Aspect {
    Stretch,
    NotLarger,
    NotSmaller,
}

/// The attributes of Resize.
#[derive(Clone, Debug)]
pub struct ResizeAttrs {
    /// Interpolation.
    pub mode: Mode,
    /// Nearest element.
    pub nearest: Nearest,
    /// Coordinates.
    pub coordinates: Coordinates,
    /// Aspect ratio.
    pub aspect: Aspect,
    /// Widen the filter when the output is smaller.
    pub antialias: bool,
    /// Parameter of the cubic filter.
    pub cubic: f64,
    /// Leave taps outside of the input out and weigh the others up.
    pub exclude_outside: bool,
    /// The value outside of the crop.
    pub extrapolation: f64,
    /// Axes that are resized; all when absent.
    pub axes: Option<Vec<i64>>,
}

fn choose<T: Copy>(attrs: &AttrView, name: &str, options: &[(&str, T)]) -> OpResult<T> {
    let value = attrs.string(name)?;
    let found = options.iter().find(|(n, _)| *n == value).map(|(_, v)| *v);
    found.ok_or_else(|| OpError::invalid(format!("{name} is {value:?}, which the specification does not know")))
}

impl ResizeAttrs {
    /// Reads the attributes.
    ///
    /// # Errors
    /// When one has a value that the specification does not know.
    pub fn of(attrs: &AttrView) -> OpResult<ResizeAttrs> {
        let modes = [("nearest", Mode::Nearest), ("linear", Mode::Linear), ("cubic", Mode::Cubic)];
        let nearest = [
            ("round_prefer_floor", Nearest::PreferFloor),
            ("round_prefer_ceil", Nearest::PreferCeil),
            ("floor", Nearest::Floor),
            ("ceil", Nearest::Ceil),
        ];
        let coordinates = [
            ("half_pixel", Coordinates::HalfPixel),
            ("half_pixel_symmetric", Coordinates::HalfPixelSymmetric),
            ("pytorch_half_pixel", Coordinates::PytorchHalfPixel),
            ("tf_half_pixel_for_nn", Coordinates::TfHalfPixelForNn),
            ("align_corners", Coordinates::AlignCorners),
            ("asymmetric", Coordinates::Asymmetric),
            ("tf_crop_and_resize", Coordinates::TfCropAndResize),
        ];
        let aspect =
            [("stretch", Aspect::Stretch), ("not_larger", Aspect::NotLarger), ("not_smaller", Aspect::NotSmaller)];
        Ok(ResizeAttrs {
            mode: choose(attrs, "mode", &modes)?,
            nearest: choose(attrs, "nearest_mode", &nearest)?,
            coordinates: choose(attrs, "coordinate_transformation_mode", &coordinates)?,
            aspect: choose(attrs, "keep_aspect_ratio_policy", &aspect)?,
            antialias: attrs.flag("antialias")?,
            cubic: attrs.float("cubic_coeff_a")?.into(),
            exclude_outside: attrs.flag("exclude_outside")?,
            extrapolation: attrs.float("extrapolation_value")?.into(),
            axes: attrs.opt_ints("axes")?,
        })
    }

    /// The resized axes of a tensor of `rank` dimensions, in the order of scales and sizes.
    ///
    /// # Errors
    /// When one is outside or repeats.
    pub fn axes(&self, rank: usize) -> OpResult<Vec<usize>> {
        match &self.axes {
            Some(axes) => shapes::axes(axes, rank),
            None => Ok((0..rank).collect()),
        }
    }
}

/// One resized axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resized {
    /// Elements of the input.
    pub input: usize,
    /// Elements of the output.
    pub output: usize,
    /// Elements of the output for each of the input.
    pub scale: f32,
    /// Length of the output before it was cut to a whole number.
    pub width: f32,
    /// Begin and end of the crop, as fractions of the input.
    pub crop: (f32, f32),
}

impl Resized {
    /// An axis enlarged by `scale`.
    pub fn scaled(input: usize, scale: f32) -> Resized {
        let width = input as f32 * scale;
        Resized { input, output: width.floor() as usize, scale, width, crop: (0.0, 1.0) }
    }

    /// An axis that gets `output` elements.
    pub fn sized(input: usize, output: usize) -> Resized {
        let scale = output as f32 / input as f32;
        Resized { input, output, scale, width: output as f32, crop: (0.0, 1.0) }
    }

    /// True when the axis stays as it is.
    pub fn is_kept(&self, how: Coordinates) -> bool {
        let whole = how != Coordinates::TfCropAndResize || self.crop == (0.0, 1.0);
        self.input == self.output && self.scale == 1.0 && whole
    }

    /// The coordinate in the input of element `x` of the output; `None` outside of the crop.
    fn source(&self, x: usize, how: Coordinates) -> Option<f32> {
        let (x, last, width) = (x as f32, self.input as f32 - 1.0, self.width);
        Some(match how {
            Coordinates::HalfPixel => (x + 0.5) / self.scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let offset = self.input as f32 / 2.0 * (1.0 - self.output as f32 / width);
                offset + (x + 0.5) / self.scale - 0.5
            }
            Coordinates::PytorchHalfPixel if width > 1.0 => (x + 0.5) / self.scale - 0.5,
            Coordinates::PytorchHalfPixel => 0.0,
            Coordinates::TfHalfPixelForNn => (x + 0.5) / self.scale,
            Coordinates::AlignCorners if width == 1.0 => 0.0,
            Coordinates::AlignCorners => x * last / (width - 1.0),
            Coordinates::Asymmetric => x / self.scale,
            Coordinates::TfCropAndResize => {
                let (start, end) = self.crop;
                let at = match width > 1.0 {
                    true => start * last + x * (end - start) * last / (width - 1.0),
                    false => 0.5 * (start + end) * last,
                };
                return Some(at).filter(|at| (0.0..=last).contains(at));
            }
        })
    }

    /// The element that nearest picks for each element of the output; `None` outside of the crop.
    pub fn nearest(&self, attrs: &ResizeAttrs) -> Vec<Option<usize>> {
        let pick = |at: f32| match attrs.nearest {
            Nearest::PreferFloor => (at - 0.5).ceil(),
            Nearest::PreferCeil => (at + 0.5).floor(),
            Nearest::Floor => at.floor(),
            Nearest::Ceil => at.ceil(),
        };
        if self.is_kept(attrs.coordinates) {
            return (0..self.output).map(Some).collect();
        }
        let top = self.input.saturating_sub(1);
        let index = |at: f32| (pick(at).max(0.0) as usize).min(top);
        (0..self.output).map(|x| self.source(x, attrs.coordinates).map(index)).collect()
    }

    /// Elements and weights of which each element of the output is the sum; `None` outside of the crop.
    pub fn taps(&self, attrs: &ResizeAttrs) -> Vec<Option<Vec<(usize, f64)>>> {
        let cubic = attrs.mode == Mode::Cubic;
        let shrink = if attrs.antialias { f64::from(self.scale).min(1.0) } else { 1.0 };
        let reach = if cubic { 2.0 } else { 1.0 };
        let first = (-reach / shrink).floor() as i64 + 1;
        let weight = |d: f64| if cubic { cubic_weight(d.abs(), attrs.cubic) } else { (1.0 - d.abs()).max(0.0) };
        let top = self.input as i64 - 1;
        let element = |at: f32| {
            let (at, floor) = (f64::from(at), f64::from(at).floor());
            let mut taps = (first..=1 - first)
                .map(|i| (floor as i64 + i, weight((floor + i as f64 - at) * shrink)))
                .collect::<Vec<_>>();
            if attrs.exclude_outside {
                taps.retain(|(i, _)| (0..=top).contains(i));
            }
            if attrs.exclude_outside || attrs.antialias {
                let sum = taps.iter().map(|t| t.1).sum::<f64>();
                taps.iter_mut().for_each(|t| t.1 /= sum);
            }
            taps.into_iter().map(|(i, w)| (i.clamp(0, top.max(0)) as usize, w)).collect()
        };
        (0..self.output).map(|x| self.source(x, attrs.coordinates).map(element)).collect()
    }
}

/// Keys' cubic convolution filter at distance `d`.
pub fn cubic_weight(d: f64, a: f64) -> f64 {
    match d {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
        _ => 0.0,
    }
}

/// Applies taps along the middle dimension of `data` = `[outer, input, inner]`.
pub fn apply(data: &[f64], inner: usize, axis: &Resized, taps: &[Option<Vec<(usize, f64)>>], outside: f64) -> Vec<f64> {
    let block = (axis.input * inner).max(1);
    let mut out = Vec::with_capacity(data.len() / block * taps.len() * inner);
    // Neighbours of a linear mode, the usual number, as pairs: `None` where any other number is.
    let pair = |t: &Option<Vec<(usize, f64)>>| match t.as_deref() {
        Some(&[a, b]) if a.0.max(b.0) < axis.input => Some([a, b]),
        _ => None,
    };
    let pairs = if inner == 1 { taps.iter().map(pair).collect::<Option<Vec<_>>>() } else { None };
    for image in data.chunks_exact(block) {
        if let Some(pairs) = &pairs {
            out.extend(pairs.iter().map(|[(i, v), (j, w)]| 0.0 + v * image[*i] + w * image[*j]));
            continue;
        }
        for taps in taps {
            let start = out.len();
            match taps {
                None => out.resize(start + inner, outside),
                Some(taps) => {
                    out.resize(start + inner, 0.0);
                    for &(i, w) in taps {
                        let row = &image[i * inner..][..inner];
                        out[start..].iter_mut().zip(row).for_each(|(o, v)| *o += w * v);
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_of_scales_does_not_move_elements() {
        // 1 / f32(1/3) rounds to 3 in f32; in f64 it falls below.
        let axis = Resized::scaled(9, 1.0 / 3.0);
        let source = (0..3).map(|x| axis.source(x, Coordinates::Asymmetric).unwrap()).collect::<Vec<_>>();
        assert_eq!(source, [0.0, 3.0, 6.0]);
    }

    #[test]
    fn the_cubic_filter_is_a_partition_of_one() {
        for d in [0.0, 0.25, 0.5, 0.9] {
            let sum = (-1..=2).map(|i| cubic_weight((f64::from(i) - d).abs(), -0.75)).sum::<f64>();
            assert!((sum - 1.0).abs() < 1e-12, "{d}: {sum}");
        }
    }
}
