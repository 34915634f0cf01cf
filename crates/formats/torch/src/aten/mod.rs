//! Operators of PyTorch as operators of the hub: one table for everything that holds ATen calls.
//!
//! [`table::call`] takes the name of an operator and its arguments as values of the program, and appends nodes to the
//! [`Context`]. A family of operators is a file of [`ops`]; a row is a signature and the function that says it.

pub(crate) mod context;
pub(crate) mod error;
mod memory;
pub(crate) mod mold;
mod number;
pub(crate) mod ops;
pub(crate) mod promote;
pub(crate) mod schema;
mod sizes;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod value;

pub(crate) use context::Context;
pub(crate) use error::{Outcome, Stop, damaged, unsupported};
pub(crate) use table::call;
pub(crate) use value::{Kind, List, Val};
