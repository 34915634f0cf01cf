//! From the head to weights over byte ranges.

use super::parse::{Head, Info, parse};
use super::split::part;
use super::types::{Kind, fields, kind};
use crate::range;
use modelsmith_base::{Budget, DType, Diagnostic, Place, Severity};
use modelsmith_format::source::Swapped;
use modelsmith_format::{Artifact, Checkpoint, Error, Imported, Input, MetaValue, ReadOptions, Result};
use modelsmith_tensor::{Blocks, Read, Source, WeightExpr};
use std::sync::Arc;

/// Reads a file, with its other parts when it is split.
///
/// # Errors
/// When the head is damaged, a tensor lies outside the file, or a part is missing.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let (mut out, mut findings) = file(input.source(), &options.budget)?;
    let parts = match out.meta("split.count") {
        Some(MetaValue::Int { value, .. }) => u64::try_from(*value).unwrap_or(0),
        _ => 0,
    };
    if parts > 1 {
        match part(input.name(), 1) {
            Some((_, count)) if count == parts => out = whole(input, out, parts, &options.budget, &mut findings)?,
            _ => {
                let ending = format!("-00001-of-{parts:05}.gguf");
                let message = format!("one of {parts} parts, read alone: its name does not end like {ending}");
                findings.push(Diagnostic::new(Severity::Warning, "gguf.split", message));
            }
        }
    }
    Ok(Imported { artifact: Artifact::Checkpoint(out), findings })
}

/// All parts, in their order, with the metadata of the first.
fn whole(
    input: &Input,
    given: Checkpoint,
    parts: u64,
    budget: &Budget,
    findings: &mut Vec<Diagnostic>,
) -> Result<Checkpoint> {
    let own = input.name().rsplit(['/', '\\']).next().unwrap_or_default();
    let mut out = Checkpoint::default();
    let mut given = Some(given);
    for number in 1..=parts {
        let (name, _) = part(own, number).unwrap_or_default();
        let next = match given.take_if(|_| name == own) {
            Some(found) => found,
            None => {
                let (found, more) = file(&input.sibling(&name)?, budget)?;
                findings.extend(more);
                found
            }
        };
        out.tensors.extend(next.tensors);
        if number == 1 {
            out.meta = next.meta.into_iter().filter(|(key, _)| !key.starts_with("split.")).collect();
        }
    }
    Ok(out)
}

/// The head of a file. Where the file is not mapped, ever more of it is read until the head is whole.
fn head(source: &dyn Source, budget: &Budget) -> Result<Head> {
    let mut seen = match source.as_slice() {
        Some(_) => source.len(),
        None => source.len().min(1 << 20),
    };
    loop {
        let bytes = range::bytes(source, 0, seen, budget)?;
        match parse(&bytes) {
            Err(_) if seen < source.len() => seen = seen.saturating_mul(8).min(source.len()),
            result => return result,
        }
    }
}

fn file(source: &Arc<dyn Source>, budget: &Budget) -> Result<(Checkpoint, Vec<Diagnostic>)> {
    let head = head(source.as_ref(), budget).map_err(|e| e.in_file(source.name()))?;
    let mut findings = Vec::new();
    let mut starts = head.tensors.iter().map(|i| i.offset).collect::<Vec<_>>();
    starts.sort_unstable();
    let mut tensors = Vec::new();
    for info in &head.tensors {
        let fault = |e: Error| e.in_file(source.name()).in_tensor(&info.name).at_offset(info.at);
        let weight = match kind(info.kind) {
            Some(kind) => weight(info, kind, &head, source).map_err(fault)?,
            None => {
                let after = starts.partition_point(|&s| s <= info.offset);
                let left = source.len().saturating_sub(head.start);
                let end = starts.get(after).copied().unwrap_or(left).min(left);
                let len = end.saturating_sub(info.offset);
                let what = format!("type {} is not known; the {len} bytes up to the next tensor are listed", info.kind);
                let found = Diagnostic::new(Severity::Warning, "gguf.type", what);
                findings.push(found.at(Place::tensor(&info.name)));
                opaque(source, head.start.saturating_add(info.offset), len)
            }
        };
        tensors.push((info.name.clone(), Arc::new(weight)));
    }
    Ok((Checkpoint { tensors, meta: head.meta, ..Checkpoint::default() }, findings))
}

fn opaque(source: &Arc<dyn Source>, offset: u64, len: u64) -> WeightExpr {
    let shape = vec![usize::try_from(len).unwrap_or(0)];
    WeightExpr::Read(Read { source: source.clone(), offset, len, dtype: DType::U8, shape })
}

fn weight(info: &Info, kind: Kind, head: &Head, source: &Arc<dyn Source>) -> Result<WeightExpr> {
    let large = || Error::damaged(format!("the shape {:?} is too large", info.shape));
    let shape = info.shape.iter().map(|&d| usize::try_from(d).map_err(|_| large())).collect::<Result<Vec<_>>>()?;
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(large)?;
    let len = match kind {
        Kind::Dense(dtype) => dtype.bytes_for(count).ok_or_else(large)?,
        Kind::Blocks(e) => {
            let row = shape.last().copied().unwrap_or(1);
            let what = || format!("rows of {row} are not whole {} blocks of {}", e.name, e.elements);
            e.bytes_for(row).and_then(|_| e.bytes_for(count)).ok_or_else(|| Error::damaged(what()))?
        }
    };
    let len = range::wide(len);
    let offset = head.start.checked_add(info.offset);
    let Some(offset) = offset.filter(|o| o.checked_add(len).is_some_and(|end| end <= source.len())) else {
        let (at, all) = (info.offset, source.len());
        let message = format!("its {len} bytes at {at} of the payload lie beyond the end of the file of {all} bytes");
        return Err(Error::damaged(message).help("the file is cut off or damaged; get it again"));
    };
    let (record, turned) = fields(kind);
    let (source, offset): (Arc<dyn Source>, u64) = match head.big && turned.iter().any(|&(_, width)| width > 1) {
        true => (Arc::new(Swapped::new(source, offset, len, record, &turned)), 0),
        false => (source.clone(), offset),
    };
    Ok(match kind {
        Kind::Dense(dtype) => WeightExpr::Read(Read { source, offset, len, dtype, shape }),
        Kind::Blocks(encoding) => WeightExpr::Blocks(Blocks { source, offset, len, encoding, shape }),
    })
}
