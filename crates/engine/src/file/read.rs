//! Reading and checking. Nothing of the file is trusted.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::{CHECKSUM_AT, HEADER, MAGIC, VERSION, checksum};
use crate::engine::{Engine, Info, Shared};
use crate::error::{Error, Result};
use crate::weights::Blob;
use modelsmith_backend_cpu::{is_kernel, packed_bytes};
use modelsmith_base::Cursor;
use modelsmith_kop::Isa;
use modelsmith_plan::{Form, Plan, StepOp, Weight, WeightDims, bytes};
use modelsmith_tensor::{Source, Tensor};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maps an engine file. Weights are read when they are used; header, plans and every offset are checked now.
///
/// # Errors
/// Names file and offset of what is wrong.
pub fn load(path: &Path) -> Result<Engine> {
    let source = modelsmith_tensor::open(path).map_err(|e| io(path, &e.to_string()))?;
    let source = match source.as_slice() {
        Some(_) => source,
        None => {
            let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.display().to_string(), source })?;
            Arc::new(modelsmith_tensor::MemSource::new(path.display().to_string(), bytes))
        }
    };
    load_source(source)
}

fn io(path: &Path, message: &str) -> Error {
    Error::Io { path: path.display().to_string(), source: std::io::Error::other(message.to_owned()) }
}

/// As [`load`], from bytes that are mapped or in memory.
///
/// # Errors
/// As there.
pub fn load_source(source: Arc<dyn Source>) -> Result<Engine> {
    let parts = Parts::read(&source)?;
    let fail = |offset: u64, message: String| Error::File { file: source.name().into(), offset, message };
    let all = source.as_slice().unwrap_or_default();
    let mut plans = Vec::new();
    for s in &parts.sections {
        let plan = bytes::read(all.get(s.start..s.end).unwrap_or_default(), s.start as u64, parts.blobs.len());
        let plan = plan.map_err(|e| match e {
            modelsmith_plan::Error::Bytes { offset, message } => fail(offset, message),
            other => fail(s.start as u64, other.to_string()),
        })?;
        check_plan(&plan, &parts).map_err(|m| fail(s.start as u64, m))?;
        plans.push(plan);
    }
    if plans.is_empty() {
        return Err(fail(HEADER as u64, "there is no plan".into()));
    }
    let mut blobs = Vec::with_capacity(parts.blobs.len());
    for b in &parts.blobs {
        blobs.push(match b.strings {
            true => {
                let found = bytes::read_tensor(all.get(b.start..b.end).unwrap_or_default(), b.start as u64);
                let (t, _) = found.map_err(|e| fail(b.start as u64, e.to_string()))?;
                Blob::Heap(t)
            }
            false => Blob::Mapped(source.clone(), b.start, b.end - b.start),
        });
    }
    for (plan, w) in plans.iter().flat_map(|p| p.weights.iter().map(move |w| (p, w))) {
        check_weight(w, blobs.get(w.blob)).map_err(|m| fail(0, format!("the {} plan: {m}", plan.level)))?;
    }
    let origins = parts.blobs.into_iter().map(|b| b.origin).collect();
    Ok(Engine { shared: Arc::new(Shared { plans, blobs, origins, info: parts.info }) })
}

/// Checks the payload of every blob against its checksum; returns how many there are.
///
/// # Errors
/// Names file, offset and origin of the first that differs.
pub fn verify(path: &Path) -> Result<usize> {
    Ok(load_verified(path, 1)?.0.shared.blobs.len())
}

