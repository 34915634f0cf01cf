//! Writing: stored members whose payload begins at a multiple of 64. Checksums are known only when a member was written,
//! so they follow it in a data descriptor, as writers of streams do it.

use crate::{checkpoint, range::wide};
use flate2::Crc;
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Artifact, Layout, Output, Result, WriteOptions, Written};
use modelsmith_tensor::{Form, npy};

const LARGE: u64 = 0xffff_ffff;
/// Id of the extra field that pads; readers skip ids that they do not know.
const PAD: u16 = 0x4650;

/// A member as the directory names it.
struct Member {
    name: Vec<u8>,
    header: u64,
    size: u64,
    /// Checksum and length of the array's header, and the length of its payload, which is the weight of that number.
    head: Vec<u8>,
    payload: u64,
    weight: usize,
}

/// Writes a checkpoint as an archive of arrays.
///
/// # Errors
/// For element types that NumPy lacks, and names that occur twice.
pub fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let found = checkpoint::wanted(artifact, super::NPZ.title)?;
    checkpoint::distinct(found)?;
    let lacks = |(name, w): &(String, std::sync::Arc<modelsmith_tensor::WeightExpr>)| {
        let long = name.len() > 60_000;
        let none = npy::header_of(w.dtype(), &[]).is_none();
        (none || long).then(|| format!("`{name}` of {}", w.dtype()))
    };
    let faults = found.tensors.iter().filter_map(lacks).collect::<Vec<_>>();
    checkpoint::refuse(&faults, "NumPy cannot hold", "choose another element type, for example with --cast f32")?;
    let mut layout = Layout::new();
    let mut members = Vec::new();
    for (name, weight) in &found.tensors {
        let head = npy::header_of(weight.dtype(), &weight.shape()).unwrap_or_default();
        let name = format!("{name}.npy").into_bytes();
        let (header, size) = (layout.at(), wide(head.len()).saturating_add(weight.byte_len()));
        layout.bytes(local(&name, header, size));
        layout.bytes(head.clone());
        let number = layout.weight(weight, Form::Dense)?;
        let payload = weight.byte_len();
        let (first, large) = (head.clone(), size >= LARGE);
        let make = move |crcs: &[u32]| descriptor(joined(&first, crcs.get(number).copied(), payload), size);
        layout.sealed(if large { 24 } else { 16 }, Box::new(make));
        members.push(Member { name, header, size, head, payload, weight: number });
    }
    let start = layout.at();
    let length = wide(directory(&members, &[], start).len());
    layout.sealed(length, Box::new(move |crcs| directory(&members, crcs, start)));
    let done = output.emit("", &layout, options)?;
    let message = format!("{} metadata values have no place in an archive of arrays", found.meta.len());
    let findings = match found.meta.len() {
        0 => Vec::new(),
        _ => vec![Diagnostic::new(Severity::Warning, "npz.meta", message)],
    };
    Ok(Written { files: vec![(String::new(), done.bytes)], findings })
}

fn joined(head: &[u8], payload: Option<u32>, len: u64) -> u32 {
    let mut crc = Crc::new();
    crc.update(head);
    combined(crc.sum(), payload.unwrap_or(0), len)
}

/// The checksum of two parts joined, from those of the parts and the length of the second: the first is carried through
/// `len` zero bytes, each a linear map over bits, by squaring that map.
fn combined(first: u32, second: u32, len: u64) -> u32 {
    let apply = |map: &[u32; 32], v: u32| {
        map.iter().enumerate().filter(|(i, _)| v >> i & 1 == 1).fold(0, |sum, (_, row)| sum ^ row)
    };
    // One zero bit: a shift, and the polynomial where a bit falls out.
    let mut map = [0u32; 32];
    for (i, row) in map.iter_mut().enumerate() {
        *row = if i == 0 { 0xedb8_8320 } else { 1 << (i - 1) };
    }
    let square = |map: &[u32; 32]| map.map(|row| apply(map, row));
    for _ in 0..3 {
        map = square(&map);
    }
    let (mut crc, mut left) = (first, len);
    while left > 0 {
        if left & 1 == 1 {
            crc = apply(&map, crc);
        }
        map = square(&map);
        left >>= 1;
    }
    crc ^ second
}

