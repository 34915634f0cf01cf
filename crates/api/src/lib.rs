//! The public Rust face of Modelsmith: open a model or a checkpoint, run it, compare it, simplify it, compile it, measure it.
#![forbid(unsafe_code)]

pub mod agreement;
mod baked;
pub mod bench;
pub mod bisect;
pub mod cache;
pub mod check;
pub mod checkpoint;
pub mod compare;
pub mod deploy;
pub mod engine;
mod error;
pub mod evaluate;
pub mod explain;
pub mod files;
pub mod inputs;
pub mod inspect;
pub mod judge;
pub mod layers;
pub mod lists;
pub mod machine;
pub mod model;
pub mod npz;
pub mod optimize;
pub mod random;
pub mod reduce;
pub mod report;
pub mod run;
pub mod scan;
mod scout;
pub mod shapes;
pub mod shared;
mod sides;
pub mod target;
pub mod test_data;
pub mod write;

pub use checkpoint::Checkpoint;
pub use error::{Error, Kind, Result};
pub use model::Model;
pub use modelsmith_convert::Definitions;
