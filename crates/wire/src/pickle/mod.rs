//! Python pickles, protocols 0 to 5, read by a machine that imports nothing and calls nothing.
//!
//! What a pickle would import is a [`Node::Global`], what it would call a [`Node::Call`]: records in an arena, addressed
//! by [`NodeId`], so that shared and cyclic objects cost what their bytes cost. A pickle that breaks half way still
//! shows all that it would have done before ([`Pickle::events`]).
//!
//! Who walks the arena bounds the walk: a few bytes can describe an object that unfolds into more than any memory.

mod effects;
mod error;
mod literal;
mod machine;
mod node;
#[cfg(test)]
mod tests;

pub use error::{Error, Kind};
pub use machine::{Limits, read};
pub use node::{Call, Event, How, Node, NodeId, Pickle, What};
