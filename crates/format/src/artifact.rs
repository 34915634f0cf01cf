//! What a file turns out to hold.

use crate::Checkpoint;
use modelsmith_ir::Model;

/// What a file holds.
#[derive(Clone)]
pub enum Artifact {
    /// A graph with its weights.
    Model(Box<Model>),
    /// Named weights without a graph.
    Checkpoint(Checkpoint),
    /// Several of them, by name.
    Package(Vec<(String, Artifact)>),
}

impl Artifact {
    /// `model`, `checkpoint` or `package`.
    pub fn kind(&self) -> &'static str {
        match self {
            Artifact::Model(_) => "model",
            Artifact::Checkpoint(_) => "checkpoint",
            Artifact::Package(_) => "package",
        }
    }

    /// The model, if it is one.
    pub fn into_model(self) -> Option<Model> {
        match self {
            Artifact::Model(model) => Some(*model),
            _ => None,
        }
    }
}
