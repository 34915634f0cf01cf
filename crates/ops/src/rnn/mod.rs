//! Operators of the family `rnn`.
// Written by `cargo xtask gen`; do not edit.

pub mod activation;
pub mod gru;
pub mod lstm;
pub mod recurrence;
pub mod rnn;
