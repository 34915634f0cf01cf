use modelsmith_base::Diagnostic;
use modelsmith_format::{Artifact, Checkpoint, Error, FormatDef, Input, ReadOptions, Result, detect};
use modelsmith_ir::Model;
use std::sync::LazyLock;

/// Every format, in the order in which equal claims are settled.
pub static FORMATS: LazyLock<Vec<&FormatDef>> = LazyLock::new(|| {
    use modelsmith_format_torch::{EXPORT, SCRIPT, TORCH};
    let torch: &[&FormatDef] = &[&EXPORT, &SCRIPT, &TORCH];
    let families: [&[&FormatDef]; 3] = [modelsmith_format_onnx::NOTATIONS, torch, modelsmith_format_weights::FORMATS];
    families.concat()
});

/// A file that was read.
pub struct Imported {
    /// Its format.
    pub format: &'static FormatDef,
    /// The model as the file has it: nodes are foreign.
    pub model: Model,
    /// Findings of the reader.
    pub findings: Vec<Diagnostic>,
}

/// A file of any kind that was read.
pub struct Opened {
    /// Its format.
    pub format: &'static FormatDef,
    /// What it holds.
    pub artifact: Artifact,
    /// Findings of the reader.
    pub findings: Vec<Diagnostic>,
}

/// Reads the model in `input`, whatever its format.
///
/// # Errors
/// When no format claims the file, it is damaged, or it holds no model.
pub fn open(input: &Input, options: &ReadOptions) -> Result<Imported> {
    open_any(input, options)?.into_model(input.name())
}

impl Opened {
    /// The model in the file, which is called `name` in messages.
    ///
    /// # Errors
    /// When it holds none.
    pub fn into_model(self, name: &str) -> Result<Imported> {
        let Opened { format, artifact, findings } = self;
        match artifact {
            Artifact::Model(model) => Ok(Imported { format, model: *model, findings }),
            other => {
                let message = format!("this is a {} without a graph, a model is wanted", other.kind());
                let help = "convert and build take the graph with --graph STRUCTURE.onnx, and this file with --weights";
                Err(Error::unsupported(message).in_file(name).help(help))
            }
        }
    }
}

/// Reads `input`, whatever its format and whatever it holds.
///
/// # Errors
/// When no format claims the file, or it is damaged.
pub fn open_any(input: &Input, options: &ReadOptions) -> Result<Opened> {
    let found = detect(&FORMATS, input);
    if found.is_none()
        && let Some(map) = crate::checkpoint::index::weight_map(input)?
    {
        return crate::checkpoint::index::read(input, map, options);
    }
    let format = found.ok_or_else(|| {
        let known = FORMATS.iter().map(|f| f.title).collect::<Vec<_>>().join(", ");
        let what = if input.source().is_empty() { "the file is empty" } else { "no known format claims this file" };
        Error::damaged(what).in_file(input.name()).help(format!("formats that are read: {known}"))
    })?;
    let read = (format.read)(input, options).map_err(|e| e.in_file(input.name()))?;
    Ok(Opened { format, artifact: read.artifact, findings: read.findings })
}

/// The tensors that were complete before a pickle breaks; `None` where there are none.
pub fn salvage(input: &Input) -> Option<Checkpoint> {
    match modelsmith_format_torch::salvage(input, &ReadOptions::default()).ok()?.artifact {
        Artifact::Checkpoint(c) if !c.tensors.is_empty() => Some(c),
        _ => None,
    }
}

/// The same model at the hub's opset. Nodes that the hub does not know stay as they are and are reported.
pub fn to_hub(model: &Model) -> (Model, Vec<Diagnostic>) {
    let mut hub = model.clone();
    let findings = modelsmith_ops::opset::upgrade(&mut hub);
    (hub, findings)
}
