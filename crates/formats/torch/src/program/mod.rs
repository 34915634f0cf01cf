//! A model as a TorchScript archive: the graph as the code of one method `forward`, weights as the attributes of a tree
//! of modules that is named like them.
//!
//! Elements of shape tensors that follow from the sizes of other values are written as arithmetic of sizes, so that the
//! code runs at every shape at which the graph does. What has no row in the table ([`table`]) is decomposed; what
//! cannot be said even then is refused, all of it in one report.

mod archive;
mod code;
mod context;
mod control;
mod dims;
mod modules;
mod names;
mod number;
mod ops;
pub(crate) mod signature;
mod table;
mod walk;

use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Artifact, Error, Output, Result, WriteOptions, Written};
pub use table::written;

/// Writes a model of the hub.
///
/// # Errors
/// When the artifact is no model, or holds what TorchScript cannot say: then all of it is listed.
pub(crate) fn write(artifact: &Artifact, out: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let Artifact::Model(model) = artifact else {
        let what = format!("a TorchScript archive holds models; this is a {}", artifact.kind());
        return Err(Error::unsupported(what).help("--to torch writes a checkpoint"));
    };
    let program = walk::program(model)?;
    let overridable = model.graph().exposed.iter().filter(|&&v| model.overridable(v)).count();
    let mut findings = Vec::new();
    if overridable > 0 {
        let what = format!("{overridable} inputs with a default are constants of the program");
        findings.push(Diagnostic::new(Severity::Warning, "torch.default", what));
    }
    let bytes = archive::emit(&program, out, options)?;
    Ok(Written { files: vec![(String::new(), bytes)], findings })
}
