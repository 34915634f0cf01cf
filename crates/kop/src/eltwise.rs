//! Element-wise programs: a small register machine run over every element of a broadcast shape.
//!
//! A chain of element-wise operators becomes one program, so that memory is passed over once whatever its length.
//! Registers hold one value per element; each instruction names the type of the lanes it works on.

use crate::epilogue::Activation;
use modelsmith_base::DType;

/// The type in which an instruction computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lane {
    /// 32-bit float.
    F32,
    /// 32-bit signed integer, wrapping.
    I32,
    /// 64-bit signed integer, wrapping.
    I64,
    /// 0 or 1.
    Bool,
    /// 8-bit unsigned integer, of which programs only make others.
    U8,
    /// 8-bit signed integer, likewise.
    I8,
    /// IEEE half, likewise.
    F16,
    /// bfloat16, likewise.
    BF16,
}

impl Lane {
    /// Every lane type.
    pub const ALL: [Lane; 8] = [Lane::F32, Lane::I32, Lane::I64, Lane::Bool, Lane::U8, Lane::I8, Lane::F16, Lane::BF16];

    /// True for types that are only loaded, stored, selected and cast.
    pub const fn is_narrow(self) -> bool {
        matches!(self, Lane::U8 | Lane::I8 | Lane::F16 | Lane::BF16)
    }

    /// The type in which values of this one are computed with.
    pub const fn wide(self) -> Lane {
        match self {
            Lane::U8 | Lane::I8 => Lane::I32,
            Lane::F16 | Lane::BF16 => Lane::F32,
            lane => lane,
        }
    }

    /// The element type in memory.
    pub const fn dtype(self) -> DType {
        match self {
            Lane::F32 => DType::F32,
            Lane::I32 => DType::I32,
            Lane::I64 => DType::I64,
            Lane::Bool => DType::Bool,
            Lane::U8 => DType::U8,
            Lane::I8 => DType::I8,
            Lane::F16 => DType::F16,
            Lane::BF16 => DType::BF16,
        }
    }

    /// The lane type that an element type is held in, where programs can hold it.
    pub fn of(dtype: DType) -> Option<Lane> {
        Self::ALL.into_iter().find(|l| l.dtype() == dtype)
    }

    /// Bytes of an element in memory.
    pub const fn bytes(self) -> usize {
        match self {
            Lane::F32 | Lane::I32 => 4,
            Lane::I64 => 8,
            Lane::F16 | Lane::BF16 => 2,
            Lane::Bool | Lane::U8 | Lane::I8 => 1,
        }
    }
}

/// A function of one value. Integer lanes know `Neg`, `Abs`, `Sign`; `Bool` knows `Not`; `F32` all but `Not`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum UnaryOp {
    /// An activation.
    Act(Activation),
    /// `-x`.
    Neg,
    /// Magnitude.
    Abs,
    /// -1, 0 or 1; NaN stays.
    Sign,
    /// Square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// `e^x`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Error function.
    Erf,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Arc tangent.
    Atan,
    /// Largest integer not above.
    Floor,
    /// Smallest integer not below.
    Ceil,
    /// Nearest integer, halves to even.
    Round,
    /// Logical not.
    Not,
}

/// A function of two values. Comparisons give `Bool` lanes from lanes of the named type; `And`, `Or`, `Xor` work on
/// `Bool` lanes; the others give the lanes they take.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient; integers round towards zero, and division by zero gives 0.
    Div,
    /// Smaller; NaN wins.
    Min,
    /// Larger; NaN wins.
    Max,
    /// Power (`F32` only).
    Pow,
    /// `a` where it is at least 0, else `a * b` (`F32` only): PRelu.
    PRelu,
    /// Remainder with the sign of the divisor for integers; C `fmod` for `F32`. Remainder by zero gives 0 for integers.
    Mod,
    /// Equal.
    Equal,
    /// `a < b`.
    Less,
    /// `a <= b`.
    LessEqual,
    /// `a > b`.
    Greater,
    /// `a >= b`.
    GreaterEqual,
    /// Logical and.
    And,
    /// Logical or.
    Or,
    /// Logical exclusive or.
    Xor,
}

impl BinaryOp {
    /// True where the result has `Bool` lanes whatever the operands' type.
    pub const fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | Less | LessEqual | Greater | GreaterEqual)
    }
}

/// One instruction. Registers are numbered from 0 and must be written before they are read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Inst {
    /// Register from an input, in the input's lane type.
    Load {
        /// Register written.
        dst: u8,
        /// Index of the input.
        input: u8,
    },
    /// Register from a constant.
    ConstF32 {
        /// Register written.
        dst: u8,
        /// The value.
        value: f32,
    },
    /// Register from an integer constant, in `I32`, `I64` or `Bool` lanes.
    ConstInt {
        /// Register written.
        dst: u8,
        /// Lane type of the register.
        lane: Lane,
        /// The value; wraps to the lane type.
        value: i64,
    },
    /// `dst = op(a)`.
    Unary {
        /// The function.
        op: UnaryOp,
        /// Type of the operand.
        lane: Lane,
        /// Register written.
        dst: u8,
        /// Operand register.
        a: u8,
    },
    /// `dst = op(a, b)`.
    Binary {
        /// The function.
        op: BinaryOp,
        /// Type of the operands.
        lane: Lane,
        /// Register written.
        dst: u8,
        /// Left operand register.
        a: u8,
        /// Right operand register.
        b: u8,
    },
    /// `dst = cond ? a : b`, with `cond` in `Bool` lanes.
    Select {
        /// Type of `a`, `b` and `dst`.
        lane: Lane,
        /// Register written.
        dst: u8,
        /// Condition register.
        cond: u8,
        /// Register taken where the condition holds.
        a: u8,
        /// Register taken elsewhere.
        b: u8,
    },
    /// `dst = a` converted; float to integer rounds towards zero and saturates, integers wrap, floats round to the nearest,
    /// anything to `Bool` is `a != 0`.
    Cast {
        /// Type of `a`.
        from: Lane,
        /// Type of `dst`.
        to: Lane,
        /// Register written.
        dst: u8,
        /// Operand register.
        a: u8,
    },
    /// Output from a register, in the output's lane type.
    Store {
        /// Index of the output.
        output: u8,
        /// Register read.
        a: u8,
    },
}

/// An input or output of a program: its type and how it is walked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Operand {
    /// Type in memory and in registers.
    pub lane: Lane,
    /// Elements between neighbours along each dim of the iteration shape; 0 broadcasts (inputs only).
    pub strides: Vec<usize>,
}

/// A program over a shape. Outputs do not overlap; an output may be the very buffer of an input with the same
/// strides and lane width.
#[derive(Clone, PartialEq, Debug)]
pub struct EltwiseProblem {
    /// Iteration shape, outermost first. Empty is one element.
    pub dims: Vec<usize>,
    /// Inputs.
    pub inputs: Vec<Operand>,
    /// Outputs; no stride of a dim above 1 may be 0.
    pub outputs: Vec<Operand>,
    /// Number of registers; at most [`EltwiseProblem::MAX_REGISTERS`].
    pub registers: u8,
    /// Instructions in order.
    pub code: Vec<Inst>,
}

impl EltwiseProblem {
    /// Most registers a program may use.
    pub const MAX_REGISTERS: usize = 16;
    /// Most inputs and most outputs.
    pub const MAX_OPERANDS: usize = 16;

    /// Number of elements of the iteration shape.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// True where the iteration shape has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
