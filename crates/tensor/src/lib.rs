//! Host tensors, values, lazy weights over byte ranges, the contraction routine, npy files and comparison.
//!
//! A [`Tensor`] is dense, row-major and owns its bytes. A [`WeightExpr`] describes a tensor that may still lie in
//! a file; [`materialize`] makes it a tensor.
#![deny(unsafe_code)]

mod blocks;
pub mod compare;
pub mod contract;
mod elements;
mod error;
mod identity;
pub mod index;
#[allow(unsafe_code)]
mod mmap;
pub mod npy;
mod pick;
mod ranged;
mod runs;
mod sizes;
mod source;
mod tensor;
mod value;
mod weight;

pub use blocks::{ENCODINGS, Encoding, encoding};
pub use elements::Element;
pub use error::Error;
pub use identity::Identity;
pub use modelsmith_base::{DType, bf16, f16};
pub use ranged::{Form, Ranged, stored_len};
pub use source::{FileSource, MemSource, Source, open};
pub use tensor::{Owner, Tensor};
pub use value::{Map, MapKeys, Sparse, Value};
pub use weight::{Blocks, Evaluator, Read, WeightExpr, concat, materialize, permuted, view_end};

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
