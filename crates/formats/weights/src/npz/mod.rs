//! NumPy's `.npz`: a zip archive of arrays.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::read;
pub use write::write;

use modelsmith_format::{FormatDef, Match, Probe};
use modelsmith_wire::zip::Archive;

/// NumPy archives.
pub static NPZ: FormatDef = FormatDef {
    name: "npz",
    title: "NumPy archive",
    extensions: &["npz"],
    probe,
    read,
    graphs: false,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write),
};

/// An archive is one of NumPy when every entry is an array. Where only the start of the file is seen, the first entry
/// decides.
fn probe(probe: &Probe<'_>) -> Match {
    let named = if probe.has_extension(NPZ.extensions) { Match::Possible } else { Match::No };
    if !probe.bytes.starts_with(b"PK") {
        return named;
    }
    match Archive::open(probe.bytes) {
        Ok(a) if a.entries().is_empty() => named,
        Ok(a) => {
            if a.entries().iter().all(|e| e.name.ends_with(".npy")) {
                Match::Likely
            } else {
                named
            }
        }
        Err(_) => {
            let length = probe.bytes.get(26..28).and_then(|b| b.first_chunk::<2>()).map(|b| u16::from_le_bytes(*b));
            let name = probe.bytes.get(30..).and_then(|b| b.get(..usize::from(length?)));
            if name.is_some_and(|n| n.ends_with(b".npy")) { Match::Possible } else { named }
        }
    }
}
