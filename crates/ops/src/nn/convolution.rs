//! Convolution as a contraction: windows are gathered into columns and multiplied by the weights, in `f64`; with few
//! filters to a group they are multiplied where they lie.

use super::direct;
use super::padded::{Padded, Runs};
use super::window::{Axis, WindowAttrs};
use crate::prelude::*;
use modelsmith_tensor::contract::Factor;

/// Windows whose sums are complete before the next are begun: they stay in the second-level cache.
const BLOCK: usize = 256;

/// Attributes of Conv, ConvInteger, QLinearConv and (with its own geometry) ConvTranspose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvAttrs {
    /// The window.
    pub window: WindowAttrs,
    /// Number of groups into which the channels are divided.
    pub group: usize,
}

impl ConvAttrs {
    /// Reads the attributes.
    ///
    /// # Errors
    /// When one is of another kind or out of its range.
    pub fn of(attrs: &AttrView) -> OpResult<ConvAttrs> {
        let group = attrs.int("group")?;
        match usize::try_from(group) {
            Ok(group) if group > 0 => Ok(ConvAttrs { window: WindowAttrs::of(attrs)?, group }),
            _ => Err(OpError::invalid(format!("group is {group}, at least 1 is wanted"))),
        }
    }

    /// Type of output 0 from the input `x` and the weight `w` (operand numbers).
    ///
    /// # Errors
    /// When shapes do not fit each other or the attributes.
    pub fn infer(&self, cx: &mut InferCx, x: usize, w: usize, dtype: Option<DType>) -> OpResult<()> {
        let shape = match (cx.shape(x), cx.shape(w)) {
            (Some(x), w) => self.output_shape(x, w)?,
            (None, Some(w)) => Some(unknown(w.len(), w[0].clone())),
            _ => None,
        };
        cx.set_tensor(0, dtype, shape);
        Ok(())
    }

    fn output_shape(&self, x: &[Dim], w: Option<&[Dim]>) -> OpResult<Option<Vec<Dim>>> {
        if x.len() < 3 {
            return Err(OpError::invalid(format!("an input of {} dimensions, at least 3 are wanted", x.len())));
        }
        let Some(w) = w else {
            let mut out = unknown(x.len(), Dim::Unknown);
            out[0] = x[0].clone();
            return Ok(Some(out));
        };
        if w.len() != x.len() {
            return Err(OpError::invalid(format!("input of rank {}, weight of rank {}", x.len(), w.len())));
        }
        if let (Some(c), Some(k)) = (x[1].size(), w[1].size())
            && c != k * self.group
        {
            return Err(OpError::invalid(format!(
                "the input has {c} channels, the weight takes {k} in {} groups",
                self.group
            )));
        }
        let known = w[2..].iter().map(Dim::size).collect::<Option<Vec<_>>>();
        let mut out = vec![x[0].clone(), w[0].clone()];
        match (known, &self.window.kernel_shape) {
            (None, None) => out.extend(vec![Dim::Unknown; x.len() - 2]),
            (known, _) => {
                let kernel = self.window.kernel(known.as_deref())?;
                out.extend(self.window.output_dims(&x[2..], &kernel)?);
            }
        }
        Ok(Some(out))
    }
}

fn unknown(rank: usize, channels: Dim) -> Vec<Dim> {
    let mut out = vec![Dim::Unknown; rank];
    if let Some(d) = out.get_mut(1) {
        *d = channels;
    }
    out
}

/// Shapes of a convolution, checked against each other.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Input channels.
    pub channels: usize,
    /// Output channels.
    pub filters: usize,
    /// Groups.
    pub group: usize,
    /// Spatial axes.
    pub axes: Vec<Axis>,
}

