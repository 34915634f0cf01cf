//! The record of a format, and finding the format of an input by its content.

use crate::{Artifact, Input, Output, Result};
use modelsmith_base::{Budget, Diagnostic};

/// All that the rest of the program knows of a format.
pub struct FormatDef {
    /// Short name, as in `--to onnx`.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// File name extensions, without dot; they only break ties.
    pub extensions: &'static [&'static str],
    /// How sure the format is that a file is its own.
    pub probe: fn(&Probe<'_>) -> Match,
    /// Reads a file. It fails only when the container is broken; what is merely unknown is kept and reported.
    pub read: fn(&Input, &ReadOptions) -> Result<Imported>,
    /// Whether it holds graphs; others hold tensors alone.
    pub graphs: bool,
    /// Whether its writer takes models alone, with nodes of the hub; others get them at the operator sets wanted.
    pub hub: bool,
    /// Whether a checkpoint may be spread over several files with an `.index.json` beside them, as Hugging Face does.
    pub shards: bool,
    /// Whether it stores tensors in block encodings (`Q4_K`).
    pub blocks: bool,
    /// Writes an artifact, if the format can be written.
    pub write: Option<fn(&Artifact, &mut Output, &WriteOptions<'_>) -> Result<Written>>,
}

/// What a probe may look at.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// The bytes: all of them where the file is mapped, otherwise the first 64 KiB.
    pub bytes: &'a [u8],
    /// Length of the file.
    pub len: u64,
    /// Its name, for the extension.
    pub name: &'a str,
}

/// How sure a format is that a file is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// It is not.
    No,
    /// Nothing speaks against it: the extension decides.
    Possible,
    /// Its structure is that of the format.
    Likely,
    /// It carries the format's signature.
    Certain,
}

/// How to read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Memory for what has to be decoded.
    pub budget: Budget,
    /// True where the weights alone are wanted: a format that holds a program and a checkpoint reads the checkpoint.
    pub weights: bool,
    /// Numbers of dimensions of inputs, by name, for formats that do not say them.
    pub ranks: Vec<(String, usize)>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { budget: Budget::unlimited(), weights: false, ranks: Vec::new() }
    }
}

/// What a reader returns.
#[derive(Clone)]
pub struct Imported {
    /// What the file holds.
    pub artifact: Artifact,
    /// Findings, in file order.
    pub findings: Vec<Diagnostic>,
}

/// Whether weights go into a file of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SideData {
    /// Only when the format cannot hold them otherwise.
    #[default]
    Auto,
    /// Never; what does not fit is an error.
    Never,
    /// Always, where the format can.
    Always,
}

/// How to write.
pub struct WriteOptions<'a> {
    /// Memory for weights on their way.
    pub budget: Budget,
    /// Whether weights go into a file of their own.
    pub side_data: SideData,
    /// Computes weights that are described by operators.
    pub evaluator: &'a dyn modelsmith_tensor::Evaluator,
    /// Threads that compute and read weights.
    pub threads: usize,
    /// Called as bytes of payload are written: how many, and how many there will be.
    pub progress: &'a dyn Fn(u64, u64),
}

impl<'a> WriteOptions<'a> {
    /// No limit of memory, weights beside the file only where they must be, one thread, silent.
    pub fn new(evaluator: &'a dyn modelsmith_tensor::Evaluator) -> WriteOptions<'a> {
        WriteOptions {
            budget: Budget::unlimited(),
            side_data: SideData::Auto,
            evaluator,
            threads: 1,
            progress: &|_, _| {},
        }
    }
}

/// What a writer did.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Bytes of each file, by suffix.
    pub files: Vec<(String, u64)>,
    /// What could not be said, and other findings.
    pub findings: Vec<Diagnostic>,
}

impl Probe<'_> {
    /// True when the name has one of these extensions, in any case.
    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        let name = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let found = name.rsplit_once('.').map(|(_, ext)| ext);
        found.is_some_and(|ext| extensions.iter().any(|e| ext.eq_ignore_ascii_case(e)))
    }
}

/// The format of `input` among `formats`: the surest one; among equals one whose extension fits, then the first.
pub fn detect(formats: &[&'static FormatDef], input: &Input) -> Option<&'static FormatDef> {
    let source = input.source();
    let mut head = Vec::new();
    let bytes = match source.as_slice() {
        Some(all) => all,
        None => {
            head.resize(usize::try_from(source.len().min(65_536)).unwrap_or(0), 0);
            source.read_at(0, &mut head).ok()?;
            &head
        }
    };
    let probe = Probe { bytes, len: source.len(), name: input.name() };
    let mut best: Option<(Match, bool, &'static FormatDef)> = None;
    for &format in formats {
        let sure = (format.probe)(&probe);
        let fits = probe.has_extension(format.extensions);
        let enough = sure > Match::Possible || (sure == Match::Possible && fits);
        if enough && best.is_none_or(|(s, f, _)| (sure, fits) > (s, f)) {
            best = Some((sure, fits, format));
        }
    }
    best.map(|(_, _, format)| format)
}
