//! Kernel operations as data: problems, layouts, epilogues, element-wise programs, instruction sets.
//!
//! What a plan asks of a kernel, without saying how it is done. Everything here is plain data that another
//! crate can write to bytes field by field. Sizes and strides are counted in elements unless a name says bytes.

pub mod attention;
pub mod band;
pub mod conv;
pub mod eltwise;
pub mod epilogue;
pub mod gemm;
pub mod integer;
pub mod isa;
pub mod layout;
pub mod movement;
pub mod norm;
pub mod op;
pub mod recurrent;
pub mod reduce;

pub use attention::{AttentionMask, AttentionProblem, HeadView, MaskKind};
pub use band::Windows;
pub use conv::{ConvProblem, Depth, PoolKind, PoolProblem};
pub use eltwise::{BinaryOp, EltwiseProblem, Inst, Lane, Operand, UnaryOp};
pub use epilogue::{Activation, Epilogue, EpilogueStep};
pub use gemm::{BatchDim, GemmB, GemmProblem};
pub use integer::{IntegerConvProblem, IntegerGemmProblem, ZeroPoint};
pub use isa::Isa;
pub use layout::Layout;
pub use movement::{CoordMode, CopyProblem, GatherProblem, NearestMode, ResizeMode, ResizeProblem};
pub use norm::{NormKind, NormProblem, SoftmaxProblem};
pub use op::KOp;
pub use recurrent::{GruProblem, LstmProblem};
pub use reduce::{ReduceOp, ReduceProblem};
