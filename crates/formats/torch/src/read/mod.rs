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

/// Values inside each other that are followed. Modules of modules count two each.
const DEPTH: usize = 250;

/// Classes of a pickled module that are named.
const CLASSES: usize = 12;

/// Reads a checkpoint.
///
/// # Errors
/// When the container or its pickle is damaged, a tensor lies outside its storage, or the pickle unfolds into more
/// than its own size accounts for.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    opened(input, options, false)
}

/// Reads what can be had of a checkpoint that may be hostile or broken: as [`read`] while the pickle is whole, and of a
/// pickle that breaks the tensors that were complete before. Findings say what is missing. It runs nothing, as `read`.
///
/// # Errors
/// When the container is damaged.
pub fn salvage(input: &Input, options: &ReadOptions) -> Result<Imported> {
    opened(input, options, true)
}

fn opened(input: &Input, options: &ReadOptions, lenient: bool) -> Result<Imported> {
    let source = Source::of(input, options)?;
    let bytes = source.bytes();
    let parts = container::open(input, bytes)?;
    let place = match parts.member.as_str() {
        "" => input.name().to_owned(),
        member => format!("{}: {member}", input.name()),
    };
    let pickle = modelsmith_wire::pickle::read(&parts.pickle, parts.at, &Limits::default());
    let mut reader = Reader::new(&pickle, &parts);
    let damage = pickle.error.as_ref();
    let damage = damage.map(|e| Error::damaged(e.kind().to_string()).in_file(&place).at_offset(e.offset()));
    let tree = match (damage, pickle.root) {
        (None, Some(root)) => reader.value(root, "", 0).map_err(|e| e.in_file(&place)).map(Some),
        (None, None) => Err(Error::damaged("the pickle gives no value").in_file(&place)),
        (Some(e), _) => Err(e),
    };
    let tree = match tree {
        Err(e) if lenient => {
            reader.complete(&e);
            None
        }
        other => other?,
    };
    Ok(reader.finish(tree))
}

/// What is said of a module that was pickled whole (`torch.save(model)`): there is no program in it.
fn pickled_module(tree: &Tree) -> Option<Diagnostic> {
    let (mut classes, mut queue) = (Vec::<&str>::new(), vec![tree]);
    while let Some(tree) = queue.pop() {
        match tree {
            Tree::Object { class, state: Some(state), .. } => {
                let Tree::Dict(pairs) = state.as_ref() else { continue };
                let member = |k: &Tree| matches!(k, Tree::Value(MetaValue::Text(name)) if name == "_modules");
                if pairs.iter().any(|(k, _)| member(k)) && !classes.contains(&class.as_str()) {
                    classes.push(class);
                }
                queue.extend(pairs.iter().rev().map(|(_, v)| v));
            }
            Tree::Dict(pairs) => queue.extend(pairs.iter().rev().map(|(_, v)| v)),
            Tree::List(items) | Tree::Tuple(items) => queue.extend(items.iter().rev()),
            _ => {}
        }
    }
    let first = classes.first()?;
    let more = classes.len().saturating_sub(CLASSES);
    let all = classes.iter().take(CLASSES).copied().collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = format!(
        "a module of the class {first} was pickled whole (torch.save(model)): there is no program inside, only the names of \
         its classes ({all}{more}); its tensors are read as its state dict"
    );
    let help = "bind it to a graph with --graph MODEL.onnx, or write the state dict as .safetensors; torch.jit.script and \
                torch.export save programs";
    Some(Diagnostic::new(Severity::Warning, "torch.module", what).help(help))
}

/// The bytes of a file: mapped, or held within the budget.
pub(crate) struct Source<'a> {
    bytes: Cow<'a, [u8]>,
    _held: Option<modelsmith_base::Reservation>,
}

impl<'a> Source<'a> {
    /// The bytes of `input`.
    ///
    /// # Errors
    /// When they do not fit into the budget, or cannot be read.
    pub(crate) fn of(input: &'a Input, options: &ReadOptions) -> Result<Source<'a>> {
        let source = input.source();
        if let Some(bytes) = source.as_slice() {
            return Ok(Source { bytes: Cow::Borrowed(bytes), _held: None });
        }
        let held = options.budget.reserve(source.len());
        let held = held.map_err(|e| Error::from(modelsmith_tensor::Error::from(e)).in_file(input.name()))?;
        let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0)];
        source.read_at(0, &mut bytes).map_err(|e| Error::from(e).in_file(input.name()))?;
        Ok(Source { bytes: Cow::Owned(bytes), _held: Some(held) })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
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
    pub(crate) fn new(p: &'p Pickle<'p>, parts: &'p Parts<'p>) -> Reader<'p> {
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

    /// The value that the pickle gives; `place` names it in errors.
    pub(crate) fn root(&mut self, place: &str) -> Result<Tree> {
        if let Some(e) = &self.p.error {
            return Err(Error::damaged(e.kind().to_string()).in_file(place).at_offset(e.offset()));
        }
        match self.p.root {
            Some(root) => self.value(root, "", 0).map_err(|e| e.in_file(place)),
            None => Err(Error::damaged("the pickle gives no value").in_file(place)),
        }
    }

    /// The tensors by name, and what was found.
    pub(crate) fn into_parts(self) -> (Vec<(String, Arc<WeightExpr>)>, Vec<Diagnostic>) {
        (self.tensors, self.findings)
    }

    /// The checkpoint, with what was found.
    fn finish(self, tree: Option<Tree>) -> Imported {
        let mut findings = self.parts.findings.clone();
        findings.extend(self.findings);
        findings.extend(self.unknown.into_iter().map(|(class, count)| {
            let times = if count == 1 { String::new() } else { format!(" ({count} times)") };
            let message = format!("{class}{times} is kept as data: its class is unknown");
            Diagnostic::new(Severity::Note, "torch.class", message)
        }));
        findings.extend(tree.as_ref().and_then(pickled_module));
        let checkpoint = Checkpoint { tensors: self.tensors, meta: self.meta, tree };
        Imported { artifact: Artifact::Checkpoint(checkpoint), findings }
    }

    /// Collects the tensors that were complete when the pickle broke: those in the containers that are left on the stack,
    /// and those that were to go into them, by the key before each.
    fn complete(&mut self, fault: &Error) {
        let message = format!("the pickle is damaged, only what was complete before is kept: {fault}");
        self.findings.push(Diagnostic::new(Severity::Warning, "torch.salvaged", message));
        (self.tensors, self.meta) = (Vec::new(), Vec::new());
        let values = self.p.root.into_iter().chain(self.p.left.iter().copied()).collect::<Vec<_>>();
        let mut key: Option<String> = None;
        for (i, id) in values.into_iter().enumerate() {
            let path = key.take();
            if path.is_none() {
                key = self.p.text(id).map(Cow::into_owned);
            }
            let tensor = self.p.call(id).is_some();
            let path = path.unwrap_or_else(|| if tensor { format!("tensor.{i}") } else { String::new() });
            self.open.clear();
            if let Err(e) = self.value(id, &path, 0) {
                self.findings.push(Diagnostic::new(Severity::Warning, "torch.lost", e.to_string()));
            }
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
