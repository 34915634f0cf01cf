//! Geometry of transposed convolutions: the output's size follows from the input's, or is given and the padding follows.

use super::convolution::ConvAttrs;
use super::window::{AutoPad, Axis};
use crate::prelude::*;

/// The attributes of ConvTranspose.
#[derive(Clone, Debug)]
pub struct TransposeAttrs {
    /// What it shares with Conv.
    pub conv: ConvAttrs,
    /// Elements added at the end of each axis.
    pub output_padding: Option<Vec<i64>>,
    /// The spatial dimensions of the output.
    pub output_shape: Option<Vec<i64>>,
}

impl TransposeAttrs {
    /// Reads the attributes.
    ///
    /// # Errors
    /// When one is of another kind or out of its range.
    pub fn of(attrs: &AttrView) -> OpResult<TransposeAttrs> {
        let (output_padding, output_shape) = (attrs.opt_ints("output_padding")?, attrs.opt_ints("output_shape")?);
        for (name, list) in [("output_padding", &output_padding), ("output_shape", &output_shape)] {
            if let Some(x) = list.iter().flatten().find(|x| !(0..=i64::from(i32::MAX)).contains(*x)) {
                return Err(OpError::invalid(format!("{name} holds {x}")));
            }
        }
        Ok(TransposeAttrs { conv: ConvAttrs::of(attrs)?, output_padding, output_shape })
    }

    /// Stride, dilation, padding and added elements of axis `i`.
    ///
    /// # Errors
    /// When a list has the wrong length.
    pub(super) fn at(&self, i: usize, rank: usize) -> OpResult<(usize, usize, [usize; 2], usize)> {
        let window = &self.conv.window;
        let pick = |name: &str, list: Option<usize>, given: Option<usize>, default: usize| match given {
            None => Ok(default),
            Some(n) if n == rank => Ok(list.unwrap_or(default)),
            Some(n) => Err(OpError::invalid(format!("{name} has {n} elements for {rank} spatial axes"))),
        };
        let one = |name: &str, list: &Option<Vec<usize>>| {
            pick(name, list.as_ref().and_then(|l| l.get(i).copied()), list.as_ref().map(Vec::len), 1)
        };
        let pads = match &window.pads {
            Some(p) if window.auto_pad == AutoPad::NotSet => {
                if p.len() != 2 * rank {
                    return Err(OpError::invalid(format!("pads has {} elements for {rank} spatial axes", p.len())));
                }
                [p[i], p[rank + i]]
            }
            _ => [0, 0],
        };
        let added = self.output_padding.as_ref();
        let added = pick("output_padding", added.and_then(|l| Some(*l.get(i)? as usize)), added.map(Vec::len), 0)?;
        Ok((one("strides", &window.strides)?, one("dilations", &window.dilations)?, pads, added))
    }

    /// Output size of axis `i`, and the size before padding is cut off.
    fn size(&self, i: usize, rank: usize, input: &Dim, kernel: usize) -> OpResult<(Dim, Dim)> {
        let (stride, dilation, [begin, end], added) = self.at(i, rank)?;
        let extent = kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
        let full = (input.clone() - Dim::Known(1)) * Dim::from(stride) + Dim::from(added) + Dim::from(extent);
        let output = match (&self.output_shape, self.conv.window.auto_pad) {
            (Some(shape), _) => {
                // Some writers give batch and channels too.
                let skip = shape.len().saturating_sub(rank);
                let given = shape.get(skip + i).filter(|_| skip == 0 || skip == 2);
                Dim::Known(*given.ok_or_else(|| OpError::invalid("output_shape has the wrong length"))?)
            }
            (None, AutoPad::SameUpper | AutoPad::SameLower) => input.clone() * Dim::from(stride),
            (None, _) => full.clone() - Dim::from(begin + end),
        };
        match output.known() {
            Some(n) if n < 0 => Err(OpError::invalid(format!("spatial axis {i} would have {n} elements"))),
            _ => Ok((output, full)),
        }
    }

    /// The output's spatial dimensions for symbolic input dimensions.
    ///
    /// # Errors
    /// When a list has the wrong length or a dimension would be negative.
    pub fn output_dims(&self, spatial: &[Dim], kernel: &[usize]) -> OpResult<Vec<Dim>> {
        let rank = spatial.len();
        if kernel.len() != rank {
            return Err(OpError::invalid(format!("kernel_shape has {} elements for {rank} axes", kernel.len())));
        }
        spatial.iter().zip(kernel).enumerate().map(|(i, (d, &k))| Ok(self.size(i, rank, d, k)?.0)).collect()
    }

    /// The geometry of every axis: `begin` and `end` are cut off the output.
    ///
    /// # Errors
    /// As [`TransposeAttrs::output_dims`].
    pub fn axes(&self, spatial: &[usize], kernel: &[usize]) -> OpResult<Vec<Axis>> {
        let rank = spatial.len();
        if kernel.len() != rank {
            return Err(OpError::invalid(format!("kernel_shape has {} elements for {rank} axes", kernel.len())));
        }
        let axis = |(i, (&input, &kernel)): (usize, (&usize, &usize))| {
            let (stride, dilation, [mut begin, mut end], _) = self.at(i, rank)?;
            let (output, full) = self.size(i, rank, &input.into(), kernel)?;
            let bad = || OpError::invalid(format!("spatial axis {i} is too large"));
            let (output, full) = (output.size().ok_or_else(bad)?, full.known().ok_or_else(bad)?);
            let auto = self.conv.window.auto_pad;
            if self.output_shape.is_some() || matches!(auto, AutoPad::SameUpper | AutoPad::SameLower) {
                let cut = usize::try_from(full - output as i64).unwrap_or(0);
                (begin, end) = match auto {
                    AutoPad::SameUpper => (cut / 2, cut - cut / 2),
                    _ => (cut - cut / 2, cut / 2),
                };
            }
            Ok(Axis { input, kernel, stride, dilation, begin, end, output })
        };
        spatial.iter().zip(kernel).enumerate().map(axis).collect()
    }
}
