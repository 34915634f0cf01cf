//! Writing: stored entries, one after the other, zip64 where a size or offset needs it.

use crate::wide;
use flate2::Crc;
use std::io::{self, Write};

/// Writes an archive to `sink` front to back. [`Writer::finish`] must be called at the end.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    at: u64,
    done: Vec<Done>,
}

#[derive(Debug)]
struct Done {
    name: String,
    crc: u32,
    size: u64,
    header: u64,
}

impl<W: Write> Writer<W> {
    /// An empty archive.
    pub fn new(sink: W) -> Self {
        Writer { sink, at: 0, done: Vec::new() }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at = self.at.saturating_add(wide(bytes.len()));
        self.sink.write_all(bytes)
    }

    /// Adds a file that is the concatenation of `pieces`.
    ///
    /// # Errors
    /// When the sink fails or the name is longer than 65,535 bytes.
    pub fn add(&mut self, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
        let mut crc = Crc::new();
        pieces.iter().for_each(|piece| crc.update(piece));
        let size = pieces.iter().fold(0u64, |n, piece| n.saturating_add(wide(piece.len())));
        let entry = Done { name: name.to_owned(), crc: crc.sum(), size, header: self.at };
        let mut head = 0x0403_4b50u32.to_le_bytes().to_vec();
        let extra = zip64(&[size, size]);
        shared_header(&mut head, &entry, extra.len())?;
        head.extend_from_slice(entry.name.as_bytes());
        head.extend_from_slice(&extra);
        self.put(&head)?;
        for piece in pieces {
            self.put(piece)?;
        }
        self.done.push(entry);
        Ok(())
    }

    /// Writes the directory and gives the sink back.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn finish(mut self) -> io::Result<W> {
        let start = self.at;
        for entry in std::mem::take(&mut self.done) {
            let mut head = 0x0201_4b50u32.to_le_bytes().to_vec();
            head.extend_from_slice(&45u16.to_le_bytes());
            let wanted =
                if entry.size >= LARGE { &[entry.size, entry.size, entry.header][..] } else { &[entry.header] };
            let extra = zip64(wanted);
            shared_header(&mut head, &entry, extra.len())?;
            head.extend_from_slice(&[0; 10]);
            head.extend_from_slice(&short(entry.header).to_le_bytes());
            head.extend_from_slice(entry.name.as_bytes());
            head.extend_from_slice(&extra);
            self.put(&head)?;
            self.done.push(entry);
        }
        let end = self.at;
        let count = wide(self.done.len());
        let mut tail = Vec::new();
        if count >= u64::from(u16::MAX) || end >= LARGE {
            end64(&mut tail, count, start, end);
        }
        let count = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        tail.extend_from_slice(&0x0605_4b50u32.to_le_bytes());
        tail.extend_from_slice(&[0; 4]);
        tail.extend_from_slice(&count);
        tail.extend_from_slice(&count);
        tail.extend_from_slice(&short(end - start).to_le_bytes());
        tail.extend_from_slice(&short(start).to_le_bytes());
        tail.extend_from_slice(&[0; 2]);
        self.put(&tail)?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

/// Sizes and offsets from here on do not fit in 32 bits.
const LARGE: u64 = 0xffff_ffff;

fn short(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The zip64 extra field when one of `values` needs it; otherwise nothing.
fn zip64(values: &[u64]) -> Vec<u8> {
    if values.iter().all(|&v| v < LARGE) {
        return Vec::new();
    }
    let large: Vec<u8> = values.iter().filter(|&&v| v >= LARGE).flat_map(|v| v.to_le_bytes()).collect();
    let mut out = vec![1, 0];
    out.extend_from_slice(&u16::try_from(large.len()).unwrap_or_default().to_le_bytes());
    out.extend_from_slice(&large);
    out
}

/// The fields that local and central headers share, from the version needed to the length of the extra field.
fn shared_header(head: &mut Vec<u8>, entry: &Done, extra: usize) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "the name of a zip entry is too long");
    let name = u16::try_from(entry.name.len()).map_err(|_| too_long())?;
    let extra = u16::try_from(extra).map_err(|_| too_long())?;
    let version: u16 = if extra > 0 { 45 } else { 20 };
    // UTF-8 name; no compression; 1 January 1980, midnight.
    for field in [version, 0x0800, 0, 0, 0x21] {
        head.extend_from_slice(&field.to_le_bytes());
    }
    for field in [entry.crc, short(entry.size), short(entry.size)] {
        head.extend_from_slice(&field.to_le_bytes());
    }
    head.extend_from_slice(&name.to_le_bytes());
    head.extend_from_slice(&extra.to_le_bytes());
    Ok(())
}

/// The zip64 end record and its locator.
fn end64(tail: &mut Vec<u8>, count: u64, start: u64, end: u64) {
    tail.extend_from_slice(&0x0606_4b50u32.to_le_bytes());
    tail.extend_from_slice(&44u64.to_le_bytes());
    tail.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [count, count, end - start, start] {
        tail.extend_from_slice(&value.to_le_bytes());
    }
    tail.extend_from_slice(&0x0706_4b50u32.to_le_bytes());
    tail.extend_from_slice(&[0; 4]);
    tail.extend_from_slice(&end.to_le_bytes());
    tail.extend_from_slice(&1u32.to_le_bytes());
}
