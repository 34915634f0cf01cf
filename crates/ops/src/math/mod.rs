//! Operators of the family `math`.
// Written by `cargo xtask gen`; do not edit.

pub mod abs;
pub mod add;
