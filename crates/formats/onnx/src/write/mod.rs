//! A model to ONNX bytes: every length is known before the first byte is written, weights are streamed in.
//!
//! Nodes of the hub are written as they are, at `HUB_OPSET`; a model for an older opset is taken down first, with
//! [`modelsmith_ops::opset::downgrade`].
#![allow(clippy::indexing_slicing, reason = "arenas indexed by ids of this model; no bytes are indexed here")]

mod attribute;
mod graph;
mod names;
mod tensor;
mod version;

use crate::extra::{MODEL_KEY, unpack};
use crate::schema::{
    AttributeProto, Entry, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, Proto, Text, text,
};
use modelsmith_format::{Artifact, Error, Output, Result, SideData, WriteOptions, Written};
use modelsmith_ir::{Function, HUB_OPSET, Model, Op, OpSetImport, ValueId};
use modelsmith_tensor::WeightExpr;
use modelsmith_wire::proto::{EmitError, Rope};
use std::collections::HashMap;
use std::sync::Arc;
use tensor::Moved;
use version::Needs;

/// Writes a model.
///
/// A model at the foreign stage keeps its IR version where that suffices; any other gets the lowest that does. With
/// side data, weights go to a file with the suffix `.data`; that happens by itself when the model would pass 2 GiB.
///
/// # Errors
/// When the artifact is no model, a weight cannot be computed, the model does not fit into 2 GiB and side data are
/// not allowed, or the output fails.
pub fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    write_model(model_of(artifact)?, output, options)
}

fn model_of(artifact: &Artifact) -> Result<&Model> {
    match artifact {
        Artifact::Model(model) => Ok(model),
        other => Err(Error::unsupported(format!("ONNX holds models; this is a {}", other.kind()))
            .help("bind the weights to a graph, or write them in a format for weights")),
    }
}

/// The bytes of the message, in memory; weights beside it are written as by [`write`].
///
/// # Errors
/// Those of [`write`].
pub(crate) fn to_bytes(
    artifact: &Artifact,
    output: &mut Output,
    options: &WriteOptions<'_>,
) -> Result<(Vec<u8>, Written)> {
    let (rope, payloads, written) = lay_out(model_of(artifact)?, output, options)?;
    let mut bytes = Vec::with_capacity(usize::try_from(rope.len()).unwrap_or(0));
    emit(&rope, &payloads, &mut bytes, options)?;
    Ok((bytes, written))
}

/// As [`write`], for a model.
///
/// # Errors
/// Those of [`write`].
pub fn write_model(model: &Model, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let (rope, payloads, mut written) = lay_out(model, output, options)?;
    output.write("", |sink| emit(&rope, &payloads, sink, options))?;
    written.files.push((String::new(), rope.len()));
    Ok(written)
}

/// The message with holes for its weights, and the weights; those that go to a file of their own are written.
fn lay_out<'m>(
    model: &'m Model,
    output: &mut Output,
    options: &WriteOptions<'_>,
) -> Result<(Rope<'m>, Vec<Arc<WeightExpr>>, Written)> {
    let names = names::assign(model);
    let mut writer = Writer { model, names, payloads: Vec::new(), needs: Needs::default(), specialised: false };
    let mut proto = writer.model()?;
    let mut rope = proto.to_rope();
    let mut written = Written::default();
    let inline = rope.len() <= LARGEST;
    if !inline && options.side_data == SideData::Never {
        let message = format!("the model takes {} bytes, an ONNX file holds at most {LARGEST}", rope.len());
        return Err(Error::unsupported(message).help("allow the weights a file of their own"));
    }
    if !inline || options.side_data == SideData::Always {
        let location = output.name(".data");
        let unmoved = proto.clone();
        let mut layout = tensor::move_out(&mut proto, &writer.payloads, &location, Moved::Initializers);
        rope = proto.to_rope();
        if rope.len() > LARGEST {
            proto = unmoved;
            layout = tensor::move_out(&mut proto, &writer.payloads, &location, Moved::All);
            rope = proto.to_rope();
        }
        if rope.len() > LARGEST {
            let message = format!("the graph without its weights takes {} bytes, more than {LARGEST}", rope.len());
            return Err(Error::unsupported(message));
        }
        output.write(".data", |sink| tensor::emit_data(&layout, &writer.payloads, sink, options))?;
        written.files.push((".data".into(), layout.len));
    }
    Ok((rope, writer.payloads, written))
}

/// What protobuf readers accept: 2^31 - 1 bytes.
const LARGEST: u64 = 0x7fff_ffff;

fn emit(
    rope: &Rope<'_>,
    payloads: &[Arc<WeightExpr>],
    mut sink: &mut dyn std::io::Write,
    options: &WriteOptions<'_>,
) -> Result<()> {
    let fill = |id: u64, sink: &mut dyn std::io::Write| match payloads.get(usize::try_from(id).unwrap_or(usize::MAX)) {
        Some(weight) => tensor::stream(weight, sink, options),
        None => Err(Error::damaged(format!("payload {id} is not known"))),
    };
    rope.emit(&mut sink, fill).map_err(|e| match e {
        EmitError::Payload(e) => e,
        EmitError::Sink(e) => Error::io("cannot be written", e),
        other @ EmitError::Length { .. } => Error::damaged(other.to_string()),
    })
}

struct Writer<'m> {
    model: &'m Model,
    names: HashMap<ValueId, String>,
    /// Weights by payload id.
    payloads: Vec<Arc<WeightExpr>>,
    needs: Needs,
    /// The main inputs have other types than the file gave them.
    specialised: bool,
}

