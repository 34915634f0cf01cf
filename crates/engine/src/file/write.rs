use super::sparse::only_gathered;
use super::{CHECKSUM_AT, HEADER, MAGIC, VERSION, checksum};
use crate::engine::Engine;
use crate::error::{Error, Result};
use modelsmith_base::{publish, staged};
use modelsmith_plan::bytes;
use modelsmith_tensor::DType;
use std::io::Write;
use std::path::Path;

/// Bytes of a write of what is read in few places.
const PIECE: usize = 64 << 10;

/// Writes an engine to `path`, complete or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn save(engine: &Engine, path: &Path) -> Result<()> {
    let fail = |source| Error::Io { path: path.display().to_string(), source };
    let staged = staged(path);
    let name = staged.file_name().unwrap_or_default().to_string_lossy();
    let temporary = staged.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = std::fs::File::create(&temporary).and_then(|f| {
        let mut out = std::io::BufWriter::with_capacity(1 << 20, f);
        write_to(engine, &mut out)?;
        out.into_inner().map_err(|e| e.into_error())?.sync_all()
    });
    let moved = written.and_then(|()| publish(&temporary, path));
    if moved.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    moved.map_err(fail)
}

/// The file of an engine as bytes.
pub fn to_bytes(engine: &Engine) -> Vec<u8> {
    let mut out = Vec::new();
    // A vector takes every write.
    let _ = write_to(engine, &mut out);
    out
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&(n as u64).to_le_bytes());
}

fn write_to(engine: &Engine, out: &mut dyn Write) -> std::io::Result<()> {
    let shared = &engine.shared;
    let plans = shared.plans.iter().map(|p| (format!("plan.{}", p.level), bytes::write(p))).collect::<Vec<_>>();
    // Strings have no fixed width; their blobs hold the tensor's own form.
    let texts = shared.blobs.iter().map(|b| b.strings()).collect::<Vec<_>>();
    let lens = shared.blobs.iter().zip(&texts).map(|(b, t)| t.as_ref().map_or(b.bytes().len(), Vec::len));
    let lens = lens.collect::<Vec<_>>();
    let payload = |i: usize| texts[i].as_deref().unwrap_or_else(|| shared.blobs[i].bytes());
    // Offsets need the size of the meta part, which does not depend on them.
    let size = meta(engine, &plans, &lens, &vec![0; lens.len()], 0).len();
    let mut at = (HEADER + size).next_multiple_of(64);
    let mut offsets = Vec::with_capacity(lens.len());
    for len in &lens {
        offsets.push(at);
        at = (at + len).next_multiple_of(64);
    }
    let sums = (0..lens.len()).map(|i| checksum(&[payload(i)])).collect::<Vec<_>>();
    let mut meta = meta(engine, &plans, &lens, &offsets, HEADER);
    patch_sums(&mut meta, shared.blobs.len(), &sums);
    let mut header = vec![0u8; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&(meta.len() as u64).to_le_bytes());
    header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
    let sum = checksum(&[&header, &meta]);
    header[CHECKSUM_AT..CHECKSUM_AT + 8].copy_from_slice(&sum.to_le_bytes());
    out.write_all(&header)?;
    out.write_all(&meta)?;
    let mut done = HEADER + meta.len();
    let sparse = only_gathered(&shared.plans, shared.blobs.len());
    for (i, &offset) in offsets.iter().enumerate() {
        out.write_all(&[0u8; 64][..offset - done])?;
        match sparse[i] {
            true => write_in_pieces(payload(i), out)?,
            false => out.write_all(payload(i))?,
        }
        done = offset + lens[i];
    }
    out.write_all(&[0u8; 64][..at - done])
}

/// Writes a table of which few rows will be read. The system caches a file in blocks as large as the writes that made it, and
/// maps a whole block where one byte is read: large blocks suit weights that are read from end to end, while rows far apart
/// would bring all of a table into the memory of the process.
fn write_in_pieces(bytes: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
    out.flush()?;
    for piece in bytes.chunks(PIECE) {
        out.write_all(piece)?;
        out.flush()?;
    }
    Ok(())
}

/// The meta part; the checksums of the blobs stand at its very end.
fn meta(engine: &Engine, plans: &[(String, Vec<u8>)], lens: &[usize], offsets: &[usize], base: usize) -> Vec<u8> {
    let shared = &engine.shared;
    let mut head = Vec::new();
    for text in [&shared.info.model, &shared.info.builder, &shared.info.machine] {
        put_text(&mut head, text);
    }
    put(&mut head, shared.info.notes.len());
    for (key, value) in &shared.info.notes {
        put_text(&mut head, key);
        put_text(&mut head, value);
    }
    put(&mut head, plans.len());
    let mut table = Vec::new();
    put(&mut table, shared.blobs.len());
    for (i, blob) in shared.blobs.iter().enumerate() {
        put_text(&mut table, &shared.origins[i]);
        table.push(u8::from(blob.dtype() == Some(DType::String)));
        put(&mut table, offsets[i]);
        put(&mut table, lens[i]);
    }
    let names = plans.iter().map(|p| 4 + p.0.len() + 16).sum::<usize>();
    let mut at = base + head.len() + names + table.len();
    for (name, plan) in plans {
        put_text(&mut head, name);
        put(&mut head, at);
        put(&mut head, plan.len());
        at += plan.len();
    }
    head.extend(table);
    plans.iter().for_each(|p| head.extend_from_slice(&p.1));
    head.resize(head.len() + 8 * shared.blobs.len(), 0);
    head
}

fn patch_sums(meta: &mut [u8], blobs: usize, sums: &[u64]) {
    let start = meta.len() - 8 * blobs;
    for (slot, sum) in meta[start..].chunks_exact_mut(8).zip(sums) {
        slot.copy_from_slice(&sum.to_le_bytes());
    }
}
