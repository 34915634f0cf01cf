//! From the hub graph to a [`Plan`]: lowering, fusion, layout and kernel assignment, memory planning.
//!
//! [`lower`] turns a hub model into blocks of steps. Sizes stay expressions; [`instantiate`] makes kernel problems of a
//! step for the sizes of a run. The kernels themselves are asked for through [`Backend`].
#![forbid(unsafe_code)]

mod backend;
pub mod bytes;
mod error;
mod fuse;
mod infer;
mod instantiate;
mod layout;
mod lower;
pub mod memory;
mod plan;
mod prepare;
pub mod recipe;

pub use backend::{Backend, Candidate, Refusal, WeightDims};
pub use error::{Error, Result};
pub use instantiate::{Call, Operand, Sizes, instantiate};
pub use lower::{Blobs, LowerOptions, lower, survey};
pub use plan::{Block, Body, Buffer, BufferId, EvalOp, Form, Home, Plan, Step, StepOp, Weight, WeightId};
pub use prepare::{Prepared, prepare};
