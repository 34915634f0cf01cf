//! Operators of the family `training`.
// Written by `cargo xtask gen`; do not edit.

pub mod adagrad;
pub mod adam;
pub mod momentum;
pub mod update;
