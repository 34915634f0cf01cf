//! Writing a model so that what is written is known to compute what was read.

use crate::agreement::Agreement;
use crate::compare::{CompareOptions, Comparison, Verdict, compare};
use crate::inputs::Inputs;
use crate::inspect::Finding;
use crate::judge::{Backend, Judge};
use crate::shapes::Bound;
use crate::{Error, Model, Result, files};
use modelsmith_convert::{Export, FormatDef, SideData};
use modelsmith_ir::{Dim, OpSetImport, Type};
use modelsmith_ops::run::Opts;
use std::path::{Path, PathBuf};

pub use modelsmith_convert::FormatDef as Format;
pub use modelsmith_ir::OpSetImport as Opsets;

/// Sets of inputs on which original and result are run.
pub const VERIFY_SAMPLES: usize = 3;

/// Bytes of weights that each side keeps while both are run: what is above is read again at each use, so that a model of any
/// size is verified in bounded memory.
const KEPT: u64 = 64 << 20;

/// How to verify.
#[derive(Clone, Debug, Default)]
pub struct Verify {
    /// Where inputs come from.
    pub inputs: Inputs,
    /// What counts as agreement.
    pub agreement: Agreement,
    /// How the backends run.
    pub opts: Opts,
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Bytes of all files.
    pub bytes: u64,
    /// What could not be said, and other findings of the writer.
    pub findings: Vec<Finding>,
    /// What the verification found; `None` when it was not asked for.
    pub verification: Option<Comparison>,
    /// False when the verification says no: then nothing was written.
    pub kept: bool,
}

/// The format of a file name; the one given by name where it is. `.pt` is a program, with its graph.
///
/// # Errors
/// When no format is called so, or has such an extension.
pub fn format_for(path: &Path, name: Option<&str>) -> Result<&'static FormatDef> {
    format_among(path, name, |_| true)
}

/// As [`format_for`], for weights without a graph: `.pt` is a checkpoint.
///
/// # Errors
/// Those of [`format_for`].
pub fn weights_format_for(path: &Path, name: Option<&str>) -> Result<&'static FormatDef> {
    format_among(path, name, |f| !f.hub)
}

fn format_among(path: &Path, name: Option<&str>, fits: impl Fn(&FormatDef) -> bool) -> Result<&'static FormatDef> {
    let known = || modelsmith_convert::FORMATS.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        return modelsmith_convert::FORMATS.iter().find(|f| f.name == name).copied().ok_or_else(|| {
            Error::unsupported(format!("the format {name} is not written yet")).help(format!("formats: {}", known()))
        });
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let found = modelsmith_convert::FORMATS.iter().find(|f| fits(f) && f.extensions.contains(&extension.as_str()));
    found.copied().ok_or_else(|| {
        Error::unsupported(format!("no format that is written has the extension {extension:?}"))
            .in_file(path)
            .help(format!("name the format with --to: {}", known()))
    })
}

/// The operator sets that a result is written at: those of the file, with the default domain at `opset` where given.
pub fn target_opsets(model: &Model, opset: Option<u32>) -> Vec<OpSetImport> {
    modelsmith_convert::target_opsets(model.file(), opset)
}

/// Whether a file of `format` at `opset` holds the nodes of `model` as its own file does: both are notations of ONNX, and the
/// operator sets are the same.
pub fn same_operators(model: &Model, format: &FormatDef, opset: Option<u32>) -> bool {
    let onnx = |name: &str| modelsmith_convert::NOTATIONS.iter().any(|f| f.name == name);
    let same = opset.is_none_or(|v| model.file().meta.opset("") == Some(v));
    same && onnx(format.name) && model.format().is_some_and(|f| onnx(f.name))
}

/// Gives every free dimension of the inputs the size that it has in `bound`.
pub fn specialise(hub: &mut modelsmith_ir::Model, bound: &Bound) {
    let by = |s: &str| bound.symbols.get(s).and_then(|&n| i64::try_from(n).ok()).map(Dim::Known);
    for (_, v) in hub.values.iter_mut() {
        if let Type::Tensor(t) = &mut v.ty
            && let Some(shape) = &mut t.shape
        {
            shape.iter_mut().for_each(|d| *d = d.substitute(&by));
        }
    }
    let params = hub.graph().params.clone();
    for (p, shape) in params.into_iter().zip(&bound.shapes) {
        if let (Type::Tensor(t), Some(shape)) = (&mut hub.values[p].ty, shape) {
            t.shape = Some(shape.iter().map(|&d| d.into()).collect());
        }
    }
}

