//! Writing: each array a stored member.

use crate::checkpoint;
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Archive, Artifact, Content, Output, Result, WriteOptions, Written};
use modelsmith_tensor::npy;

/// Writes a checkpoint as an archive of arrays.
///
/// # Errors
/// For element types that NumPy lacks, and names that occur twice.
pub fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let found = checkpoint::wanted(artifact, super::NPZ.title)?;
    checkpoint::distinct(found)?;
    let lacks = |(name, w): &(String, std::sync::Arc<modelsmith_tensor::WeightExpr>)| {
        let none = npy::header_of(w.dtype(), &[]).is_none();
        none.then(|| format!("`{name}` of {}", w.dtype()))
    };
    let faults = found.tensors.iter().filter_map(lacks).collect::<Vec<_>>();
    checkpoint::refuse(&faults, "NumPy cannot hold", "choose another element type, for example with --cast f32")?;
    let mut archive = Archive::new();
    for (name, weight) in &found.tensors {
        let head = npy::header_of(weight.dtype(), &weight.shape()).unwrap_or_default();
        archive.add(&format!("{name}.npy"), Content { head, weight: Some(weight) })?;
    }
    let done = output.emit("", &archive.finish(), options)?;
    let message = format!("{} metadata values have no place in an archive of arrays", found.meta.len());
    let findings = match found.meta.len() {
        0 => Vec::new(),
        _ => vec![Diagnostic::new(Severity::Warning, "npz.meta", message)],
    };
    Ok(Written { files: vec![(String::new(), done.bytes)], findings })
}
