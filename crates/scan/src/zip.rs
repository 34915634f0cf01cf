//! Zip archives: every entry, what directory and local headers disagree about, and what lies outside of entries.

use crate::report::Severity;
use crate::scanner::{Scanner, inside};
use crate::wide;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use modelsmith_base::Cursor;
use modelsmith_wire::zip::{Archive, Entry, Method};
use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

/// Compressed data that expand more than this are worth a word; Deflate ends at 1032.
const RATIO: u64 = 500;
/// Below this an expansion does no harm.
const SMALL: u64 = 64 << 20;
/// Flags that are understood: maximum and fast compression, descriptor, UTF-8.
const FLAGS: u16 = 0x080e;

/// Facts of an archive as a whole.
struct Whole {
    /// Root folder of a PyTorch checkpoint, with its `/`.
    torch: Option<String>,
    /// True when it holds TorchScript.
    script: bool,
    keras: bool,
}

/// A local header: its name and flags, and where the data begin.
struct Local<'a> {
    name: Cow<'a, str>,
    flags: u16,
    method: u16,
    data: u64,
}

pub(crate) fn scan(s: &mut Scanner<'_>, bytes: &[u8], member: &str, depth: usize) {
    let archive = match Archive::open(bytes) {
        Ok(archive) => archive,
        Err(e) => {
            s.unknown("zip.damaged", member, Some(e.offset()), format!("the archive is damaged: {}", e.kind()));
            salvage(s, bytes, member, 0, depth);
            return;
        }
    };
    let whole = Whole::of(&archive);
    if whole.script {
        let reason = "TorchScript: its code, which runs when the model is run, is not read";
        s.unknown("torchscript.code", member, None, reason);
    }
    let mut covered: Vec<Range<u64>> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for entry in archive.entries() {
        let name = inside(member, &entry.name);
        name_tricks(s, entry, &name);
        if !names.insert(entry.name.as_str()) {
            s.find(
                "zip.duplicate",
                Severity::Medium,
                &name,
                None,
                "the name occurs twice: readers take different ones",
            );
        }
        match local(bytes, entry) {
            Some(header) => {
                headers(s, entry, &header, &name);
                let end = header.data.saturating_add(entry.stored_size);
                covered.push(entry.header..descriptor(bytes, end, header.flags));
                content(s, bytes, entry, &header, &whole, &name, depth);
            }
            None => s.unknown("zip.damaged", &name, Some(entry.header), "its local header is damaged or missing"),
        }
    }
    outside(s, bytes, covered, member, depth);
}

impl Whole {
    fn of(archive: &Archive<'_>) -> Whole {
        let names = || archive.entries().iter().map(|e| e.name.as_str());
        let torch = names().filter_map(|n| n.strip_suffix("data.pkl")).filter(|r| r.is_empty() || r.ends_with('/'));
        let torch = torch.min_by_key(|r| r.len()).map(str::to_owned);
        let script = torch.as_ref().is_some_and(|r| names().any(|n| n.starts_with(&format!("{r}code/"))));
        let keras = names().any(|n| n == "config.json") && names().any(|n| n == "metadata.json");
        Whole { torch, script, keras }
    }

    /// True for the raw elements of a storage.
    fn is_payload(&self, name: &str) -> bool {
        let rest = self.torch.as_ref().and_then(|r| name.strip_prefix(r.as_str()));
        let key = rest.and_then(|r| r.strip_prefix("data/").or_else(|| r.strip_prefix("constants/")));
        key.is_some_and(|k| !k.is_empty() && k.bytes().all(|b| b.is_ascii_digit()))
    }

    /// True for the code of TorchScript and its notes.
    fn is_code(&self, name: &str) -> bool {
        let rest = self.torch.as_ref().and_then(|r| name.strip_prefix(r.as_str()));
        self.script && rest.is_some_and(|r| r.starts_with("code/") && !r.ends_with(".debug_pkl"))
    }
}

fn name_tricks(s: &mut Scanner<'_>, entry: &Entry, name: &str) {
    let n = entry.name.as_str();
    let odd = n.contains('\0') || n.chars().any(char::is_control) || n.trim() != n || n.is_empty();
    if odd {
        let reason = "control characters or spaces around the name: readers disagree about it";
        s.find("zip.name", Severity::Medium, name, None, reason);
    }
    let parts = || n.split(['/', '\\']);
    let drive = n.as_bytes().get(1) == Some(&b':');
    if n.starts_with(['/', '\\']) || drive || parts().any(|p| p == "..") {
        let reason = "the name leads out of the folder into which it is unpacked";
        s.find("zip.path", Severity::High, name, None, reason);
    }
}

