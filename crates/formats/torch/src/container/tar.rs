//! The tar container of the first releases: members `storages`, `tensors` and `pickle`; the pickle names tensors.

use super::{Listed, Parts, Stored, wide};
use crate::read::storage::element_of;
use modelsmith_base::{Cursor, OutOfBytes};
use modelsmith_format::recipes::Element;
use modelsmith_format::{Error, Input, Result};
use modelsmith_wire::pickle::{Limits, NodeId, Pickle, read};
use modelsmith_wire::tar::{Archive, Member, is_tar};
use std::borrow::Cow;
use std::collections::HashMap;

pub(super) fn is_checkpoint(bytes: &[u8]) -> bool {
    is_tar(bytes) && Archive::open(bytes).is_ok_and(|a| a.find("storages").is_some() && a.find("pickle").is_some())
}

struct Reader<'i, 'a> {
    input: &'i Input,
    /// Content of the member.
    content: &'a [u8],
    /// Where it begins in the file.
    base: u64,
    at: usize,
    elements: HashMap<String, Element>,
}

pub(super) fn open<'a>(input: &Input, bytes: &'a [u8]) -> Result<Parts<'a>> {
    let fail = |what: String| Error::damaged(what).in_file(input.name());
    let archive = Archive::open(bytes).map_err(|e| fail(e.kind().to_string()).at_offset(e.offset()))?;
    if let Some(e) = archive.error() {
        return Err(fail(e.kind().to_string()).at_offset(e.offset()));
    }
    let member = |name: &str| archive.find(name).ok_or_else(|| fail(format!("the archive holds no `{name}`")));
    let pickle = archive.content(member("pickle")?);
    let mut parts = Parts::new(Cow::Borrowed(pickle), 0, "pickle");
    let mut reader = Reader::new(input, &archive, member("storages")?);
    reader.storages(&mut parts)?;
    let elements = reader.elements;
    // Some writers name storages in the pickle, as later containers do, and list no tensors.
    if let Some(tensors) = archive.find("tensors") {
        let mut reader = Reader::new(input, &archive, tensors);
        reader.elements = elements;
        reader.tensors(&mut parts)?;
    }
    Ok(parts)
}

impl<'i, 'a> Reader<'i, 'a> {
    fn new(input: &'i Input, archive: &Archive<'a>, member: &Member) -> Reader<'i, 'a> {
        let content = archive.content(member);
        Reader { input, content, base: member.offset, at: 0, elements: HashMap::new() }
    }

    fn fail(&self, what: impl Into<String>) -> Error {
        let at = self.base.saturating_add(wide(self.at));
        Error::damaged(what).in_file(self.input.name()).at_offset(at)
    }

    fn short(&self, e: OutOfBytes) -> Error {
        self.fail(format!("{} bytes wanted, {} left", e.wanted, e.left))
    }

