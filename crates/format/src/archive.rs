//! A zip archive, laid out before a byte of payload is read: stored entries whose data begin at multiples of 64,
//! checksums behind the data and in the directory.

use crate::{Error, Layout, Result};
use flate2::Crc;
use modelsmith_base::wide;
use modelsmith_tensor::{Form, WeightExpr};
use std::sync::Arc;

/// Where the data of each entry begin: a multiple of this, so that they can be mapped.
const ALIGN: u64 = 64;
/// Sizes and offsets from here on do not fit in 32 bits.
const LARGE: u64 = 0xffff_ffff;
/// A header counts the bytes of a name in 16 bits.
const LONGEST: usize = 0xffff;
/// UTF-8 name, checksum and sizes behind the data.
const FLAGS: u16 = 0x0808;
/// 1 January 1980, midnight.
const DATE: u32 = 0x0021_0000;

/// An archive in the making.
#[derive(Default)]
pub struct Archive {
    layout: Layout,
    entries: Vec<Entry>,
}

/// What an entry holds: bytes known now, elements of a weight behind them.
#[derive(Default)]
pub struct Content<'a> {
    /// The bytes.
    pub head: Vec<u8>,
    /// The weight.
    pub weight: Option<&'a Arc<WeightExpr>>,
}

#[derive(Clone)]
struct Entry {
    name: String,
    header: u64,
    size: u64,
    /// Of the bytes at its beginning.
    head: Arc<Crc>,
    /// Number of the weight behind them.
    weight: Option<usize>,
}

impl Entry {
    fn sum(&self, weights: &[Crc]) -> u32 {
        let mut sum = Crc::new();
        sum.combine(&self.head);
        if let Some(weight) = self.weight.and_then(|number| weights.get(number)) {
            sum.combine(weight);
        }
        sum.sum()
    }
}

impl Archive {
    /// An archive without entries.
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When the name does not fit into an archive.
    pub fn add(&mut self, name: &str, content: Content<'_>) -> Result<()> {
        if name.len() > LONGEST {
            return Err(Error::unsupported(format!("a name of {} bytes is too long for an archive", name.len())));
        }
        let payload = content.weight.map_or(0, |w| w.byte_len());
        let size = wide(content.head.len()).saturating_add(payload);
        let header = self.head(name, size);
        let mut head = Crc::new();
        head.update(&content.head);
        self.layout.bytes(content.head);
        let weight = content.weight.map(|w| self.layout.weight(w, Form::Dense)).transpose()?;
        self.close(Entry { name: name.into(), header, size, head: Arc::new(head), weight });
        Ok(())
    }

    /// The local header, padded so that the data begin at a multiple of [`ALIGN`]; its offset.
    fn head(&mut self, name: &str, size: u64) -> u64 {
        let header = self.layout.at();
        let mut extra = Vec::new();
        if size >= LARGE {
            extra.extend([1, 0, 16, 0]);
            extra.extend(size.to_le_bytes());
            extra.extend(size.to_le_bytes());
        }
        let fixed = wide(30 + 4).saturating_add(wide(name.len())).saturating_add(wide(extra.len()));
        let start = header.saturating_add(fixed);
        let pad = start.next_multiple_of(ALIGN).saturating_sub(start);
        extra.extend(*b"FB");
        extra.extend(u16::try_from(pad).unwrap_or(0).to_le_bytes());
        extra.extend((0..pad).map(|_| b'Z'));
        let large = if size >= LARGE { u32::MAX } else { 0 };
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(version(size >= LARGE).to_le_bytes());
        out.extend(FLAGS.to_le_bytes());
        out.extend([0; 2]);
        out.extend(DATE.to_le_bytes());
        out.extend([0; 4]);
        out.extend(large.to_le_bytes());
        out.extend(large.to_le_bytes());
        out.extend(short(name.len()));
        out.extend(short(extra.len()));
        out.extend(name.as_bytes());
        out.extend(extra);
        self.layout.bytes(out);
        header
    }

    /// The descriptor behind the data.
    fn close(&mut self, entry: Entry) {
        let (size, named) = (entry.size, entry.clone());
        let make = move |weights: &[Crc]| {
            let mut out = b"PK\x07\x08".to_vec();
            out.extend(named.sum(weights).to_le_bytes());
            for _ in 0..2 {
                match u32::try_from(size).ok().filter(|_| size < LARGE) {
                    Some(short) => out.extend(short.to_le_bytes()),
                    None => out.extend(size.to_le_bytes()),
                }
            }
            out
        };
        self.layout.sealed(if size >= LARGE { 24 } else { 16 }, Box::new(make));
        self.entries.push(entry);
    }

    /// The file: the entries and their directory.
    pub fn finish(self) -> Layout {
        let Archive { mut layout, entries } = self;
        let start = layout.at();
        let length = wide(directory(&entries, start, &[]).len());
        layout.sealed(length, Box::new(move |weights| directory(&entries, start, weights)));
        layout
    }
}

fn version(large: bool) -> u16 {
    if large { 45 } else { 20 }
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

fn fits(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The central directory, which begins at `start`, and the end records.
fn directory(entries: &[Entry], start: u64, weights: &[Crc]) -> Vec<u8> {
    let mut out = Vec::new();
    for e in entries {
        let large = [e.size, e.size, e.header];
        let extra = large.iter().filter(|&&v| v >= LARGE).flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        out.extend(*b"PK\x01\x02");
        out.extend(version(!extra.is_empty()).to_le_bytes());
        out.extend(version(!extra.is_empty()).to_le_bytes());
        out.extend(FLAGS.to_le_bytes());
        out.extend([0; 2]);
        out.extend(DATE.to_le_bytes());
        out.extend(e.sum(weights).to_le_bytes());
        out.extend(fits(e.size).to_le_bytes());
        out.extend(fits(e.size).to_le_bytes());
        out.extend(short(e.name.len()));
        out.extend(short(if extra.is_empty() { 0 } else { extra.len().saturating_add(4) }));
        out.extend([0; 10]);
        out.extend(fits(e.header).to_le_bytes());
        out.extend(e.name.as_bytes());
        if !extra.is_empty() {
            out.extend([1, 0]);
            out.extend(short(extra.len()));
            out.extend(extra);
        }
    }
    let (count, length) = (wide(entries.len()), wide(out.len()));
    let end = start.saturating_add(length);
    out.extend(*b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [count, count, length, start] {
        out.extend(value.to_le_bytes());
    }
    out.extend(*b"PK\x06\x07\0\0\0\0");
    out.extend(end.to_le_bytes());
    out.extend([1, 0, 0, 0]);
    out.extend(*b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    out.extend(count);
    out.extend(count);
    out.extend(fits(length).to_le_bytes());
    out.extend(fits(start).to_le_bytes());
    out.extend([0; 2]);
    out
}
