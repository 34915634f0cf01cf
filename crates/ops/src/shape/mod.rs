//! Operators of the family `shape`.
// Written by `cargo xtask gen`; do not edit.

pub mod identity;
pub mod squeeze;