fn local<'a>(bytes: &'a [u8], entry: &Entry) -> Option<Local<'a>> {
    let at = usize::try_from(entry.header).ok()?;
    let mut c = Cursor::new(bytes.get(at..)?, entry.header);
    if c.u32().ok()? != 0x0403_4b50 {
        return None;
    }
    c.take(2).ok()?;
    let (flags, method) = (c.u16().ok()?, c.u16().ok()?);
    c.take(16).ok()?;
    let (name, extra) = (c.u16().ok()?, c.u16().ok()?);
    let name = String::from_utf8_lossy(c.take(usize::from(name)).ok()?);
    c.take(usize::from(extra)).ok()?;
    let inside = c.offset().checked_add(entry.stored_size)? <= wide(bytes.len());
    inside.then_some(Local { name, flags, method, data: c.offset() })
}

/// What the two headers of an entry disagree about.
fn headers(s: &mut Scanner<'_>, entry: &Entry, header: &Local<'_>, name: &str) {
    if header.name != entry.name {
        let reason = format!("the directory names it `{}`, its own header `{}`", entry.name, header.name);
        s.find("zip.mismatch", Severity::High, name, Some(entry.header), reason);
    }
    let method = match entry.method {
        Method::Stored => 0,
        Method::Deflated => 8,
        Method::Other(n) => n,
    };
    if method != header.method {
        let reason = "directory and header disagree about how it is compressed";
        s.find("zip.mismatch", Severity::High, name, Some(entry.header), reason);
    }
    let both = entry.flags() | header.flags;
    if both & !FLAGS != 0 {
        let what = if both & 1 != 0 { "encrypted" } else { "packed in an unusual way" };
        let reason = format!("flags {both:#06x} say that it is {what}: some readers refuse it, others read it");
        s.find("zip.flags", Severity::Medium, name, Some(entry.header), reason);
    }
}

/// Where the entry ends: behind its descriptor, if it has one.
fn descriptor(bytes: &[u8], end: u64, flags: u16) -> u64 {
    if flags & 8 == 0 {
        return end;
    }
    let at = usize::try_from(end).unwrap_or(usize::MAX);
    let rest = bytes.get(at..).unwrap_or_default();
    let signed = if rest.starts_with(b"PK\x07\x08") { 4 } else { 0 };
    let next = |len: usize| rest.get(len..).is_some_and(|r| r.starts_with(b"PK"));
    let length = if next(signed + 12) || !next(signed + 20) { signed + 12 } else { signed + 20 };
    end.saturating_add(wide(length)).min(wide(bytes.len()))
}

fn content(
    s: &mut Scanner<'_>,
    bytes: &[u8],
    entry: &Entry,
    header: &Local<'_>,
    whole: &Whole,
    name: &str,
    depth: usize,
) {
    let start = usize::try_from(header.data).unwrap_or(usize::MAX);
    let length = usize::try_from(entry.stored_size).unwrap_or(usize::MAX);
    let stored = bytes.get(start..).and_then(|r| r.get(..length)).unwrap_or_default();
    let payload = whole.is_payload(&entry.name);
    if entry.size > SMALL && entry.size / entry.stored_size.max(1) > RATIO && !payload {
        let reason = format!("{} bytes unpack to {}: a trap for what unpacks it", entry.stored_size, entry.size);
        s.find("zip.bomb", Severity::Medium, name, None, reason);
    }
    let encrypted = (entry.flags() | header.flags) & 0x41 != 0;
    let (data, sum) = match entry.method {
        Method::Stored => (Some(Cow::Borrowed(stored)), sum(stored)),
        Method::Deflated => unpacked(s, stored, entry, payload),
        Method::Other(n) => {
            s.unknown(
                "zip.method",
                name,
                None,
                format!("compression method {n} is not read: its content was not seen"),
            );
            return;
        }
    };
    let matches = sum.is_some_and(|(crc, size)| crc == entry.crc32 && size == entry.size);
    if encrypted && !matches {
        s.unknown("zip.encrypted", name, None, "it is encrypted: its content was not seen");
        return;
    }
    if !matches {
        let reason = "its content does not have the checksum or size that the directory gives";
        match payload || entry.crc32 == 0 {
            // PyTorch can be told to leave checksums out.
            true => s.find("zip.checksum", Severity::Note, name, None, reason),
            false => s.unknown("zip.checksum", name, None, reason),
        }
    }
    let Some(data) = data else {
        if !payload {
            s.unknown("zip.large", name, None, format!("{} bytes when unpacked: too large to look into", entry.size));
        }
        return;
    };
    if payload || entry.name.ends_with('/') || whole.is_code(&entry.name) {
        return;
    }
    if whole.keras && entry.name == "config.json" {
        crate::keras::config_text(s, &data, name);
        return;
    }
    s.unpacked(data, name, depth.saturating_add(1));
}

fn sum(bytes: &[u8]) -> Option<(u32, u64)> {
    let mut crc = Crc::new();
    crc.update(bytes);
    Some((crc.sum(), wide(bytes.len())))
}

