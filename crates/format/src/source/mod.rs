//! Bytes computed from those of another source, read by position.

mod inflated;
mod part;
mod swapped;

pub use inflated::{Inflated, MOST};
pub use part::Part;
pub use swapped::Swapped;
