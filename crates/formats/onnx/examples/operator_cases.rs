//! Writes the samples of operators as ONNX test cases, for `conformance/operators.py`, which runs them in ONNX Runtime:
//! `operator_cases FOLDER OPSET [NAME]...` makes `FOLDER/NAME_K/model.onnx` with `test_data_set_0` beside it. The
//! outputs are those of the reference.

use modelsmith_format::{Artifact, Output, WriteOptions};
use modelsmith_format_onnx::{value_to_bytes, write};
use modelsmith_ir::{HUB_OPSET, OpSetImport};
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_testkit::{Case, sample_cases};
use std::path::{Path, PathBuf};

type Failure = Box<dyn std::error::Error>;

/// Writes one case; `Ok(false)` where the operator cannot be said at the opset, or the sample has no result.
fn emit(folder: &Path, case: Case, opset: u32) -> Result<bool, Failure> {
    let mut running = Reference.load(&case.model, &Opts::default())?;
    let Ok(outputs) = running.run(&case.inputs, &mut |_, _| {}) else { return Ok(false) };
    let mut model = case.model;
    let newest = |domain: &str| modelsmith_ops::all().iter().filter(|d| d.domain == domain).map(|d| d.since).max();
    let import = |domain: &str, version| OpSetImport { domain: domain.into(), version };
    let others = ["ai.onnx.ml", "com.microsoft"].into_iter().filter_map(|d| Some(import(d, newest(d)?)));
    model.meta.opsets = [import("", opset)].into_iter().chain(others).collect();
    let target = model.meta.opsets.clone();
    if modelsmith_ops::opset::downgrade(&mut model, &target).is_err() {
        return Ok(false);
    }
    let data = folder.join("test_data_set_0");
    std::fs::create_dir_all(&data)?;
    for (kind, values) in [("input", &case.inputs), ("output", &outputs)] {
        for (i, value) in values.iter().enumerate() {
            std::fs::write(data.join(format!("{kind}_{i}.pb")), value_to_bytes("", value)?)?;
        }
    }
    let mut output = Output::file(&folder.join("model.onnx"), true);
    let options = WriteOptions::new(&Operators);
    write(&Artifact::Model(Box::new(model)), &mut output, &options)?;
    output.commit()?;
    Ok(true)
}

fn main() -> Result<(), Failure> {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let [folder, opset, names @ ..] = args.as_slice() else { return Err("FOLDER OPSET [NAME]...".into()) };
    let opset = opset.parse::<u32>()?.min(HUB_OPSET);
    let (mut written, mut left) = (0, 0);
    for case in sample_cases(modelsmith_ops::all()) {
        let name = case.name.replace('/', "_");
        let wanted = |n: &String| case.name.split('/').next() == Some(n) || case.name.starts_with(&format!("{n}."));
        if names.is_empty() || names.iter().any(wanted) {
            match emit(&PathBuf::from(folder).join(&name), case, opset) {
                Ok(true) => written += 1,
                Ok(false) => left += 1,
                Err(e) => println!("{name}: {e}"),
            }
        }
    }
    println!("{written} cases written, {left} left out");
    Ok(())
}
