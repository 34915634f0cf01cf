//! What the writers of this crate share: taking the checkpoint out of an artifact, finding tied tensors, naming faults.

use modelsmith_format::{Artifact, Checkpoint, Error, Result};
use modelsmith_tensor::Identity;
use std::collections::HashMap;

/// The checkpoint in `artifact`.
pub(crate) fn wanted<'a>(artifact: &'a Artifact, title: &str) -> Result<&'a Checkpoint> {
    match artifact {
        Artifact::Checkpoint(found) => Ok(found),
        other => Err(Error::unsupported(format!("{title} holds tensors only, this is a {}", other.kind()))),
    }
}

/// Fails when two tensors have one name.
pub(crate) fn distinct(checkpoint: &Checkpoint) -> Result<()> {
    let mut seen = HashMap::new();
    for (name, _) in &checkpoint.tensors {
        if seen.insert(name.as_str(), ()).is_some() {
            return Err(Error::unsupported("two tensors have this name").in_tensor(name));
        }
    }
    Ok(())
}

/// All that is not supported, in one error.
pub(crate) fn refuse(faults: &[String], what: &str, help: &str) -> Result<()> {
    match faults.len() {
        0 => Ok(()),
        n => {
            let shown = faults.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if n > 20 { format!(" and {} more", n.saturating_sub(20)) } else { String::new() };
            Err(Error::unsupported(format!("{what}: {shown}{more}")).help(help))
        }
    }
}

/// For each tensor the index of the first one that has the same bytes, shape and type: itself, unless tensors are tied.
pub(crate) fn ties(checkpoint: &Checkpoint) -> Vec<usize> {
    let mut first = HashMap::new();
    let numbered = checkpoint.tensors.iter().enumerate();
    numbered.map(|(i, (_, w))| if w.is_empty() { i } else { *first.entry(Identity::of(w)).or_insert(i) }).collect()
}
