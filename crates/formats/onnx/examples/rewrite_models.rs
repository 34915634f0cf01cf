//! Reads ONNX models and writes them again, for `tests/judge_rewrite.py`, which compares the two in Python.
//!
//! Standard input: one line per file, `IN<tab>OUT<tab>HOW`. HOW is `plain`, `side` (weights in a file of their own) or
//! `hub` (up to the hub opset and down again to the opsets of the file).

use modelsmith_format::{Artifact, Error, Input, Output, ReadOptions, Result, SideData, WriteOptions};
use modelsmith_format_onnx::{read, write};
use modelsmith_ops::interp::Operators;
use std::io::BufRead;
use std::path::Path;

fn rewrite(from: &Path, to: &Path, how: &str) -> Result<()> {
    let mut imported = read(&Input::open(from)?, &ReadOptions::default())?;
    if let (Artifact::Model(model), "hub") = (&mut imported.artifact, how) {
        let opsets = model.meta.opsets.clone();
        imported.findings.extend(modelsmith_ops::opset::upgrade(model));
        if let Err(findings) = modelsmith_ops::opset::downgrade(model, &opsets) {
            let all = findings.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(Error::unsupported(all.join("; ")).in_file(&from.display().to_string()));
        }
    }
    for finding in &imported.findings {
        println!("{}: {finding}", from.display());
    }
    let side_data = if how == "side" { SideData::Always } else { SideData::Auto };
    let mut output = Output::file(to, true);
    write(&imported.artifact, &mut output, &WriteOptions { side_data, ..WriteOptions::new(&Operators) })?;
    output.commit()
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let [from, to, how] = line.split('\t').collect::<Vec<_>>()[..] else { return Err("IN, OUT, HOW".into()) };
        if let Err(e) = rewrite(Path::new(from), Path::new(to), how) {
            println!("refused: {e}");
        }
    }
    Ok(())
}
