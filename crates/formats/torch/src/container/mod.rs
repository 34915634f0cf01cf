//! The containers: what they have in common is one pickle, and storages by key.

mod legacy;
mod tar;
mod zip;

use modelsmith_base::Diagnostic;
pub(crate) use modelsmith_base::wide;
use modelsmith_format::recipes::Element;
use modelsmith_format::{Error, Input, Result};
use modelsmith_tensor::Source;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The kinds of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Zip,
    Legacy,
    Tar,
    /// A pickle alone.
    Bare,
    /// A pickle behind the header of a NumPy array of Python objects.
    Objects,
}

/// A checkpoint taken apart.
pub(crate) struct Parts<'a> {
    /// Bytes with the pickle of the object.
    pub pickle: Cow<'a, [u8]>,
    /// Where it begins in them.
    pub at: usize,
    /// Name of the member that it is, for messages.
    pub member: String,
    /// Storages by key.
    pub storages: HashMap<String, Stored>,
    /// Tensors by key: in tar archives the pickle names tensors, not storages.
    pub tensors: HashMap<String, Listed>,
    /// True when elements have their most significant byte first.
    pub big_endian: bool,
    /// What was found on the way.
    pub findings: Vec<Diagnostic>,
}

/// Bytes of a storage.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub source: Arc<dyn Source>,
    pub offset: u64,
    pub len: u64,
}

/// A tensor as a tar archive lists it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub storage: String,
    pub element: Element,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

impl<'a> Parts<'a> {
    fn new(pickle: Cow<'a, [u8]>, at: usize, member: &str) -> Parts<'a> {
        let (storages, tensors, findings) = (HashMap::new(), HashMap::new(), Vec::new());
        Parts { pickle, at, member: member.into(), storages, tensors, big_endian: false, findings }
    }
}

/// What `bytes`, the whole file or its beginning, are.
pub(crate) fn kind(bytes: &[u8]) -> Option<Kind> {
    if zip::is_checkpoint(bytes) {
        return Some(Kind::Zip);
    }
    if legacy::is_checkpoint(bytes) {
        return Some(Kind::Legacy);
    }
    if tar::is_checkpoint(bytes) {
        return Some(Kind::Tar);
    }
    if objects(bytes).is_some() {
        return Some(Kind::Objects);
    }
    let protocol = matches!(bytes, [0x80, 1..=5, ..]);
    let old = matches!(bytes.first(), Some(b'(' | b']' | b'}' | b'c')) && !bytes.starts_with(b"(*");
    (protocol || old).then_some(Kind::Bare)
}

/// Takes `bytes`, all of `input`, apart.
///
/// # Errors
/// When the container is damaged.
pub(crate) fn open<'a>(input: &Input, bytes: &'a [u8]) -> Result<Parts<'a>> {
    match kind(bytes) {
        Some(Kind::Zip) => zip::open(input, bytes),
        Some(Kind::Legacy) => legacy::open(input, bytes),
        Some(Kind::Tar) => tar::open(input, bytes),
        Some(Kind::Objects) => Ok(Parts::new(Cow::Borrowed(bytes), objects(bytes).unwrap_or(0), "")),
        Some(Kind::Bare) => Ok(Parts::new(Cow::Borrowed(bytes), 0, "")),
        None => {
            let what = "neither an archive with a data.pkl, nor a legacy checkpoint, nor a pickle";
            Err(Error::damaged(what).in_file(input.name()))
        }
    }
}

/// Takes the pickle `member` of a zip archive apart, with its storages: `data`, or `constants`.
///
/// # Errors
/// When the container is damaged.
pub(crate) fn open_member<'a>(input: &Input, bytes: &'a [u8], member: &str) -> Result<Parts<'a>> {
    zip::open_member(input, bytes, member)
}

pub(crate) use zip::{root as zip_root, stored as zip_stored};

/// True for a zip archive with code: a TorchScript program.
pub(crate) fn is_script(bytes: &[u8]) -> bool {
    zip::is_script(bytes)
}

/// True for a program in the layout before PyTorch 1.2.
pub(crate) fn is_old_script(bytes: &[u8]) -> bool {
    zip::is_old_script(bytes)
}

/// Where the pickle of a NumPy array of Python objects begins (numpy.lib.format: magic, version, length, header).
fn objects(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (size, begin) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes([*rest.get(2)?, *rest.get(3)?])), 10usize),
        _ => {
            let length = [*rest.get(2)?, *rest.get(3)?, *rest.get(4)?, *rest.get(5)?];
            (usize::try_from(u32::from_le_bytes(length)).ok()?, 12)
        }
    };
    let end = begin.checked_add(size)?;
    let header = std::str::from_utf8(bytes.get(begin..end)?).ok()?;
    header.contains("'descr': '|O'").then_some(end)
}
