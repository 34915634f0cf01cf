//! Reads a checkpoint and writes it again, in the format of the output's extension: `rewrite IN OUT`, or in the format
//! named: `rewrite IN OUT wts-decimal`, or as a recipe makes it: `rewrite IN OUT gguf Q4_K_M`. The judges in `conformance/` compare both with the formats' own libraries.

use modelsmith_format::{Artifact, FormatDef, Input, Output, ReadOptions, WriteOptions, detect};
use modelsmith_format_weights::FORMATS;
use modelsmith_format_weights::recipe::{Importance, apply, recipe};
use modelsmith_ops::interp::Operators;
use std::path::Path;
use std::process::ExitCode;

fn rewrite(from: &Path, to: &Path, name: Option<&str>, by: Option<&str>) -> Result<(), String> {
    let input = Input::open(from).map_err(|e| e.to_string())?;
    let format = detect(FORMATS, &input).ok_or("no format claims the file")?;
    let read = (format.read)(&input, &ReadOptions::default()).map_err(|e| e.in_file(input.name()).to_string())?;
    read.findings.iter().for_each(|f| println!("{f}"));
    let artifact = match (by, read.artifact) {
        (Some(by), Artifact::Checkpoint(checkpoint)) => {
            let recipe = recipe(by).ok_or("there is no such recipe")?;
            Artifact::Checkpoint(apply(recipe, &checkpoint, &[], &Importance::new()).map_err(|e| e.to_string())?.0)
        }
        (_, artifact) => artifact,
    };
    let extension = to.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let fits = |f: &&&FormatDef| name.map_or(f.extensions.contains(&extension), |n| f.name == n);
    let writer = FORMATS.iter().find(fits).and_then(|f| f.write).ok_or("nothing writes that extension")?;
    let mut output = Output::file(to, true);
    let options = WriteOptions { threads: 2, ..WriteOptions::new(&Operators) };
    let written = writer(&artifact, &mut output, &options).map_err(|e| e.to_string())?;
    written.findings.iter().for_each(|f| println!("{f}"));
    output.commit().map_err(|e| e.to_string())
}

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let [from, to, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: rewrite IN OUT [FORMAT [RECIPE]]");
        return ExitCode::from(2);
    };
    let word = |i: usize| rest.get(i).map(String::as_str);
    match rewrite(Path::new(from), Path::new(to), word(0), word(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
