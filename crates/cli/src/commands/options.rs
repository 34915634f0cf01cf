//! Options that several commands share, as the library wants them.

use super::Context;
use crate::args::{AgreementArgs, InputArgs, OpsArgs, SizeArgs};
use crate::table::table;
use modelsmith::agreement::Agreement;
use modelsmith::cache::Slot;
use modelsmith::engine::BuildRequest;
use modelsmith::inputs::{InputInfo, InputSpec, Inputs};
use modelsmith::judge::Backend;
use modelsmith::shapes::Sizes;
use modelsmith::{Definitions, Error, Model, Result};
use std::path::Path;

pub fn sizes(a: &SizeArgs) -> Result<Sizes> {
    let mut out = Sizes::default();
    a.shape.iter().try_for_each(|s| out.shape(s))?;
    a.dim.iter().try_for_each(|d| out.dim(d))?;
    Ok(out)
}

pub fn inputs(a: &InputArgs) -> Result<Inputs> {
    let specs = a.input.iter().map(|t| InputSpec::named(t)).collect::<Result<Vec<_>>>()?;
    Ok(Inputs { specs, from: a.inputs.clone(), seed: a.seed, sizes: sizes(&a.sizes)?, ..Inputs::default() })
}

pub fn agreement(a: &AgreementArgs) -> Result<Agreement> {
    Agreement::parse(a.rtol, &a.atol, a.metric.as_deref())
}

/// The operators that the user defines.
pub fn definitions(a: &OpsArgs) -> Result<Definitions> {
    let mut out = Definitions::default();
    for path in &a.ops {
        let text = std::fs::read(path).map_err(|e| Error::damaged(format!("cannot be opened: {e}")).in_file(path))?;
        out.add(&path.display().to_string(), &text)?;
    }
    Ok(out)
}

/// The model with the operators that the user defines; an engine as it is.
pub fn defined(model: Model, ops: &OpsArgs) -> Result<Model> {
    match model.engine() {
        Some(_) => Ok(model),
        None => model.define(&definitions(ops)?),
    }
}

/// The model or engine at `path`; with a cache, a model as the engine that is in it or comes into it now.
pub fn model(
    cx: &Context,
    path: &Path,
    cache: Option<&Path>,
    backend: Backend,
    sizes: &SizeArgs,
    ops: &OpsArgs,
) -> Result<Model> {
    let definitions = definitions(ops)?;
    let Some(dir) = cache else { return Model::open_sized(path, &self::sizes(sizes)?)?.define(&definitions) };
    if backend != Backend::Cpu {
        return Err(Error::usage("--cache holds engines, which run on the backend cpu"));
    }
    let (threads, isa) = (cx.threads, cx.isa.clone());
    let request = BuildRequest { threads, isa, sizes: self::sizes(sizes)?, definitions, ..BuildRequest::default() };
    let (model, said) = Slot::new(dir, path, &request)?.engine(&request)?;
    cx.screen.note(&format!("cache: {said}"));
    Ok(model)
}

/// Prints what was given and drawn, and which dimensions were taken as 1.
pub fn show_inputs(cx: &Context, inputs: &[InputInfo], assumed: &[String]) {
    if !inputs.is_empty() {
        let row = |i: &InputInfo| vec![i.name.clone(), i.ty.clone(), i.source.clone(), i.range.clone()];
        cx.screen.note(&table(&["input", "type", "source", "range"], &[], &inputs.iter().map(row).collect::<Vec<_>>()));
    }
    if !assumed.is_empty() {
        cx.screen.note(&format!("taken as 1: {}; give sizes with --shape or --dim", assumed.join(", ")));
    }
}

/// What a trace left out is said however little is wanted: the graph may be another than the user thinks.
const ALWAYS: [&str; 3] = ["torch.frozen", "torch.state", "torch.training"];

/// Prints the findings of a reader: all when verbose, else how many.
pub fn show_findings(cx: &Context, model: &Model) {
    let found = model.findings();
    if cx.screen.verbose {
        found.iter().for_each(|d| cx.screen.note(&d.to_string()));
        return;
    }
    let (said, other): (Vec<_>, Vec<_>) = found.iter().partition(|d| ALWAYS.contains(&d.code));
    said.iter().for_each(|d| cx.screen.note(&d.to_string()));
    if !other.is_empty() {
        cx.screen.note(&format!("{} findings; --verbose shows them", other.len()));
    }
}