fn low(n: u64) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

fn short(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes()
}

/// The local header: padded by an extra field so that what follows is at a multiple of 64.
fn local(name: &[u8], at: u64, size: u64) -> Vec<u8> {
    let mut extra = Vec::new();
    if size >= LARGE {
        extra.extend_from_slice(&[1, 0, 16, 0]);
        extra.extend_from_slice(&[0; 16]);
    }
    let taken = usize::try_from(at % 64).unwrap_or(0).saturating_add(30 + 4).saturating_add(name.len() + extra.len());
    let pad = taken.next_multiple_of(64).saturating_sub(taken);
    extra.extend_from_slice(&PAD.to_le_bytes());
    extra.extend_from_slice(&short(pad));
    extra.resize(extra.len().saturating_add(pad), 0);
    let mut out = vec![b'P', b'K', 3, 4];
    out.extend_from_slice(&fixed(size));
    // Checksum and sizes follow the data.
    out.extend_from_slice(&[0; 4]);
    let sizes = if size >= LARGE { [0xff; 8] } else { [0; 8] };
    out.extend_from_slice(&sizes);
    out.extend_from_slice(&short(name.len()));
    out.extend_from_slice(&short(extra.len()));
    out.extend_from_slice(name);
    out.extend_from_slice(&extra);
    out
}

/// Version needed, flags (sizes follow; the name is UTF-8), stored, the first day of 1980.
fn fixed(size: u64) -> [u8; 10] {
    let version = if size >= LARGE { 45 } else { 20 };
    [version, 0, 0x08, 0x08, 0, 0, 0, 0, 0x21, 0]
}

fn descriptor(crc: u32, size: u64) -> Vec<u8> {
    let mut out = vec![b'P', b'K', 7, 8];
    out.extend_from_slice(&crc.to_le_bytes());
    for _ in 0..2 {
        match size >= LARGE {
            true => out.extend_from_slice(&size.to_le_bytes()),
            false => out.extend_from_slice(&low(size)),
        }
    }
    out
}

fn directory(members: &[Member], crcs: &[u32], start: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for m in members {
        let mut extra = Vec::new();
        let wide_size = m.size >= LARGE;
        if wide_size || m.header >= LARGE {
            let fields = if wide_size { vec![m.size, m.size, m.header] } else { vec![m.header] };
            extra.extend_from_slice(&[1, 0]);
            extra.extend_from_slice(&short(fields.len().saturating_mul(8)));
            fields.iter().for_each(|f| extra.extend_from_slice(&f.to_le_bytes()));
        }
        out.extend_from_slice(&[b'P', b'K', 1, 2, 45, 0]);
        out.extend_from_slice(&fixed(m.size));
        out.extend_from_slice(&joined(&m.head, crcs.get(m.weight).copied(), m.payload).to_le_bytes());
        let size = if wide_size { [0xff; 4] } else { low(m.size) };
        out.extend_from_slice(&size);
        out.extend_from_slice(&size);
        out.extend_from_slice(&short(m.name.len()));
        out.extend_from_slice(&short(extra.len()));
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&if wide_size { [0xff; 4] } else { low(m.header) });
        out.extend_from_slice(&m.name);
        out.extend_from_slice(&extra);
    }
    end(&mut out, members.len(), start);
    out
}

/// The end record, in its 64-bit form too where a number needs it.
fn end(out: &mut Vec<u8>, count: usize, start: u64) {
    let size = wide(out.len());
    let at = start.saturating_add(size);
    let many = wide(count);
    if at >= LARGE || many >= 0xffff {
        out.extend_from_slice(&[b'P', b'K', 6, 6, 44, 0, 0, 0, 0, 0, 0, 0, 45, 0, 45, 0]);
        out.extend_from_slice(&[0; 8]);
        [many, many, size, start].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        out.extend_from_slice(&[b'P', b'K', 6, 7, 0, 0, 0, 0]);
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
    }
    out.extend_from_slice(&[b'P', b'K', 5, 6, 0, 0, 0, 0]);
    out.extend_from_slice(&short(count));
    out.extend_from_slice(&short(count));
    out.extend_from_slice(&low(size));
    out.extend_from_slice(&low(start));
    out.extend_from_slice(&[0, 0]);
}
