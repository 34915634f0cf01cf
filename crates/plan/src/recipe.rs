//! Kernel operations before sizes are known.
//!
//! A recipe says all about a step but sizes and layouts, which its buffers know. [`crate::instantiate`] makes kernel
//! problems of it for the sizes of a run.

use modelsmith_ir::Dim;
use modelsmith_kop::{Activation, CoordMode, Inst, Lane, PoolKind, ReduceOp, ResizeMode};

/// A step for kernels. The order of inputs is that of the variant's comment.
#[derive(Clone, Debug, PartialEq)]
pub enum Recipe {
    /// A matrix product over broadcast batch dimensions. Inputs: A, B, the bias if any, operands of `post`.
    Gemm(Gemm),
    /// A matrix product of 8-bit integers. Inputs: A, B, zero points of A and of B if any.
    IntegerGemm {
        /// B is a packed weight of these sizes.
        packed: Option<[usize; 2]>,
        /// Whether A and B have zero points.
        zeros: [bool; 2],
    },
    /// A convolution of 8-bit integers. Inputs: x, weights, zero points of x and of the weights if any.
    IntegerConv {
        /// Kernel, step, spacing and padding.
        window: Window,
        /// Groups.
        groups: usize,
        /// Whether x and the weights have zero points.
        zeros: [bool; 2],
    },
    /// A convolution over one or two spatial axes. Inputs: x, weights, the bias if any, operands of `post`.
    Conv(Conv),
    /// Pooling. Input: x.
    Pool(Pool),
    /// An element-wise program. Inputs and outputs as the program numbers them.
    Eltwise(Eltwise),
    /// A reduction over neighbouring axes. Input: x.
    Reduce {
        /// What is computed.
        op: ReduceOp,
        /// Axes, ascending, neighbours in memory.
        axes: Vec<usize>,
    },
    /// Softmax along an axis. Input: x.
    Softmax {
        /// Axis.
        axis: usize,
        /// Logarithm of it.
        log: bool,
    },
    /// A normalisation. Inputs: x, scale if any, bias if any, residual if any.
    Norm(Norm),
    /// Copies that move elements.
    Move(Move),
    /// `data`, `indices` along an axis.
    Gather {
        /// Axis.
        axis: usize,
    },
    /// Resizing of height and width. Input: x.
    Resize {
        /// Scales as the operator was given them; `None` where only sizes were.
        scale: Option<[f32; 2]>,
        /// How values are found.
        mode: ResizeMode,
        /// Where they are looked up.
        coord: CoordMode,
    },
    /// One direction of an LSTM. Inputs: gates `[seq, batch, 4 * hidden]`, the packed recurrent weights, the first h and c
    /// `[batch, hidden]`. Outputs: Y `[seq, batch, hidden]`, the last h, the last c.
    Lstm {
        /// Run from the last time step to the first.
        reverse: bool,
        /// Hidden units.
        hidden: usize,
    },
    /// One direction of a GRU. Inputs: gates `[seq, batch, 3 * hidden]`, the packed recurrent weights of z, r and h, the first
    /// state `[batch, hidden]`, the candidate's recurrent bias and the lengths of sequences where there are such. Outputs:
    /// Y `[seq, batch, hidden]`, the last state.
    Gru {
        /// Run from the last time step to the first.
        reverse: bool,
        /// Hidden units.
        hidden: usize,
        /// The reset gate applies after the candidate's product; its bias is an input.
        linear_before_reset: bool,
        /// Sequences have lengths of their own.
        lengths: bool,
    },
    /// Attention. Inputs: Q, K, V, the mask if any. Output: the result.
    Attention(Attention),
}

/// Attention over strided operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Factor of the scores.
    pub scale: f32,
    /// Query `i` sees keys `0..=i` only.
    pub causal: bool,
    /// A query that sees no key gives zeros; else NaN.
    pub blind_zero: bool,
    /// How the queries lie in their buffer.
    pub q: Heads,
    /// How the keys lie in their buffer.
    pub k: Heads,
    /// How the values lie in their buffer.
    pub v: Heads,
    /// How the result lies in its buffer.
    pub y: Heads,
}

/// An operand `[batch, heads, rows, columns]` as part of a buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Heads {
    /// A shape of the buffer's elements, in the order of memory.
    pub dims: Vec<Dim>,
    /// What each axis of that shape is.
    pub axes: Vec<Axis>,
}

/// What an axis of a buffer is to an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Batch.
    Batch,
    /// Heads.
    Head,
    /// Queries or keys.
    Row,
    /// Values of a head.
    Column,
    /// None: the operand lies at this index.
    At(usize),
}

/// What follows the sum of a product or convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Post {
    /// A function.
    Act(Activation),
    /// Add a constant.
    AddScalar(f32),
    /// Multiply by a constant.
    MulScalar(f32),
    /// Add the next operand: of the result's shape, or one value per column.
    Add,
    /// Multiply by the next operand: likewise.
    Mul,
}

