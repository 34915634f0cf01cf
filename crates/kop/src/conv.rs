//! Convolution and pooling over images, convolution over volumes. One-dimensional ones have height 1.

use crate::epilogue::Epilogue;
use crate::layout::Layout;

/// The axis before height and width of a convolution over volumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Depth {
    /// Input planes.
    pub len: usize,
    /// Output planes.
    pub out: usize,
    /// Kernel depth.
    pub kernel: usize,
    /// Step; at least 1.
    pub stride: usize,
    /// Spacing of kernel taps; at least 1.
    pub dilation: usize,
    /// Padding before and after.
    pub pad: [usize; 2],
}

impl Depth {
    /// The depth of an image.
    pub const FLAT: Depth = Depth { len: 1, out: 1, kernel: 1, stride: 1, dilation: 1, pad: [0; 2] };
}

/// A convolution in f32 over images or volumes, or its transposition. Logical weight shape: `[oc, c / groups, kd, kh, kw]`,
/// for the transposed kind `[c, oc / groups, kd, kh, kw]`.
///
/// Under `ChannelsLast` a pixel is `x_stride` (`y_stride`) elements from the next and images follow without gap,
/// so that a kernel can read or write a slice of the channels of a wider tensor. Under `Plain` the strides must equal
/// `c` (`oc`) and mean nothing more.
#[derive(Clone, PartialEq, Debug)]
pub struct ConvProblem {
    /// Images or volumes.
    pub n: usize,
    /// Input channels.
    pub c: usize,
    /// Depth of a volume; [`Depth::FLAT`] for images.
    pub depth: Depth,
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

    /// Taps of a kernel.
    pub fn taps(&self) -> usize {
        self.depth.kernel * self.kernel[0] * self.kernel[1]
    }

    /// Input planes of `h × w` pixels of all images or volumes.
    pub fn planes(&self) -> usize {
        self.n.saturating_mul(self.depth.len)
    }

    /// Output planes of `oh × ow` pixels of all images or volumes.
    pub fn out_planes(&self) -> usize {
        self.n.saturating_mul(self.depth.out)
    }

    /// Multiplications and additions, each counted as one; padding counts.
    pub fn flops(&self) -> f64 {
        let pixels =
            if self.transposed { self.planes() * self.h * self.w } else { self.out_planes() * self.oh * self.ow };
        2.0 * pixels as f64 * self.oc as f64 * (self.c / self.groups.max(1)) as f64 * self.taps() as f64
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
