//! Convolution and pooling over images. One-dimensional ones have height 1.

use crate::epilogue::Epilogue;
use crate::layout::Layout;

/// A 2-D convolution in f32, or its transposition. Logical weight shape: `[oc, c / groups, kh, kw]`, for the
/// transposed kind `[c, oc / groups, kh, kw]`.
///
/// Under `ChannelsLast` a pixel is `x_stride` (`y_stride`) elements from the next and images follow without gap,
/// so that a kernel can read or write a slice of the channels of a wider tensor. Under `Plain` the strides must equal
/// `c` (`oc`) and mean nothing more.
#[derive(Clone, PartialEq, Debug)]
pub struct ConvProblem {
    /// Images.
    pub n: usize,
    /// Input channels.
    pub c: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Output channels.
    pub oc: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step in height and width; at least 1.
    pub stride: [usize; 2],
    /// Spacing of kernel taps in height and width; at least 1.
    pub dilation: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [usize; 4],
    /// Groups; divides `c` and `oc`.
    pub groups: usize,
    /// Output height.
    pub oh: usize,
    /// Output width.
    pub ow: usize,
    /// True for a transposed convolution (ConvTranspose).
    pub transposed: bool,
    /// Layout of the input.
    pub x_layout: Layout,
    /// Layout of the output.
    pub y_layout: Layout,
    /// Elements between input pixels under `ChannelsLast`; `c` where dense.
    pub x_stride: usize,
    /// Elements between output pixels under `ChannelsLast`; `oc` where dense.
    pub y_stride: usize,
    /// What follows the sum; a column is an output channel.
    pub epilogue: Epilogue,
}

impl ConvProblem {
    /// Output length along one axis of a convolution; `None` where the kernel does not fit.
    pub fn out_len(len: usize, kernel: usize, stride: usize, dilation: usize, pads: usize) -> Option<usize> {
        let span = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
        let room = len.checked_add(pads)?.checked_sub(span)?;
        Some(room.checked_div(stride)? + 1)
    }

    /// True where every group has one input and one output channel.
    pub fn is_depthwise(&self) -> bool {
        self.groups == self.c && self.groups == self.oc && self.c > 1
    }

    /// Multiplications and additions, each counted as one; padding counts.
    pub fn flops(&self) -> f64 {
        let taps = (self.kernel[0] * self.kernel[1]) as f64;
        let pixels = if self.transposed { self.h * self.w } else { self.oh * self.ow };
        2.0 * (self.n * pixels) as f64 * self.oc as f64 * (self.c / self.groups.max(1)) as f64 * taps
    }
}

/// How a pooling window becomes one value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PoolKind {
    /// Largest value; NaN wins.
    Max,
    /// Mean over the window.
    Avg {
        /// Divide by the window with its padding (but not beyond it), not by the values present.
        count_include_pad: bool,
    },
}

/// 2-D pooling in f32. Global pooling is a kernel as large as the image.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PoolProblem {
    /// What is computed.
    pub kind: PoolKind,
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Step in height and width.
    pub stride: [usize; 2],
    /// Spacing of the window's taps.
    pub dilation: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [usize; 4],
    /// Output height (floor or ceiling mode is decided by who makes the problem).
    pub oh: usize,
    /// Output width.
    pub ow: usize,
    /// Layout of input and output.
    pub layout: Layout,
}
