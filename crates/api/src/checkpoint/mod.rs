//! Checkpoints: named weights without a graph.

mod bind;
mod diff;
mod options;
mod read;
mod stats;

pub use bind::{Binding, Fate, Line, bind, describe};
pub use diff::{Change, Difference, diff};
pub use modelsmith_base::Budget;
use modelsmith_convert::checkpoint::family_of_gguf;
pub use modelsmith_convert::checkpoint::{Edit, Folder, Glob, Readback, Target, Written, merge};
pub use modelsmith_format::{Checkpoint as Tensors, MetaValue, Tree};
pub use options::{Types, edit, size};
pub use read::tensor;
pub use stats::{Stats, stats};

use crate::inspect::{Finding, WeightInfo};
use crate::shapes::Sizes;
use crate::{Error, Model, Result};
use modelsmith_base::Diagnostic;
use modelsmith_convert::{FormatDef, Input, Opened};
use modelsmith_format::{Artifact, ReadOptions};
use modelsmith_tensor::{Identity, WeightExpr};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checkpoint that was read: headers only, payloads stay in the file.
#[derive(Clone)]
pub struct Checkpoint {
    path: PathBuf,
    format: &'static FormatDef,
    bytes: u64,
    data: modelsmith_format::Checkpoint,
    findings: Vec<Diagnostic>,
    folder: Option<Arc<Folder>>,
}

/// What a file turned out to hold.
pub enum File {
    /// A graph with its weights, or an engine.
    Model(Model),
    /// Weights alone.
    Checkpoint(Checkpoint),
}

/// The files that hold the weights of a folder as Hugging Face lays it out, the index of several before a single one.
const IN_FOLDER: [&str; 4] =
    ["model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin"];

fn in_folder(folder: &Path) -> Result<PathBuf> {
    IN_FOLDER.iter().map(|name| folder.join(name)).find(|p| p.is_file()).ok_or_else(|| {
        Error::damaged("this is a folder without a model in it")
            .in_file(folder)
            .help(format!("name a file of it, or put one of these in it: {}", IN_FOLDER.join(", ")))
    })
}

/// Reads a file of any kind, or the checkpoint in a folder.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn open(path: impl AsRef<Path>) -> Result<File> {
    open_as(path.as_ref(), ReadOptions::default())
}

/// As [`open`]; the shapes of `sizes` say of how many dimensions inputs are where the file does not.
///
/// # Errors
/// As there.
pub fn open_sized(path: impl AsRef<Path>, sizes: &Sizes) -> Result<File> {
    open_as(path.as_ref(), ReadOptions { ranks: sizes.ranks(), ..ReadOptions::default() })
}

/// What reads a file that holds a program and a checkpoint as the checkpoint.
fn weights() -> ReadOptions {
    ReadOptions { weights: true, ..ReadOptions::default() }
}

