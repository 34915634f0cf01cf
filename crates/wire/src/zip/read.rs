//! Reading: end record, central directory, then one entry at a time.

use super::{Error, Kind};
use crate::wide;
use flate2::{Crc, read::DeflateDecoder};
use modelsmith_base::Cursor;
use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

/// How the data of an entry are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As they are.
    Stored,
    /// Compressed with Deflate.
    Deflated,
    /// Another method, by its number.
    Other(u16),
}

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, with `/` between folders. Never to be used as a path unchecked.
    pub name: String,
    /// How it is stored.
    pub method: Method,
    /// Bytes in the archive.
    pub stored_size: u64,
    /// Bytes when decompressed.
    pub size: u64,
    /// CRC-32 of the decompressed bytes.
    pub crc32: u32,
    /// Offset of its local header.
    pub header: u64,
    flags: u16,
}

impl Entry {
    /// True when its data are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The general purpose flags of the directory.
    pub fn flags(&self) -> u16 {
        self.flags
    }
}

/// An archive and its directory.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
}

const END: u32 = 0x0605_4b50;
const END_LEN: usize = 22;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;

impl<'a> Archive<'a> {
    /// Reads the directory.
    ///
    /// # Errors
    /// When `bytes` are not an archive or its directory is damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Archive<'a>, Error> {
        let (count, directory) = directory(bytes)?;
        let at = usize::try_from(directory.start).unwrap_or(usize::MAX);
        let end = usize::try_from(directory.end).unwrap_or(usize::MAX);
        let content = bytes.get(at..end).ok_or(Error::new(Kind::Outside("the central directory"), directory.start))?;
        let mut cursor = Cursor::new(content, directory.start);
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(entry(&mut cursor)?);
        }
        Ok(Archive { bytes, entries })
    }

    /// Entries in directory order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The last entry of that name, which is the one that counts when a name occurs twice.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.name == name)
    }

    /// Where the stored bytes of `entry` lie in the archive.
    ///
    /// # Errors
    /// When its local header is damaged or its data lie outside.
    pub fn range(&self, entry: &Entry) -> Result<Range<u64>, Error> {
        let at = usize::try_from(entry.header).unwrap_or(usize::MAX);
        let rest = self.bytes.get(at..).ok_or(Error::new(Kind::Outside("a local header"), entry.header))?;
        let mut c = Cursor::new(rest, entry.header);
        if c.u32()? != LOCAL {
            return Err(Error::new(Kind::Signature("local header"), entry.header));
        }
        c.take(22)?;
        let (name, extra) = (c.u16()?, c.u16()?);
        c.take(usize::from(name))?;
        c.take(usize::from(extra))?;
        let start = c.offset();
        let end = start.saturating_add(entry.stored_size);
        if end > wide(self.bytes.len()) {
            return Err(Error::new(Kind::Outside("the data of an entry"), start));
        }
        Ok(start..end)
    }

    /// The bytes of `entry`, decompressed and checked against its checksum.
    ///
    /// # Errors
    /// When it is larger than `limit`, damaged, encrypted, or stored with another method.
    pub fn read(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>, Error> {
        let out = self.content(entry, limit)?;
        let mut crc = Crc::new();
        crc.update(&out);
        if crc.sum() != entry.crc32 {
            return Err(Error::new(Kind::Checksum(entry.name.clone()), entry.header));
        }
        Ok(out.into_owned())
    }

    /// The bytes of `entry`, decompressed, whatever their checksum: some writers leave it out.
    ///
    /// # Errors
    /// When it is larger than `limit`, damaged, encrypted, or stored with another method.
    pub fn content(&self, entry: &Entry, limit: u64) -> Result<Cow<'a, [u8]>, Error> {
        let range = self.range(entry)?;
        let fail = |kind| Error::new(kind, range.start);
        let name = || entry.name.clone();
        if entry.is_encrypted() {
            return Err(fail(Kind::Unsupported { entry: name(), what: "is encrypted" }));
        }
        if entry.size > limit {
            return Err(fail(Kind::TooLarge { entry: name(), size: entry.size, limit }));
        }
        let from = usize::try_from(range.start).unwrap_or(usize::MAX);
        let to = usize::try_from(range.end).unwrap_or(usize::MAX);
        let stored = self.bytes.get(from..to).ok_or(fail(Kind::Outside("the data of an entry")))?;
        let out = match entry.method {
            Method::Stored => Cow::Borrowed(stored),
            Method::Deflated => Cow::Owned(inflate(stored, entry.size).ok_or(fail(Kind::Deflate(name())))?),
            Method::Other(_) => {
                let what = "is compressed with a method other than Deflate";
                return Err(fail(Kind::Unsupported { entry: name(), what }));
            }
        };
        if wide(out.len()) != entry.size {
            return Err(fail(Kind::Checksum(name())));
        }
        Ok(out)
    }
}

