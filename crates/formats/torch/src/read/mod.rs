//! From the pickle to named weights, metadata and the tree.

mod numpy;
pub(crate) mod storage;
mod tensor;
mod tree;

use crate::container::{self, Parts};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Artifact, Checkpoint, Error, Imported, Input, MetaValue, ReadOptions, Result, Tree};
use modelsmith_tensor::{DType, WeightExpr};
use modelsmith_wire::pickle::{Limits, NodeId, Pickle};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use storage::{StorageId, ViewKey};

/// Values inside each other that are followed. Modules of modules count about six each.
const DEPTH: usize = 600;

/// Reads a checkpoint.
///
/// # Errors
/// When the container or its pickle is damaged, a tensor lies outside its storage, or the pickle unfolds into more
/// than its own size accounts for.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = input.source();
    let (bytes, _held) = match source.as_slice() {
        Some(bytes) => (Cow::Borrowed(bytes), None),
        None => {
            let held = options
                .budget
                .reserve(source.len())
                .map_err(|e| Error::from(modelsmith_tensor::Error::from(e)).in_file(input.name()))?;
            let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0)];
            source.read_at(0, &mut bytes).map_err(|e| Error::from(e).in_file(input.name()))?;
            (Cow::Owned(bytes), Some(held))
        }
    };
    let parts = container::open(input, &bytes)?;
    let place =
        if parts.member.is_empty() { input.name().to_owned() } else { format!("{}: {}", input.name(), parts.member) };
    let pickle = modelsmith_wire::pickle::read(&parts.pickle, parts.at, &Limits::default());
    if let Some(e) = &pickle.error {
        return Err(Error::damaged(e.kind().to_string()).in_file(&place).at_offset(e.offset()));
    }
    let root = pickle.root.ok_or_else(|| Error::damaged("the pickle gives no value").in_file(&place))?;
    let mut reader = Reader::new(&pickle, &parts);
    let tree = reader.value(root, "", 0).map_err(|e| e.in_file(&place))?;
    let (tensors, meta, unknown, mut findings) = (reader.tensors, reader.meta, reader.unknown, reader.findings);
    findings.splice(0..0, parts.findings.iter().cloned());
    findings.extend(unknown.into_iter().map(|(class, count)| {
        let times = if count == 1 { String::new() } else { format!(" ({count} times)") };
        Diagnostic::new(Severity::Note, "torch.class", format!("{class}{times} is kept as data: its class is unknown"))
    }));
    let checkpoint = Checkpoint { tensors, meta, tree: Some(tree) };
    Ok(Imported { artifact: Artifact::Checkpoint(checkpoint), findings })
}

/// Reads one pickle.
pub(crate) struct Reader<'p> {
    p: &'p Pickle<'p>,
    parts: &'p Parts<'p>,
    tensors: Vec<(String, Arc<WeightExpr>)>,
    meta: Vec<(String, MetaValue)>,
    /// Calls of unknown classes, by name.
    unknown: BTreeMap<String, usize>,
    findings: Vec<Diagnostic>,
    storages: HashMap<(StorageId, DType), Arc<WeightExpr>>,
    views: HashMap<ViewKey, Arc<WeightExpr>>,
    /// Values that are being walked, to see cycles.
    open: HashSet<NodeId>,
    /// Values that may still be walked.
    left: usize,
}

impl<'p> Reader<'p> {
    fn new(p: &'p Pickle<'p>, parts: &'p Parts<'p>) -> Reader<'p> {
        // Shared values are walked each time they are met; a pickle that only shares to grow is refused.
        let left = p.nodes.len().saturating_mul(8).saturating_add(100_000);
        Reader {
            p,
            parts,
            tensors: Vec::new(),
            meta: Vec::new(),
            unknown: BTreeMap::new(),
            findings: Vec::new(),
            storages: HashMap::new(),
            views: HashMap::new(),
            open: HashSet::new(),
            left,
        }
    }

    /// Adds a tensor.
    fn push(&mut self, path: &str, weight: Arc<WeightExpr>) -> Tree {
        let name = if path.is_empty() { "tensor" } else { path };
        self.tensors.push((name.to_owned(), weight));
        Tree::Tensor(self.tensors.len().saturating_sub(1))
    }

    /// Adds metadata.
    fn note(&mut self, path: &str, value: MetaValue) {
        let name = if path.is_empty() { "value" } else { path };
        self.meta.push((name.to_owned(), value));
    }
}
