//! The zip container: `ROOT/data.pkl`, `ROOT/data/KEY`, `ROOT/byteorder`.

use super::{Parts, Stored};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::source::{Inflated, MOST};
use modelsmith_format::{Error, Input, Result};
use modelsmith_tensor::Source;
use modelsmith_wire::zip::{Archive, Entry, Error as ZipError, Method};
use std::sync::Arc;

/// The largest pickle that is taken: far above any real one.
const PICKLE: u64 = 4 << 30;

/// True for an archive with a `data.pkl`. Of a file that is not mapped only the beginning is there: its first entry.
pub(super) fn is_checkpoint(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"PK\x03\x04") {
        return false;
    }
    match Archive::open(bytes) {
        Ok(archive) => archive.entries().iter().any(is_pickle),
        Err(_) => first_name(bytes).is_some_and(|n| n == b"data.pkl" || n.ends_with(b"/data.pkl")),
    }
}

fn is_pickle(entry: &Entry) -> bool {
    entry.name == "data.pkl" || entry.name.ends_with("/data.pkl")
}

/// Name in the local header at the start.
fn first_name(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes([*bytes.get(26)?, *bytes.get(27)?]));
    bytes.get(30..)?.get(..length)
}

pub(super) fn open<'a>(input: &Input, bytes: &'a [u8]) -> Result<Parts<'a>> {
    let fail = |e: ZipError| Error::damaged(e.kind().to_string()).in_file(input.name()).at_offset(e.offset());
    let archive = Archive::open(bytes).map_err(fail)?;
    let missing = || Error::damaged("the archive holds no data.pkl").in_file(input.name());
    let pickle = archive.entries().iter().filter(|e| is_pickle(e)).min_by_key(|e| e.name.len()).ok_or_else(missing)?;
    let root = pickle.name.strip_suffix("data.pkl").unwrap_or_default();
    let content = archive.content(pickle, PICKLE).map_err(fail)?;
    let mut parts = Parts::new(content, 0, &pickle.name);
    if let Some(order) = archive.find(&format!("{root}byteorder")) {
        parts.big_endian = archive.content(order, 64).map_err(fail)?.starts_with(b"big");
    }
    let folder = format!("{root}data/");
    for entry in archive.entries() {
        let Some(key) = entry.name.strip_prefix(&folder) else { continue };
        let stored = stored(input, &archive, entry).map_err(fail)?;
        parts.storages.insert(key.to_owned(), stored);
    }
    let code = format!("{root}code/");
    if archive.entries().iter().any(|e| e.name.starts_with(&code)) {
        let message = "this is a TorchScript archive: its code is not read, only the tensors of data.pkl";
        parts.findings.push(Diagnostic::new(Severity::Warning, "torch.script", message));
    }
    Ok(parts)
}

fn stored(input: &Input, archive: &Archive<'_>, entry: &Entry) -> std::result::Result<Stored, ZipError> {
    let range = archive.range(entry)?;
    let whole = input.source().clone();
    let length = range.end.saturating_sub(range.start);
    if entry.method == Method::Deflated {
        // A size that deflate cannot reach is a length of nothing: views of the storage are refused.
        let size = entry.size.min(length.saturating_mul(MOST));
        let source: Arc<dyn Source> = Arc::new(Inflated::new(&whole, &entry.name, range, size, entry.crc32));
        return Ok(Stored { source, offset: 0, len: size });
    }
    if entry.is_encrypted() || entry.method != Method::Stored {
        archive.content(entry, u64::MAX)?;
    }
    Ok(Stored { source: whole, offset: range.start, len: length })
}
