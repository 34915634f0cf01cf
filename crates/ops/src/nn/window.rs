//! Sliding windows over the spatial dimensions: the attributes that convolutions and pools share, and the geometry
//! that follows from them. Tensors are `[batch, channels, spatial...]`.

use crate::prelude::*;

/// How padding is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoPad {
    /// By the attribute `pads`.
    NotSet,
    /// So that the output has `ceil(input / stride)` elements, the odd one at the end.
    SameUpper,
    /// As `SameUpper`, the odd one at the beginning.
    SameLower,
    /// None.
    Valid,
}

impl AutoPad {
    /// The attribute `auto_pad`.
    ///
    /// # Errors
    /// When it has another value than the specification allows.
    pub fn of(attrs: &AttrView) -> OpResult<AutoPad> {
        match attrs.opt_string("auto_pad")?.unwrap_or("NOTSET") {
            "NOTSET" | "" => Ok(AutoPad::NotSet),
            "SAME_UPPER" => Ok(AutoPad::SameUpper),
            "SAME_LOWER" => Ok(AutoPad::SameLower),
            "VALID" => Ok(AutoPad::Valid),
            other => Err(OpError::invalid(format!(
                "auto_pad is {other:?}; NOTSET, SAME_UPPER, SAME_LOWER and VALID are allowed"
            ))),
        }
    }

    /// Padding at begin and end of an axis that takes `total` in all.
    pub fn split(self, total: usize) -> (usize, usize) {
        match self {
            AutoPad::SameLower => (total.div_ceil(2), total / 2),
            _ => (total / 2, total.div_ceil(2)),
        }
    }
}

/// Attributes that place a window. Absent lists mean ones (strides, dilations) or zeros (pads).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowAttrs {
    /// How padding is chosen.
    pub auto_pad: AutoPad,
    /// Elements of the window along each spatial axis.
    pub kernel_shape: Option<Vec<usize>>,
    /// Steps of the window.
    pub strides: Option<Vec<usize>>,
    /// Steps between the elements of the window.
    pub dilations: Option<Vec<usize>>,
    /// Padding at the begin of every axis, then at the end of every axis.
    pub pads: Option<Vec<usize>>,
    /// Round the number of windows up.
    pub ceil: bool,
}

/// One spatial axis with everything resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Elements of the input.
    pub input: usize,
    /// Elements of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Step between the elements of the window.
    pub dilation: usize,
    /// Padding before the first element.
    pub begin: usize,
    /// Padding after the last element.
    pub end: usize,
    /// Number of windows.
    pub output: usize,
}

impl Axis {
    /// Positions of the input that window `o` covers, padding left out.
    pub fn taps(&self, o: usize) -> impl Iterator<Item = usize> + use<> {
        let (start, begin, input, dilation) = (o * self.stride, self.begin, self.input, self.dilation);
        (0..self.kernel).filter_map(move |k| (start + k * dilation).checked_sub(begin).filter(|&i| i < input))
    }

    /// Number of positions that window `o` covers within input and padding.
    pub fn covered(&self, o: usize) -> usize {
        let bound = self.input + self.begin + self.end;
        (0..self.kernel).filter(|k| o * self.stride + k * self.dilation < bound).count()
    }
}

fn sizes(attrs: &AttrView, name: &str, least: i64) -> OpResult<Option<Vec<usize>>> {
    let Some(list) = attrs.opt_ints(name)? else { return Ok(None) };
    let read = |x: i64| usize::try_from(x).ok().filter(|_| x >= least && x <= i64::from(i32::MAX));
    let out = list.iter().map(|&x| read(x)).collect::<Option<Vec<_>>>();
    out.map(Some).ok_or_else(|| OpError::invalid(format!("{name} is {list:?}, numbers from {least} on are allowed")))
}

impl WindowAttrs {
    /// Reads the attributes.
    ///
    /// # Errors
    /// When one is of another kind or out of its range.
    pub fn of(attrs: &AttrView) -> OpResult<WindowAttrs> {
        Ok(WindowAttrs {
            auto_pad: AutoPad::of(attrs)?,
            kernel_shape: sizes(attrs, "kernel_shape", 1)?,
            strides: sizes(attrs, "strides", 1)?,
            dilations: sizes(attrs, "dilations", 1)?,
            pads: sizes(attrs, "pads", 0)?,
            ceil: attrs.opt_int("ceil_mode")?.unwrap_or(0) != 0,
        })
    }

