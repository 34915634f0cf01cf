//! Graphs and nodes.
#![allow(clippy::indexing_slicing, reason = "arenas indexed by ids of this model; no bytes are indexed here")]

use super::{Writer, entries, some};
use crate::extra::{SPARSE_INITIALIZER, ValueExtra, unpack};
use crate::schema::{GraphProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto, present, text};
use crate::types::{type_from_proto, type_to_proto};
use modelsmith_format::Result;
use modelsmith_ir::{Attr, Node, NodeId, Op, Region, RegionId, Type, ValueId};
use modelsmith_ops::infer::without_invented;
use std::borrow::Cow;
use std::collections::HashMap;

impl<'m> Writer<'m> {
    /// The name of a value in the file.
    pub(super) fn name(&self, value: ValueId) -> Cow<'m, str> {
        match self.names.get(&value) {
            Some(name) => Cow::Owned(name.clone()),
            None => Cow::Borrowed(self.model.values[value].name.as_str()),
        }
    }

    pub(super) fn graph(&mut self, region: RegionId) -> Result<GraphProto<'m>> {
        let model = self.model;
        let r = &model.regions[region];
        let leftover: GraphProto<'m> = unpack(&r.origin.extra);
        if region == model.main {
            self.specialised = r.params.iter().any(|&v| self.type_changed(v, &leftover.input));
        }
        let mut proto = GraphProto {
            name: Some(if r.name.is_empty() { "graph" } else { r.name.as_str() }.into()),
            doc_string: some(&r.origin.doc).or(leftover.doc_string),
            metadata_props: entries(&r.origin.props),
            input: self.inputs(r, &leftover.input),
            output: r.results.iter().map(|&v| self.output(v, &leftover.output, region == model.main)).collect(),
            value_info: self.value_infos(region, leftover.value_info),
            quantization_annotation: leftover.quantization_annotation,
            unknown: leftover.unknown,
            ..GraphProto::default()
        };
        for &value in &r.weights {
            self.needs.hidden_weights |= !r.exposed.contains(&value);
            proto.initializer.push(self.initializer(value)?);
        }
        for &node in &r.body {
            match self.sparse_initializer(node)? {
                Some(sparse) => proto.sparse_initializer.push(sparse),
                None => proto.node.push(self.node(node)?),
            }
        }
        self.needs.graph(&proto);
        Ok(proto)
    }

    /// Inputs in the order of the file, new ones after them.
    fn inputs(&mut self, r: &'m Region, order: &[ValueInfoProto<'m>]) -> Vec<ValueInfoProto<'m>> {
        let place: HashMap<&str, usize> = order.iter().enumerate().map(|(i, v)| (text(&v.name), i)).collect();
        let mut all: Vec<ValueId> = r.params.iter().chain(&r.exposed).copied().collect();
        all.sort_by_key(|&v| place.get(&*self.name(v)).copied().unwrap_or(usize::MAX));
        all.into_iter().map(|v| self.value_info(v)).collect()
    }

    /// True when the file declared the input with another type than it has now.
    fn type_changed(&self, param: ValueId, declared: &[ValueInfoProto<'m>]) -> bool {
        let name = self.name(param);
        let found = declared.iter().find(|i| text(&i.name) == name).and_then(|i| i.ty.as_ref());
        found.is_some_and(|ty| type_from_proto(ty) != self.model.values[param].ty)
    }

    /// An output. It is declared as the file did, even where more is known by now: the signature of a graph is its
    /// author's. Only when the inputs changed do the outputs follow.
    fn output(&mut self, value: ValueId, declared: &[ValueInfoProto<'m>], main: bool) -> ValueInfoProto<'m> {
        let mut info = self.value_info(value);
        let known = &self.model.values[value].ty;
        if let Some(old) = declared.iter().find(|i| i.name == info.name).filter(|_| !self.specialised) {
            match &old.ty {
                Some(ty) if known.refines(&type_from_proto(ty)) => info.ty = Some(ty.clone()),
                None if !main => info.ty = None,
                _ => {}
            }
        }
        info
    }

    /// Value infos of inner values: those that the file had, with the types that are known now.
    pub(super) fn value_infos(&mut self, region: RegionId, listed: Vec<ValueInfoProto<'m>>) -> Vec<ValueInfoProto<'m>> {
        if listed.is_empty() {
            return listed;
        }
        let r = &self.model.regions[region];
        let made = r.body.iter().flat_map(|&n| self.model.nodes[n].outputs.iter().flatten());
        let local: HashMap<Cow<'m, str>, ValueId> =
            made.chain(&r.params).chain(&r.weights).map(|&v| (self.name(v), v)).collect();
        let mut out = Vec::new();
        for info in listed {
            match local.get(text(&info.name)) {
                Some(&value) => out.push(self.value_info(value)),
                // A name that nothing had when the file was read is written as it was.
                None if info.ty.is_some() => out.push(info),
                None => {}
            }
        }
        out
    }

    pub(super) fn value_info(&mut self, value: ValueId) -> ValueInfoProto<'m> {
        let v = &self.model.values[value];
        let extra = ValueExtra::unpack(&v.origin.extra).info;
        let weight = self.model.weight(value).is_some();
        // Names that inference invents for dimensions mean nothing in a file.
        let own = type_to_proto(&without_invented(&v.ty));
        // The file's own spelling counts as long as it says the same.
        let spelled = extra.ty.filter(|t| weight || type_from_proto(t) == v.ty);
        let (doc, props) = match weight {
            true => (extra.doc_string, extra.metadata_props),
            false => (some(&v.origin.doc).or(extra.doc_string), entries(&v.origin.props)),
        };
        if let Type::Sparse(_) | Type::Optional(_) = v.ty {
            self.needs.at_least(8);
        }
        self.needs.dtype_of(&v.ty);
        self.needs.props(&props);
        ValueInfoProto {
            name: Some(self.name(value)),
            ty: spelled.or(own),
            doc_string: doc,
            metadata_props: props,
            unknown: extra.unknown,
        }
    }

    fn initializer(&mut self, value: ValueId) -> Result<TensorProto<'m>> {
        let v = &self.model.values[value];
        let Some(weight) = self.model.weight(value) else { return Ok(TensorProto::default()) };
        let mut proto = self.tensor(weight)?;
        proto.name = Some(self.name(value));
        let leftover = ValueExtra::unpack(&v.origin.extra).tensor;
        proto.doc_string = some(&v.origin.doc).or(leftover.doc_string);
        proto.metadata_props = entries(&v.origin.props);
        proto.unknown = leftover.unknown;
        Ok(proto)
    }

    /// The sparse initializer for which `node` stands, if it does.
    fn sparse_initializer(&mut self, node: NodeId) -> Result<Option<SparseTensorProto<'m>>> {
        let n = &self.model.nodes[node];
        let mut leftover: NodeProto<'m> = unpack(&n.origin.extra);
        let (Some(Attr::Sparse(values, indices, dims)), Some(value)) = (n.attrs.get("sparse_value"), n.output(0))
        else {
            return Ok(None);
        };
        if text(&leftover.doc_string) != SPARSE_INITIALIZER {
            return Ok(None);
        }
        let described = leftover.attribute.pop().and_then(|a| a.sparse_tensor).map(|s| *s);
        let mut proto = self.sparse(values, indices, dims, described)?;
        if let Some(values) = &mut proto.values {
            values.name = Some(self.name(value));
        }
        Ok(Some(proto))
    }

    pub(super) fn node(&mut self, node: NodeId) -> Result<NodeProto<'m>> {
        let model = self.model;
        let n: &'m Node = &model.nodes[node];
        let name = model.op_name(node);
        let mut leftover: NodeProto<'m> = unpack(&n.origin.extra);
        if text(&leftover.op_type) != name {
            // The node was made of another one: what was left of that one is not about this one.
            leftover = NodeProto::default();
        }
        let names = |values: &[Option<ValueId>]| -> Vec<Cow<'m, str>> {
            values.iter().map(|v| v.map_or(Cow::Borrowed(""), |v| self.name(v))).collect()
        };
        let (input, output) = (names(&n.inputs), names(&n.outputs));
        let overload = match n.op {
            Op::Call(f) => some(&model.functions[f].overload).or(leftover.overload),
            _ => leftover.overload,
        };
        let proto = NodeProto {
            input,
            output,
            name: some(&n.name).or(leftover.name),
            op_type: Some(name.into()),
            attribute: self.attributes(n, leftover.attribute)?,
            doc_string: some(&n.origin.doc).or(present(&leftover.doc_string)),
            domain: leftover.domain.or(some(model.op_domain(node))),
            overload,
            metadata_props: entries(&n.origin.props),
            unknown: leftover.unknown,
            offset: 0,
        };
        self.needs.node(&proto);
        Ok(proto)
    }
}