    /// The next pickle of the member.
    fn pickle(&mut self) -> Result<Pickle<'a>> {
        let pickle = read(self.content, self.at, &Limits::default());
        if let Some(e) = &pickle.error {
            return Err(self.fail(e.to_string()));
        }
        self.at = usize::try_from(pickle.end).unwrap_or(usize::MAX);
        Ok(pickle)
    }

    fn count(&mut self) -> Result<usize> {
        let pickle = self.pickle()?;
        let count = pickle.root.and_then(|r| pickle.int(r)).and_then(|n| usize::try_from(n).ok());
        // Each takes a pickle of at least two bytes.
        count.filter(|&n| n <= self.content.len()).ok_or_else(|| self.fail("a count is not a number, or too large"))
    }

    fn storages(&mut self, parts: &mut Parts<'_>) -> Result<()> {
        for _ in 0..self.count()? {
            let record = self.pickle()?;
            let fields = record.root.and_then(|r| record.items(r)).unwrap_or_default();
            let (Some(&key), Some(&class)) = (fields.first(), fields.get(2)) else {
                return Err(self.fail("a storage is not described by key, location and type"));
            };
            let element =
                element_of(&record, class).ok_or_else(|| self.fail("a storage has a type that is unknown"))?;
            let mut c = self.cursor();
            let count = c.u64().map_err(|e| self.short(e))?;
            let width = wide(element.dtype.bits() / 8);
            let len = count.saturating_mul(width);
            c.take(usize::try_from(len).unwrap_or(usize::MAX)).map_err(|e| self.short(e))?;
            let offset = self.base.saturating_add(wide(self.at)).saturating_add(8);
            self.at = self.content.len().saturating_sub(c.left());
            let key = shown(&record, key);
            parts.storages.insert(key.clone(), Stored { source: self.input.source().clone(), offset, len });
            self.elements.insert(key, element);
        }
        // The oldest writers list no views.
        if self.at >= self.content.len() {
            return Ok(());
        }
        let views = self.pickle()?;
        for &view in views.root.and_then(|r| views.items(r)).unwrap_or_default() {
            self.view(&views, view, parts)?;
        }
        Ok(())
    }

    /// A storage that is a part of another: `(key, root key, offset, size)`.
    fn view(&mut self, views: &Pickle<'_>, view: NodeId, parts: &mut Parts<'_>) -> Result<()> {
        let bad = self.fail("a storage view is not described by key, root, offset and size, or leaves its root");
        let [key, root, offset, size] = views.items(view).unwrap_or_default() else { return Err(bad) };
        let (key, root) = (shown(views, *key), shown(views, *root));
        let number = |id: NodeId| views.int(id).and_then(|n| u64::try_from(n).ok());
        let found = parts.storages.get(&root).cloned().zip(self.elements.get(&root).copied());
        let (Some((stored, element)), Some(offset), Some(size)) = (found, number(*offset), number(*size)) else {
            return Err(bad);
        };
        let width = wide(element.dtype.bits() / 8);
        let (start, len) = (offset.saturating_mul(width), size.saturating_mul(width));
        if start.checked_add(len).is_none_or(|end| end > stored.len) {
            return Err(bad);
        }
        let offset = stored.offset.saturating_add(start);
        parts.storages.insert(key.clone(), Stored { source: stored.source, offset, len });
        self.elements.insert(key, element);
        Ok(())
    }

    fn tensors(&mut self, parts: &mut Parts<'_>) -> Result<()> {
        for _ in 0..self.count()? {
            let record = self.pickle()?;
            let fields = record.root.and_then(|r| record.items(r)).unwrap_or_default();
            let (Some(&key), Some(&storage)) = (fields.first(), fields.get(1)) else {
                return Err(self.fail("a tensor is not described by key, storage and type"));
            };
            let storage = shown(&record, storage);
            let element = self.elements.get(&storage).copied();
            let element = element.ok_or_else(|| self.fail(format!("storage {storage} of a tensor is not there")))?;
            let mut c = self.cursor();
            let rank = c.u64().map_err(|e| self.short(e))? & 0xffff_ffff;
            if rank > 64 {
                return Err(self.fail(format!("a tensor has {rank} dimensions")));
            }
            let mut numbers = Vec::new();
            for _ in 0..rank.saturating_mul(2).saturating_add(1) {
                let value = c.u64().map_err(|e| self.short(e))?;
                let value = usize::try_from(value).ok().filter(|&v| i64::try_from(v).is_ok());
                numbers.push(value.ok_or_else(|| self.fail("a size or stride is negative"))?);
            }
            self.at = self.content.len().saturating_sub(c.left());
            let offset = numbers.pop().unwrap_or(0);
            let strides = numbers.split_off(usize::try_from(rank).unwrap_or(0));
            let listed = Listed { storage, element, offset, shape: numbers, strides };
            parts.tensors.insert(shown(&record, key), listed);
        }
        Ok(())
    }

    fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.content.get(self.at..).unwrap_or_default(), self.base.saturating_add(wide(self.at)))
    }
}

/// A key: text or number.
fn shown(p: &Pickle<'_>, id: NodeId) -> String {
    p.text(id).map(Cow::into_owned).or(p.int(id).map(|i| i.to_string())).unwrap_or_default()
}
