//! NumPy's `.npy`: one array, which becomes a checkpoint of one tensor named after the file.

use crate::{checkpoint, range};
use modelsmith_base::Budget;
use modelsmith_format::source::Swapped;
use modelsmith_format::{
    Artifact, Checkpoint, Error, FormatDef, Imported, Input, Layout, Match, Output, Probe, ReadOptions, Result,
    WriteOptions, Written,
};
use modelsmith_tensor::npy::{self, Header};
use modelsmith_tensor::{Form, Read, Source, WeightExpr};
use std::sync::Arc;

/// NumPy arrays.
pub static NPY: FormatDef = FormatDef {
    name: "npy",
    title: "NumPy array",
    extensions: &["npy"],
    probe,
    read,
    graphs: false,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write),
};

/// The longest header that is read.
const LARGEST_HEADER: u64 = 1 << 20;

fn probe(probe: &Probe<'_>) -> Match {
    match probe.bytes.starts_with(b"\x93NUMPY") {
        // An array of Python objects is a pickle for another reader; it is claimed so that the error can say so.
        true if probe.bytes.get(..512.min(probe.bytes.len())).is_some_and(is_objects) => Match::Possible,
        true => Match::Certain,
        false if probe.has_extension(NPY.extensions) => Match::Possible,
        false => Match::No,
    }
}

fn is_objects(head: &[u8]) -> bool {
    String::from_utf8_lossy(head).contains("'descr': '|O'")
}

/// Reads an array.
///
/// # Errors
/// When the file is damaged, or holds Python objects or structures.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = input.source();
    let weight = weight(source, 0, source.len(), &options.budget).map_err(|e| e.in_file(input.name()))?;
    let file = input.name().rsplit(['/', '\\']).next().unwrap_or_default();
    let name = file.strip_suffix(".npy").unwrap_or(file).to_owned();
    let checkpoint = Checkpoint { tensors: vec![(name, Arc::new(weight))], ..Checkpoint::default() };
    Ok(Imported { artifact: Artifact::Checkpoint(checkpoint), findings: Vec::new() })
}

/// The array in `len` bytes from `start`.
pub(crate) fn weight(source: &Arc<dyn Source>, start: u64, len: u64, budget: &Budget) -> Result<WeightExpr> {
    let damaged = |e: modelsmith_tensor::Error| Error::from(e).at_offset(start);
    let length = range::bytes(source.as_ref(), start, len.min(12), budget)?;
    let (version, length) = (length.get(6).copied().unwrap_or(0), length.get(8..).unwrap_or_default());
    let size = if version >= 2 { 4 } else { 2 };
    let length = length.iter().take(size).rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    if length > LARGEST_HEADER {
        let message = format!("npy: a header of {length} bytes, at most {LARGEST_HEADER} are read");
        return Err(Error::damaged(message).at_offset(start));
    }
    let head = range::bytes(source.as_ref(), start, len.min(length.saturating_add(12)), budget)?;
    let header = Header::parse(&head).map_err(damaged)?;
    let Some((dtype, swap)) = header.dtype() else {
        return other(&header, source, start, len, budget).map_err(|e| e.at_offset(start));
    };
    let shape = header.stored();
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let wanted = count.and_then(|n| dtype.bytes_for(n)).map_or(u64::MAX, range::wide);
    let left = len.saturating_sub(range::wide(header.start));
    if wanted > left {
        let message = format!("npy: shape {:?} of {} wants {wanted} bytes, {left} follow", header.shape, header.descr);
        return Err(Error::damaged(message).at_offset(start));
    }
    let offset = start.saturating_add(range::wide(header.start));
    let width = if dtype.is_complex() { dtype.bits() / 16 } else { dtype.bits() / 8 };
    let (source, offset): (Arc<dyn Source>, u64) = match swap && width > 1 {
        true => (Arc::new(Swapped::new(source, offset, wanted, width, &[(0, width)])), 0),
        false => (source.clone(), offset),
    };
    let axes = (0..shape.len()).rev().collect::<Vec<_>>();
    let read = WeightExpr::Read(Read { source, offset, len: wanted, dtype, shape });
    Ok(if header.fortran && axes.len() > 1 { WeightExpr::Permute(Arc::new(read), axes) } else { read })
}

/// Strings are read at once; objects are refused.
fn other(header: &Header, source: &Arc<dyn Source>, start: u64, len: u64, budget: &Budget) -> Result<WeightExpr> {
    if header.descr.ends_with('O') {
        let error = Error::unsupported("npy: the array holds pickled Python objects, which are not read");
        return Err(error.help("save plain arrays, or each array of the object by itself"));
    }
    let bytes = range::bytes(source.as_ref(), start, len, budget)?;
    Ok(WeightExpr::Literal(npy::read(&bytes)?))
}

/// Writes the only tensor of a checkpoint.
///
/// # Errors
/// When there is another number of tensors, or NumPy lacks the element type.
pub fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let checkpoint = checkpoint::wanted(artifact, NPY.title)?;
    let [(name, weight)] = checkpoint.tensors.as_slice() else {
        let message = format!("npy holds one tensor, there are {}", checkpoint.tensors.len());
        return Err(Error::unsupported(message).help("write .npz, or choose one tensor with --include"));
    };
    let header = npy::header_of(weight.dtype(), &weight.shape()).ok_or_else(|| no_type(name, weight))?;
    let mut layout = Layout::new();
    layout.bytes(header);
    layout.weight(weight, Form::Dense)?;
    let done = output.emit("", &layout, options)?;
    Ok(Written { files: vec![(String::new(), done.bytes)], findings: Vec::new() })
}

fn no_type(name: &str, weight: &WeightExpr) -> Error {
    let error = Error::unsupported(format!("NumPy has no element type {}", weight.dtype())).in_tensor(name);
    error.help("choose another element type, for example with --cast f32")
}
