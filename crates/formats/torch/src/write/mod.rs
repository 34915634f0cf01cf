//! From a checkpoint to a zip archive that `torch.load(weights_only=True, mmap=True)` takes.

mod pickle;
mod storages;

use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Archive, Artifact, Checkpoint, Content, Error, Output, Result, Tree, WriteOptions, Written};
pub(crate) use pickle::{Pickler, serialization_id};
pub(crate) use storages::place;

/// Writes a checkpoint: nested as it was, or as a state dict where it was not nested or was one module.
///
/// # Errors
/// For element types that PyTorch lacks, objects of classes that are known by name only, and where the output cannot
/// be written.
pub(crate) fn write(artifact: &Artifact, out: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let Artifact::Checkpoint(checkpoint) = artifact else {
        let what = format!("a {} cannot be written as a PyTorch checkpoint", artifact.kind());
        return Err(Error::unsupported(what));
    };
    let odd = |(name, weight): &(String, _)| {
        let weight: &std::sync::Arc<modelsmith_tensor::WeightExpr> = weight;
        (!pickle::writable(weight.dtype())).then(|| format!("{name} ({})", weight.dtype()))
    };
    let odd = checkpoint.tensors.iter().filter_map(odd).collect::<Vec<_>>();
    if !odd.is_empty() {
        let what = format!("PyTorch has no element type for {}", shortened(&odd));
        return Err(Error::unsupported(what).help("convert them with --cast"));
    }
    let placed = place(&checkpoint.tensors);
    let counts = placed.storages.iter().map(|s| s.len()).collect::<Vec<_>>();
    let mut findings = Vec::new();
    let mut pickler = Pickler::new(&checkpoint.tensors, &placed.placed, &counts);
    object(&mut pickler, checkpoint, &mut findings)?;
    let pickle = pickler.out;
    let mut archive = Archive::new();
    let id = serialization_id(&pickle);
    put(&mut archive, "archive/data.pkl", pickle)?;
    put(&mut archive, "archive/.format_version", *b"1")?;
    put(&mut archive, "archive/.storage_alignment", *b"64")?;
    put(&mut archive, "archive/byteorder", *b"little")?;
    for (i, storage) in placed.storages.iter().enumerate() {
        archive.add(&format!("archive/data/{i}"), Content { weight: Some(storage), ..Content::default() })?;
    }
    put(&mut archive, "archive/version", *b"3\n")?;
    put(&mut archive, "archive/.data/serialization_id", id)?;
    let emitted = out.emit("", &archive.finish(), options)?;
    Ok(Written { files: vec![(String::new(), emitted.bytes)], findings })
}

pub(crate) fn put(archive: &mut Archive, name: &str, bytes: impl Into<Vec<u8>>) -> Result<()> {
    archive.add(name, Content { head: bytes.into(), weight: None })
}

/// The object: the tree, or a state dict.
fn object(pickler: &mut Pickler<'_>, checkpoint: &Checkpoint, findings: &mut Vec<Diagnostic>) -> Result<()> {
    match &checkpoint.tree {
        Some(Tree::Object { class, state: Some(_), .. }) => {
            let message = format!("the object is a {class}: its tensors are written as a state dict, its code is not");
            findings.push(Diagnostic::new(Severity::Warning, "torch.state_dict", message));
            pickler.flat()?;
        }
        Some(tree) => pickler.nested(tree)?,
        None => {
            if !checkpoint.meta.is_empty() {
                let message = format!("{} entries of metadata have no place in a state dict", checkpoint.meta.len());
                findings.push(Diagnostic::new(Severity::Warning, "torch.metadata", message));
            }
            pickler.flat()?;
        }
    }
    if pickler.refused.is_empty() {
        return Ok(());
    }
    let classes = pickler.refused.iter().cloned().collect::<Vec<_>>();
    let what = format!("objects of these classes cannot be written: {}", shortened(&classes));
    Err(Error::unsupported(what).help("take a part of the checkpoint with --key, or write its tensors as safetensors"))
}

/// The first few of many names.
fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(8);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
