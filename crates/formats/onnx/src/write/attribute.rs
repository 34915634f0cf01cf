//! Attributes.

use super::Writer;
use crate::schema::{AttributeProto, AttributeType, Lists, TensorProto, text};
use crate::types::{type_from_proto, type_to_proto};
use modelsmith_format::Result;
use modelsmith_ir::{Attr, AttrKind, Node};
use modelsmith_wire::proto::bytes_from_text;
use std::borrow::Cow;
use std::collections::HashMap;

impl<'m> Writer<'m> {
    /// The attributes of a node in the order of the file, with what was left of them.
    pub(super) fn attributes(
        &mut self,
        node: &'m Node,
        mut leftovers: Vec<AttributeProto<'m>>,
    ) -> Result<Vec<AttributeProto<'m>>> {
        let place: HashMap<String, usize> =
            leftovers.iter().enumerate().map(|(i, a)| (text(&a.name).to_owned(), i)).collect();
        let mut out = Vec::new();
        for (name, attr) in node.attrs.iter() {
            let leftover = place.get(name).and_then(|&i| leftovers.get_mut(i)).map(std::mem::take);
            out.push(self.attribute(name, attr, leftover)?);
        }
        for (i, (name, region)) in node.regions.iter().enumerate() {
            let graph = self.graph(*region)?;
            let same = |other: &(String, _)| other.0 == *name;
            if let Some(list) = out.iter_mut().find(|a| text(&a.name) == name) {
                list.lists.graphs.push(graph);
                continue;
            }
            let several = node.regions.iter().skip(i.saturating_add(1)).any(same);
            let leftover = place.get(name).and_then(|&i| leftovers.get_mut(i)).map(std::mem::take).unwrap_or_default();
            let mut proto = AttributeProto { name: Some(name.as_str().into()), ..leftover };
            match several {
                true => proto.lists.graphs.push(graph),
                false => proto.g = Some(Box::new(graph)),
            }
            let kind = if several { AttributeType::Graphs } else { AttributeType::Graph };
            proto.ty = Some(kind.code());
            out.push(proto);
        }
        // What the IR could not say was kept whole, with its type.
        out.extend(leftovers.into_iter().filter(|a| a.ty.is_some()));
        if !place.is_empty() {
            out.sort_by_key(|a| place.get(text(&a.name)).copied().unwrap_or(usize::MAX));
        }
        Ok(out)
    }

    pub(super) fn attribute(
        &mut self,
        name: &str,
        attr: &Attr,
        leftover: Option<AttributeProto<'m>>,
    ) -> Result<AttributeProto<'m>> {
        let leftover = leftover.unwrap_or_default();
        let (tensor, ty, old) = (leftover.t, leftover.tp, leftover.lists);
        let mut proto = AttributeProto {
            name: Some(name.to_owned().into()),
            doc_string: leftover.doc_string,
            unknown: leftover.unknown,
            ty: Some(code(attr.kind())),
            ..AttributeProto::default()
        };
        match attr {
            Attr::Int(v) => proto.i = Some(*v),
            Attr::Float(v) => proto.f = Some(*v),
            Attr::String(v) => proto.s = Some(Cow::Owned(v.clone().into_bytes())),
            Attr::Bytes(v) => proto.s = Some(Cow::Owned(v.clone())),
            Attr::Tensor(w) => {
                let mut t = self.tensor(w)?;
                if let Some(old) = tensor {
                    describe(&mut t, *old);
                }
                proto.t = Some(Box::new(t));
            }
            Attr::Sparse(values, indices, dims) => {
                self.needs.at_least(6);
                proto.sparse_tensor =
                    Some(Box::new(self.sparse(values, indices, dims, leftover.sparse_tensor.map(|s| *s))?));
            }
            Attr::Type(t) => {
                self.needs.at_least(8);
                let spelled = ty.filter(|proto| type_from_proto(proto) == *t);
                proto.tp = spelled.or_else(|| Some(Box::new(type_to_proto(t).unwrap_or_default())));
            }
            Attr::Ref(from, _) => proto.ref_attr_name = Some(from.clone().into()),
            lists => proto.lists = self.lists(lists, old)?,
        }
        Ok(proto)
    }

    fn lists(&mut self, attr: &Attr, old: Lists<'m>) -> Result<Lists<'m>> {
        let mut lists = Lists::default();
        match attr {
            Attr::Ints(v) => lists.ints.clone_from(v),
            Attr::Floats(v) => lists.floats.clone_from(v),
            Attr::Strings(v) => {
                lists.strings = v.iter().map(|s| Cow::Owned(bytes_from_text(s).into_owned())).collect();
            }
            Attr::Tensors(v) => {
                lists.tensors = v.iter().map(|w| self.tensor(w)).collect::<Result<_>>()?;
                lists.tensors.iter_mut().zip(old.tensors).for_each(|(t, old)| describe(t, old));
            }
            Attr::Types(v) => {
                lists.type_protos = v.iter().map(|t| type_to_proto(t).unwrap_or_default()).collect();
                // The file's own spelling counts as long as it says the same.
                for ((to, old), ty) in lists.type_protos.iter_mut().zip(old.type_protos).zip(v) {
                    if type_from_proto(&old) == *ty {
                        *to = old;
                    }
                }
            }
            _ => {}
        }
        Ok(lists)
    }
}

/// Gives a tensor its name, documentation and metadata back.
pub(super) fn describe<'m>(t: &mut TensorProto<'m>, old: TensorProto<'m>) {
    (t.name, t.doc_string) = (old.name, old.doc_string);
    (t.metadata_props, t.unknown) = (old.metadata_props, old.unknown);
}

fn code(kind: AttrKind) -> i32 {
    let kind = match kind {
        AttrKind::Int => AttributeType::Int,
        AttrKind::Float => AttributeType::Float,
        AttrKind::String => AttributeType::String,
        AttrKind::Tensor => AttributeType::Tensor,
        AttrKind::Sparse => AttributeType::SparseTensor,
        AttrKind::Type => AttributeType::Type,
        AttrKind::Graph => AttributeType::Graph,
        AttrKind::Ints => AttributeType::Ints,
        AttrKind::Floats => AttributeType::Floats,
        AttrKind::Strings => AttributeType::Strings,
        AttrKind::Tensors => AttributeType::Tensors,
        AttrKind::Types => AttributeType::Types,
        AttrKind::Graphs => AttributeType::Graphs,
    };
    kind.code()
}
