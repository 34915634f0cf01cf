//! One file, or a set of them by their index.

use super::dtype::{Found, found};
use super::header::{Header, Info};
use super::index;
use crate::range;
use modelsmith_base::{Budget, DType, Diagnostic, Place, Severity};
use modelsmith_format::{Artifact, Checkpoint, Error, Imported, Input, MetaValue, ReadOptions, Result};
use modelsmith_tensor::{Read, Source, WeightExpr};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads a safetensors file, or the set of files that an index names.
///
/// # Errors
/// When a header is damaged, ranges leave holes or overlap, or a file of the set is missing.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = input.source();
    let start = range::bytes(source.as_ref(), 0, 16.min(source.len()), &options.budget)?;
    let begins_as_json = start.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    // The length of a header that begins with `{` would be beyond what the format allows.
    let header = start.first_chunk::<8>().is_some_and(|b| u64::from_le_bytes(*b) <= super::LARGEST_HEADER);
    let (checkpoint, findings) = match begins_as_json && !header {
        true => index::read(input, options)?,
        false => file(source, &options.budget)?,
    };
    Ok(Imported { artifact: Artifact::Checkpoint(checkpoint), findings })
}

/// Reads one file.
pub(super) fn file(source: &Arc<dyn Source>, budget: &Budget) -> Result<(Checkpoint, Vec<Diagnostic>)> {
    let header = Header::read(source.as_ref(), budget)?;
    check_ranges(&header, source.as_ref())?;
    let mut findings = Vec::new();
    let mut tensors = Vec::new();
    for (name, info) in &header.tensors {
        let fault = |e: Error| e.in_file(source.name()).in_tensor(name).at_offset(header.start);
        let weight = weight(info, source, header.start, name, &mut findings).map_err(fault)?;
        tensors.push((name.clone(), Arc::new(weight)));
    }
    let (tied, meta) = tied(&tensors, header.meta);
    tensors.extend(tied);
    let meta = meta.into_iter().map(|(k, v)| (k, MetaValue::Text(v))).collect();
    Ok((Checkpoint { tensors, meta, ..Checkpoint::default() }, findings))
}

/// Ranges must follow each other from the first byte to the last.
fn check_ranges(header: &Header, source: &dyn Source) -> Result<()> {
    let mut order = header.tensors.iter().collect::<Vec<_>>();
    order.sort_by_key(|(_, info)| info.data_offsets);
    let fault = |message: String, name: &str, at: u64| {
        let at = header.start.saturating_add(at);
        Err(Error::damaged(message).in_file(source.name()).in_tensor(name).at_offset(at))
    };
    let mut end = 0;
    for (name, info) in order {
        let [from, to] = info.data_offsets;
        if from > to {
            return fault(format!("its range {from}..{to} runs backwards"), name, end);
        }
        if from != end {
            let what = if from > end { "a hole before it" } else { "it overlaps another tensor" };
            return fault(format!("its range {from}..{to} does not begin at {end}: {what}"), name, end);
        }
        end = to;
    }
    let length = source.len().saturating_sub(header.start);
    if end > length {
        let message = format!("{end} bytes of tensors are wanted, {length} are left");
        let error = Error::damaged(message).in_file(source.name()).at_offset(header.start);
        return Err(error.help("the file is cut off; get it again"));
    }
    if end < length {
        let message = format!("{} bytes after the last tensor, which the format forbids", length.saturating_sub(end));
        return Err(Error::damaged(message).in_file(source.name()).at_offset(header.start.saturating_add(end)));
    }
    Ok(())
}

fn weight(
    info: &Info,
    source: &Arc<dyn Source>,
    start: u64,
    name: &str,
    findings: &mut Vec<Diagnostic>,
) -> Result<WeightExpr> {
    let [from, to] = info.data_offsets;
    let large = || Error::damaged(format!("the shape {:?} is too large", info.shape));
    let shape: Vec<usize> =
        info.shape.iter().map(|&d| usize::try_from(d).map_err(|_| large())).collect::<Result<_>>()?;
    let count = info.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).ok_or_else(large)?;
    let kind = found(&info.dtype).ok_or_else(|| Error::damaged(format!("unknown element type `{}`", info.dtype)))?;
    let bits = match kind {
        Found::Known(dtype) => range::wide(dtype.bits()),
        Found::Unknown(bits) => bits,
    };
    let bits = count.checked_mul(bits).ok_or_else(large)?;
    if bits % 8 != 0 {
        return Err(Error::damaged(format!("{count} elements of {} do not fill whole bytes", info.dtype)));
    }
    let (wanted, given) = (bits / 8, to.saturating_sub(from));
    if wanted != given {
        return Err(Error::damaged(format!("{} {:?} takes {wanted} bytes, {given} are given", info.dtype, info.shape)));
    }
    let read = |dtype, shape| {
        let (source, offset) = (source.clone(), start.saturating_add(from));
        WeightExpr::Read(Read { source, offset, len: given, dtype, shape })
    };
    match kind {
        Found::Known(dtype) => Ok(read(dtype, shape)),
        Found::Unknown(_) => {
            let message = format!("elements of {} are listed, not read", info.dtype);
            let found = Diagnostic::new(Severity::Warning, "safetensors.dtype", message);
            findings.push(found.at(Place::tensor(name)));
            let raw = Arc::new(read(DType::U8, vec![usize::try_from(given).map_err(|_| large())?]));
            Ok(WeightExpr::Eval { op: format!("{}()", info.dtype), inputs: vec![raw], dtype: DType::F32, shape })
        }
    }
}

type Tensors = Vec<(String, Arc<WeightExpr>)>;

/// Metadata that give a tensor another name, as tensors, and the rest of the metadata.
fn tied(tensors: &Tensors, meta: Vec<(String, String)>) -> (Tensors, Vec<(String, String)>) {
    let by_name = tensors.iter().map(|(n, w)| (n.as_str(), w)).collect::<HashMap<_, _>>();
    let (mut tied, mut rest) = (Vec::new(), Vec::new());
    for (key, value) in meta {
        match by_name.get(value.as_str()) {
            Some(&weight) if !by_name.contains_key(key.as_str()) => tied.push((key, weight.clone())),
            _ => rest.push((key, value)),
        }
    }
    (tied, rest)
}
