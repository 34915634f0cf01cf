//! Operators of the family `random`.
// Written by `cargo xtask gen`; do not edit.

pub mod bernoulli;
pub mod draws;
pub mod multinomial;
pub mod random_normal;
pub mod random_normal_like;
pub mod random_uniform;
pub mod random_uniform_like;
