//! The legacy stream: pickles of a magic number, a protocol, facts of the system, the object and the keys of its
//! storages; then for each key the number of elements and the elements. All little-endian.

use super::{Parts, Stored, wide};
use crate::read::storage::{Pid, pid};
use modelsmith_format::{Error, Input, Result};
use modelsmith_wire::pickle::{Limits, Node, Pickle, read};
use std::borrow::Cow;
use std::collections::HashMap;

/// The number 0x1950a86a20f9469cfc6c, as every protocol from 2 on writes it.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

pub(super) fn is_checkpoint(bytes: &[u8]) -> bool {
    match bytes {
        [0x80, 2..=3, rest @ ..] => rest.starts_with(MAGIC),
        // From protocol 4 on the pickle may be in a frame.
        [0x80, 4..=5, 0x95, rest @ ..] => rest.get(8..).is_some_and(|r| r.starts_with(MAGIC)),
        [0x80, 4..=5, rest @ ..] => rest.starts_with(MAGIC),
        _ => false,
    }
}

pub(super) fn open<'a>(input: &Input, bytes: &'a [u8]) -> Result<Parts<'a>> {
    let mut at = 0;
    for _ in 0..3 {
        at = next(input, bytes, at)?.1;
    }
    let (object, behind) = next(input, bytes, at)?;
    let mut parts = Parts::new(Cow::Borrowed(bytes), at, "");
    let (keys, end) = next(input, bytes, behind)?;
    let widths = widths(&object);
    let listed = keys.root.and_then(|r| keys.items(r)).unwrap_or_default();
    let mut at = wide(end);
    for &key in listed {
        let key = keys.text(key).map(Cow::into_owned).or(keys.int(key).map(|i| i.to_string())).unwrap_or_default();
        let fail = |what: String| Error::damaged(what).in_file(input.name()).at_offset(at);
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let head = bytes.get(start..).and_then(|rest| rest.first_chunk::<8>());
        let count = u64::from_le_bytes(*head.ok_or_else(|| fail(format!("the file ends before storage {key}")))?);
        let width = widths.get(&key).copied();
        let width = width.ok_or_else(|| fail(format!("storage {key} is of no type that the object names")))?;
        let offset = at.saturating_add(8);
        let left = wide(bytes.len()).saturating_sub(offset);
        let len = count.checked_mul(width).filter(|&n| n <= left);
        let len = len.ok_or_else(|| fail(format!("storage {key} has {count} elements, {left} bytes are left")))?;
        parts.storages.insert(key, Stored { source: input.source().clone(), offset, len });
        at = offset.saturating_add(len);
    }
    Ok(parts)
}

/// The pickle at `at`, and where it ends.
pub(super) fn next<'a>(input: &Input, bytes: &'a [u8], at: usize) -> Result<(Pickle<'a>, usize)> {
    let pickle = read(bytes, at, &Limits::default());
    if let Some(e) = pickle.error {
        return Err(Error::damaged(e.kind().to_string()).in_file(input.name()).at_offset(e.offset()));
    }
    let end = usize::try_from(pickle.end).unwrap_or(usize::MAX);
    Ok((pickle, end))
}

/// Bytes of an element, by key of the storage.
fn widths(object: &Pickle<'_>) -> HashMap<String, u64> {
    let mut out = HashMap::new();
    for node in &object.nodes {
        let Node::Persistent(id) = node else { continue };
        if let Some(Pid::Storage(s)) = pid(object, *id) {
            let width = s.width();
            out.insert(s.key, width);
        }
    }
    out
}