/// The content of a deflated entry, where it is small enough to look into, and its checksum and size.
fn unpacked<'a>(
    s: &mut Scanner<'_>,
    stored: &[u8],
    entry: &Entry,
    payload: bool,
) -> (Option<Cow<'a, [u8]>>, Option<(u32, u64)>) {
    let keep = !payload && entry.size <= s.room();
    let limit = s.unpack_left().min(entry.size.saturating_add(1));
    let mut reader = DeflateDecoder::new(stored).take(limit);
    let (mut crc, mut size, mut out) = (Crc::new(), 0u64, Vec::new());
    let mut part = vec![0; 64 << 10];
    loop {
        match reader.read(&mut part) {
            Ok(0) => break,
            Ok(n) => {
                let got = part.get(..n).unwrap_or_default();
                crc.update(got);
                size = size.saturating_add(wide(n));
                if keep {
                    out.extend_from_slice(got);
                }
            }
            Err(_) => return (keep.then_some(Cow::Owned(out)), None),
        }
    }
    s.unpack(size);
    (keep.then_some(Cow::Owned(out)), Some((crc.sum(), size)))
}

/// Bytes of the file that belong neither to an entry nor to the directory.
fn outside(s: &mut Scanner<'_>, bytes: &[u8], mut covered: Vec<Range<u64>>, member: &str, depth: usize) {
    let Some(directory) = directory(bytes) else { return };
    covered.push(directory);
    covered.sort_by_key(|r| r.start);
    let mut at = 0u64;
    let whole = wide(bytes.len());
    covered.push(whole..whole);
    for range in covered {
        if range.start > at {
            let from = usize::try_from(at).unwrap_or(usize::MAX);
            let to = usize::try_from(range.start).unwrap_or(usize::MAX);
            let gap = bytes.get(from..to).unwrap_or_default();
            if gap.iter().any(|&b| b != 0) {
                s.rest(gap, member, at, depth);
                salvage(s, gap, member, at, depth);
            }
        }
        at = at.max(range.end);
    }
}

/// From the first record of the directory to the end of the comment.
fn directory(bytes: &[u8]) -> Option<Range<u64>> {
    let first = bytes.len().saturating_sub(22 + 65_535);
    let last = bytes.len().checked_sub(22)?;
    let end = (first..=last).rev().find(|&at| bytes.get(at..at + 4) == Some(b"PK\x05\x06"))?;
    let mut c = Cursor::new(bytes.get(end..)?, wide(end));
    c.take(16).ok()?;
    let (offset, comment) = (c.u32().ok()?, c.u16().ok()?);
    let mut start = u64::from(offset);
    let locator = end.checked_sub(20).and_then(|l| bytes.get(l..)).filter(|l| l.starts_with(b"PK\x06\x07"));
    if let Some(locator) = locator {
        let mut c = Cursor::new(locator, 0);
        c.take(8).ok()?;
        let record = usize::try_from(c.u64().ok()?).ok()?;
        let mut c = Cursor::new(bytes.get(record..)?, 0);
        c.take(48).ok()?;
        start = c.u64().ok()?;
    }
    Some(start..wide(end).saturating_add(22).saturating_add(u64::from(comment)))
}

/// Looks for entries that no directory lists: readers that go from the front see them.
fn salvage(s: &mut Scanner<'_>, bytes: &[u8], member: &str, base: u64, depth: usize) {
    let mut at = 0usize;
    for _ in 0..1000 {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = rest.windows(4).position(|w| w == b"PK\x03\x04") else { return };
        let start = at.saturating_add(found);
        at = start.saturating_add(4);
        if !s.look(0, member) {
            return;
        }
        let mut c = Cursor::new(bytes.get(start..).unwrap_or_default(), 0);
        let Some((name, method, size)) = (|| {
            c.take(8).ok()?;
            let method = c.u16().ok()?;
            c.take(8).ok()?;
            let size = c.u32().ok()?;
            c.take(4).ok()?;
            let (name, extra) = (c.u16().ok()?, c.u16().ok()?);
            let name = String::from_utf8_lossy(c.take(usize::from(name)).ok()?);
            c.take(usize::from(extra)).ok()?;
            Some((name, method, usize::try_from(size).ok()?))
        })() else {
            continue;
        };
        let data =
            usize::try_from(c.offset()).ok().and_then(|o| bytes.get(start.saturating_add(o)..)).unwrap_or_default();
        let place = base.saturating_add(wide(start));
        let name = inside(member, &format!("{name}@{place}"));
        s.find("zip.hidden", Severity::Medium, &name, None, "an entry that the directory does not list");
        let data = if size == 0 { data } else { data.get(..size).unwrap_or(data) };
        if method == 8 {
            let mut out = Vec::new();
            // What decompresses before a fault is looked at all the same.
            let _ = DeflateDecoder::new(data).take(s.room()).read_to_end(&mut out);
            s.unpack(wide(out.len()));
            s.unpacked(Cow::Owned(out), &name, depth.saturating_add(1));
        } else {
            s.content(data, &name, depth.saturating_add(1));
        }
    }
}
