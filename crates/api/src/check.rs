//! Whether a model is valid: its structure, and the types that its operators promise.

use crate::inputs::Inputs;
use crate::inspect::Finding;
use crate::judge::{Backend, Judge};
use crate::model::Model;
use crate::run::{self, Opts};
use crate::shapes::Sizes;
use crate::write::{self, Verify, Written};
use crate::{Error, Result};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_ir::Op;
use serde::Serialize;
use std::path::Path;

pub use crate::baked::Fixed;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// False when a finding is an error.
    pub valid: bool,
    /// Findings of the reader, the verifier and inference.
    pub findings: Vec<Finding>,
}

/// Frees the shapes of `model` that hold for one size of a free dimension only, and writes it to `path`: where it agrees with
/// `model` at the sizes for which they were written down, and runs at others.
///
/// # Errors
/// When there is nothing to free, the result does not run at other sizes, or a file cannot be written.
pub fn fix(model: &Model, path: &Path, no_clobber: bool, opts: &Opts) -> Result<(Fixed, Written)> {
    let format = write::format_for(path, None)?;
    let fixed = crate::baked::fix(model.hub());
    if fixed.done.is_empty() {
        let what = "no shape was found that could be freed";
        return Err(Error::usage(what).in_file(model.path()).list(fixed.left));
    }
    let sized = |by: usize| {
        let dims = fixed.sizes.iter().map(|(s, n)| (s.clone(), n.saturating_add(by))).collect();
        Inputs { sizes: Sizes { dims, ..Sizes::default() }, ..Inputs::default() }
    };
    for by in [1, 3] {
        let judge = Judge::Backend(Backend::Reference);
        run::once(&model.with_hub(fixed.hub.clone()), &sized(by), &judge, opts)?;
    }
    let verify = Verify { inputs: sized(0), opts: opts.clone(), ..Verify::default() };
    let opsets = write::target_opsets(model, None);
    let written = write::write(model, &fixed.hub, path, format, opsets, no_clobber, Some(&verify))?;
    Ok((fixed, written))
}

/// What breaks the schema of an operator at the version that the file imports, where that is an older one: on the way to the
/// hub it may be mended.
fn as_written(model: &Model) -> Vec<Diagnostic> {
    let file = model.file();
    let nodes = file.regions.iter().flat_map(|(_, r)| r.body.iter().copied());
    let one = |n| {
        let Op::Foreign { domain, name, version } = &file.nodes[n].op else { return vec![] };
        match modelsmith_ops::all().get(domain, name) {
            Some(def) if *version < def.since => modelsmith_ir::verify_at(file, n, def, *version),
            _ => vec![],
        }
    };
    nodes.flat_map(one).collect()
}

/// What other commands can work around is wrong all the same: an operator that its domain does not have, and types that do
/// not follow from each other.
fn harden(d: &mut Diagnostic) {
    if matches!(d.code, "op.none" | "op.early" | "shape.invalid" | "shape.contradiction") {
        d.severity = Severity::Error;
    }
}

/// Checks the structure of `model`, infers its types, and looks for sizes that an exporter wrote down.
pub fn check(model: &Model) -> Checked {
    let mut found = model.findings().to_vec();
    if model.engine().is_none() {
        found.extend(as_written(model));
        let mut typed = model.hub().clone();
        let inferred = modelsmith_ops::infer::infer(&mut typed).1;
        found.extend(modelsmith_ir::verify(&typed));
        found.extend(inferred);
        found.iter_mut().for_each(harden);
        found.extend(crate::baked::lint(model.hub()));
    }
    let valid = found.iter().all(|d| d.severity < Severity::Error);
    Checked { valid, findings: found.iter().map(Finding::from).collect() }
}
