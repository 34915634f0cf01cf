//! Whether a model is valid: its structure, and the types that its operators promise.

use crate::inspect::Finding;
use crate::model::Model;
use modelsmith_base::Severity;
use serde::Serialize;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// False when a finding is an error.
    pub valid: bool,
    /// Findings of the reader, the verifier and inference.
    pub findings: Vec<Finding>,
}

/// Checks the structure of `model`, infers its types, and looks for sizes that an exporter wrote down.
pub fn check(model: &Model) -> Checked {
    let mut found = model.findings().to_vec();
    if model.engine().is_none() {
        found.extend(modelsmith_ir::verify(model.hub()));
        found.extend(crate::baked::lint(model.hub()));
    }
    let valid = found.iter().all(|d| d.severity < Severity::Error);
    Checked { valid, findings: found.iter().map(Finding::from).collect() }
}
