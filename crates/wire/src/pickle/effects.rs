//! Instructions that change a value which exists already, and which may be memoised.

use super::machine::Machine;
use super::{Error, Node, NodeId, What};

impl Machine<'_, '_> {
    /// Items put into the value on top.
    pub(super) fn append(&mut self, more: Vec<NodeId>) -> Result<bool, Error> {
        let object = self.top()?;
        match self.pickle.nodes.get_mut(object.index()) {
            Some(Node::List(items) | Node::Set(items)) => items.extend(more),
            Some(Node::Call(call)) => {
                call.items.extend(more);
                self.event(What::Change(object));
            }
            _ => self.event(What::Change(object)),
        }
        Ok(true)
    }

    /// Items of the value on top, set by key.
    pub(super) fn set(&mut self, more: Vec<(NodeId, NodeId)>) -> Result<bool, Error> {
        let object = self.top()?;
        match self.pickle.nodes.get_mut(object.index()) {
            Some(Node::Dict(pairs)) => pairs.extend(more),
            Some(Node::Call(call)) => {
                call.pairs.extend(more);
                self.event(What::Change(object));
            }
            _ => self.event(What::Change(object)),
        }
        Ok(true)
    }

    /// A state given to `object`.
    pub(super) fn build(&mut self, object: NodeId, state: NodeId) {
        if let Some(Node::Call(call)) = self.pickle.nodes.get_mut(object.index()) {
            call.states.push(state);
        }
        self.event(What::Build { object, state });
    }
}
