use modelsmith_base::{BudgetExceeded, DType, OutOfBytes};
use thiserror::Error as ThisError;

/// What can go wrong with a tensor, a source or a weight expression.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Bytes or elements do not fill the shape.
    #[error("a {dtype} tensor of shape {shape:?} wants {wanted} {unit}, {found} given")]
    Size {
        /// Element type.
        dtype: DType,
        /// Shape asked for.
        shape: Vec<usize>,
        /// How many are needed.
        wanted: usize,
        /// How many came.
        found: usize,
        /// `bytes` or `elements`.
        unit: &'static str,
    },
    /// The product of the dimensions does not fit the address space.
    #[error("a {dtype} tensor of shape {shape:?} is too large for this machine")]
    TooLarge {
        /// Element type.
        dtype: DType,
        /// Shape asked for.
        shape: Vec<usize>,
    },
    /// An element type other than the one wanted.
    #[error("a tensor of {wanted} is wanted here, this one holds {found}")]
    DType {
        /// Wanted type or class of types.
        wanted: &'static str,
        /// Type found.
        found: DType,
    },
    /// A tensor is wanted and the value is of another kind.
    #[error("a {wanted} is wanted here, this value is a {found}")]
    Kind {
        /// Wanted kind.
        wanted: &'static str,
        /// Kind found.
        found: &'static str,
    },
    /// Shapes that do not fit each other, or a bad argument of a shape operation.
    #[error("{0}")]
    Shape(String),
    /// A read past the end.
    #[error(transparent)]
    OutOfBytes(#[from] OutOfBytes),
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A byte range that the source does not hold.
    #[error("{file}: bytes {offset}..{} are wanted, the file has {len}", offset.saturating_add(*wanted))]
    Range {
        /// File.
        file: String,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        wanted: u64,
        /// Size of the source.
        len: u64,
    },
    /// An `.npy` file that breaks its format.
    #[error("npy: {0}")]
    Npy(String),
    /// More memory than allowed.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
    /// An operator inside a weight expression failed.
    #[error("operator {op} in a weight expression: {message}")]
    Eval {
        /// Operator.
        op: String,
        /// Its message.
        message: String,
    },
}
