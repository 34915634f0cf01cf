//! TorchScript archives: the program inside is read and turned into a graph; nothing is run.

mod archive;
mod ast;
mod branches;
mod error;
mod eval;
mod lex;
mod lint;
mod lower;
mod objects;
mod old;
mod parse;
mod source;
mod state;
#[cfg(test)]
mod tests;

use crate::container;
use archive::Archive;
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Artifact, Checkpoint, FormatDef, Imported, Input, Match, Probe, ReadOptions, Result};

/// TorchScript archives.
pub static SCRIPT: FormatDef = FormatDef {
    name: "torchscript",
    title: "TorchScript archive",
    // `pth` names a checkpoint where a file is written; one that is read is known by its content.
    extensions: &["pt", "jit", "ptl"],
    probe,
    read,
    write: Some(crate::program::write),
    graphs: true,
    hub: true,
    shards: false,
    blocks: false,
};

fn probe(probe: &Probe<'_>) -> Match {
    let ours = container::is_script(probe.bytes) || container::is_old_script(probe.bytes);
    if ours { Match::Certain } else { Match::No }
}

/// Reads the program of an archive as a model of the hub; where its weights alone are wanted, or it holds no method
/// `forward`, the checkpoint inside.
///
/// # Errors
/// When the container, a pickle or the code is damaged; when the program cannot be a graph.
fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let old = container::is_old_script(crate::read::Source::of(input, options)?.bytes());
    if options.weights && !old {
        return crate::read(input, options);
    }
    let archive = Archive::open(input, options)?;
    if options.weights {
        return Ok(Imported { artifact: weights(archive), findings: Vec::new() });
    }
    if !archive.runs()? {
        let mut found = match old {
            true => Imported { artifact: weights(archive), findings: Vec::new() },
            false => crate::read(input, options)?,
        };
        let what = "the object of this archive has no method `forward`: its tensors are read, no graph";
        found.findings.push(Diagnostic::new(Severity::Warning, "torch.forward", what));
        return Ok(found);
    }
    let ranks = options.ranks.iter().cloned().collect();
    let hints = lower::Hints { ranks, ..lower::Hints::default() };
    let lowered = lower::lower(&archive, hints).map_err(|stop| crate::refused(&stop, input))?;
    let mut findings = archive.findings.clone();
    findings.retain(|f| f.code != "torch.script" && f.code != "torch.class");
    findings.extend(lowered.findings);
    let mut model = lowered.model;
    if let Some(signature) = &archive.signature {
        signature.name(&mut model);
    }
    crate::finish(&mut model, "torchscript", input.name());
    Ok(Imported { artifact: Artifact::Model(Box::new(model)), findings })
}

/// The tensors of an archive of the old layout.
fn weights(archive: Archive) -> Artifact {
    let (tensors, tree) = (archive.tensors, Some(archive.object));
    Artifact::Checkpoint(Checkpoint { tensors, meta: Vec::new(), tree })
}