impl Geometry {
    /// The geometry of input shape `x` and weight shape `w` = `[filters, channels / group, kernel...]`.
    ///
    /// # Errors
    /// When they do not fit each other or the attributes.
    pub fn of(attrs: &ConvAttrs, x: &[usize], w: &[usize]) -> OpResult<Geometry> {
        let bad = || OpError::invalid(format!("input {x:?} and weight {w:?} in {} groups do not fit", attrs.group));
        if x.len() < 3
            || w.len() != x.len()
            || x[1] != w[1].saturating_mul(attrs.group)
            || !w[0].is_multiple_of(attrs.group)
        {
            return Err(bad());
        }
        let kernel = attrs.window.kernel(Some(&w[2..]))?;
        let axes = attrs.window.axes(&x[2..], &kernel)?;
        Ok(Geometry { batch: x[0], channels: x[1], filters: w[0], group: attrs.group, axes })
    }

    /// Shape of the output.
    pub fn output_shape(&self) -> Vec<usize> {
        [self.batch, self.filters].into_iter().chain(self.axes.iter().map(|a| a.output)).collect()
    }

    /// Number of windows of one image.
    pub fn windows(&self) -> usize {
        self.axes.iter().map(|a| a.output).product()
    }

    fn inputs(&self) -> usize {
        self.axes.iter().map(|a| a.input).product()
    }

    fn kernel(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    /// How the windows of this convolution are summed.
    pub fn route(&self) -> Route {
        if self.filters / self.group < direct::FEW { Route::Direct } else { Route::Packed }
    }

    /// The convolution of `x` with `w`, without bias: `[batch, filters, windows]`.
    ///
    /// # Errors
    /// When the output is too large for memory.
    pub fn convolve(&self, x: &[f64], w: &[f64]) -> OpResult<Vec<f64>> {
        let mut out = zeros(&[self.batch, self.filters, self.windows()])?;
        self.sums(x, w, |at, sums| out[at..][..sums.len()].copy_from_slice(sums))?;
        Ok(out)
    }

    /// As [`Geometry::convolve`], in pieces as they become complete: `emit(at, sums)` gives the sums from flat position
    /// `at` of the output on, all of one filter.
    ///
    /// # Errors
    /// When what is needed for one group is too large for memory.
    pub fn sums<X: Factor, W: Factor>(&self, x: &[X], w: &[W], mut emit: impl FnMut(usize, &[f64])) -> OpResult<()> {
        let (channels, filters) = (self.channels / self.group, self.filters / self.group);
        let (windows, depth) = (self.windows(), channels * self.kernel());
        if windows == 0 || depth == 0 {
            let nothing = zeros(&[windows])?;
            (0..self.batch * self.filters).for_each(|plane| emit(plane * windows, &nothing));
            return Ok(());
        }
        let layout = Padded::new(&self.axes)?;
        let taps = layout.taps(channels);
        let mut images = layout.images(channels, direct::SLACK)?;
        let (runs, route) = match self.route() {
            Route::Direct => (layout.runs(), Route::Direct),
            Route::Packed => (layout.rows(), Route::Packed),
        };
        let room = if route == Route::Direct { runs.starts.len() * runs.len() } else { BLOCK.min(windows) };
        let mut out = zeros(&[filters, room])?;
        for i in 0..self.batch * self.group {
            let (n, g) = (i / self.group, i % self.group);
            let x = &x[(n * self.channels + g * channels) * self.inputs()..][..channels * self.inputs()];
            layout.fill(x, &mut images);
            let weights = &w[g * filters * depth..][..filters * depth];
            let first = (n * self.filters + g * filters) * windows;
            if route == Route::Direct {
                let weights = weights.iter().map(|&w| w.into()).collect::<Vec<_>>();
                direct::convolve(&images, &weights, &taps, &runs.starts, runs.len(), &mut out);
                runs.each_row(&out, |row, sums| emit(first + row * runs.width, sums));
                continue;
            }
            for j in (0..windows).step_by(BLOCK) {
                let width = BLOCK.min(windows - j);
                let out = &mut out[..filters * width];
                contract::panelled(filters, depth, width, (weights, depth, 1), out, |p, x, panel| {
                    gather(&images, &taps[p..], &runs, j + x, panel);
                });
                out.chunks_exact(width).enumerate().for_each(|(f, sums)| emit(first + f * windows + j, sums));
            }
        }
        Ok(())
    }
}

/// How the windows of a convolution are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Straight from the image: few filters share a window.
    Direct,
    /// Windows packed as the columns of a matrix for [`contract`].
    Packed,
}

