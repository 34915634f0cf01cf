//! Writing: values go from the source to the text in pieces.

use super::scan::Form;
use crate::checkpoint;
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::{Artifact, Checkpoint, Error, Output, Result, WriteOptions, Written};
use modelsmith_tensor::{Form as Stored, Ranged, WeightExpr};
use std::io::Write;
use std::sync::Arc;

/// Bytes of values at a time.
const PIECE: usize = 1 << 20;

/// Writes a checkpoint as text.
///
/// # Errors
/// For names with white space, element types that are not numbers, and those of the output.
pub(super) fn write(
    artifact: &Artifact,
    output: &mut Output,
    options: &WriteOptions<'_>,
    form: Form,
) -> Result<Written> {
    let found = checkpoint::wanted(artifact, "a .wts file")?;
    checkpoint::distinct(found)?;
    let bad = |(name, w): &(String, Arc<WeightExpr>)| {
        let plain = !name.is_empty() && !name.starts_with('#') && !name.contains(char::is_whitespace);
        let number = w.dtype() != DType::String && !w.dtype().is_complex();
        (!plain || !number).then(|| format!("`{name}` of {}", w.dtype()))
    };
    let faults = found.tensors.iter().filter_map(bad).collect::<Vec<_>>();
    checkpoint::refuse(&faults, "a .wts file holds real numbers under names without spaces, not", "rename with --map")?;
    let mut size = 0u64;
    output.write("", |sink| {
        let mut out = Counted { sink, size: 0 };
        if form == Form::Decimal {
            out.put(b"# encoding decimal\n")?;
            comments(found, &mut out)?;
        }
        out.put(format!("{}\n", found.tensors.len()).as_bytes())?;
        let total = found.tensors.iter().map(|(_, w)| w.byte_len()).fold(0, u64::saturating_add);
        let mut done = 0;
        for (name, weight) in &found.tensors {
            out.put(format!("{name} {}", weight.len()).as_bytes())?;
            tensor(weight, form, &mut out, options).map_err(|e| e.in_tensor(name))?;
            out.put(b"\n")?;
            done = weight.byte_len().saturating_add(done);
            (options.progress)(done, total);
        }
        if form == Form::Hex {
            comments(found, &mut out)?;
        }
        size = out.size;
        Ok(())
    })?;
    Ok(Written { files: vec![(String::new(), size)], findings: findings(found) })
}

struct Counted<'a> {
    sink: &'a mut dyn Write,
    size: u64,
}

impl Counted<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.size = self.size.saturating_add(crate::range::wide(bytes.len()));
        self.sink.write_all(bytes).map_err(|e| Error::io("cannot be written", e))
    }
}

fn comments(checkpoint: &Checkpoint, out: &mut Counted<'_>) -> Result<()> {
    for (key, value) in &checkpoint.meta {
        out.put(format!("# meta {} {}\n", escaped(key, true), escaped(&value.text(), false)).as_bytes())?;
    }
    for (name, weight) in checkpoint.tensors.iter().filter(|(_, w)| w.shape().len() != 1) {
        let dims = weight.shape().iter().map(|d| format!(" {d}")).collect::<String>();
        out.put(format!("# shape {name}{dims}\n").as_bytes())?;
    }
    Ok(())
}

/// Text without line breaks and without blanks at its ends, in a key without any.
fn escaped(text: &str, key: bool) -> String {
    let mut out = String::new();
    let last = text.chars().count().saturating_sub(1);
    for (i, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' if key || i == 0 || i == last => out.push_str("\\s"),
            other => out.push(other),
        }
    }
    out
}

fn tensor(weight: &Arc<WeightExpr>, form: Form, out: &mut Counted<'_>, options: &WriteOptions<'_>) -> Result<()> {
    let cast = match weight.dtype() {
        DType::F32 => weight.clone(),
        _ => Arc::new(WeightExpr::Cast(weight.clone(), DType::F32)),
    };
    let values = Ranged::new(&cast, Stored::Dense, options.evaluator, &options.budget)?;
    let unit = values.unit().max(4);
    let step = (PIECE / unit).max(1).saturating_mul(unit);
    let mut at = 0u64;
    let mut text = Vec::new();
    while at < values.byte_len() {
        let left = usize::try_from(values.byte_len().saturating_sub(at)).unwrap_or(usize::MAX);
        let mut room = vec![0; step.min(left)];
        values.fill(at, &mut room)?;
        text.clear();
        for value in room.chunks_exact(4).filter_map(|c| c.first_chunk::<4>()) {
            spell(f32::from_le_bytes(*value), form, &mut text);
        }
        out.put(&text)?;
        at = at.saturating_add(crate::range::wide(room.len()));
    }
    Ok(())
}

/// A space and the value: eight digits, or the shortest decimal that reads back as the same bits.
fn spell(value: f32, form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Hex => {
            let bits = value.to_bits();
            let digit = |n: u32| {
                let low = u8::try_from(bits >> (28u32.saturating_sub(4 * n)) & 15).unwrap_or(0);
                if low < 10 { b'0'.wrapping_add(low) } else { b'a'.wrapping_add(low).wrapping_sub(10) }
            };
            out.extend_from_slice(&[
                b' ',
                digit(0),
                digit(1),
                digit(2),
                digit(3),
                digit(4),
                digit(5),
                digit(6),
                digit(7),
            ]);
        }
        // A vector takes all that it is given.
        Form::Decimal if value.is_finite() => drop(write!(out, " {value:?}")),
        Form::Decimal => drop(write!(out, " 0x{:08x}", value.to_bits())),
    }
}

fn findings(checkpoint: &Checkpoint) -> Vec<Diagnostic> {
    let exact = [DType::F32, DType::F16, DType::BF16];
    let other = checkpoint.tensors.iter().filter(|(_, w)| !exact.contains(&w.dtype()) && w.dtype().bits() >= 32);
    let message = |n| format!("{n} tensors of other types are written as f32, which may round them");
    match other.count() {
        0 => Vec::new(),
        n => vec![Diagnostic::new(Severity::Warning, "wts.type", message(n))],
    }
}