    /// The window's shape: the attribute, which must agree with `weight`, the spatial dimensions of a weight.
    ///
    /// # Errors
    /// When they differ, or neither is known.
    pub fn kernel(&self, weight: Option<&[usize]>) -> OpResult<Vec<usize>> {
        match (&self.kernel_shape, weight) {
            (Some(k), Some(w)) if k != w => {
                Err(OpError::invalid(format!("kernel_shape is {k:?}, but the weight has {w:?}")))
            }
            (Some(k), _) => Ok(k.clone()),
            (None, Some(w)) => Ok(w.to_vec()),
            (None, None) => Err(OpError::invalid("kernel_shape is required")),
        }
    }

    /// Stride, dilation, padding at begin and at end as written, for axis `i` of `rank` spatial axes.
    fn at(&self, i: usize, rank: usize) -> OpResult<(usize, usize, usize, usize)> {
        let one = |name: &str, list: &Option<Vec<usize>>| match list {
            None => Ok(1),
            Some(list) if list.len() == rank => Ok(list[i]),
            Some(list) => Err(wrong_length(name, list.len(), rank)),
        };
        let (begin, end) = match &self.pads {
            Some(p) if p.len() == 2 * rank && self.auto_pad == AutoPad::NotSet => (p[i], p[rank + i]),
            Some(p) if p.len() != 2 * rank => return Err(wrong_length("pads", p.len(), 2 * rank)),
            _ => (0, 0),
        };
        Ok((one("strides", &self.strides)?, one("dilations", &self.dilations)?, begin, end))
    }

    /// Number of windows along axis `i` of `rank` over `input` elements.
    ///
    /// # Errors
    /// When a list has the wrong length, or the window is larger than the padded input.
    pub fn output(&self, i: usize, rank: usize, input: &Dim, kernel: usize) -> OpResult<Dim> {
        let (stride, dilation, begin, end) = self.at(i, rank)?;
        let k = |n: usize| Dim::from(n);
        if matches!(self.auto_pad, AutoPad::SameUpper | AutoPad::SameLower) {
            return Ok(input.ceil_div(&k(stride)));
        }
        let extent = extent(kernel, dilation)?;
        let room = input.clone() + k(begin + end) - k(extent);
        if let Some(n) = room.known().filter(|n| *n < 0) {
            let have = n + extent as i64;
            return Err(OpError::invalid(format!(
                "spatial axis {i}: the window spans {extent} elements, the padded input has {have}"
            )));
        }
        if !self.ceil {
            return Ok(room.floor_div(&k(stride)) + Dim::Known(1));
        }
        let windows = room.ceil_div(&k(stride)) + Dim::Known(1);
        // A window that would start in the padding at the end is left out.
        match end + stride <= extent {
            true => Ok(windows),
            false => Ok(windows.smaller(&(input.clone() + k(begin)).ceil_div(&k(stride)))),
        }
    }

    /// The geometry of every axis for an input of these spatial dimensions.
    ///
    /// # Errors
    /// When a list has the wrong length, or the window is larger than the padded input.
    pub fn axes(&self, spatial: &[usize], kernel: &[usize]) -> OpResult<Vec<Axis>> {
        let rank = spatial.len();
        if kernel.len() != rank {
            return Err(wrong_length("kernel_shape", kernel.len(), rank));
        }
        let axis = |(i, (&input, &kernel)): (usize, (&usize, &usize))| {
            let (stride, dilation, mut begin, mut end) = self.at(i, rank)?;
            let output = self.output(i, rank, &input.into(), kernel)?;
            let output = output.size().ok_or_else(|| OpError::invalid("the window leaves no output"))?;
            if matches!(self.auto_pad, AutoPad::SameUpper | AutoPad::SameLower) {
                let span = output.saturating_sub(1) * stride + extent(kernel, dilation)?;
                (begin, end) = self.auto_pad.split(span.saturating_sub(input));
            }
            Ok(Axis { input, kernel, stride, dilation, begin, end, output })
        };
        spatial.iter().zip(kernel).enumerate().map(axis).collect()
    }

