//! ONNX: read, written, and moved between opsets.
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

pub mod schema;
