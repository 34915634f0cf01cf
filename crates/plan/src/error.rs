use thiserror::Error as ThisError;

/// What making or reading a plan can meet.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Nodes that cannot be planned as asked, all of them.
    #[error("this model cannot be built: {}", .0.join("; "))]
    Unsupported(Vec<String>),
    /// The model breaks an invariant.
    #[error("{0}")]
    Model(String),
    /// Plan bytes that are not a plan.
    #[error("plan at byte offset {offset}: {message}")]
    Bytes {
        /// Offset, counted from the start of the file.
        offset: u64,
        /// What is wrong there.
        message: String,
    },
    /// Shapes that a step cannot take.
    #[error("step {step}: {message}")]
    Step {
        /// Label of the step.
        step: String,
        /// What is wrong.
        message: String,
    },
    /// An input that does not fit.
    #[error("input {input}: {message}")]
    Input {
        /// Name of the input.
        input: String,
        /// What is wrong, with axis and bound.
        message: String,
    },
    /// A weight cannot be read or packed.
    #[error("tensor {tensor}: {message}")]
    Weight {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        message: String,
    },
    /// The passes that prepare a model failed.
    #[error("while preparing the model: {0}")]
    Prepare(String),
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
