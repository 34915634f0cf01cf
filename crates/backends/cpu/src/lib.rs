//! The CPU backend: answers the planner from the kernel lists, and makes kernel calls of problems.
#![forbid(unsafe_code)]

mod call;
mod offer;
mod tune;

pub use call::{KernelCall, Refused, is_fast, is_kernel, prepare};
pub use offer::{Cpu, packed_bytes};
pub use tune::{Timing, measure, tunable};
