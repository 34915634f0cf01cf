use modelsmith_base::Diagnostic;
use modelsmith_format::{Artifact, Error, FormatDef, Output, SideData, WriteOptions, Written};
use modelsmith_ir::{Dim, Model, OpSetImport, Stage, Type};
use modelsmith_ops::interp::Operators;
use modelsmith_ops::opset::downgrade;
use std::path::Path;

/// How a model is written.
pub struct Export<'a> {
    /// Format.
    pub format: &'static FormatDef,
    /// Operator sets that the file imports.
    pub opsets: Vec<OpSetImport>,
    /// Replace a file that exists.
    pub clobber: bool,
    /// Path.
    pub path: &'a Path,
    /// Whether weights go into a file of their own.
    pub side_data: SideData,
}

/// The operator sets to write: those that the model came with, the default domain at `opset` where one is given.
pub fn target_opsets(model: &Model, opset: Option<u32>) -> Vec<OpSetImport> {
    let mut out = model.meta.opsets.clone();
    let plain = |o: &OpSetImport| o.domain.is_empty() || o.domain == "ai.onnx";
    if let Some(version) = opset {
        match out.iter_mut().find(|o| plain(o)) {
            Some(o) => o.version = version,
            None => out.push(OpSetImport { domain: String::new(), version }),
        }
    }
    out
}

/// Types of the main graph's results.
pub fn result_types(model: &Model) -> Vec<Type> {
    model.graph().results.iter().map(|&r| model.ty(r).clone()).collect()
}

/// Gives the main graph's results the types that were declared for them, where these do not contradict what is known: what is
/// found out about a result is no part of a model's signature.
pub fn declare_results(model: &mut Model, declared: &[Type]) {
    let agree = |(a, b): (&Dim, &Dim)| a.size().is_none() || b.size().is_none() || a.size() == b.size();
    for (result, declared) in model.graph().results.clone().into_iter().zip(declared) {
        let have = model.ty(result);
        let shapes = match (declared.shape(), have.shape()) {
            (Some(d), Some(h)) => d.len() == h.len() && d.iter().zip(h).all(agree),
            _ => true,
        };
        if declared.dtype().is_some() && have.dtype() == declared.dtype() && shapes {
            model.values[result].ty = declared.clone();
        }
    }
}

/// Takes a hub model down to the operator sets of `export`, where the format has such, and writes it. A model at the foreign
/// stage is written as it is. Files appear when all are complete.
///
/// # Errors
/// One diagnostic for each node that the target cannot say; when the file cannot be written.
pub fn write(hub: &Model, export: &Export<'_>) -> std::result::Result<Written, (Error, Vec<Diagnostic>)> {
    let alone = |e: Error| (e, vec![]);
    let path = export.path.display().to_string();
    let mut model = hub.clone();
    if !export.format.hub && model.stage != Stage::Foreign {
        let declared = result_types(&model);
        downgrade(&mut model, &export.opsets).map_err(|found| {
            let what = format!("{} nodes cannot be said at the opset wanted", found.len());
            (Error::unsupported(what).in_file(&path), found)
        })?;
        model.meta.opsets.clone_from(&export.opsets);
        declare_results(&mut model, &declared);
    }
    let writer = export.format.write.ok_or_else(|| {
        alone(Error::unsupported(format!("{} is read, not written", export.format.title)).in_file(&path))
    })?;
    let options = WriteOptions { side_data: export.side_data, ..WriteOptions::new(&Operators) };
    let mut output = Output::file(export.path, export.clobber);
    let written = writer(&Artifact::Model(Box::new(model)), &mut output, &options).map_err(alone)?;
    output.commit().map_err(alone)?;
    Ok(written)
}
