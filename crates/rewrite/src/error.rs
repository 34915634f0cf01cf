use modelsmith_base::Diagnostic;
use modelsmith_ir::OpError;
use std::borrow::Cow;
use thiserror::Error as ThisError;

/// Why a pipeline stopped.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// A name given by the user is no pass of the pipeline.
    #[error("there is no pass called {name}; the passes are {}", known.join(", "))]
    UnknownPass {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A pass left a model that the verifier refuses: a fault of the pass.
    #[error("after the pass {pass} the model is broken: {}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Broken {
        /// The pass.
        pass: &'static str,
        /// What the verifier says.
        found: Vec<Diagnostic>,
    },
    /// A pass could not do its work.
    #[error("pass {pass}: {message}")]
    Pass {
        /// The pass.
        pass: &'static str,
        /// Why.
        message: String,
    },
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a rule did not fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss(pub Cow<'static, str>);

/// What a rule returns: done, or why not.
pub type Try<T = ()> = std::result::Result<T, Miss>;

impl From<&'static str> for Miss {
    fn from(s: &'static str) -> Miss {
        Miss(Cow::Borrowed(s))
    }
}

impl From<String> for Miss {
    fn from(s: String) -> Miss {
        Miss(Cow::Owned(s))
    }
}

impl From<OpError> for Miss {
    fn from(e: OpError) -> Miss {
        Miss(Cow::Owned(e.to_string()))
    }
}

impl From<modelsmith_tensor::Error> for Miss {
    fn from(e: modelsmith_tensor::Error) -> Miss {
        Miss(Cow::Owned(e.to_string()))
    }
}
