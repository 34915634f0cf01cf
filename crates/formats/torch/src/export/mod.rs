//! Archives of `torch.export.save` (`.pt2`): the program inside is read and turned into a graph; nothing is run.

mod archive;
mod control;
mod guards;
mod lower;
mod names;
mod nodes;
mod numbers;
mod schema;
mod symbol;

use archive::{Archive, Found};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Artifact, Checkpoint, Error, FormatDef, Imported, Input, Match, Probe, ReadOptions, Result};

/// Archives of `torch.export.save`.
pub static EXPORT: FormatDef = FormatDef {
    name: "torch.export",
    title: "PyTorch exported program",
    extensions: &["pt2"],
    probe,
    read,
    write: None,
    graphs: true,
    hub: false,
    shards: false,
    blocks: false,
};

fn probe(probe: &Probe<'_>) -> Match {
    if archive::kind(probe.bytes).is_some() { Match::Certain } else { Match::No }
}

/// Reads the program of an archive as a model of the hub; where its weights alone are wanted, the checkpoint inside.
///
/// # Errors
/// When the container or the JSON of the program is damaged; when the program cannot be a graph, or there is none.
fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = crate::read::Source::of(input, options)?;
    if archive::kind(source.bytes()) == Some(Found::Library) {
        let what = "the package holds a library that AOTInductor compiled for one machine, and no program: no graph \
                    can be read from it";
        let help = "save the program that it was compiled from: torch.export.save(exported_program, \"model.pt2\")";
        return Err(Error::unsupported(what).in_file(input.name()).help(help));
    }
    let archive = Archive::open(input, source.bytes(), options).map_err(|e| e.in_file(input.name()))?;
    if options.weights {
        let checkpoint = Checkpoint { tensors: archive.weights, meta: Vec::new(), tree: None };
        return Ok(Imported { artifact: Artifact::Checkpoint(checkpoint), findings: Vec::new() });
    }
    let lowered = lower::lower(&archive).map_err(|stop| crate::refused(&stop, input))?;
    let mut findings = lowered.findings;
    if !archive.others.is_empty() {
        let what = format!(
            "the package holds {} programs, {} is read; the others: {}",
            archive.others.len().saturating_add(1),
            archive.name,
            archive.others.join(", ")
        );
        findings.push(Diagnostic::new(Severity::Warning, "torch.programs", what));
    }
    let mut model = lowered.model;
    crate::finish(&mut model, "torch.export", input.name());
    model.meta.producer_version.clone_from(&archive.program.torch_version);
    Ok(Imported { artifact: Artifact::Model(Box::new(model)), findings })
}