fn open_as(path: &Path, options: ReadOptions) -> Result<File> {
    let inside = path.is_dir().then(|| in_folder(path)).transpose()?;
    let folder = if inside.is_some() { Folder::open(path)?.map(Arc::new) } else { None };
    let path = inside.as_deref().unwrap_or(path);
    if !path.exists() || crate::model::is_engine(path)? {
        return Model::open(path).map(File::Model);
    }
    let input = Input::open(path)?;
    let opened = modelsmith_convert::open_any(&input, &options)?;
    let bytes = input.source().len();
    match opened.artifact {
        Artifact::Checkpoint(data) => {
            let (format, findings) = (opened.format, opened.findings);
            Ok(File::Checkpoint(Checkpoint { path: path.to_owned(), format, bytes, data, findings, folder }))
        }
        artifact => Model::from_opened(Opened { artifact, ..opened }, bytes, path).map(File::Model),
    }
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or holds no checkpoint.
    pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint> {
        match open_as(path.as_ref(), weights())? {
            File::Checkpoint(c) => Ok(c),
            File::Model(_) => {
                Err(Error::unsupported("this is a model with a graph, a checkpoint is wanted").in_file(path))
            }
        }
    }

    /// Reads a checkpoint from bytes; `name` stands for the file in messages.
    ///
    /// # Errors
    /// When the bytes are damaged, or hold no checkpoint.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Checkpoint> {
        let input = Input::from_bytes(name, bytes);
        let opened = modelsmith_convert::open_any(&input, &weights())?;
        let Artifact::Checkpoint(data) = opened.artifact else {
            return Err(Error::unsupported("this is a model with a graph, a checkpoint is wanted").in_file(name));
        };
        let (format, findings, bytes) = (opened.format, opened.findings, input.source().len());
        Ok(Checkpoint { path: name.into(), format, bytes, data, findings, folder: None })
    }

    /// The weights of a model without its graph.
    ///
    /// # Errors
    /// For an engine, which holds its weights in the order of its kernels.
    pub fn of_model(model: &Model) -> Result<Checkpoint> {
        let format = model.format().ok_or_else(|| {
            Error::unsupported("an engine holds its weights packed")
                .in_file(model.path())
                .help("convert the model instead")
        })?;
        // A program with a checkpoint of its own: its tensors keep their order and their names.
        if model.path().exists()
            && let Ok(File::Checkpoint(c)) = open_as(model.path(), weights())
        {
            return Ok(c);
        }
        let note = modelsmith_base::Severity::Note;
        let message = "the graph is left out: this format holds tensors alone";
        Ok(Checkpoint {
            path: model.path().to_owned(),
            format,
            bytes: model.bytes(),
            data: model.weights(),
            findings: vec![Diagnostic::new(note, "convert.graph", message)],
            folder: None,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its format.
    pub fn format(&self) -> &'static FormatDef {
        self.format
    }

    /// Its size, without files beside it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Tensors and metadata.
    pub fn data(&self) -> &modelsmith_format::Checkpoint {
        &self.data
    }

    /// The folder that it was opened by, where that has a configuration.
    pub fn folder(&self) -> Option<&Folder> {
        self.folder.as_deref()
    }

    /// The architecture of the model, as far as the file or the folder says it: `Llama (LlamaForCausalLM)`.
    pub fn architecture(&self) -> Option<String> {
        let (family, own) = match &self.folder {
            Some(folder) => (folder.family(), folder.class()?.to_owned()),
            None => (family_of_gguf(&self.data), self.data.meta("general.architecture")?.text()),
        };
        Some(family.map_or_else(|| format!("{own} (not known)"), |f| format!("{} ({own})", f.name)))
    }

    /// What the reader found.
    pub fn findings(&self) -> &[Diagnostic] {
        &self.findings
    }
}

/// What `inspect` says of a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// File.
    pub path: String,
    /// Format.
    pub format: String,
    /// Architecture, where the file or the folder names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// Tensors that share their elements with an earlier one.
    pub tied: usize,
    /// Elements of the floating-point tensors, tied ones counted once.
    pub parameters: u64,
    /// Bytes by element type or block encoding, tied ones counted once.
    pub weight_bytes: BTreeMap<String, u64>,
    /// Metadata as text.
    pub metadata: Vec<(String, String)>,
    /// Modules: the names up to their last dot, with tensors, elements and bytes below each.
    pub modules: Vec<Module>,
    /// Findings.
    pub findings: Vec<Finding>,
}

/// A module of a checkpoint.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Module {
    /// Name without its parents.
    pub name: String,
    /// Parents.
    pub depth: usize,
    /// Tensors below.
    pub tensors: usize,
    /// Elements below.
    pub elements: u64,
    /// Bytes below.
    pub bytes: u64,
}

/// The name by which a listing calls the type of a weight.
pub fn type_name(w: &WeightExpr) -> String {
    match w {
        WeightExpr::Blocks(b) => b.encoding.name.to_owned(),
        WeightExpr::Encode { encoding, .. } => encoding.name.to_owned(),
        other => other.dtype().name().to_owned(),
    }
}

fn stored(w: &WeightExpr) -> u64 {
    modelsmith_tensor::stored_len(w, modelsmith_tensor::Form::Stored).unwrap_or(0)
}

/// What `c` holds.
pub fn inspect(c: &Checkpoint) -> Inspection {
    let mut seen = HashSet::new();
    let (mut bytes, mut parameters) = (BTreeMap::new(), 0);
    for (_, w) in &c.data.tensors {
        if w.is_empty() || seen.insert(Identity::of(w)) {
            *bytes.entry(type_name(w)).or_insert(0) += stored(w);
            parameters += if w.dtype().is_float() { w.len() as u64 } else { 0 };
        }
    }
    let tied = c.data.tensors.iter().filter(|(_, w)| !w.is_empty()).count() - seen.len();
    Inspection {
        path: c.path.display().to_string(),
        format: c.format.title.into(),
        architecture: c.architecture(),
        file_bytes: c.bytes,
        tensors: c.data.tensors.len(),
        tied,
        parameters,
        weight_bytes: bytes,
        metadata: c.data.meta.iter().map(|(k, v)| (k.clone(), v.text())).collect(),
        modules: modules(&c.data),
        findings: c.findings.iter().map(Finding::from).collect(),
    }
}

