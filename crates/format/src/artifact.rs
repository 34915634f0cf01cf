//! What a file turns out to hold.

use modelsmith_ir::Model;
use modelsmith_tensor::WeightExpr;
use std::sync::Arc;

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

/// Named weights in the order of the file, and what the file says about itself.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Name and weight of each tensor.
    pub tensors: Vec<(String, Arc<WeightExpr>)>,
    /// Metadata.
    pub meta: Vec<(String, String)>,
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
