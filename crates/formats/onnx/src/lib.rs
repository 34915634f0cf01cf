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
mod fields;
mod format;
mod json;
mod prototext;
mod read;
pub mod schema;
mod testdata;
mod text;
mod types;
mod write;

pub use format::ONNX;
pub use json::ONNX_JSON;
pub use prototext::ONNX_PROTOTEXT;
pub use read::read;
pub use testdata::{value_from_bytes, value_to_bytes};
pub use text::{Definitions, ONNX_TEXT, define};
pub use write::{write, write_model};

/// The notations in which ONNX models are written, in the order in which equal claims are settled.
pub static NOTATIONS: &[&modelsmith_format::FormatDef] = &[&ONNX, &ONNX_TEXT, &ONNX_JSON, &ONNX_PROTOTEXT];
