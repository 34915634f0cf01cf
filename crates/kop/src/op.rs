//! The closed set of operations that have native kernels.

use crate::attention::AttentionProblem;
use crate::conv::{ConvProblem, PoolProblem};
use crate::eltwise::EltwiseProblem;
use crate::gemm::GemmProblem;
use crate::integer::{IntegerConvProblem, IntegerGemmProblem};
use crate::movement::{CopyProblem, GatherProblem, ResizeProblem};
use crate::norm::{NormProblem, SoftmaxProblem};
use crate::recurrent::{GruProblem, LstmProblem};
use crate::reduce::ReduceProblem;

/// An operation with at least a portable kernel.
#[derive(Clone, PartialEq, Debug)]
pub enum KOp {
    /// Matrix product.
    Gemm(GemmProblem),
    /// Convolution.
    Conv(ConvProblem),
    /// Pooling.
    Pool(PoolProblem),
    /// Element-wise program.
    Eltwise(EltwiseProblem),
    /// Reduction.
    Reduce(ReduceProblem),
    /// Softmax.
    Softmax(SoftmaxProblem),
    /// Normalisation.
    Norm(NormProblem),
    /// Strided copy.
    Copy(CopyProblem),
    /// Gather along an axis.
    Gather(GatherProblem),
    /// Resizing of images.
    Resize(ResizeProblem),
    /// One direction of an LSTM.
    Lstm(LstmProblem),
    /// One direction of a GRU.
    Gru(GruProblem),
    /// Attention.
    Attention(AttentionProblem),
    /// Matrix product of 8-bit integers.
    IntegerGemm(IntegerGemmProblem),
    /// Convolution of 8-bit integers.
    IntegerConv(IntegerConvProblem),
}

impl KOp {
    /// The family's name as kernel names spell it.
    pub const fn family(&self) -> &'static str {
        match self {
            KOp::Gemm(_) => "gemm",
            KOp::Conv(_) => "conv",
            KOp::Pool(_) => "pool",
            KOp::Eltwise(_) => "eltwise",
            KOp::Reduce(_) => "reduce",
            KOp::Softmax(_) => "softmax",
            KOp::Norm(_) => "norm",
            KOp::Copy(_) => "copy",
            KOp::Gather(_) => "gather",
            KOp::Resize(_) => "resize",
            KOp::Lstm(_) => "lstm",
            KOp::Gru(_) => "gru",
            KOp::Attention(_) => "attention",
            KOp::IntegerGemm(_) => "integer_gemm",
            KOp::IntegerConv(_) => "integer_conv",
        }
    }
}
