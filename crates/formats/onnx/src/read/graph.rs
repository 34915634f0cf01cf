//! Graphs, function bodies and nodes.
#![allow(clippy::indexing_slicing, reason = "arenas indexed by ids of this model; no bytes are indexed here")]

use super::attribute::{Taken, described_sparse};
use super::{Reader, Scopes, domain_of, located, pairs};
use crate::extra::{SPARSE_INITIALIZER, ValueExtra, pack};
use crate::schema::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto, Text, TypeProto,
    ValueInfoProto, present, text,
};
use crate::types::{type_from_proto, type_to_proto};
use modelsmith_base::{Place, Severity};
use modelsmith_format::Result;
use modelsmith_ir::{
    Attr, Attrs, Def, FunctionId, Node, NodeId, Op, OpSetImport, Origin, Region, RegionId, Type, Value, ValueId,
};
use std::borrow::Cow;
use std::collections::HashMap;

impl<'a> Reader<'a> {
    /// Reads a graph into a new region. Names that it does not define are looked up in `scopes`.
    pub(super) fn graph(
        &mut self,
        proto: &GraphProto<'a>,
        scopes: &mut Scopes<'a>,
        imports: &[OpSetImport],
    ) -> Result<RegionId> {
        let region = self.model.regions.push(Region {
            name: text(&proto.name).to_owned(),
            origin: Origin {
                doc: text(&proto.doc_string).to_owned(),
                props: pairs(&proto.metadata_props),
                ..Origin::default()
            },
            ..Region::default()
        });
        scopes.push(HashMap::new());
        self.initializers(proto, region, scopes)?;
        self.inputs(proto, region, scopes)?;
        let made = self.declare_outputs(&proto.node, scopes)?;
        for sparse in &proto.sparse_initializer {
            self.sparse_initializer(sparse, region, scopes, imports)?;
        }
        let kept = self.value_infos(&proto.value_info, scopes)?;
        for (node, outputs) in proto.node.iter().zip(made) {
            self.node(node, outputs, region, scopes, imports)?;
        }
        for output in &proto.output {
            let value = self.resolve(text(&output.name), scopes);
            self.describe(value, output);
            self.model.regions[region].results.push(value);
        }
        scopes.pop();
        let signature = |infos: &[ValueInfoProto<'a>]| {
            let keep = |i: &ValueInfoProto<'a>| ValueInfoProto {
                name: i.name.clone(),
                ty: i.ty.clone(),
                ..ValueInfoProto::default()
            };
            infos.iter().map(keep).collect()
        };
        let leftover = GraphProto {
            input: signature(&proto.input),
            output: signature(&proto.output),
            value_info: kept,
            doc_string: present(&proto.doc_string),
            quantization_annotation: proto.quantization_annotation.clone(),
            unknown: proto.unknown.clone(),
            ..GraphProto::default()
        };
        self.model.regions[region].origin.extra = pack(&leftover);
        Ok(region)
    }

    /// Fills the body of a declared function.
    pub(super) fn function(&mut self, p: &FunctionProto<'a>, id: FunctionId, outer: &[OpSetImport]) -> Result<()> {
        let region = self.model.functions[id].region;
        self.model.regions[region].name = text(&p.name).to_owned();
        let mut imports = self.model.functions[id].opsets.clone();
        imports.extend_from_slice(outer);
        let mut scopes = vec![HashMap::new()];
        for name in &p.input {
            let value = self.model.add_param(region, name, Type::Unknown);
            self.declare(name.clone(), value, &mut scopes);
        }
        let made = self.declare_outputs(&p.node, &mut scopes)?;
        let kept = self.value_infos(&p.value_info, &scopes)?;
        for (node, outputs) in p.node.iter().zip(made) {
            self.node(node, outputs, region, &mut scopes, &imports)?;
        }
        for name in &p.output {
            let value = self.resolve(name, &mut scopes);
            self.model.regions[region].results.push(value);
        }
        let (mut leftovers, mut needed) = (Vec::new(), false);
        for attribute in &p.attribute_proto {
            let offset = p.node.first().map_or(0, |n| n.offset);
            let taken = self.attribute(attribute, &mut Vec::new(), &imports);
            let (attr, leftover) = taken.map_err(|e| located(e, offset))?;
            needed |= leftover.is_some();
            leftovers.push(match attr {
                Taken::Attr(attr) => {
                    self.model.functions[id].defaults.set(text(&attribute.name), attr);
                    leftover.unwrap_or_else(|| AttributeProto { name: attribute.name.clone(), ..Default::default() })
                }
                // A body has no place among the defaults of the IR.
                Taken::Regions(_) | Taken::Kept => {
                    needed = true;
                    AttributeProto { ty: attribute.ty.or(Some(0)), ..attribute.clone() }
                }
            });
        }
        if !needed {
            leftovers.clear();
        }
        let leftover = FunctionProto {
            attribute_proto: leftovers,
            value_info: kept,
            doc_string: present(&p.doc_string),
            overload: present(&p.overload),
            unknown: p.unknown.clone(),
            ..FunctionProto::default()
        };
        self.model.functions[id].origin.extra = pack(&leftover);
        Ok(())
    }

    fn initializers(&mut self, proto: &GraphProto<'a>, region: RegionId, scopes: &mut Scopes<'a>) -> Result<()> {
        for t in &proto.initializer {
            self.charge(size_of::<Value>())?;
            let weight = self.tensors.weight(t, &mut self.limits)?;
            let name = text(&t.name);
            let value = self.model.add_weight(region, name, weight);
            let origin = &mut self.model.values[value].origin;
            origin.doc = text(&t.doc_string).to_owned();
            origin.props = pairs(&t.metadata_props);
            let doc_string = present(&t.doc_string);
            if !t.unknown.is_empty() || doc_string.is_some() {
                let tensor = TensorProto { doc_string, unknown: t.unknown.clone(), ..TensorProto::default() };
                origin.extra = ValueExtra { tensor, ..ValueExtra::default() }.pack();
            }
            self.declare_text(&t.name, value, scopes);
        }
        Ok(())
    }

    fn inputs(&mut self, proto: &GraphProto<'a>, region: RegionId, scopes: &mut Scopes<'a>) -> Result<()> {
        for input in &proto.input {
            self.charge(size_of::<Value>())?;
            let name = text(&input.name);
            let known = scopes.last().and_then(|s| s.get(name)).copied();
            let value = match known {
                Some(value) if self.model.weight(value).is_some() => {
                    self.model.regions[region].exposed.push(value);
                    value
                }
                _ => {
                    let value = self.model.add_param(region, name, Type::Unknown);
                    self.declare_text(&input.name, value, scopes);
                    value
                }
            };
            self.describe(value, input);
        }
        Ok(())
    }

    /// Makes a value for each output of each node, so that uses can be resolved in any order.
    fn declare_outputs(
        &mut self,
        nodes: &[NodeProto<'a>],
        scopes: &mut Scopes<'a>,
    ) -> Result<Vec<Vec<Option<ValueId>>>> {
        let mut made = Vec::new();
        for node in nodes {
            self.charge(size_of::<Node>().saturating_add(size_of::<Value>().saturating_mul(node.output.len())))?;
            let outputs = node.output.iter().map(|name| {
                (!name.is_empty()).then(|| {
                    let value = self.nothing(name);
                    self.declare(name.clone(), value, scopes);
                    value
                })
            });
            made.push(outputs.collect());
        }
        Ok(made)
    }

    fn nothing(&mut self, name: &str) -> ValueId {
        self.model.values.push(Value {
            name: name.to_owned(),
            ty: Type::Unknown,
            def: Def::Nothing,
            origin: Origin::default(),
        })
    }

    fn declare_text(&mut self, name: &Text<'a>, value: ValueId, scopes: &mut Scopes<'a>) {
        let name = name.clone().unwrap_or_default();
        self.declare(name, value, scopes);
    }

    /// Makes `name` visible in the innermost scope. The first definition of a name counts.
    fn declare(&mut self, name: Cow<'a, str>, value: ValueId, scopes: &mut Scopes<'a>) {
        let Some(scope) = scopes.last_mut() else { return };
        if scope.contains_key(&name) {
            let message = format!("the name `{name}` is defined more than once; the first definition counts");
            self.find(Severity::Error, "onnx.name.duplicate", message, Place::tensor(name));
            return;
        }
        scope.insert(name, value);
    }

    /// The value called `name`; a value that nothing defines when there is none, which is reported.
    fn resolve(&mut self, name: &str, scopes: &mut Scopes<'a>) -> ValueId {
        if let Some(&value) = scopes.iter().rev().find_map(|s| s.get(name)) {
            self.unsorted |= matches!(self.model.values[value].def, Def::Nothing);
            return value;
        }
        let message = format!("the name `{name}` is used, but nothing defines it");
        self.find(Severity::Error, "onnx.name.undefined", message, Place::tensor(name));
        let value = self.nothing(name);
        if let Some(outermost) = scopes.first_mut() {
            outermost.insert(Cow::Owned(name.to_owned()), value);
        }
        value
    }

    /// Takes in types of inner values; returns the names in file order, whole where no such value exists.
    fn value_infos(&mut self, infos: &[ValueInfoProto<'a>], scopes: &Scopes<'a>) -> Result<Vec<ValueInfoProto<'a>>> {
        let mut kept = Vec::new();
        for info in infos {
            match scopes.last().and_then(|s| s.get(text(&info.name))).copied() {
                Some(value) => {
                    self.describe(value, info);
                    kept.push(ValueInfoProto { name: info.name.clone(), ..ValueInfoProto::default() });
                }
                None => kept.push(info.clone()),
            }
        }
        Ok(kept)
    }

    /// Takes type, documentation and metadata of a value from its value info. What the IR cannot hold goes to `extra`.
    fn describe(&mut self, value: ValueId, info: &ValueInfoProto<'a>) {
        let v = &mut self.model.values[value];
        if let Some(ty) = &info.ty
            && v.ty == Type::Unknown
        {
            v.ty = type_from_proto(ty);
        }
        let mut leftover = ValueInfoProto {
            doc_string: present(&info.doc_string),
            unknown: info.unknown.clone(),
            ..ValueInfoProto::default()
        };
        let mut keep = leftover != ValueInfoProto::default();
        if info.ty.is_some() && type_to_proto(&v.ty) != info.ty {
            leftover.ty.clone_from(&info.ty);
            keep = true;
        }
        let (doc, props) = (text(&info.doc_string), pairs(&info.metadata_props));
        let weight = matches!(v.def, Def::Weight(..));
        match weight {
            false => (v.origin.doc, v.origin.props) = (doc.to_owned(), props),
            true if doc.is_empty() && props.is_empty() => {}
            true => {
                leftover.doc_string.clone_from(&info.doc_string);
                leftover.metadata_props.clone_from(&info.metadata_props);
                keep = true;
            }
        }
        if keep {
            let old = std::mem::take(&mut v.origin.extra);
            let tensor = ValueExtra::unpack(&old).tensor;
            v.origin.extra = ValueExtra { info: leftover, tensor }.pack();
        }
    }

    /// A sparse initializer is a Constant node in front of the others.
    fn sparse_initializer(
        &mut self,
        proto: &SparseTensorProto<'a>,
        region: RegionId,
        scopes: &mut Scopes<'a>,
        imports: &[OpSetImport],
    ) -> Result<()> {
        let attr = self.tensors.sparse(proto, &mut self.limits)?;
        let name = proto.values.as_ref().and_then(|v| v.name.clone()).unwrap_or_default();
        let value = self.nothing(&name);
        if let Attr::Sparse(values, _, dims) = &attr {
            let shape = dims.iter().map(|&d| modelsmith_ir::Dim::Known(d)).collect::<Vec<_>>();
            self.model.values[value].ty = Type::tensor(values.dtype(), &shape);
        }
        self.declare(name, value, scopes);
        let described = described_sparse(proto).map(|s| AttributeProto {
            name: Some("sparse_value".into()),
            sparse_tensor: Some(Box::new(s)),
            ..AttributeProto::default()
        });
        let leftover = NodeProto {
            op_type: Some("Constant".into()),
            attribute: described.into_iter().collect(),
            doc_string: Some(SPARSE_INITIALIZER.into()),
            ..NodeProto::default()
        };
        let op = Op::Foreign { domain: String::new(), name: "Constant".into(), version: self.version(imports, "") };
        self.push_node(
            region,
            Node {
                op,
                inputs: Vec::new(),
                outputs: vec![Some(value)],
                attrs: Attrs::new().with("sparse_value", attr),
                regions: Vec::new(),
                name: String::new(),
                origin: Origin { extra: pack(&leftover), ..Origin::default() },
            },
        );
        Ok(())
    }

    fn push_node(&mut self, region: RegionId, node: Node) -> NodeId {
        let outputs = node.outputs.clone();
        let id = self.model.nodes.push(node);
        for (i, value) in outputs.into_iter().enumerate() {
            if let Some(value) = value {
                self.model.values[value].def = Def::Node(id, i);
            }
        }
        self.model.regions[region].body.push(id);
        id
    }

    fn node(
        &mut self,
        proto: &NodeProto<'a>,
        outputs: Vec<Option<ValueId>>,
        region: RegionId,
        scopes: &mut Scopes<'a>,
        imports: &[OpSetImport],
    ) -> Result<()> {
        let inputs = proto.input.iter().map(|n| (!n.is_empty()).then(|| self.resolve(n, scopes))).collect();
        let label = match text(&proto.name) {
            "" => proto.output.first().map_or_else(|| text(&proto.op_type).to_owned(), |o| format!("that makes {o}")),
            name => name.to_owned(),
        };
        let in_node = |e: modelsmith_format::Error| located(e.in_node(&label), proto.offset);
        let (attrs, regions, leftovers) = self.attributes(&proto.attribute, scopes, imports).map_err(in_node)?;
        let domain = domain_of(text(&proto.domain));
        let name = text(&proto.op_type);
        let key = (domain.to_owned(), name.to_owned(), text(&proto.overload).to_owned());
        let call = self.functions.get(&key).copied();
        let op = match call {
            Some(function) => Op::Call(function),
            None => {
                let version = self.version(imports, domain);
                Op::Foreign { domain: key.0, name: key.1, version }
            }
        };
        let spelled = text(&proto.domain) != domain && call.is_none();
        let mut leftover = NodeProto {
            domain: proto.domain.clone().filter(|_| spelled),
            overload: proto.overload.clone().filter(|o| call.is_none() || o.is_empty()),
            name: present(&proto.name),
            doc_string: present(&proto.doc_string),
            attribute: leftovers,
            unknown: proto.unknown.clone(),
            ..NodeProto::default()
        };
        if leftover != NodeProto::default() {
            leftover.op_type.clone_from(&proto.op_type);
        }
        let origin = Origin {
            doc: text(&proto.doc_string).to_owned(),
            props: pairs(&proto.metadata_props),
            extra: pack(&leftover),
            ..Origin::default()
        };
        let name = text(&proto.name).to_owned();
        self.push_node(region, Node { op, inputs, outputs, attrs, regions, name, origin });
        Ok(())
    }
}

/// The type, when the IR cannot say all of it.
pub(super) fn inexact<'a>(proto: &TypeProto<'a>) -> Option<Box<TypeProto<'a>>> {
    (type_to_proto(&type_from_proto(proto)).as_ref() != Some(proto)).then(|| Box::new(proto.clone()))
}
