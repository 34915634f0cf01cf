//! safetensors: a JSON header with names, types, shapes and byte ranges, then the bytes. A large checkpoint is a set of
//! such files and an index that names the file of each tensor (`*.safetensors.index.json`).
//!
//! A file may hide nothing: ranges leave no hole, do not overlap and end with the file. Tensors that share their bytes
//! cannot be said; they are stored once and the metadata names the other ones, as the library for PyTorch does it.

mod dtype;
mod header;
mod index;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::read;
pub use write::write;

use modelsmith_format::{FormatDef, Match, Probe};

/// safetensors.
pub static SAFETENSORS: FormatDef = FormatDef {
    name: "safetensors",
    title: "safetensors",
    extensions: &["safetensors"],
    probe,
    read,
    graphs: false,
    hub: false,
    shards: true,
    blocks: false,
    write: Some(write),
};

/// The largest header that readers of the format take.
pub(crate) const LARGEST_HEADER: u64 = 100_000_000;

fn probe(probe: &Probe<'_>) -> Match {
    let named = if probe.has_extension(SAFETENSORS.extensions) { Match::Possible } else { Match::No };
    if index::is_index(probe) {
        return Match::Likely;
    }
    let Some((length, rest)) = probe.bytes.split_first_chunk::<8>() else { return named };
    let length = u64::from_le_bytes(*length);
    let fits = (2..=LARGEST_HEADER).contains(&length) && length.saturating_add(8) <= probe.len;
    let mut text = rest.iter().copied().skip_while(u8::is_ascii_whitespace);
    let object =
        text.next() == Some(b'{') && text.find(|b| !b.is_ascii_whitespace()).is_some_and(|b| b"\"}".contains(&b));
    if fits && object { Match::Likely } else { named }
}
