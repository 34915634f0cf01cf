//! ONNX: read, written, and test data.
//!
//! [`read()`] gives a model at the foreign stage, which [`modelsmith_ops::opset::upgrade`] takes to the hub. What the IR
//! has no place for is kept beside it, so a model that nobody changed is written as it was.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::panic,
        clippy::unreachable
    )
)]

mod extra;
mod format;
mod read;
pub mod schema;
mod testdata;
mod types;
mod write;

pub use format::ONNX;
pub use read::read;
pub use testdata::{value_from_bytes, value_to_bytes};
pub use write::{write, write_model};
