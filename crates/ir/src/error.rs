use thiserror::Error;

/// What an operator's functions return.
pub type OpResult<T> = std::result::Result<T, OpError>;

/// Why an operator could not infer, run, decompose or move to another version.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpError {
    /// The node breaks the operator's specification.
    #[error("{0}")]
    Invalid(String),
    /// The node is valid, but this program (or the target version) cannot say it.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] modelsmith_tensor::Error),
}

impl OpError {
    /// An [`OpError::Invalid`].
    pub fn invalid(message: impl Into<String>) -> OpError {
        OpError::Invalid(message.into())
    }

    /// An [`OpError::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> OpError {
        OpError::Unsupported(message.into())
    }
}