/// As [`load`], with the payload of every blob held against its checksum on `threads` threads. With the engine comes its own
/// checksum, over header, plans and the checksums of all blobs.
///
/// # Errors
/// As there; names file, offset and origin of a blob that differs.
pub fn load_verified(path: &Path, threads: usize) -> Result<(Engine, u64)> {
    let source = modelsmith_tensor::open(path).map_err(|e| io(path, &e.to_string()))?;
    let engine = load_source(source.clone())?;
    let parts = Parts::read(&source)?;
    let all = source.as_slice().unwrap_or_default();
    // Large blobs first, so that no thread is left with one at the end.
    let mut order = parts.blobs.iter().collect::<Vec<_>>();
    order.sort_by_key(|b| std::cmp::Reverse(b.end - b.start));
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(b) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            if checksum(&[all.get(b.start..b.end).unwrap_or_default()]) != b.sum {
                return Some(*b);
            }
        }
        None
    };
    let bad = std::thread::scope(|s| {
        let others = (1..threads.min(order.len())).map(|_| s.spawn(work)).collect::<Vec<_>>();
        let own = work();
        others.into_iter().fold(own, |bad, t| t.join().unwrap_or(order.first().copied()).or(bad))
    });
    match bad {
        Some(b) => {
            let message = format!("the bytes of {:?} do not have their checksum", b.origin);
            Err(Error::File { file: source.name().into(), offset: b.start as u64, message })
        }
        None => Ok((engine, own_checksum(all))),
    }
}

/// The checksum that the header of an engine file names; zero where there is no header.
fn own_checksum(all: &[u8]) -> u64 {
    let field = all.get(CHECKSUM_AT..CHECKSUM_AT + 8).and_then(|b| b.first_chunk::<8>());
    field.map_or(0, |b| u64::from_le_bytes(*b))
}

/// The checksum of an engine file over header, plans and the checksums of all blobs, after the file was checked as for a
/// load.
///
/// # Errors
/// As [`load`].
pub fn checksum_of(path: &Path) -> Result<u64> {
    let source = modelsmith_tensor::open(path).map_err(|e| io(path, &e.to_string()))?;
    Parts::read(&source)?;
    Ok(own_checksum(source.as_slice().unwrap_or_default()))
}

struct Range {
    start: usize,
    end: usize,
}

struct BlobEntry {
    origin: String,
    strings: bool,
    start: usize,
    end: usize,
    sum: u64,
}

/// The tables of a file, with every range inside it.
struct Parts {
    info: Info,
    sections: Vec<Range>,
    blobs: Vec<BlobEntry>,
}

impl Parts {
    fn read(source: &Arc<dyn Source>) -> Result<Parts> {
        let file = source.name().to_owned();
        let fail = |offset: u64, message: String| Error::File { file: file.clone(), offset, message };
        let all = source.as_slice().unwrap_or_default();
        let header = all.get(..HEADER).ok_or_else(|| fail(0, "too short for an engine".into()))?;
        if header.get(..8) != Some(MAGIC) {
            return Err(fail(0, "this is not an engine".into()));
        }
        let short = |e: modelsmith_base::OutOfBytes| fail(e.offset, e.to_string());
        let mut c = Cursor::new(header, 0);
        c.take(8).map_err(short)?;
        let version = c.u32().map_err(short)?;
        if version != VERSION {
            let m = format!("engine version {version}; this program reads version {VERSION}: build the engine anew");
            return Err(fail(8, m));
        }
        c.take(4).map_err(short)?;
        let (meta_len, file_len) = (c.u64().map_err(short)?, c.u64().map_err(short)?);
        let sum = c.u64().map_err(short)?;
        if file_len != all.len() as u64 {
            return Err(fail(24, format!("the file should have {file_len} bytes and has {}", all.len())));
        }
        let end = usize::try_from(meta_len).ok().and_then(|n| n.checked_add(HEADER)).filter(|&e| e <= all.len());
        let end = end.ok_or_else(|| fail(16, format!("a meta part of {meta_len} bytes reaches past the end")))?;
        let mut plain = header.to_vec();
        plain.iter_mut().skip(CHECKSUM_AT).take(8).for_each(|b| *b = 0);
        let meta = all.get(HEADER..end).unwrap_or_default();
        if checksum(&[&plain, meta]) != sum {
            return Err(fail(CHECKSUM_AT as u64, "header and plans do not have their checksum".into()));
        }
        Parts::tables(meta, all.len(), &fail)
    }

