use thiserror::Error as ThisError;

/// What building, loading and running an engine can meet.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The planner's error.
    #[error(transparent)]
    Plan(#[from] modelsmith_plan::Error),
    /// A node failed.
    #[error("step {step}: {message}")]
    Step {
        /// Label of the step.
        step: String,
        /// What is wrong.
        message: String,
    },
    /// An input that the model cannot take.
    #[error("input {input}: {message}")]
    Input {
        /// Name of the input.
        input: String,
        /// What is wrong, with axis and bound.
        message: String,
    },
    /// The option cannot be met.
    #[error("{0}")]
    Refused(String),
    /// An engine file that is damaged, or not one.
    #[error("{file}: at byte offset {offset}: {message}")]
    File {
        /// The file.
        file: String,
        /// Offset of what is wrong.
        offset: u64,
        /// What is wrong.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn step(step: &str, message: impl ToString) -> Error {
        Error::Step { step: step.into(), message: message.to_string() }
    }
}

impl From<Error> for modelsmith_ops::Error {
    fn from(e: Error) -> modelsmith_ops::Error {
        match e {
            Error::Input { input, message } => modelsmith_ops::Error::Input { input, message },
            Error::Plan(modelsmith_plan::Error::Unsupported(all)) => modelsmith_ops::Error::Unsupported(all),
            Error::Step { step, message } => {
                modelsmith_ops::Error::Node { node: step, source: modelsmith_ir::OpError::invalid(message) }
            }
            other => modelsmith_ops::Error::Runtime(other.to_string()),
        }
    }
}
