//! ONNX bytes to a model at the foreign stage: every node keeps its name, domain and opset version; weights stay
//! where they lie.
#![allow(clippy::indexing_slicing, reason = "arenas indexed by ids of this model; no bytes are indexed here")]

mod attribute;
mod graph;
mod lint;
mod order;
pub(crate) mod tensor;

use crate::extra::{MODEL_KEY, pack};
use crate::schema::{Entry, FunctionProto, ModelProto, OperatorSetIdProto, Proto, present, text};
use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_format::{Artifact, Error, Imported, Input, ReadOptions, Result};
use modelsmith_ir::{Attrs, Function, FunctionId, Model, OpSetImport, Origin, Region, Stage, ValueId};
use modelsmith_tensor::{MemSource, Source};
use modelsmith_wire::proto::{self, Limits, Message};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tensor::Tensors;

/// Reads an ONNX model.
///
/// # Errors
/// When the file is not a `ModelProto`, a tensor does not have the bytes that its shape wants, or a file with external
/// data is refused or missing.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = whole(input.source(), options)?;
    read_bytes(input, &source)
}

/// Reads the model whose message is the whole of `source`; `input` names the file and opens what lies beside it.
pub(crate) fn read_bytes(input: &Input, source: &Arc<dyn Source>) -> Result<Imported> {
    let bytes = source.as_slice().unwrap_or_default();
    let mut limits = Limits::for_file(source.len());
    let in_file = |e: Error| e.in_file(input.name());
    let proto = ModelProto::decode(Message::new(bytes, 0), &mut limits).map_err(damaged).map_err(in_file)?;
    read_proto(proto, input, source, limits)
}

/// Reads a decoded model. What it borrows lies in `source`.
pub(crate) fn read_proto<'a>(
    proto: ModelProto<'a>,
    input: &'a Input,
    source: &'a Arc<dyn Source>,
    limits: Limits,
) -> Result<Imported> {
    let mut reader = Reader::new(Model::new(), Tensors::new(input, source), limits);
    reader.findings = lint::lint(&proto);
    reader.model(proto).map_err(|e| e.in_file(input.name()))?;
    Ok(Imported { artifact: Artifact::Model(Box::new(reader.model)), findings: reader.findings })
}

/// Adds functions to a model at the foreign stage, each able to call the others and those of the model. Where two have one
/// name, theirs counts.
///
/// # Errors
/// When a body cannot be read.
pub(crate) fn define_functions(
    model: &mut Model,
    functions: &[FunctionProto<'static>],
    findings: &mut Vec<Diagnostic>,
) -> Result<Vec<FunctionId>> {
    let input = Input::from_bytes("the definitions", Vec::new());
    let source = input.source().clone();
    let limits = Limits::for_file(u64::from(u32::MAX));
    let mut reader = Reader::new(std::mem::replace(model, Model::new()), Tensors::new(&input, &source), limits);
    let ids = reader.declare_functions(functions);
    let done = functions.iter().zip(&ids).try_for_each(|(f, &id)| reader.function(f, id, &[]));
    if reader.unsorted {
        reader.sort();
    }
    findings.append(&mut reader.findings);
    *model = reader.model;
    done.map(|()| ids)
}

/// The wire error as an error of the file.
pub(crate) fn damaged(e: proto::Error) -> Error {
    Error::damaged(e.kind().to_string()).at_offset(e.offset())
}

/// The error with an offset of the input, unless it is about another file.
pub(crate) fn located(e: Error, offset: u64) -> Error {
    if e.place().file.is_some() { e } else { e.at_offset(offset) }
}

/// A source whose bytes are a slice: the input's own where it is mapped, otherwise a copy.
pub(crate) fn whole(source: &Arc<dyn Source>, options: &ReadOptions) -> Result<Arc<dyn Source>> {
    if source.as_slice().is_some() {
        return Ok(source.clone());
    }
    let budget = |e| Error::io("cannot be read into memory", e).in_file(source.name());
    let _held = options.budget.reserve(source.len()).map_err(budget)?;
    let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0)];
    source.read_at(0, &mut bytes)?;
    Ok(Arc::new(MemSource::new(source.name(), bytes)))
}

/// Names that are visible in a graph, innermost last.
type Scopes<'a> = Vec<HashMap<Cow<'a, str>, ValueId>>;

struct Reader<'a> {
    model: Model,
    tensors: Tensors<'a>,
    functions: HashMap<(String, String, String), FunctionId>,
    findings: Vec<Diagnostic>,
    /// A value was used before the node that makes it.
    unsorted: bool,
    limits: Limits,
}

