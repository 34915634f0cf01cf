//! Bytes computed from those of another source, read by position.

mod inflated;
mod swapped;

pub use inflated::{Inflated, MOST};
pub use swapped::Swapped;