/// The tree of modules, parents before children, in file order.
fn modules(c: &modelsmith_format::Checkpoint) -> Vec<Module> {
    let mut out: Vec<(String, Module)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (name, w) in &c.tensors {
        let ends = name.match_indices('.').map(|(i, _)| i);
        for (depth, end) in ends.enumerate() {
            let path = &name[..end];
            let at = *places.entry(path.to_owned()).or_insert_with(|| {
                let own = path.rsplit('.').next().unwrap_or_default().to_owned();
                out.push((path.to_owned(), Module { name: own, depth, tensors: 0, elements: 0, bytes: 0 }));
                out.len() - 1
            });
            let m = &mut out[at].1;
            m.tensors += 1;
            m.elements += w.len() as u64;
            m.bytes += stored(w);
        }
    }
    // A module whose tensors do not stand together is still listed once, below its parent.
    out.sort_by_cached_key(|(path, _)| {
        let parts = path.match_indices('.').map(|(i, _)| &path[..i]).chain([path.as_str()]);
        parts.map(|p| places.get(p).copied().unwrap_or(0)).collect::<Vec<_>>()
    });
    out.into_iter().map(|(_, m)| m).collect()
}

/// Every tensor: name, type, shape and bytes.
pub fn tensors(c: &Checkpoint) -> Vec<WeightInfo> {
    listed(&c.data)
}

fn listed(c: &modelsmith_format::Checkpoint) -> Vec<WeightInfo> {
    let info = |(name, w): &(String, Arc<WeightExpr>)| WeightInfo {
        name: name.clone(),
        dtype: type_name(w),
        shape: w.shape(),
        bytes: stored(w),
    };
    c.tensors.iter().map(info).collect()
}

/// CRC-32 of the elements of `w`, little-endian and row-major, read piece by piece.
///
/// # Errors
/// When they cannot be read.
pub fn crc32(w: &WeightExpr, budget: &Budget) -> modelsmith_convert::Result<u32> {
    modelsmith_convert::checkpoint::crc32(w, modelsmith_tensor::Form::Dense, budget)
}

/// Makes `edit` and writes the result to `target`. The tensors of a `folder` become those of its architecture where a
/// GGUF file is written.
///
/// # Errors
/// When the edit leaves nothing or makes names equal, a tensor has no place in the architecture, or the result cannot be
/// written.
pub fn convert(
    c: &modelsmith_format::Checkpoint,
    folder: Option<&Folder>,
    edit: &Edit,
    target: &Target<'_>,
) -> Result<(Written, Vec<WeightInfo>)> {
    let (edited, mut found) = edit.apply(c)?;
    let blocks = target.format.blocks;
    let (edited, more) = match folder.filter(|_| blocks) {
        Some(folder) => folder.to_gguf(edited, edit)?,
        None => edit.encode(edited, blocks)?,
    };
    found.extend(more);
    let list = listed(&edited);
    let mut written = modelsmith_convert::checkpoint::write(edited, target)?;
    found.append(&mut written.findings);
    written.findings = found;
    Ok((written, list))
}

/// Makes `edit` and writes the result, a GGUF file, as the folder that holds the file of `target`: weights, configuration
/// and tokenizer.
///
/// # Errors
/// When the architecture is not known, and those of [`convert`].
pub fn convert_to_folder(
    c: &modelsmith_format::Checkpoint,
    edit: &Edit,
    target: Target<'_>,
) -> Result<(Written, Vec<WeightInfo>)> {
    if c.meta("general.architecture").is_none() {
        let help = format!("name a file, such as {}", target.path.display());
        return Err(
            Error::unsupported("a folder is written from a GGUF file, which says what the tensors are").help(help)
        );
    }
    let (edited, mut found) = edit.apply(c)?;
    let (edited, _) = edit.encode(edited, false)?;
    let made = modelsmith_convert::checkpoint::to_folder(&edited)?;
    found.extend(made.findings);
    let folder = target.path.parent().unwrap_or(Path::new(".")).to_owned();
    let new = !folder.exists();
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, &e))?;
    let target = Target { beside: &made.files, ..target };
    let done = convert(&made.checkpoint, None, &Edit::default(), &target);
    if done.is_err() && new {
        // It holds nothing, or is not ours alone.
        let _ = std::fs::remove_dir(&folder);
    }
    let (mut written, list) = done?;
    found.append(&mut written.findings);
    written.findings = found;
    Ok((written, list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::Tensor;

    #[test]
    fn modules_are_listed_below_their_parents() {
        let w = Arc::new(WeightExpr::Literal(Tensor::vector(&[1f32, 2.0])));
        let names = ["a.x.w", "b.w", "a.y.w", "w"];
        let c = modelsmith_format::Checkpoint {
            tensors: names.iter().map(|n| ((*n).to_owned(), w.clone())).collect(),
            ..Default::default()
        };
        let list = modules(&c).into_iter().map(|m| (m.name, m.depth, m.tensors, m.bytes)).collect::<Vec<_>>();
        let row = |n: &str, d, t| (n.to_owned(), d, t, 8 * t as u64);
        assert_eq!(list, [row("a", 0, 2), row("x", 1, 1), row("y", 1, 1), row("b", 0, 1)]);
    }
}
