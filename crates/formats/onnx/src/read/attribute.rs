//! Attributes of nodes and defaults of functions.

use super::graph::inexact;
use super::{Reader, Scopes};
use crate::schema::{AttributeProto, AttributeType, SparseTensorProto, TensorProto, text};
use crate::types::type_from_proto;
use modelsmith_base::{Place, Severity};
use modelsmith_format::{Error, Result};
use modelsmith_ir::{Attr, AttrKind, Attrs, OpSetImport, RegionId};
use modelsmith_wire::proto::text_from_bytes;

/// What became of an attribute.
pub(super) enum Taken {
    /// A value.
    Attr(Attr),
    /// Bodies.
    Regions(Vec<RegionId>),
    /// Something that the IR cannot say; its leftover is the whole attribute.
    Kept,
}

type Parts<'a> = (Attrs, Vec<(String, RegionId)>, Vec<AttributeProto<'a>>);

impl<'a> Reader<'a> {
    /// The attributes of a node: values, bodies, and what is left over. Leftovers are empty, or name all attributes in
    /// file order; one that the IR cannot say is there whole, with its type.
    pub(super) fn attributes(
        &mut self,
        protos: &[AttributeProto<'a>],
        scopes: &mut Scopes<'a>,
        imports: &[OpSetImport],
    ) -> Result<Parts<'a>> {
        let (mut attrs, mut regions, mut leftovers) = (Attrs::new(), Vec::new(), Vec::new());
        let mut needed = false;
        for proto in protos {
            let name = text(&proto.name);
            let (taken, leftover) = self.attribute(proto, scopes, imports)?;
            needed |= leftover.is_some();
            leftovers
                .push(leftover.unwrap_or_else(|| AttributeProto { name: proto.name.clone(), ..Default::default() }));
            match taken {
                Taken::Attr(attr) => {
                    needed |= !regions.is_empty();
                    attrs.set(name, attr);
                }
                Taken::Regions(bodies) => regions.extend(bodies.into_iter().map(|r| (name.to_owned(), r))),
                Taken::Kept => {}
            }
        }
        Ok((attrs, regions, if needed { leftovers } else { Vec::new() }))
    }

    /// One attribute and, where the IR does not hold all of it, what is left over.
    pub(super) fn attribute(
        &mut self,
        proto: &AttributeProto<'a>,
        scopes: &mut Scopes<'a>,
        imports: &[OpSetImport],
    ) -> Result<(Taken, Option<AttributeProto<'a>>)> {
        let name = text(&proto.name);
        let taken = match (proto.kind().and_then(attr_kind), text(&proto.ref_attr_name)) {
            (Some(kind), "") => self.value(proto, kind, scopes, imports).map_err(|e| {
                let offset = e.place().offset;
                let message = format!("attribute {name}: {}", e.message());
                let same = Error::new(e.kind(), message).in_tensor(e.place().tensor.as_deref().unwrap_or(name));
                offset.map_or(e, |o| same.at_offset(o))
            })?,
            (Some(kind), reference) => Taken::Attr(Attr::Ref(reference.to_owned(), kind)),
            (None, _) => Taken::Kept,
        };
        if matches!(taken, Taken::Kept) {
            let message = format!("attribute {name} is of a kind that is kept but not understood");
            self.find(Severity::Warning, "onnx.attribute.kept", message, Place::default());
            let whole = AttributeProto { ty: proto.ty.or(Some(0)), ..proto.clone() };
            return Ok((taken, Some(whole)));
        }
        let tensor = proto.t.as_deref().filter(|t| description(t) != TensorProto::default());
        let ty = proto.tp.as_deref().and_then(inexact);
        let doc = proto.doc_string.clone();
        let mut leftover = AttributeProto {
            t: tensor.map(|t| Box::new(description(t))),
            tp: ty,
            sparse_tensor: proto.sparse_tensor.as_deref().and_then(described_sparse).map(Box::new),
            doc_string: doc,
            unknown: proto.unknown.clone(),
            ..AttributeProto::default()
        };
        let lists = &proto.lists;
        if lists.tensors.iter().any(|t| description(t) != TensorProto::default()) {
            leftover.lists.tensors = lists.tensors.iter().map(description).collect();
        }
        if lists.type_protos.iter().any(|t| inexact(t).is_some()) {
            leftover.lists.type_protos.clone_from(&lists.type_protos);
        }
        let needed = leftover != AttributeProto::default();
        leftover.name.clone_from(&proto.name);
        Ok((taken, needed.then_some(leftover)))
    }

