//! What is done to each result of a matrix product or convolution before it is stored.

/// An element-wise function of one value with its parameters, as the ONNX operator of that name defines it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, min), max)`; relu6 is `Clip { min: 0, max: 6 }`.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// `x` where `x >= 0`, else `alpha * x`.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `max(0, min(1, alpha * x + beta))`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 0.5))`.
    HardSwish,
    /// `x * sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `0.5 x (1 + erf(x / sqrt 2))`.
    Gelu,
    /// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x` where `x >= 0`, else `alpha * (exp(x) - 1)`.
    Elu {
        /// Scale below zero.
        alpha: f32,
    },
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x * tanh(softplus(x))`.
    Mish,
}

/// One step after the sum of products, applied in order to every element.
///
/// An operand is an f32 buffer given at run time. Element (row, column) of the result meets operand element
/// `row * row_stride + column`, where rows are counted through all batches; `row_stride: 0` is one vector over
/// columns. For convolutions a row is an output pixel (batch, then height, then width) and a column an output
/// channel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum EpilogueStep {
    /// Apply a function.
    Act(Activation),
    /// Add a constant.
    AddScalar(f32),
    /// Multiply by a constant.
    MulScalar(f32),
    /// Add an operand.
    Add {
        /// Index into the operands given at run time.
        operand: u32,
        /// Elements between rows of the operand; 0 is a vector over columns.
        row_stride: usize,
    },
    /// Multiply by an operand.
    Mul {
        /// Index into the operands given at run time.
        operand: u32,
        /// Elements between rows of the operand; 0 is a vector over columns.
        row_stride: usize,
    },
}

/// Bias and following steps of a matrix product or convolution. The default does nothing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Epilogue {
    /// A bias of one f32 per column (output channel) is added to the sum before the steps.
    pub bias: bool,
    /// Steps in order.
    pub steps: Vec<EpilogueStep>,
}

impl Epilogue {
    /// Number of operands that the steps name: one more than the highest index.
    pub fn operand_count(&self) -> usize {
        self.steps
            .iter()
            .map(|s| match s {
                EpilogueStep::Add { operand, .. } | EpilogueStep::Mul { operand, .. } => *operand as usize + 1,
                _ => 0,
            })
            .max()
            .unwrap_or(0)
    }
}
