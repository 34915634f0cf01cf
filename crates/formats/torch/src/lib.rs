//! PyTorch files. TorchScript archives and exported programs are read as models: [`SCRIPT`], [`EXPORT`].
//!
//! Checkpoints: zip archives, legacy streams and legacy tar archives, and bare pickles.
//!
//! The pickle inside is read by an inert machine ([`modelsmith_wire::pickle`]). Calls that the recipe table knows
//! ([`modelsmith_format::recipes`]) become tensors; everything else stays data with its class name. Tensors are views
//! of storages, which are ranges of the file: nothing is loaded.
//!
//! What has no tensor type of its own is taken apart, so that any format can hold it:
//!
//! | in the file | tensors | metadata |
//! |---|---|---|
//! | quantized per tensor | `NAME` (integers), `NAME.scale`, `NAME.zero_point` (scalars) | `NAME.scheme` |
//! | quantized per channel | `NAME`, `NAME.scale`, `NAME.zero_point` (vectors) | `NAME.scheme`, `NAME.axis` |
//! | sparse | `NAME.indices` and `NAME.values`, or `NAME.compressed_indices`, `NAME.plain_indices`, `NAME.values` | `NAME.layout`, `NAME.size` |
//! | nested | `NAME.values`, `NAME.sizes`, `NAME.strides`, `NAME.offsets` | |
//! | complex of two halves | `NAME` with a last dimension of 2 | |
//! | without data (meta device) | | `NAME`: its type and shape |
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

mod aten;
mod container;
mod export;
mod finish;
mod format;
mod program;
mod read;
mod script;
mod state;
mod write;

pub use aten::table::overloads;
pub use export::EXPORT;
use finish::{finish, refused};
pub use format::TORCH;
pub use program::written;
pub use read::{read, salvage};
pub use script::SCRIPT;
