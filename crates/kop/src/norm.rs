//! Softmax and normalisations.

use crate::layout::Layout;

/// Softmax in f32 along the middle of a dense `[outer, len, inner]` view.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SoftmaxProblem {
    /// Product of the dims before the axis.
    pub outer: usize,
    /// Length of the axis.
    pub len: usize,
    /// Product of the dims after the axis.
    pub inner: usize,
    /// Give the logarithm (LogSoftmax).
    pub log: bool,
}

/// What a normalisation runs over and how.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NormKind {
    /// Over each row of a dense `[rows, len]` view: `(x - mean) / sqrt(var + eps) * scale[len] + bias[len]`.
    Layer {
        /// Rows.
        rows: usize,
        /// Values in a row.
        len: usize,
    },
    /// Over each row of a dense `[rows, len]` view: `x / sqrt(mean(x^2) + eps) * scale[len]`.
    Rms {
        /// Rows.
        rows: usize,
        /// Values in a row.
        len: usize,
    },
    /// Over each group of channels of each image: `(x - mean) / sqrt(var + eps) * scale[c] + bias[c]`.
    /// Instance norm is one group per channel.
    Group {
        /// Images.
        n: usize,
        /// Channels.
        c: usize,
        /// Pixels of an image.
        spatial: usize,
        /// Groups; divides `c`.
        groups: usize,
        /// Layout of input and output.
        layout: Layout,
    },
}

/// A normalisation in f32 with population variance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NormProblem {
    /// What it runs over.
    pub kind: NormKind,
    /// Added to the variance.
    pub eps: f32,
    /// A scale vector is given.
    pub scale: bool,
    /// A bias vector is given.
    pub bias: bool,
    /// A residual of the input's shape is added to the input first.
    pub residual: bool,
}
