use modelsmith_ir::OpError;
use thiserror::Error as ThisError;

/// What running a model can meet.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// An operator failed.
    #[error("node {node}: {source}")]
    Node {
        /// Label of the node.
        node: String,
        /// Cause.
        source: OpError,
    },
    /// Nodes that this program cannot run, all of them.
    #[error("this model cannot run: {}", .0.join("; "))]
    Unsupported(Vec<String>),
    /// An input that the model cannot take.
    #[error("input {input}: {message}")]
    Input {
        /// Name of the input.
        input: String,
        /// What is wrong, with axis and bound.
        message: String,
    },
    /// The model breaks an invariant.
    #[error("{0}")]
    Model(String),
    /// A weight cannot be read.
    #[error("tensor {tensor}: {source}")]
    Weight {
        /// Name of the tensor.
        tensor: String,
        /// Cause.
        source: modelsmith_tensor::Error,
    },
    /// A fault of the runtime itself.
    #[error("{0}")]
    Runtime(String),
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
