//! GGUF: typed metadata, a table of tensors, their bytes. Versions 1 to 3 are read in both byte orders, split files through
//! any of their parts; version 3, little-endian, is written.
//!
//! Quantized tensors stay blocks ([`WeightExpr::Blocks`](modelsmith_tensor::WeightExpr::Blocks)): their bytes are copied
//! as they are into another GGUF file, and decoded for everything else. A type that is not known is listed as the bytes up
//! to the next tensor.

mod parse;
mod read;
mod split;
#[cfg(test)]
mod tests;
mod types;
mod write;

pub use read::read;
pub use write::write;

use modelsmith_format::{FormatDef, Match, Probe};

/// GGUF.
pub static GGUF: FormatDef = FormatDef {
    name: "gguf",
    title: "GGUF",
    extensions: &["gguf"],
    probe,
    read,
    graphs: true,
    hub: false,
    shards: false,
    blocks: true,
    write: Some(write),
};

const MAGIC: &[u8] = b"GGUF";
const ALIGNMENT: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;

fn probe(probe: &Probe<'_>) -> Match {
    match probe.bytes.starts_with(MAGIC) {
        true => Match::Certain,
        false if probe.has_extension(GGUF.extensions) => Match::Possible,
        false => Match::No,
    }
}
