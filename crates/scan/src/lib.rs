//! Security findings in model files, made by reading: nothing is imported, called or run.
//!
//! A file passes only when every byte of it was understood and nothing was found ([`Report::is_clean`]). Pickles are
//! judged by what their instructions would import and call: what the recipe table
//! ([`modelsmith_format::recipes`]) knows passes, all else is refused. Archives are opened at any depth within limits,
//! and what lies between, before and behind their entries is looked at too.
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

mod archives;
mod bomb;
mod gguf;
mod keras;
mod kind;
mod names;
mod npy;
mod onnx;
mod pickle;
mod report;
mod safetensors;
mod scanner;
mod tensorflow;
mod text;
mod zip;

pub(crate) use modelsmith_base::wide;
pub use report::{Finding, Report, Severity, sarif};
pub use scanner::scan;
