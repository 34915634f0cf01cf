//! Members as byte ranges of the archive, or of their decompressed form.

use crate::npy::weight;
use crate::range;
use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_format::source::{Inflated, MOST};
use modelsmith_format::{Artifact, Checkpoint, Error, Imported, Input, ReadOptions, Result};
use modelsmith_tensor::Source;
use modelsmith_wire::zip::{self, Archive, Method};
use std::sync::Arc;

/// Reads an archive of arrays. What is not an array is reported and left out.
///
/// # Errors
/// When the archive or the header of an array is damaged.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = input.source();
    let damaged = |e: zip::Error| Error::damaged(e.kind().to_string()).at_offset(e.offset()).in_file(input.name());
    let bytes = range::bytes(source.as_ref(), 0, source.len(), &options.budget)?;
    let archive = Archive::open(&bytes).map_err(damaged)?;
    let mut out = Checkpoint::default();
    let mut findings = Vec::new();
    for entry in archive.entries() {
        let Some(name) = entry.name.strip_suffix(".npy") else {
            let message = format!("`{}` is not an array and is left out", entry.name);
            findings.push(Diagnostic::new(Severity::Warning, "npz.member", message));
            continue;
        };
        let stored = archive.range(entry).map_err(damaged)?;
        let most = entry.stored_size.saturating_mul(MOST);
        if entry.method == Method::Deflated && entry.size > most {
            let message = format!("{} bytes cannot come from {} compressed ones", entry.size, entry.stored_size);
            return Err(Error::damaged(message).in_file(input.name()).in_tensor(name).at_offset(stored.start));
        }
        let (member, start): (Arc<dyn Source>, u64) = match entry.method {
            Method::Stored => (source.clone(), stored.start),
            Method::Deflated => {
                let inflated = Inflated::new(source, &entry.name, stored.clone(), entry.size, entry.crc32);
                (Arc::new(inflated), 0)
            }
            Method::Other(n) => {
                let message = format!("it is compressed with method {n}; stored and deflated arrays are read");
                return Err(Error::unsupported(message).in_file(input.name()).in_tensor(name).at_offset(stored.start));
            }
        };
        let len = if start == 0 { entry.size } else { entry.stored_size };
        match weight(&member, start, len, &options.budget) {
            Ok(found) => out.tensors.push((name.to_owned(), Arc::new(found))),
            Err(e) if e.kind() == modelsmith_format::Kind::Unsupported => {
                let found =
                    Diagnostic::new(Severity::Warning, "npz.member", format!("{}; it is left out", e.message()));
                findings.push(found.at(Place::tensor(name)));
            }
            Err(e) => return Err(e.in_file(input.name()).in_tensor(name).at_offset(stored.start)),
        }
    }
    Ok(Imported { artifact: Artifact::Checkpoint(out), findings })
}
