//! Formats that hold named weights and no graph: [`safetensors`], [`gguf`], NumPy's [`npy`] and [`npz`], text in [`wts`].
//!
//! Readers look at headers only and describe tensors as byte ranges; writers lay the file out and stream it.
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

mod checkpoint;
pub mod gguf;
pub mod npy;
pub mod npz;
mod range;
pub mod recipe;
pub mod safetensors;
pub mod wts;

pub use gguf::GGUF;
pub use npy::NPY;
pub use npz::NPZ;
pub use safetensors::SAFETENSORS;
pub use wts::{WTS, WTS_DECIMAL};

/// Every format of this crate, in the order in which equal claims are settled.
pub static FORMATS: &[&modelsmith_format::FormatDef] = &[&SAFETENSORS, &GGUF, &NPY, &NPZ, &WTS, &WTS_DECIMAL];