/// A string field; absent when it is empty.
fn some(text: &str) -> Text<'_> {
    Some(text.into()).filter(|_| !text.is_empty())
}

fn entries(pairs: &[(String, String)]) -> Vec<Entry<'static>> {
    pairs.iter().map(|(key, value)| Entry::new(key, value)).collect()
}

fn import(i: &OpSetImport) -> OperatorSetIdProto<'_> {
    OperatorSetIdProto {
        domain: Some(i.domain.as_str().into()),
        version: Some(i64::from(i.version)),
        ..OperatorSetIdProto::default()
    }
}

impl<'m> Writer<'m> {
    fn model(&mut self) -> Result<ModelProto<'m>> {
        let model = self.model;
        let meta = &model.meta;
        let graph = self.graph(model.main)?;
        let functions = model.functions.iter().map(|(_, f)| self.function(f)).collect::<Result<Vec<_>>>()?;
        let extra = meta.extra.iter().find(|(key, _)| key == MODEL_KEY);
        let leftover: ModelProto<'m> = extra.map(|(_, bytes)| unpack(bytes)).unwrap_or_default();
        self.needs.model(model, &leftover);
        Ok(ModelProto {
            ir_version: Some(self.needs.version()),
            producer_name: some(&meta.producer).or(leftover.producer_name),
            producer_version: some(&meta.producer_version).or(leftover.producer_version),
            domain: some(&meta.domain).or(leftover.domain),
            model_version: Some(meta.model_version).filter(|&v| v != 0).or(leftover.model_version),
            doc_string: some(&meta.doc).or(leftover.doc_string),
            graph: Some(graph),
            opset_import: self.imports(&meta.opsets),
            metadata_props: entries(&meta.props),
            functions,
            unknown: leftover.unknown,
        })
    }

    /// The imports of the model, and those of domains that nodes outside of functions use beside them.
    fn imports(&self, listed: &'m [OpSetImport]) -> Vec<OperatorSetIdProto<'m>> {
        let mut out: Vec<_> = listed.iter().map(import).collect();
        let same = |a: &str, b: &str| a == b || (a.is_empty() && b == "ai.onnx") || (a == "ai.onnx" && b.is_empty());
        for node in self.model.nodes_in(self.model.main) {
            let (domain, version) = match &self.model.nodes[node].op {
                Op::Known(def) if def.domain.is_empty() => ("", HUB_OPSET),
                Op::Known(def) => (def.domain, def.since),
                Op::Foreign { domain, version, .. } => (domain.as_str(), *version),
                Op::Call(f) => (self.model.functions[*f].domain.as_str(), 1),
            };
            let known = out.iter().any(|i| same(i.domain.as_deref().unwrap_or(""), domain));
            if !known && version > 0 {
                out.push(OperatorSetIdProto {
                    domain: Some(domain.to_owned().into()),
                    version: Some(i64::from(version)),
                    ..OperatorSetIdProto::default()
                });
            }
        }
        out
    }

    fn function(&mut self, f: &'m Function) -> Result<FunctionProto<'m>> {
        let model = self.model;
        let region = &model.regions[f.region];
        let leftover: FunctionProto<'m> = unpack(&f.origin.extra);
        // A function has no initializers: constants that passes left in it become nodes.
        let mut nodes = Vec::new();
        for &value in &region.weights {
            nodes.push(self.constant_node(value)?);
        }
        for &node in &region.body {
            nodes.push(self.node(node)?);
        }
        let defaults = self.defaults(f, leftover.attribute_proto)?;
        Ok(FunctionProto {
            name: some(&f.name),
            input: region.params.iter().map(|&v| self.name(v)).collect(),
            output: region.results.iter().map(|&v| self.name(v)).collect(),
            attribute: f.attrs.iter().map(|a| a.as_str().into()).collect(),
            node: nodes,
            doc_string: some(&f.origin.doc).or(leftover.doc_string),
            opset_import: f.opsets.iter().map(import).collect(),
            domain: some(&f.domain),
            attribute_proto: defaults,
            value_info: self.value_infos(f.region, leftover.value_info),
            overload: some(&f.overload).or(leftover.overload),
            metadata_props: entries(&f.origin.props),
            unknown: leftover.unknown,
        })
    }

    /// Attributes with defaults, in the order of the file. `leftovers` are empty or name all of them; one that the IR cannot
    /// say is there whole, with its type.
    fn defaults(&mut self, f: &'m Function, mut leftovers: Vec<AttributeProto<'m>>) -> Result<Vec<AttributeProto<'m>>> {
        let place = |all: &[AttributeProto<'m>], name: &str| all.iter().position(|a| text(&a.name) == name);
        let order: Vec<String> = leftovers.iter().map(|a| text(&a.name).to_owned()).collect();
        let mut out = Vec::new();
        for (name, attr) in f.defaults.iter() {
            let leftover = place(&leftovers, name).map(|i| leftovers.swap_remove(i));
            out.push(self.attribute(name, attr, leftover)?);
        }
        out.extend(leftovers.into_iter().filter(|a| a.ty.is_some()));
        out.sort_by_key(|a| order.iter().position(|name| name == text(&a.name)).unwrap_or(usize::MAX));
        Ok(out)
    }

    fn constant_node(&mut self, value: ValueId) -> Result<NodeProto<'m>> {
        let mut proto =
            NodeProto { output: vec![self.name(value)], op_type: Some("Constant".into()), ..NodeProto::default() };
        if let Some(weight) = self.model.weight(value) {
            let attr = modelsmith_ir::Attr::Tensor(weight.clone());
            proto.attribute.push(self.attribute("value", &attr, None)?);
        }
        Ok(proto)
    }
}
