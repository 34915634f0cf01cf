//! Engines: built from hub models, saved to and mapped from `.engine` files, run by sessions.
//!
//! [`build`] lowers a model for this machine. [`Engine::session`] opens it: a [`Session`] solves the sizes of its inputs,
//! places activations in one arena and what leaves a block in tensors of its own, and keeps all for the next run of the
//! same sizes.
//! [`CpuRunner`] is the `cpu` backend behind the interface that the interpreter shares.

mod arena;
mod bind;
mod build;
pub mod cache;
mod chains;
mod control;
mod engine;
mod error;
mod exec;
pub mod file;
mod joined;
mod profile;
mod results;
mod session;
pub mod tuning;
mod weights;

pub use build::{BuildOptions, BuildReport, Built, CpuRunner, StepReport, build, open};
pub use engine::{Engine, Info};
pub use error::{Error, Result};
pub use file::{load, save};
pub use profile::StepTime;
pub use session::{MemoryUse, Port, Session, SessionOptions, allowed_isa};
