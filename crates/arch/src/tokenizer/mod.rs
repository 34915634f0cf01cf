//! Vocabularies: what a folder has in one of several kinds of files, and what GGUF has in metadata.

mod added;
mod back;
mod bpe;
mod pre;
mod sentencepiece;
mod special;
mod wordpiece;

use crate::config::{Files, Json, json};
use crate::meta::Meta;
use crate::table::{Constant, Family, Vocabulary};
pub(crate) use back::files;
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Error, Result};
use special::Special;

/// Types of tokens in GGUF.
pub(crate) mod kind {
    pub(crate) const NORMAL: i32 = 1;
    pub(crate) const UNKNOWN: i32 = 2;
    pub(crate) const CONTROL: i32 = 3;
    pub(crate) const USER_DEFINED: i32 = 4;
    pub(crate) const UNUSED: i32 = 5;
    pub(crate) const BYTE: i32 = 6;
}

/// Tokens of any kind of vocabulary; entries that no file names are unused.
#[derive(Default)]
pub(crate) struct Tokens {
    /// `tokenizer.ggml.model`.
    model: &'static str,
    /// `tokenizer.ggml.pre`.
    pre: String,
    tokens: Vec<String>,
    scores: Option<Vec<f32>>,
    kinds: Vec<i32>,
    merges: Vec<String>,
    special: Special,
    /// Whether a space is put before a text, where the folder says so for any kind of vocabulary.
    space: Option<bool>,
    /// Segments that the model tells apart.
    segments: Option<i64>,
    findings: Vec<Diagnostic>,
}

/// A list of `size` tokens none of which is in use.
fn unused(size: usize) -> Vec<(String, f32, i32)> {
    (0..size).map(|i| (format!("[PAD{i}]"), -10_000.0, kind::UNUSED)).collect()
}

/// Reads the vocabulary of a folder, from the first kind of files of the family that is there.
pub(crate) fn read(family: &Family, files: &dyn Files, config: &Json) -> Result<Tokens> {
    for kind in family.vocabulary {
        let found = match kind {
            Vocabulary::SentencePiece => sentencepiece::read(files, config, false)?,
            Vocabulary::SentencePieceAdded => sentencepiece::read(files, config, true)?,
            Vocabulary::ByteFallback => bpe::byte_fallback(files, config)?,
            Vocabulary::Gpt2 => bpe::gpt2(files, config)?,
            Vocabulary::WordPiece => wordpiece::read(files, config)?,
        };
        if let Some(mut found) = found {
            let space = json(files, "tokenizer_config.json")?;
            let space = space.as_ref().and_then(|t| t.get("add_prefix_space")).and_then(Json::as_bool);
            found.space = space.filter(|_| family.gguf == "llama");
            return Ok(found);
        }
    }
    let wanted = family.vocabulary.iter().map(|v| v.files()).collect::<Vec<_>>().join(", or ");
    let error = Error::unsupported("no vocabulary is in the folder, a GGUF file holds one");
    Err(error.in_file(files.name()).help(format!("{} reads {wanted}", family.name)))
}

impl Vocabulary {
    /// The files that it is read from.
    pub fn files(self) -> &'static str {
        match self {
            Vocabulary::SentencePiece | Vocabulary::SentencePieceAdded => "tokenizer.model",
            Vocabulary::ByteFallback => "tokenizer.json with byte_fallback",
            Vocabulary::Gpt2 => "tokenizer.json with a byte-level BPE",
            Vocabulary::WordPiece => "tokenizer.json with WordPiece or vocab.txt",
        }
    }
}

/// The number of tokens that the configuration announces; at most what an index of 32 bits reaches.
fn size(config: &Json, own: usize) -> Result<usize> {
    /// The largest vocabularies have a quarter of a million.
    const MOST: usize = 1 << 21;
    let found = config.get("vocab_size").and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(own);
    match found <= MOST {
        true => Ok(found),
        false => Err(Error::damaged(format!("vocab_size is {found}, at most {MOST} are read")).in_file("config.json")),
    }
}

impl Tokens {
    /// Number of tokens.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Writes the metadata in the order of llama.cpp's converter.
    pub(crate) fn write(self, family: &Family, meta: &mut Meta, findings: &mut Vec<Diagnostic>) {
        if let Some(space) = self.space {
            meta.bool("tokenizer.ggml.add_space_prefix", space);
        }
        if let Some(segments) = self.segments {
            meta.u32("tokenizer.ggml.token_type_count", segments);
        }
        meta.text("tokenizer.ggml.model", self.model);
        meta.text("tokenizer.ggml.pre", &self.pre);
        meta.texts("tokenizer.ggml.tokens", self.tokens);
        if let Some(scores) = self.scores {
            meta.floats("tokenizer.ggml.scores", scores.into_iter());
        }
        meta.ints("tokenizer.ggml.token_type", self.kinds.into_iter());
        if !self.merges.is_empty() {
            meta.texts("tokenizer.ggml.merges", self.merges);
        }
        self.special.write(meta);
        for (key, value) in family.tokenizer {
            match value {
                Constant::Bool(b) => meta.bool(*key, *b),
                Constant::Int(n) => meta.u32(*key, i64::from(*n)),
                Constant::Text(t) => meta.text(*key, t),
                Constant::IfTensor(_) | Constant::QueryScalar(_) => {}
            }
        }
        findings.extend(self.findings);
    }
}

fn warning(message: String) -> Diagnostic {
    Diagnostic::new(Severity::Warning, "arch.tokenizer", message)
}