/// Columns `j..` of the windows' matrix, as many as a panel has, for as many taps as it has rows. Windows past the last
/// are any that are in the image.
fn gather(images: &[f64], taps: &[usize], rows: &Runs, j: usize, panel: &mut [f64]) {
    let at = |j: usize| rows.starts[j / rows.width] + j % rows.width;
    let windows = rows.starts.len() * rows.width;
    let within = j % rows.width + contract::NR <= rows.width;
    if within || j + contract::NR > windows && j / rows.width + 1 == rows.starts.len() {
        let images = &images[at(j)..];
        for (group, &tap) in panel.chunks_exact_mut(contract::NR).zip(taps) {
            group.copy_from_slice(&images[tap..tap + contract::NR]);
        }
        return;
    }
    let at: [usize; contract::NR] = std::array::from_fn(|x| at((j + x).min(windows - 1)));
    for (group, &tap) in panel.chunks_exact_mut(contract::NR).zip(taps) {
        group.iter_mut().zip(at).for_each(|(to, at)| *to = images[at + tap]);
    }
}

/// A buffer of zeros.
///
/// # Errors
/// When it is too large for memory.
pub fn zeros(shape: &[usize]) -> OpResult<Vec<f64>> {
    let too_large = || modelsmith_tensor::Error::TooLarge { dtype: F64, shape: shape.to_vec() };
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(too_large)?;
    let mut out = Vec::new();
    out.try_reserve_exact(n).map_err(|_| too_large())?;
    out.resize(n, 0.0);
    Ok(out)
}

/// Adds `bias[f]` to every element of filter `f` of `out` = `[batch, filters, windows]`.
///
/// # Errors
/// When there is not one value per filter.
pub fn add_bias(out: &mut [f64], bias: &[f64], windows: usize) -> OpResult<()> {
    if windows == 0 || out.is_empty() {
        return Ok(());
    }
    if bias.is_empty() || !(out.len() / windows).is_multiple_of(bias.len()) {
        return Err(OpError::invalid(format!("a bias of {} elements does not fit the output channels", bias.len())));
    }
    for (i, row) in out.chunks_exact_mut(windows).enumerate() {
        row.iter_mut().for_each(|v| *v += bias[i % bias.len()]);
    }
    Ok(())
}

/// Samples' shapes and attributes that exercise every attribute of a convolution: input, weight, attributes.
pub fn sample_cases() -> Vec<(Vec<usize>, Vec<usize>, Attrs)> {
    let a = Attrs::new;
    vec![
        (vec![1, 2, 5], vec![3, 2, 3], a()),
        (vec![2, 4, 5, 4], vec![4, 2, 3, 2], a().with("group", 2).with("strides", [2, 1]).with("pads", [1, 0, 1, 1])),
        (vec![1, 2, 7, 7], vec![2, 2, 3, 3], a().with("dilations", [2, 3]).with("kernel_shape", [3, 3])),
        (vec![1, 1, 5, 6], vec![1, 1, 2, 3], a().with("auto_pad", "SAME_UPPER").with("strides", [2, 2])),
        (vec![1, 1, 5, 6], vec![1, 1, 2, 3], a().with("auto_pad", "SAME_LOWER").with("strides", [2, 1])),
        (vec![1, 1, 5, 6], vec![1, 1, 2, 3], a().with("auto_pad", "VALID")),
        (vec![1, 2, 3, 4, 3], vec![2, 2, 2, 2, 2], a().with("pads", [0, 1, 0, 1, 0, 1])),
        (vec![1, 3, 4, 4], vec![3, 1, 3, 3], a().with("group", 3)),
        (vec![0, 2, 4], vec![2, 2, 2], a()),
    ]
}