/// A matrix product.
#[derive(Clone, Debug, PartialEq)]
pub struct Gemm {
    /// Axes of A's buffer in the order of the operand; empty for the buffer's own.
    pub a_perm: Vec<usize>,
    /// The same of B, where it is not packed.
    pub b_perm: Vec<usize>,
    /// Axes of the product in the order of the output buffer; empty for its own. The last axis stays last.
    pub c_perm: Vec<usize>,
    /// B is a packed weight of these sizes.
    pub packed: Option<[usize; 2]>,
    /// A bias of one value per column follows B.
    pub bias: bool,
    /// Steps after the sum.
    pub post: Vec<Post>,
}

/// The axis before height and width of a convolution over volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Kernel depth.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Spacing of taps.
    pub dilation: usize,
    /// Padding before and after.
    pub pad: [usize; 2],
}

/// A convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Of volumes, which have one axis more.
    pub depth: Option<Depth>,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step.
    pub stride: [usize; 2],
    /// Spacing of taps.
    pub dilation: [usize; 2],
    /// Padding at the start and end of an axis.
    pub pad: Padding,
    /// Groups.
    pub groups: usize,
    /// Transposed convolution.
    pub transposed: bool,
    /// A bias of one value per channel follows the weights.
    pub bias: bool,
    /// Steps after the sum.
    pub post: Vec<Post>,
}

/// Padding of a window operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Top, left, bottom, right.
    Fixed([usize; 4]),
    /// As much as makes the output `ceil(in / stride)`, the odd one at the end.
    SameUpper,
    /// The odd one at the start.
    SameLower,
}

/// Elements of an axis that stand before and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Mirrored; the first and last themselves are not repeated.
    Reflect,
    /// The first, and the last.
    Edge,
    /// Those of the other end.
    Wrap,
}

impl Border {
    /// Whether an axis of `n` elements has enough of them for `most` before or behind it.
    pub fn fits(self, n: usize, most: usize) -> bool {
        most == 0
            || match self {
                Border::Reflect => most < n,
                Border::Edge => n > 0,
                Border::Wrap => most <= n,
            }
    }
}

/// Pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What is computed.
    pub kind: PoolKind,
    /// What the window's axes are.
    pub over: PoolOver,
    /// Window; `None` for the whole image or volume.
    pub window: Option<Window>,
}

/// What is pooled at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolOver {
    /// An image.
    Image,
    /// Each plane of a volume.
    Planes,
    /// A volume along its depth, which is the window's height; its width is 1.
    Depth,
}

/// A window over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Step.
    pub stride: [usize; 2],
    /// Spacing of taps.
    pub dilation: [usize; 2],
    /// Padding.
    pub pad: Padding,
}

/// An element-wise program without its strides.
#[derive(Clone, Debug, PartialEq)]
pub struct Eltwise {
    /// Lane types of the inputs.
    pub inputs: Vec<Lane>,
    /// Lane types of the outputs, all of one shape.
    pub outputs: Vec<Lane>,
    /// Registers.
    pub registers: u8,
    /// Instructions.
    pub code: Vec<Inst>,
}

/// A normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Over what it runs.
    pub over: NormOver,
    /// Added to the variance.
    pub eps: f32,
    /// A scale is given.
    pub scale: bool,
    /// A bias is given.
    pub bias: bool,
    /// A residual is given.
    pub residual: bool,
}

/// What a normalisation runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormOver {
    /// The axes from this one on, with their mean.
    Layer(usize),
    /// The axes from this one on, without mean.
    Rms(usize),
    /// Groups of channels.
    Group(usize),
}

/// A copy.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// The same elements in the output's layout.
    Reorder,
    /// `out.shape[i] = in.shape[perm[i]]`.
    Transpose(Vec<usize>),
    /// Broadcast to the output's shape.
    Expand,
    /// Element `i` of each axis is element `start + i * step` of the input.
    Slice {
        /// First element of each axis.
        start: Vec<Dim>,
        /// Step of each axis, not 0.
        step: Vec<i64>,
    },
    /// All inputs, one after the other.
    Concat(usize),
    /// Parts of the input, one to each output.
    Split(usize),
    /// Channels dealt out anew: channel `j * groups + i` of the result is channel `i * (channels / groups) + j`. Several
    /// outputs take its channels in order.
    Shuffle {
        /// Groups; divides the channels.
        groups: usize,
    },
    /// The input at an offset in an output filled with input 1 (a scalar).
    Pad {
        /// Elements before the input on each axis; negative cuts.
        before: Vec<i64>,
    },
    /// The input at an offset in an output whose other elements are its own.
    Extend {
        /// Elements before the input on each axis.
        before: Vec<usize>,
        /// Which elements they are.
        border: Border,
    },
}
