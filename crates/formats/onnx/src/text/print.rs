//! The text form written: models, graphs, nodes and functions.
//!
//! What ONNX's own parser does not take is avoided where there is another way to say it. What cannot be said is left out
//! and counted.

use super::words::{begins_type, element_name, is_identifier, is_number};
use crate::schema::{
    DimValue, Entry, FunctionProto, GraphProto, ModelProto, NodeProto, TensorTypeProto, Text, TypeProto, TypeValue,
    ValueInfoProto, text,
};
use modelsmith_wire::proto::bytes_from_text;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A text that is written. Its bytes are UTF-8 as long as the strings of the model are.
#[derive(Default)]
pub(super) struct Printer {
    pub(super) out: Vec<u8>,
    depth: usize,
    /// What the text form cannot say, and how often the model says it.
    lost: BTreeMap<&'static str, usize>,
}

/// The text of `model`, and what it leaves out with how often.
pub(super) fn print(model: &ModelProto<'_>) -> (Vec<u8>, BTreeMap<&'static str, usize>) {
    let mut p = Printer::default();
    p.model(model);
    (p.out, p.lost)
}

impl Printer {
    pub(super) fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn lose(&mut self, what: &'static str, count: usize) {
        if count > 0 {
            let sum = self.lost.entry(what).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    pub(super) fn quoted(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        for &b in bytes {
            if matches!(b, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(b);
        }
        self.out.push(b'"');
    }

    fn quoted_text(&mut self, text: &str) {
        self.quoted(&bytes_from_text(text));
    }

    /// A name, in quotes where it would be read as something else.
    pub(super) fn name(&mut self, name: &str) {
        match is_identifier(name) && !begins_type(name) {
            true => self.put(name),
            false => self.quoted_text(name),
        }
    }

    pub(super) fn each<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            one(self, item);
        }
    }

    fn names(&mut self, names: &[Cow<'_, str>]) {
        self.each(names, |p, n| p.name(n));
    }

    fn line(&mut self) {
        self.put("\n");
        self.put(&"  ".repeat(self.depth));
    }

    fn model(&mut self, m: &ModelProto<'_>) {
        self.put("<");
        self.depth += 1;
        self.line();
        self.put(&format!("ir_version: {}", m.ir_version.unwrap_or(0)));
        self.imports(&m.opset_import);
        self.field("producer_name", &m.producer_name);
        self.field("producer_version", &m.producer_version);
        self.field("domain", &m.domain);
        if let Some(version) = m.model_version {
            self.put(",");
            self.line();
            self.put(&format!("model_version: {version}"));
        }
        self.field("doc_string", &m.doc_string);
        if !m.metadata_props.is_empty() {
            self.put(",");
            self.line();
            self.put("metadata_props: [");
            self.each(&m.metadata_props, Self::pair);
            self.put("]");
        }
        self.depth = 0;
        self.put("\n>\n");
        self.lose(
            "training information, device configurations and other fields of the model",
            usize::from(!m.unknown.is_empty()),
        );
        if let Some(graph) = &m.graph {
            self.graph(graph, false);
        }
        self.put("\n");
        m.functions.iter().for_each(|f| self.function(f));
    }

    fn field(&mut self, key: &str, value: &Text<'_>) {
        let Some(value) = value else { return };
        self.put(",");
        self.line();
        self.put(key);
        self.put(": ");
        self.quoted_text(value);
    }

    fn imports(&mut self, imports: &[crate::schema::OperatorSetIdProto<'_>]) {
        self.put(",");
        self.line();
        self.put("opset_import: [");
        self.each(imports, |p, i| {
            p.quoted_text(text(&i.domain));
            p.put(&format!(" : {}", i.version.unwrap_or(0)));
        });
        self.put("]");
    }

    pub(super) fn pair(&mut self, e: &Entry<'_>) {
        self.quoted_text(text(&e.key));
        self.put(": ");
        self.quoted_text(text(&e.value));
    }

    /// A graph. ONNX's parser knows one inside an attribute by its name, which must be an identifier there.
    pub(super) fn graph(&mut self, g: &GraphProto<'_>, inside: bool) {
        let name = text(&g.name);
        match inside && !(is_identifier(name) && !begins_type(name) && !is_number(name)) {
            true => {
                self.lose("names of inner graphs that are no identifiers", usize::from(!name.is_empty()));
                let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                self.put(&format!("graph_{plain}"));
            }
            false => self.name(name),
        }
        self.put(" (");
        self.each(&g.input, Self::value_info);
        self.put(") => (");
        self.each(&g.output, Self::value_info);
        self.put(")");
        if !g.initializer.is_empty() || !g.value_info.is_empty() {
            self.line();
            self.put("<");
            self.depth += 1;
            let mut first = true;
            for t in &g.initializer {
                self.separate(&mut first);
                self.initializer(t);
            }
            for info in &g.value_info {
                self.separate(&mut first);
                self.value_info(info);
            }
            self.depth -= 1;
            self.line();
            self.put(">");
        }
        self.nodes(&g.node);
        self.lose("documentation of graphs", usize::from(g.doc_string.is_some()));
        self.lose("metadata of graphs", g.metadata_props.len());
        self.lose("quantization annotations", g.quantization_annotation.len());
        self.lose("sparse initializers", g.sparse_initializer.len());
    }

    fn separate(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.put(",");
        }
        self.line();
    }

    fn nodes(&mut self, nodes: &[NodeProto<'_>]) {
        self.line();
        self.put("{");
        self.depth += 1;
        for node in nodes {
            self.line();
            self.node(node);
        }
        self.depth -= 1;
        self.line();
        self.put("}");
    }

    fn node(&mut self, n: &NodeProto<'_>) {
        if let Some(name) = &n.name {
            self.put("[");
            self.name(name);
            self.put("] ");
        }
        self.names(&n.output);
        self.put(" = ");
        if let Some(domain) = n.domain.as_deref().filter(|d| !d.is_empty()) {
            match domain.split('.').all(is_identifier) {
                true => self.put(domain),
                false => self.quoted_text(domain),
            }
            self.put(".");
        }
        match is_identifier(text(&n.op_type)) {
            true => self.put(text(&n.op_type)),
            false => self.quoted_text(text(&n.op_type)),
        }
        if let Some(overload) = n.overload.as_deref().filter(|o| !o.is_empty()) {
            self.put(":");
            self.name(overload);
        }
        // Graphs are easier to read behind the inputs that they use; both places are read.
        let graphs = n.attribute.iter().any(|a| a.g.is_some() || !a.lists.graphs.is_empty());
        if !graphs {
            self.attributes(&n.attribute);
        }
        self.put(" (");
        self.names(&n.input);
        self.put(")");
        if graphs {
            self.attributes(&n.attribute);
        }
        self.lose("documentation of nodes", usize::from(n.doc_string.is_some()));
        self.lose("metadata of nodes", n.metadata_props.len());
        self.lose("device configurations of nodes", usize::from(!n.unknown.is_empty()));
    }

    fn attributes(&mut self, all: &[crate::schema::AttributeProto<'_>]) {
        if !all.is_empty() {
            self.put(" <");
            self.depth += 1;
            self.each(all, Self::attribute);
            self.depth -= 1;
            self.put(">");
        }
    }

    fn function(&mut self, f: &FunctionProto<'_>) {
        self.put("<");
        self.depth = 1;
        self.line();
        self.put("domain: ");
        self.quoted_text(text(&f.domain));
        self.field("overload", &f.overload);
        self.imports(&f.opset_import);
        self.field("doc_string", &f.doc_string);
        self.depth = 0;
        self.put("\n>\n");
        self.name(text(&f.name));
        if !f.attribute.is_empty() || !f.attribute_proto.is_empty() {
            self.put(" <");
            self.each(&f.attribute, |p, name| p.name(name));
            for (i, default) in f.attribute_proto.iter().enumerate() {
                if i > 0 || !f.attribute.is_empty() {
                    self.put(", ");
                }
                self.attribute(default);
            }
            self.put(">");
        }
        self.put(" (");
        self.names(&f.input);
        self.put(") => (");
        self.names(&f.output);
        self.put(")");
        if !f.value_info.is_empty() {
            self.put(" <");
            self.each(&f.value_info, Self::value_info);
            self.put(">");
        }
        self.nodes(&f.node);
        self.put("\n");
        self.lose("metadata of functions", f.metadata_props.len());
    }

    fn value_info(&mut self, info: &ValueInfoProto<'_>) {
        if let Some(ty) = &info.ty {
            let start = self.out.len();
            match self.ty(ty) {
                true => self.put(" "),
                false => {
                    self.out.truncate(start);
                    self.lose("types without an element type", 1);
                }
            }
        }
        self.name(text(&info.name));
        self.lose("documentation of values", usize::from(info.doc_string.is_some()));
        self.lose("metadata of values", info.metadata_props.len());
    }

    /// A type; false when it cannot be said, and then anything may have been written.
    pub(super) fn ty(&mut self, ty: &TypeProto<'_>) -> bool {
        self.lose("denotations", usize::from(ty.denotation.is_some()));
        let inner = |p: &mut Self, word: &str, t: &Option<TypeProto<'_>>| {
            p.put(word);
            let said = t.as_ref().is_some_and(|t| p.ty(t));
            p.put(")");
            said
        };
        match &ty.value {
            Some(TypeValue::Tensor(t)) => self.tensor_type(t),
            Some(TypeValue::Sparse(t)) => {
                self.put("sparse_tensor(");
                let said = self.tensor_type(t);
                self.put(")");
                said
            }
            Some(TypeValue::Sequence(e)) => inner(self, "seq(", &e.elem_type),
            Some(TypeValue::Optional(e)) => inner(self, "optional(", &e.elem_type),
            Some(TypeValue::Map(m)) => match element_name(m.key_type.unwrap_or(0)) {
                Some(key) => inner(self, &format!("map({key}, "), &m.value_type),
                None => false,
            },
            Some(TypeValue::Opaque(o)) => {
                let domain = o.domain.as_deref().filter(|d| !d.is_empty());
                self.put(&format!("opaque({}{})", domain.map(|d| format!("{d},")).unwrap_or_default(), text(&o.name)));
                true
            }
            None => false,
        }
    }

    fn tensor_type(&mut self, t: &TensorTypeProto<'_>) -> bool {
        let Some(name) = element_name(t.elem_type.unwrap_or(0)) else { return false };
        self.put(name);
        match &t.shape {
            None => self.put("[]"),
            Some(shape) if shape.dim.is_empty() => {}
            Some(shape) => {
                self.put("[");
                for (i, dim) in shape.dim.iter().enumerate() {
                    if i > 0 {
                        self.put(",");
                    }
                    match &dim.value {
                        Some(DimValue::Value(n)) => self.put(&n.to_string()),
                        Some(DimValue::Param(name)) if is_identifier(name) => self.put(name),
                        Some(DimValue::Param(name)) => self.quoted_text(name),
                        None => self.put("?"),
                    }
                    self.lose("denotations", usize::from(dim.denotation.is_some()));
                }
                self.put("]");
            }
        }
        true
    }
}