/// `ai.onnx` and the empty domain are one.
fn domain_of(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn pairs(entries: &[Entry<'_>]) -> Vec<(String, String)> {
    entries.iter().map(|e| (text(&e.key).to_owned(), text(&e.value).to_owned())).collect()
}

fn imports(protos: &[OperatorSetIdProto<'_>]) -> Vec<OpSetImport> {
    let version = |v: Option<i64>| u32::try_from(v.unwrap_or(0)).unwrap_or(0);
    protos.iter().map(|p| OpSetImport { domain: text(&p.domain).to_owned(), version: version(p.version) }).collect()
}

impl<'a> Reader<'a> {
    fn new(model: Model, tensors: Tensors<'a>, limits: Limits) -> Reader<'a> {
        Reader { model, tensors, functions: HashMap::new(), findings: Vec::new(), unsorted: false, limits }
    }

    fn find(&mut self, severity: Severity, code: &'static str, message: String, place: Place) {
        self.findings.push(Diagnostic::new(severity, code, message).at(place));
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.limits.charge(bytes, 0).map_err(damaged)
    }

    fn model(&mut self, mut proto: ModelProto<'a>) -> Result<()> {
        let graph = proto
            .graph
            .take()
            .ok_or_else(|| Error::damaged("this is no ONNX model: it holds no graph").at_offset(0))?;
        let functions = std::mem::take(&mut proto.functions);
        self.meta(&proto);
        let opsets = self.model.meta.opsets.clone();
        let ids = self.declare_functions(&functions);
        for (function, id) in functions.iter().zip(ids) {
            self.function(function, id, &opsets)?;
        }
        let main = self.graph(&graph, &mut Vec::new(), &opsets)?;
        let placeholder = std::mem::replace(&mut self.model.main, main);
        self.model.regions.remove(placeholder);
        self.model.stage = Stage::Foreign;
        if self.unsorted {
            self.sort();
        }
        Ok(())
    }

    fn meta(&mut self, proto: &ModelProto<'a>) {
        let meta = &mut self.model.meta;
        meta.format = "onnx".into();
        meta.ir_version = proto.ir_version.unwrap_or(0);
        meta.opsets = imports(&proto.opset_import);
        if meta.opsets.is_empty() {
            // The first IR versions had no imports; operators were those of opset 1.
            meta.opsets.push(OpSetImport { domain: String::new(), version: 1 });
        }
        meta.producer = text(&proto.producer_name).to_owned();
        meta.producer_version = text(&proto.producer_version).to_owned();
        meta.domain = text(&proto.domain).to_owned();
        meta.model_version = proto.model_version.unwrap_or(0);
        meta.doc = text(&proto.doc_string).to_owned();
        meta.props = pairs(&proto.metadata_props);
        let leftover = ModelProto {
            producer_name: present(&proto.producer_name),
            producer_version: present(&proto.producer_version),
            domain: present(&proto.domain),
            doc_string: present(&proto.doc_string),
            model_version: proto.model_version.filter(|&v| v == 0),
            unknown: proto.unknown.clone(),
            ..ModelProto::default()
        };
        if leftover != ModelProto::default() {
            meta.extra.push((MODEL_KEY.into(), pack(&leftover)));
        }
    }

    fn declare_functions(&mut self, protos: &[FunctionProto<'a>]) -> Vec<FunctionId> {
        let mut ids = Vec::new();
        for p in protos {
            let region = self.model.regions.push(Region::default());
            let key = (domain_of(text(&p.domain)).to_owned(), text(&p.name).to_owned(), text(&p.overload).to_owned());
            let id = self.model.functions.push(Function {
                domain: text(&p.domain).to_owned(),
                name: key.1.clone(),
                overload: key.2.clone(),
                region,
                attrs: p.attribute.iter().map(|a| a.clone().into_owned()).collect(),
                defaults: Attrs::new(),
                opsets: imports(&p.opset_import),
                origin: Origin {
                    doc: text(&p.doc_string).to_owned(),
                    props: pairs(&p.metadata_props),
                    ..Origin::default()
                },
            });
            if self.functions.insert(key.clone(), id).is_some() {
                let message = format!("function {} of domain {:?} is defined twice; the last one counts", key.1, key.0);
                self.find(Severity::Error, "onnx.function.duplicate", message, Place::default());
            }
            ids.push(id);
        }
        ids
    }

    /// The version of `domain` that `imports` name, 0 when they do not.
    fn version(&self, imports: &[OpSetImport], domain: &str) -> u32 {
        imports.iter().find(|i| domain_of(&i.domain) == domain).map_or(0, |i| i.version)
    }
}