    /// The output's spatial dimensions for symbolic input dimensions.
    ///
    /// # Errors
    /// As [`WindowAttrs::axes`].
    pub fn output_dims(&self, spatial: &[Dim], kernel: &[usize]) -> OpResult<Vec<Dim>> {
        let rank = spatial.len();
        if kernel.len() != rank {
            return Err(wrong_length("kernel_shape", kernel.len(), rank));
        }
        spatial.iter().zip(kernel).enumerate().map(|(i, (d, &k))| self.output(i, rank, d, k)).collect()
    }
}

/// Elements that a dilated window spans.
fn extent(kernel: usize, dilation: usize) -> OpResult<usize> {
    let span = kernel.saturating_sub(1).checked_mul(dilation).and_then(|n| n.checked_add(1));
    span.filter(|&n| n < 1 << 40).ok_or_else(|| OpError::invalid("the dilated window is too large"))
}

fn wrong_length(name: &str, found: usize, wanted: usize) -> OpError {
    OpError::invalid(format!("{name} has {found} elements, the input's spatial axes want {wanted}"))
}

/// Batch, channels and spatial dimensions of a tensor.
///
/// # Errors
/// When it has fewer than 3 dimensions.
pub fn split(x: &Tensor) -> OpResult<(usize, usize, &[usize])> {
    match x.shape() {
        [n, c, spatial @ ..] if !spatial.is_empty() => Ok((*n, *c, spatial)),
        shape => Err(OpError::invalid(format!("an input of shape {shape:?}; batch, channels and spatial are wanted"))),
    }
}

/// For each window, in row-major order, the flat positions within one channel that it covers; padding left out.
pub fn positions(axes: &[Axis]) -> Vec<Vec<usize>> {
    let mut out = vec![vec![0]];
    for axis in axes {
        let taps = (0..axis.output).map(|o| axis.taps(o).collect::<Vec<_>>()).collect::<Vec<_>>();
        let step = |before: &Vec<usize>, taps: &Vec<usize>| {
            before.iter().flat_map(|&p| taps.iter().map(move |t| p * axis.input + t)).collect::<Vec<_>>()
        };
        out = out.iter().flat_map(|before| taps.iter().map(move |t| step(before, t))).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attrs(kernel: usize, stride: usize, pads: [usize; 2], ceil: bool) -> WindowAttrs {
        WindowAttrs {
            auto_pad: AutoPad::NotSet,
            kernel_shape: Some(vec![kernel]),
            strides: Some(vec![stride]),
            dilations: None,
            pads: Some(pads.to_vec()),
            ceil,
        }
    }

    #[test]
    fn a_window_never_starts_in_the_padding_at_the_end() {
        let count = |a: WindowAttrs, n| a.axes(&[n], a.kernel_shape.as_deref().unwrap()).unwrap()[0].output;
        assert_eq!(count(attrs(3, 2, [0, 0], false), 6), 2);
        assert_eq!(count(attrs(3, 2, [0, 0], true), 6), 3);
        assert_eq!(count(attrs(1, 2, [0, 1], true), 2), 1);
        assert_eq!(count(attrs(3, 3, [1, 1], true), 2), 1);
    }

    #[test]
    fn same_padding_keeps_the_size() {
        let mut a = attrs(2, 1, [0, 0], false);
        a.pads = None;
        for (auto, pads) in [(AutoPad::SameUpper, (0, 1)), (AutoPad::SameLower, (1, 0))] {
            a.auto_pad = auto;
            let axis = a.axes(&[5], &[2]).unwrap()[0];
            assert_eq!((axis.output, axis.begin, axis.end), (5, pads.0, pads.1));
        }
    }

    #[test]
    fn a_window_larger_than_the_input_is_refused() {
        let e = attrs(9, 1, [1, 1], false).axes(&[5], &[9]).unwrap_err();
        assert_eq!(e.to_string(), "spatial axis 0: the window spans 9 elements, the padded input has 7");
    }

    #[test]
    fn positions_leave_padding_out() {
        let axes = attrs(3, 2, [1, 1], false).axes(&[4], &[3]).unwrap();
        assert_eq!(positions(&axes), [vec![0, 1], vec![1, 2, 3]]);
    }
}
