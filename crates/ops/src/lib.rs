//! The operator set, one file per operator, and the reference interpreter.
//!
//! [`all`] is the set. A file under a family's folder holds all that the project knows of one operator; the module
//! lists and the table in `registry.rs` are written by `cargo xtask gen`.
#![forbid(unsafe_code)]

pub mod elementwise;
mod error;
pub mod infer;
pub mod interp;
pub mod legacy;
pub mod moves;
pub mod opset;
pub mod prelude;
pub mod rewire;
pub mod run;
pub mod shapes;
pub mod special;
pub mod typesets;

mod registry;
pub use error::Error;
pub use registry::*;

use modelsmith_ir::OpSet;
use std::sync::OnceLock;

/// Every operator that this program knows.
pub fn all() -> &'static OpSet {
    static SET: OnceLock<OpSet> = OnceLock::new();
    SET.get_or_init(|| OpSet::new(registry::ALL))
}
