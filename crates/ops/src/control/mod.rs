//! Operators of the family `control`.
// Written by `cargo xtask gen`; do not edit.

pub mod if_;
pub mod loop_;
pub mod scan;