/// Decompresses to at most `size` bytes; memory grows with what is really there, not with what is claimed.
fn inflate(stored: &[u8], size: u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    DeflateDecoder::new(stored).take(size.saturating_add(1)).read_to_end(&mut out).ok()?;
    Some(out)
}

/// Number of entries and range of the central directory.
fn directory(bytes: &[u8]) -> Result<(u64, Range<u64>), Error> {
    let no_end = Error::new(Kind::NoEnd, wide(bytes.len()));
    // The end record is followed by a comment of at most 65,535 bytes.
    let first = bytes.len().saturating_sub(END_LEN + usize::from(u16::MAX));
    let last = bytes.len().checked_sub(END_LEN).ok_or(no_end.clone())?;
    let found = (first..=last).rev().find(|&at| bytes.get(at..at + 4) == Some(&END.to_le_bytes()));
    let at = found.ok_or(no_end)?;
    let mut c = Cursor::new(bytes.get(at..).unwrap_or_default(), wide(at));
    c.take(10)?;
    let (count, size, offset) = (c.u16()?, c.u32()?, c.u32()?);
    if count != u16::MAX && size != u32::MAX && offset != u32::MAX {
        let offset = u64::from(offset);
        return Ok((u64::from(count), offset..offset.saturating_add(u64::from(size))));
    }
    match at.checked_sub(20).and_then(|l| bytes.get(l..)) {
        Some(locator) if locator.starts_with(&LOCATOR64.to_le_bytes()) => directory64(bytes, locator, at),
        _ => {
            let offset = u64::from(offset);
            Ok((u64::from(count), offset..offset.saturating_add(u64::from(size))))
        }
    }
}

fn directory64(bytes: &[u8], locator: &[u8], end: usize) -> Result<(u64, Range<u64>), Error> {
    let mut c = Cursor::new(locator, wide(end.saturating_sub(20)));
    c.take(8)?;
    let at = c.u64()?;
    let record = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
    let record = record.ok_or(Error::new(Kind::Outside("the zip64 end record"), at))?;
    let mut c = Cursor::new(record, at);
    if c.u32()? != END64 {
        return Err(Error::new(Kind::Signature("zip64 end record"), at));
    }
    c.take(28)?;
    let (count, size, offset) = (c.u64()?, c.u64()?, c.u64()?);
    Ok((count, offset..offset.saturating_add(size)))
}

/// One record of the central directory.
fn entry(c: &mut Cursor<'_>) -> Result<Entry, Error> {
    let at = c.offset();
    if c.u32()? != CENTRAL {
        return Err(Error::new(Kind::Signature("directory entry"), at));
    }
    c.take(4)?;
    let flags = c.u16()?;
    let method = match c.u16()? {
        0 => Method::Stored,
        8 => Method::Deflated,
        n => Method::Other(n),
    };
    c.take(4)?;
    let (crc32, stored, size) = (c.u32()?, c.u32()?, c.u32()?);
    let (name, extra, comment) = (c.u16()?, c.u16()?, c.u16()?);
    c.take(8)?;
    let header = c.u32()?;
    let name = String::from_utf8_lossy(c.take(usize::from(name))?).into_owned();
    let extra_at = c.offset();
    let extra = Cursor::new(c.take(usize::from(extra))?, extra_at);
    c.take(usize::from(comment))?;
    let (size, stored_size, header) = sizes64(extra, size, stored, header)?;
    Ok(Entry { name, method, stored_size, size, crc32, header, flags })
}

/// Replaces sizes and offset that do not fit in 32 bits by those of the zip64 extra field.
fn sizes64(mut extra: Cursor<'_>, size: u32, stored: u32, header: u32) -> Result<(u64, u64, u64), Error> {
    while extra.left() >= 4 {
        let (id, len) = (extra.u16()?, extra.u16()?);
        let at = extra.offset();
        let Ok(content) = extra.take(usize::from(len)) else { break };
        if id == 1 {
            let mut c = Cursor::new(content, at);
            let mut pick = |short: u32| match short {
                u32::MAX => c.u64(),
                _ => Ok(u64::from(short)),
            };
            return Ok((pick(size)?, pick(stored)?, pick(header)?));
        }
    }
    Ok((u64::from(size), u64::from(stored), u64::from(header)))
}
