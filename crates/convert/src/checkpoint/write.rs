//! Writing a checkpoint so that what is written is known to hold what was asked.

use flate2::Crc;
use modelsmith_base::{Budget, Diagnostic, Severity};
use modelsmith_format::{
    Artifact, Checkpoint, Error, FormatDef, Input, Kind, Output, ReadOptions, Result, SideData, WriteOptions,
};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Form, Ranged, WeightExpr, stored_len};
use std::path::{Path, PathBuf};

/// What is read back before a file takes its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readback {
    /// Nothing.
    No,
    /// The header: every name, type and shape.
    Header,
    /// The payload too: the CRC-32 of every tensor.
    Payload,
}

/// Where a checkpoint goes, and what writing may take.
pub struct Target<'a> {
    /// Format.
    pub format: &'static FormatDef,
    /// File.
    pub path: &'a Path,
    /// Replace files that exist.
    pub clobber: bool,
    /// Memory for tensors on their way.
    pub budget: Budget,
    /// Threads.
    pub threads: usize,
    /// Bytes of payload from which on a further file is begun, with an index beside them.
    pub shard: Option<u64>,
    /// What is read back.
    pub readback: Readback,
    /// Names and contents of files that go into the folder of the file.
    pub beside: &'a [(String, Vec<u8>)],
    /// Called with the bytes of payload written, and how many there will be.
    pub progress: &'a dyn Fn(u64, u64),
}

/// What was written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Each file and its bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Bytes of payload.
    pub payload: u64,
    /// What could not be said, and other findings.
    pub findings: Vec<Diagnostic>,
}

/// Writes `checkpoint`. Files take their names when all of them are complete and read back.
///
/// # Errors
/// When the format cannot say it, a file cannot be written, the budget is reached, or what is read back differs.
pub fn write(checkpoint: Checkpoint, target: &Target<'_>) -> Result<Written> {
    let shown = target.path.display().to_string();
    let total = checkpoint.tensors.iter().map(|(_, w)| stored(w)).fold(0, u64::saturating_add);
    let parts = match target.shard {
        Some(limit) if total > limit => shards(checkpoint, limit, target)?,
        _ => vec![(target.path.to_owned(), checkpoint)],
    };
    let mut written = Written { payload: total, ..Written::default() };
    let mut outputs = Vec::new();
    let mut before = 0;
    for (path, part) in &parts {
        let size = part.tensors.iter().map(|(_, w)| stored(w)).fold(0, u64::saturating_add);
        let progress = |done: u64, _: u64| (target.progress)(before + done, total);
        let options = WriteOptions {
            budget: target.budget.clone(),
            side_data: SideData::Auto,
            evaluator: &Operators,
            threads: target.threads,
            progress: &progress,
        };
        let mut output = Output::file(path, target.clobber);
        let writer = target.format.write.ok_or_else(|| {
            Error::unsupported(format!("{} is read, not written", target.format.title)).in_file(&shown)
        })?;
        let artifact = Artifact::Checkpoint(part.clone());
        let done = writer(&artifact, &mut output, &options).map_err(|e| e.in_file(&path.display().to_string()))?;
        written.findings.extend(done.findings);
        read_back(part, &output, target, &mut written.findings)?;
        for (suffix, bytes) in done.files {
            written.files.push((with_suffix(path, &suffix), bytes));
        }
        outputs.push(output);
        before += size;
    }
    if parts.len() > 1 {
        outputs.push(index(&parts, total, target, &mut written)?);
    }
    for (name, bytes) in target.beside {
        outputs.push(small(&target.path.with_file_name(name), bytes, target, &mut written)?);
    }
    outputs.into_iter().try_for_each(Output::commit)?;
    Ok(written)
}

/// A file that is known whole.
fn small(path: &Path, bytes: &[u8], target: &Target<'_>, written: &mut Written) -> Result<Output> {
    let mut output = Output::file(path, target.clobber);
    output.write("", |sink| sink.write_all(bytes).map_err(|e| Error::io("cannot be written", e)))?;
    written.files.push((path.to_owned(), bytes.len() as u64));
    Ok(output)
}

