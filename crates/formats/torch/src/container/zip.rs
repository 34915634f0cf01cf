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

/// The folder of the archive that holds everything, with its slash.
pub(crate) fn root<'a>(archive: &'a Archive<'_>) -> &'a str {
    let pickle = archive.entries().iter().filter(|e| is_pickle(e)).min_by_key(|e| e.name.len());
    pickle.and_then(|p| p.name.strip_suffix("data.pkl")).unwrap_or_default()
}

/// True for an archive of the layout before PyTorch 1.2: a `model.json` and code, no `data.pkl`.
pub(super) fn is_old_script(bytes: &[u8]) -> bool {
    let Ok(archive) = Archive::open(bytes) else { return false };
    let ends = |end: &str| archive.entries().iter().any(|e| e.name.ends_with(end));
    ends("/model.json") && ends(".py") && !ends("data.pkl")
}

/// True for an archive with code beside its object. Of a file that is not mapped only the beginning is there.
pub(super) fn is_script(bytes: &[u8]) -> bool {
    if !is_checkpoint(bytes) {
        return false;
    }
    let Ok(archive) = Archive::open(bytes) else { return false };
    let code = format!("{}code/", root(&archive));
    archive.entries().iter().any(|e| e.name.starts_with(&code) && e.name.ends_with(".py"))
}

pub(super) fn open<'a>(input: &Input, bytes: &'a [u8]) -> Result<Parts<'a>> {
    open_member(input, bytes, "data")
}

pub(super) fn open_member<'a>(input: &Input, bytes: &'a [u8], member: &str) -> Result<Parts<'a>> {
    let fail = |e: ZipError| Error::damaged(e.kind().to_string()).in_file(input.name()).at_offset(e.offset());
    let archive = Archive::open(bytes).map_err(fail)?;
    let root = root(&archive).to_owned();
    let name = format!("{root}{member}.pkl");
    let missing = || Error::damaged(format!("the archive holds no {member}.pkl")).in_file(input.name());
    let pickle = archive.find(&name).ok_or_else(missing)?;
    let content = archive.content(pickle, PICKLE).map_err(fail)?;
    let mut parts = Parts::new(content, 0, &pickle.name);
    if let Some(order) = archive.find(&format!("{root}byteorder")) {
        parts.big_endian = archive.content(order, 64).map_err(fail)?.starts_with(b"big");
    }
    let folder = format!("{root}{member}/");
    for entry in archive.entries() {
        let Some(key) = entry.name.strip_prefix(&folder) else { continue };
        let stored = stored(input, &archive, entry).map_err(fail)?;
        parts.storages.insert(key.to_owned(), stored);
    }
    let code = format!("{root}code/");
    if member == "data" && archive.entries().iter().any(|e| e.name.starts_with(&code)) {
        let message = "this is a TorchScript archive: its code is not read, only the tensors of data.pkl";
        parts.findings.push(Diagnostic::new(Severity::Warning, "torch.script", message));
    }
    Ok(parts)
}

/// Where the content of `entry` lies, unpacked.
///
/// # Errors
/// When it is encrypted, or packed in a way that is not read.
pub(crate) fn stored(input: &Input, archive: &Archive<'_>, entry: &Entry) -> std::result::Result<Stored, ZipError> {
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