    fn value(
        &mut self,
        proto: &AttributeProto<'a>,
        kind: AttrKind,
        scopes: &mut Scopes<'a>,
        imports: &[OpSetImport],
    ) -> Result<Taken> {
        let absent = || Error::damaged("it has no value");
        let lists = &proto.lists;
        Ok(Taken::Attr(match kind {
            AttrKind::Float => Attr::Float(proto.f.unwrap_or(0.0)),
            AttrKind::Int => Attr::Int(proto.i.unwrap_or(0)),
            AttrKind::String => match std::str::from_utf8(proto.s.as_deref().unwrap_or_default()) {
                Ok(s) => Attr::String(s.to_owned()),
                Err(_) => Attr::Bytes(proto.s.as_deref().unwrap_or_default().to_vec()),
            },
            AttrKind::Tensor => {
                let tensor = proto.t.as_deref().ok_or_else(absent)?;
                Attr::Tensor(self.tensors.weight(tensor, &mut self.limits)?)
            }
            AttrKind::Sparse => {
                let sparse = proto.sparse_tensor.as_deref().ok_or_else(absent)?;
                self.tensors.sparse(sparse, &mut self.limits)?
            }
            AttrKind::Type => Attr::Type(type_from_proto(proto.tp.as_deref().ok_or_else(absent)?)),
            AttrKind::Floats => Attr::Floats(lists.floats.clone()),
            AttrKind::Ints => Attr::Ints(lists.ints.clone()),
            AttrKind::Strings => Attr::Strings(lists.strings.iter().map(|s| text_from_bytes(s).into_owned()).collect()),
            AttrKind::Tensors => {
                let tensors = lists.tensors.iter().map(|t| self.tensors.weight(t, &mut self.limits));
                Attr::Tensors(tensors.collect::<Result<_>>()?)
            }
            AttrKind::Types => Attr::Types(lists.type_protos.iter().map(type_from_proto).collect()),
            AttrKind::Graph => {
                let graph = proto.g.as_deref().ok_or_else(absent)?;
                return Ok(Taken::Regions(vec![self.graph(graph, scopes, imports)?]));
            }
            AttrKind::Graphs => {
                let graphs = lists.graphs.iter().map(|g| self.graph(g, scopes, imports));
                return Ok(Taken::Regions(graphs.collect::<Result<_>>()?));
            }
        }))
    }
}

/// The kind in the IR; lists of sparse tensors have none.
fn attr_kind(kind: AttributeType) -> Option<AttrKind> {
    Some(match kind {
        AttributeType::Float => AttrKind::Float,
        AttributeType::Int => AttrKind::Int,
        AttributeType::String => AttrKind::String,
        AttributeType::Tensor => AttrKind::Tensor,
        AttributeType::Graph => AttrKind::Graph,
        AttributeType::Floats => AttrKind::Floats,
        AttributeType::Ints => AttrKind::Ints,
        AttributeType::Strings => AttrKind::Strings,
        AttributeType::Tensors => AttrKind::Tensors,
        AttributeType::Graphs => AttrKind::Graphs,
        AttributeType::SparseTensor => AttrKind::Sparse,
        AttributeType::SparseTensors => return None,
        AttributeType::Type => AttrKind::Type,
        AttributeType::Types => AttrKind::Types,
    })
}

/// What describes a sparse tensor, without its data; `None` when nothing does.
pub(super) fn described_sparse<'a>(s: &SparseTensorProto<'a>) -> Option<SparseTensorProto<'a>> {
    let part = |t: &Option<TensorProto<'a>>| t.as_ref().map(description).filter(|t| *t != TensorProto::default());
    let out = SparseTensorProto {
        values: part(&s.values),
        indices: part(&s.indices),
        unknown: s.unknown.clone(),
        ..SparseTensorProto::default()
    };
    (out != SparseTensorProto::default()).then_some(out)
}

/// Name, documentation and metadata of a tensor, without its data.
fn description<'a>(t: &TensorProto<'a>) -> TensorProto<'a> {
    TensorProto {
        name: t.name.clone(),
        doc_string: t.doc_string.clone(),
        metadata_props: t.metadata_props.clone(),
        unknown: t.unknown.clone(),
        ..TensorProto::default()
    }
}