fn stored(w: &WeightExpr) -> u64 {
    stored_len(w, Form::Stored).unwrap_or(0)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The checkpoint in pieces of at most `limit` bytes, but for a tensor that is larger, under the names that Hugging Face
/// gives: `model-00001-of-00003.safetensors`.
fn shards(checkpoint: Checkpoint, limit: u64, target: &Target<'_>) -> Result<Vec<(PathBuf, Checkpoint)>> {
    let shown = target.path.display().to_string();
    if !target.format.shards {
        return Err(Error::unsupported(format!("{} is not written in several files", target.format.title))
            .in_file(&shown)
            .help("leave out --shard-size"));
    }
    let mut groups = vec![Vec::new()];
    let mut size = 0u64;
    for (name, weight) in checkpoint.tensors {
        let bytes = stored(&weight);
        if size > 0 && size.saturating_add(bytes) > limit {
            groups.push(Vec::new());
            size = 0;
        }
        size = size.saturating_add(bytes);
        if let Some(last) = groups.last_mut() {
            last.push((name, weight));
        }
    }
    let stem = target.path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = target.path.extension().map(|s| format!(".{}", s.to_string_lossy())).unwrap_or_default();
    let count = groups.len();
    let named = groups.into_iter().enumerate().map(|(i, tensors)| {
        let name = format!("{stem}-{:05}-of-{count:05}{extension}", i + 1);
        let meta = if i == 0 { checkpoint.meta.clone() } else { Vec::new() };
        (target.path.with_file_name(name), Checkpoint { tensors, meta, tree: None })
    });
    Ok(named.collect())
}

/// The file that says which tensor is in which shard.
fn index(parts: &[(PathBuf, Checkpoint)], total: u64, target: &Target<'_>, written: &mut Written) -> Result<Output> {
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let all = parts.iter().flat_map(|(p, c)| c.tensors.iter().map(move |(t, _)| (t.clone(), name(p).into())));
    let map = all.collect::<serde_json::Map<String, serde_json::Value>>();
    let text = serde_json::json!({ "metadata": { "total_size": total }, "weight_map": map });
    small(&with_suffix(target.path, ".index.json"), format!("{text:#}\n").as_bytes(), target, written)
}

/// Reads what `output` holds and compares it with `asked`.
fn read_back(asked: &Checkpoint, output: &Output, target: &Target<'_>, findings: &mut Vec<Diagnostic>) -> Result<()> {
    let (Some(part), true) = (output.written(""), target.readback != Readback::No) else { return Ok(()) };
    let fault = |what: String| Error::new(Kind::Io, format!("read back after writing, {what}"));
    let read = (target.format.read)(&Input::open(part)?, &ReadOptions::default())?;
    let Artifact::Checkpoint(found) = read.artifact else { return Err(fault("it is no checkpoint".into())) };
    let by_name = found.tensors.iter().map(|(n, w)| (n.as_str(), w)).collect::<std::collections::HashMap<_, _>>();
    let mut changed = Vec::new();
    for (name, wanted) in &asked.tensors {
        let Some(got) = by_name.get(name.as_str()) else { return Err(fault(format!("tensor {name} is missing"))) };
        if got.len() != wanted.len() {
            return Err(fault(format!("{name} has {} elements, {} were given", got.len(), wanted.len())));
        }
        if got.dtype() != wanted.dtype() || got.shape() != wanted.shape() {
            changed.push(name.as_str());
        } else if target.readback == Readback::Payload {
            let sums = [wanted, got].map(|w| crc32(w, Form::Stored, &target.budget));
            let [given, kept] = sums.map(|s| s.map_err(|e| e.in_tensor(name)));
            if given? != kept? {
                return Err(fault(format!("{name} has other values than were given")));
            }
        }
    }
    if let Some(first) = changed.first() {
        let message =
            format!("{} tensors have another type or shape in {}: {first} ..", changed.len(), target.format.title);
        findings.push(Diagnostic::new(Severity::Warning, "convert.form", message));
    }
    Ok(())
}

/// CRC-32 of the bytes of a weight in `form`, read piece by piece within `budget`.
///
/// # Errors
/// When they cannot be read.
pub fn crc32(weight: &WeightExpr, form: Form, budget: &Budget) -> Result<u32> {
    let mut crc = Crc::new();
    let ranged = Ranged::new(weight, form, &Operators, budget)?;
    let unit = ranged.unit().max(1);
    let step = ((1 << 20) / unit).max(1) * unit;
    let mut room = vec![0; step];
    let mut at = 0;
    while at < ranged.byte_len() {
        let n = usize::try_from(ranged.byte_len() - at).unwrap_or(usize::MAX).min(step);
        ranged.fill(at, &mut room[..n])?;
        crc.update(&room[..n]);
        at += n as u64;
    }
    Ok(crc.sum())
}