/// Writes `hub`, made from `original`, to `path`. With `verify`, the written file is read again and run beside the
/// original first, and takes its name only when both agree.
///
/// # Errors
/// When a node cannot be said at `opsets`, a file cannot be written, or a side fails.
pub fn write(
    original: &Model,
    hub: &modelsmith_ir::Model,
    path: &Path,
    format: &'static FormatDef,
    opsets: Vec<OpSetImport>,
    no_clobber: bool,
    verify: Option<&Verify>,
) -> Result<Written> {
    write_placed(original, hub, path, format, opsets, Placing { no_clobber, ..Placing::default() }, verify)
}

/// Where what is written lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placing {
    /// Refuse to replace a file.
    pub no_clobber: bool,
    /// Weights go into a file beside the model, `OUT.data`, whatever its size.
    pub external_data: bool,
}

/// As [`write`], with more to say of where things go.
///
/// # Errors
/// Those of [`write`]; when weights shall lie beside a file of a format that holds them itself.
pub fn write_placed(
    original: &Model,
    hub: &modelsmith_ir::Model,
    path: &Path,
    format: &'static FormatDef,
    opsets: Vec<OpSetImport>,
    placing: Placing,
    verify: Option<&Verify>,
) -> Result<Written> {
    files::check_clobber(path, placing.no_clobber)?;
    if placing.external_data && !modelsmith_convert::NOTATIONS.iter().any(|f| f.name == format.name) {
        let message = format!("a file of the format {} holds its weights itself", format.name);
        return Err(Error::usage(message).help("leave out --external-data, or write ONNX"));
    }
    let side_data = if placing.external_data { SideData::Always } else { SideData::Auto };
    // In a folder of its own under its final name, because a file with external data names its companion.
    let stage = Stage::beside(path)?;
    let inner = stage.0.join(path.file_name().ok_or_else(|| Error::usage("a file name is wanted").in_file(path))?);
    let export = Export { format, opsets, clobber: true, path: &inner, side_data };
    let written = modelsmith_convert::write(hub, &export)
        .map_err(|(e, found)| Error::from(e).in_file(path).list(found.iter().map(ToString::to_string).collect()))?;
    let mut out = Written {
        bytes: written.files.iter().map(|(_, n)| n).sum(),
        findings: written.findings.iter().map(Finding::from).collect(),
        verification: None,
        kept: true,
    };
    if let Some(v) = verify {
        let back = Model::open(&inner)?;
        let found = compare(original, &back, &compare_options(v))?;
        // What proves nothing is written all the same, and said: an untrained model has outputs that hardly change. What
        // differs is not.
        out.kept = found.verdict != Verdict::Differ;
        out.verification = Some(found);
    }
    if out.kept {
        stage.publish(path)?;
    }
    Ok(out)
}

/// Both sides run by the reference: the engine would pass the same rules over both.
pub fn compare_options(v: &Verify) -> CompareOptions {
    CompareOptions {
        inputs: v.inputs.clone(),
        samples: VERIFY_SAMPLES,
        agreement: v.agreement.clone(),
        a: Judge::Backend(Backend::Reference),
        b: Judge::Backend(Backend::Reference),
        opts: Opts { kept_weights: Some(KEPT), ..v.opts.clone() },
        ..CompareOptions::default()
    }
}

/// A folder beside the output in which files are made.
struct Stage(PathBuf);

impl Stage {
    fn beside(path: &Path) -> Result<Stage> {
        let dir = files::temporary(path);
        std::fs::create_dir(&dir).map_err(|e| Error::io(path, &e))?;
        Ok(Stage(dir))
    }

    /// Moves the files to their place, the one called `path` last.
    fn publish(&self, path: &Path) -> Result<()> {
        let mut names = std::fs::read_dir(&self.0)
            .and_then(|all| all.map(|e| e.map(|e| e.file_name())).collect::<std::io::Result<Vec<_>>>())
            .map_err(|e| Error::io(path, &e))?;
        names.sort_by_key(|n| Some(n.as_os_str()) == path.file_name());
        if names.len() > 1 && modelsmith_base::is_stream(path) {
            return Err(Error::usage("the result has several files: give a name in a folder").in_file(path));
        }
        for name in names {
            let to = path.with_file_name(&name);
            modelsmith_base::publish(&self.0.join(&name), &to).map_err(|e| Error::io(&to, &e))?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
