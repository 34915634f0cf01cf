//! Copies, gathers and resizing.

use crate::layout::Layout;
use modelsmith_base::DType;

/// A copy between two strided views of equal shape: transposition, slice, concatenation (one per input),
/// expansion (stride 0 in the source), padding of a filled buffer, layout change.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CopyProblem {
    /// Bytes of an element: 1, 2, 4, 8 or 16.
    pub elem_bytes: usize,
    /// Shape of both views, outermost first.
    pub dims: Vec<usize>,
    /// First element read.
    pub src_offset: usize,
    /// Elements between neighbours of each dim in the source; may be negative (reversal).
    pub src_strides: Vec<isize>,
    /// First element written.
    pub dst_offset: usize,
    /// Elements between neighbours of each dim in the destination.
    pub dst_strides: Vec<usize>,
}

/// `out[o, i, :] = data[o, index[i], :]` over dense views `data: [outer, axis, inner]`, `index: [count]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GatherProblem {
    /// Product of the dims before the axis.
    pub outer: usize,
    /// Length of the axis; an index outside `-axis..axis` is an error.
    pub axis: usize,
    /// Bytes of the dims after the axis.
    pub inner_bytes: usize,
    /// Number of indices.
    pub count: usize,
    /// `I32` or `I64`.
    pub index: DType,
}

/// Where an output coordinate lies in the input, as ONNX Resize names them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CoordMode {
    /// `(x + 0.5) / scale - 0.5`.
    HalfPixel,
    /// `HalfPixel`, but 0 where the output has length 1.
    PytorchHalfPixel,
    /// `x * (in - 1) / (out - 1)`.
    AlignCorners,
    /// `x / scale`.
    Asymmetric,
}

/// How a coordinate between two inputs is rounded by nearest resizing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NearestMode {
    /// Halves go down.
    RoundPreferFloor,
    /// Halves go up.
    RoundPreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

/// How values between inputs are found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResizeMode {
    /// The nearest input.
    Nearest(NearestMode),
    /// Weighted mean of the four around.
    Linear,
}

/// Resizing of height and width of images in f32.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResizeProblem {
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Output height.
    pub oh: usize,
    /// Output width.
    pub ow: usize,
    /// Scales of height and width, output over input, as the operator was given them.
    pub scale: [f32; 2],
    /// How values are found.
    pub mode: ResizeMode,
    /// Where they are looked up.
    pub coord: CoordMode,
    /// Layout of input and output.
    pub layout: Layout,
}
