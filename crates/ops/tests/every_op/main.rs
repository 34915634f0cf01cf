//! What must hold for every operator of the set, by the samples of its own record.

mod case;
mod coverage;
mod decomposition;
mod inference;
mod schema;
mod table;
mod text;
mod versions;

/// Fails with all findings, one a line.
fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