    fn tables(meta: &[u8], file_len: usize, fail: &dyn Fn(u64, String) -> Error) -> Result<Parts> {
        let short = |e: modelsmith_base::OutOfBytes| fail(e.offset, e.to_string());
        let mut c = Cursor::new(meta, HEADER as u64);
        let mut info = Info {
            model: text(&mut c).map_err(|(o, m)| fail(o, m))?,
            builder: text(&mut c).map_err(|(o, m)| fail(o, m))?,
            machine: text(&mut c).map_err(|(o, m)| fail(o, m))?,
            notes: vec![],
        };
        let count = c.u64().map_err(short)?;
        for _ in 0..count {
            let key = text(&mut c).map_err(|(o, m)| fail(o, m))?;
            info.notes.push((key, text(&mut c).map_err(|(o, m)| fail(o, m))?));
        }
        let range = |c: &mut Cursor| -> Result<Range> {
            let at = c.offset();
            let (start, len) = (c.u64().map_err(short)?, c.u64().map_err(short)?);
            let end = start.checked_add(len).filter(|&e| e <= file_len as u64);
            match (usize::try_from(start), end.map(usize::try_from)) {
                (Ok(start), Some(Ok(end))) => Ok(Range { start, end }),
                _ => Err(fail(at, format!("{len} bytes at {start} reach past the end"))),
            }
        };
        let count = c.u64().map_err(short)?;
        let mut sections = Vec::new();
        for _ in 0..count {
            text(&mut c).map_err(|(o, m)| fail(o, m))?;
            sections.push(range(&mut c)?);
        }
        let count = c.u64().map_err(short)?;
        let mut blobs = Vec::new();
        for _ in 0..count {
            let origin = text(&mut c).map_err(|(o, m)| fail(o, m))?;
            let strings = c.u8().map_err(short)? != 0;
            let at = c.offset();
            let r = range(&mut c)?;
            if !r.start.is_multiple_of(64) {
                return Err(fail(at, format!("blob {origin:?} is not at a multiple of 64")));
            }
            blobs.push(BlobEntry { origin, strings, start: r.start, end: r.end, sum: 0 });
        }
        let sums = meta.len().checked_sub(blobs.len().saturating_mul(8)).and_then(|s| meta.get(s..));
        let mut c = Cursor::new(sums.unwrap_or_default(), 0);
        for b in &mut blobs {
            b.sum = c.u64().map_err(short)?;
        }
        Ok(Parts { info, sections, blobs })
    }
}

fn text(c: &mut Cursor) -> std::result::Result<String, (u64, String)> {
    let at = c.offset();
    let n = c.u32().map_err(|e| (e.offset, e.to_string()))?;
    let bytes = c.take(n as usize).map_err(|e| (e.offset, e.to_string()))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| (at, "text that is not UTF-8".into()))
}

fn check_plan(plan: &Plan, _: &Parts) -> std::result::Result<(), String> {
    if Isa::parse_level(&plan.level).is_none() {
        return Err(format!("there is no instruction set level {:?}", plan.level));
    }
    for step in plan.blocks.iter().flat_map(|b| &b.steps) {
        if let Some(k) = step.kernels.iter().find(|k| !is_kernel(k)) {
            return Err(format!("step {:?} names kernel {k:?}, which this program does not have", step.label));
        }
        if matches!(step.op, StepOp::Native(_)) && step.outputs.iter().all(Option::is_none) {
            return Err(format!("step {:?} has no result", step.label));
        }
    }
    Ok(())
}

/// Whether a blob holds as many bytes as its weight takes.
fn check_weight(w: &Weight, blob: Option<&Blob>) -> std::result::Result<(), String> {
    let found = blob.ok_or_else(|| format!("weight {:?} has no bytes", w.name))?;
    let wanted = match &w.form {
        Form::Raw => {
            if let Blob::Heap(t) = found {
                return same_type(w, t);
            }
            let none = w.shape.contains(&0);
            let count = w.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|_| !none);
            if none { Some(0) } else { count.and_then(|n| w.dtype.bytes_for(n)) }
        }
        Form::Packed { format, shape } => WeightDims::from_numbers(shape).and_then(|d| packed_bytes(format, d)),
    };
    match wanted == Some(found.bytes().len()) {
        true => Ok(()),
        false => Err(format!("weight {:?} takes {wanted:?} bytes, {} are there", w.name, found.bytes().len())),
    }
}

fn same_type(w: &Weight, t: &Tensor) -> std::result::Result<(), String> {
    match t.dtype() == w.dtype && t.shape() == w.shape {
        true => Ok(()),
        false => Err(format!("weight {:?} is stored as {}{:?}", w.name, t.dtype(), t.shape())),
    }
}
