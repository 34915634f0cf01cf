//! Convolution as a contraction: windows are gathered into columns and multiplied by the weights, in `f64`.

use super::window::{Axis, WindowAttrs};
use crate::prelude::*;

/// Columns are gathered in blocks of about this many elements.
const BLOCK: usize = 1 << 20;

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

    fn padded(&self) -> Vec<usize> {
        // A window may reach past the padding when the number of windows is rounded up; it never does here.
        self.axes.iter().map(|a| a.begin + a.input + a.end).collect()
    }

    /// The convolution of `x` with `w`, without bias: `[batch, filters, windows]`.
    ///
    /// # Errors
    /// When the output is too large for memory.
    pub fn convolve(&self, x: &[f64], w: &[f64]) -> OpResult<Vec<f64>> {
        let (windows, kernel) = (self.windows(), self.kernel());
        let mut out = zeros(&[self.batch, self.filters, windows])?;
        let (channels, filters) = (self.channels / self.group, self.filters / self.group);
        let depth = channels * kernel;
        if out.is_empty() || depth == 0 {
            return Ok(out);
        }
        let padded = self.padded();
        let mut image = zeros(&[&[channels], &padded[..]].concat())?;
        let (taps, starts) = self.offsets(channels, &padded);
        let block = (BLOCK / depth).clamp(16, windows.max(16));
        let mut columns = vec![0.0; depth * block];
        let mut product = vec![0.0; filters * block];
        for n in 0..self.batch {
            for g in 0..self.group {
                self.pad(&x[(n * self.channels + g * channels) * self.inputs()..], &mut image, channels, &padded);
                let weights = &w[g * filters * depth..][..filters * depth];
                let to = &mut out[(n * self.filters + g * filters) * windows..][..filters * windows];
                for at in (0..windows).step_by(block) {
                    let width = block.min(windows - at);
                    for (row, tap) in columns.chunks_exact_mut(width).zip(&taps) {
                        row.iter_mut().zip(&starts[at..]).for_each(|(c, start)| *c = image[tap + start]);
                    }
                    let product = &mut product[..filters * width];
                    product.fill(0.0);
                    contract::matmul(filters, depth, width, weights, &columns, product);
                    for (f, row) in product.chunks_exact(width).enumerate() {
                        to[f * windows + at..][..width].copy_from_slice(row);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Offsets in the padded image of each element of a window, and of the first element of each window.
    fn offsets(&self, channels: usize, padded: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let strides = index::strides(padded);
        let plane = padded.iter().product::<usize>();
        let pick = |f: fn(&Axis) -> usize| self.axes.iter().map(f).collect::<Vec<_>>();
        let scaled = |f: fn(&Axis) -> usize| self.axes.iter().zip(&strides).map(|(a, s)| f(a) * s).collect::<Vec<_>>();
        let taps = index::Offsets::unsigned(
            &[&[channels], &pick(|a| a.kernel)[..]].concat(),
            &[&[plane], &scaled(|a| a.dilation)[..]].concat(),
        );
        let starts = index::Offsets::unsigned(&pick(|a| a.output), &scaled(|a| a.stride));
        (taps.collect(), starts.collect())
    }

    fn pad(&self, x: &[f64], image: &mut [f64], channels: usize, padded: &[usize]) {
        let strides = index::strides(padded);
        let first = self.axes.iter().zip(&strides).map(|(a, s)| a.begin * s).sum::<usize>();
        let plane = padded.iter().product::<usize>();
        let (run, rows) = self.axes.split_last().map_or((1, &[][..]), |(last, rows)| (last.input, rows));
        let shape = rows.iter().map(|a| a.input).collect::<Vec<_>>();
        for c in 0..channels {
            let from = &x[c * self.inputs()..][..self.inputs()];
            let places = index::Offsets::unsigned(&shape, &strides[..rows.len()]);
            for (row, at) in from.chunks_exact(run.max(1)).zip(places) {
                image[c * plane + first + at..][..run].copy_from_slice(row);
            }
        }
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
