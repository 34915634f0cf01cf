//! CPU kernels by family, each in portable, AVX2 and AVX-512 form.
//!
//! A family is a module with one list of [`KernelDef`]s, best first, the last one portable. [`choose`] takes the cheapest
//! that the machine and the problem allow; the planner may ask each for its cost. Calls check every buffer, so a
//! damaged plan can give wrong numbers or an error but cannot reach memory that it was not given.

#[cfg(target_arch = "x86_64")]
mod amx;
pub mod attn;
pub mod chain;
pub mod conv;
pub mod def;
pub mod eltwise;
pub mod gemm;
pub mod host;
pub mod integer;
pub mod mem;
pub mod movement;
pub mod norm;
pub mod pack;
pub mod pooling;
pub mod recurrent;
pub mod reduce;
pub mod roof;
pub mod simd;
pub mod softmax;
mod span;

pub use chain::{Chain, Stage};
pub use def::{Args, Facts, KernelDef, KernelError, Reject, by_name, choose};
pub use host::detect;
pub use mem::{Dst, Src};
pub use pack::{PackFormat, WeightShape};
