//! Rules of the format that the IR cannot break: what a file says twice, leaves out or says with the wrong version. The
//! reader makes the best of each, and says it.

use super::domain_of;
use crate::schema::{
    AttributeProto, AttributeType, DimValue, Dimension, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, Payload, SparseTensorProto, TensorProto, TypeProto, TypeValue, ValueInfoProto, text,
};
use modelsmith_base::{Diagnostic, Place, Severity};
use std::collections::{HashMap, HashSet};

/// The newest IR version.
const NEWEST: i64 = 14;

/// What is wrong with the model as a file.
pub(super) fn lint(m: &ModelProto<'_>) -> Vec<Diagnostic> {
    let mut l =
        Lint { found: Vec::new(), ir: m.ir_version.unwrap_or(0), visible: Vec::new(), imported: HashSet::new() };
    l.versions(m);
    l.imported = domains(&m.opset_import);
    if let Some(graph) = &m.graph {
        let used: HashSet<&str> = graph.input.iter().map(|v| text(&v.name)).collect();
        let hidden = graph.initializer.iter().find(|t| !used.contains(text(&t.name)));
        if let (1..=3, Some(t)) = (l.ir, hidden) {
            let message = format!("at IR version {} an initializer must be an input of the graph too", l.ir);
            l.error("onnx.initializer.input", message, Place::tensor(text(&t.name)));
        }
        l.graph(graph, true);
    }
    m.functions.iter().for_each(|f| l.function(f));
    l.found
}

fn domains(imports: &[OperatorSetIdProto<'_>]) -> HashSet<String> {
    imports.iter().map(|i| domain_of(text(&i.domain)).to_owned()).collect()
}

struct Lint {
    found: Vec<Diagnostic>,
    ir: i64,
    /// Names that the graphs around define, innermost last.
    visible: Vec<HashSet<String>>,
    imported: HashSet<String>,
}

fn place(n: &NodeProto<'_>) -> Place {
    let made = || n.output.iter().find(|o| !o.is_empty()).map(|o| format!("{} that makes {o}", text(&n.op_type)));
    match text(&n.name) {
        "" => Place::node(made().unwrap_or_else(|| text(&n.op_type).to_owned())),
        name => Place::node(format!("{name} ({})", text(&n.op_type))),
    }
}

impl Lint {
    fn error(&mut self, code: &'static str, message: impl Into<String>, place: Place) {
        self.found.push(Diagnostic::new(Severity::Error, code, message).at(place));
    }

    fn versions(&mut self, m: &ModelProto<'_>) {
        match m.ir_version {
            None => self.error("onnx.ir", "the model says no IR version", Place::default()),
            Some(v) if v > NEWEST => {
                let message = format!("IR version {v} is newer than {NEWEST}, the newest there is");
                self.error("onnx.ir", message, Place::default());
            }
            Some(_) => {}
        }
        if self.ir >= 3 && m.opset_import.is_empty() {
            let message = "the model imports no operator set";
            self.error("onnx.opset.none", message, Place::default());
        }
        let mut seen = HashMap::new();
        for i in &m.opset_import {
            let domain = domain_of(text(&i.domain));
            if seen.insert(domain, i.version).is_some_and(|old| old != i.version) {
                let message = format!("the model imports two versions of domain {domain:?}; the first counts");
                self.error("onnx.opset.twice", message, Place::default());
            }
        }
        if !m.functions.is_empty() && (1..8).contains(&self.ir) {
            let message = format!("IR version {} has no functions, they begin at 8", self.ir);
            let first = m.functions.first().map(|f| text(&f.name).to_owned()).unwrap_or_default();
            self.error("onnx.ir", message, Place::node(first));
        }
    }

    fn graph(&mut self, g: &GraphProto<'_>, main: bool) {
        if text(&g.name).is_empty() {
            self.error("onnx.graph.name", "a graph has no name", Place::default());
        }
        for (infos, what) in [(&g.input, "input"), (&g.output, "output")] {
            infos.iter().for_each(|v| self.info(v, what, main));
        }
        let mut names: HashSet<String> = g.input.iter().map(|v| text(&v.name).to_owned()).collect();
        for (i, t) in g.initializer.iter().enumerate() {
            if text(&t.name).is_empty() {
                let message = format!("initializer {i} has no name");
                self.error("onnx.initializer.name", message, Place::default());
            }
            names.insert(text(&t.name).to_owned());
            self.tensor(t, text(&t.name));
        }
        for input in &g.input {
            let weight = g.initializer.iter().find(|t| t.name == input.name);
            if let Some(message) = weight.and_then(|t| unlike(input, t)) {
                self.error("onnx.initializer.type", message, Place::tensor(text(&input.name)));
            }
        }
        for s in &g.sparse_initializer {
            names.extend(s.values.as_ref().map(|t| text(&t.name).to_owned()));
            self.sparse(s);
        }
        self.visible.push(names);
        self.nodes(&g.node);
        self.visible.pop();
    }

    /// An input or output of a graph. Bodies may leave the types of theirs to inference.
    fn info(&mut self, v: &ValueInfoProto<'_>, what: &str, main: bool) {
        let here = Place::tensor(text(&v.name));
        if text(&v.name).is_empty() {
            return self.error("onnx.value.name", format!("an {what} of a graph has no name"), here);
        }
        match &v.ty {
            None if main => self.error("onnx.value.type", format!("the {what} {} has no type", text(&v.name)), here),
            Some(ty) if main && !whole(ty) => {
                let message = format!("the type of the {what} {} says no element type", text(&v.name));
                self.error("onnx.value.type", message, here);
            }
            _ => {}
        }
    }

    fn nodes(&mut self, nodes: &[NodeProto<'_>]) {
        let later: HashSet<&str> = nodes.iter().flat_map(|n| &n.output).map(|o| &**o).collect();
        let mut made: HashSet<&str> = HashSet::new();
        for n in nodes {
            let early = n.input.iter().find(|i| {
                let known = |names: &HashSet<String>| names.contains(&***i);
                !i.is_empty() && later.contains(&***i) && !made.contains(&***i) && !self.visible.iter().any(known)
            });
            if let Some(i) = early {
                let message = format!("the node uses {i}, which a node behind it makes");
                self.error("onnx.order", message, place(n));
            }
            self.node(n);
            made.extend(n.output.iter().map(|o| &**o));
            if let Some(names) = self.visible.last_mut() {
                names.extend(n.output.iter().map(|o| o.clone().into_owned()));
            }
        }
    }

    fn node(&mut self, n: &NodeProto<'_>) {
        if text(&n.op_type).is_empty() {
            self.error("onnx.node.operator", "the node names no operator", place(n));
        }
        let domain = domain_of(text(&n.domain));
        if !self.imported.contains(domain) && !self.imported.is_empty() {
            let message = format!("the model imports no version of domain {domain:?}");
            self.error("onnx.opset.absent", message, place(n));
        }
        let mut seen = HashSet::new();
        for a in &n.attribute {
            if !seen.insert(text(&a.name)) {
                let message = format!("the attribute {} is given more than once; the last one counts", text(&a.name));
                self.error("onnx.attribute.duplicate", message, place(n));
            }
            self.attribute(a, n);
        }
    }

    fn attribute(&mut self, a: &AttributeProto<'_>, n: &NodeProto<'_>) {
        let name = text(&a.name);
        let filled = fields(a);
        let said = a.ty.and_then(AttributeType::from_code);
        if name.is_empty() {
            self.error("onnx.attribute.name", "an attribute has no name", place(n));
        }
        if said.is_none() && self.ir >= 2 {
            self.error("onnx.attribute.type", format!("the attribute {name} does not say its kind"), place(n));
        }
        if a.ref_attr_name.is_none() {
            if let [first, second, ..] = filled.as_slice() {
                let message = format!("the attribute {name} has two values, {first:?} and {second:?}");
                self.error("onnx.attribute.value", message, place(n));
            }
            if let Some(kind) = said.filter(|k| single(*k) && !filled.contains(k)) {
                let message = format!("the attribute {name} is of kind {kind:?} and holds no such value");
                self.error("onnx.attribute.value", message, place(n));
            }
        } else if !filled.is_empty() {
            let message = format!("the attribute {name} has a value and refers to another attribute");
            self.error("onnx.attribute.value", message, place(n));
        }
        a.t.iter().for_each(|t| self.tensor(t, name));
        a.lists.tensors.iter().for_each(|t| self.tensor(t, name));
        a.sparse_tensor.iter().for_each(|s| self.sparse(s));
        a.g.iter().for_each(|g| self.graph(g, false));
        a.lists.graphs.iter().for_each(|g| self.graph(g, false));
    }

    fn tensor(&mut self, t: &TensorProto<'_>, name: &str) {
        let mut fields = Vec::new();
        let raw = t.raw_data.as_ref().is_some_and(|p| !matches!(p, Payload::File(m) if m.bytes().is_empty()));
        fields.extend(raw.then_some("raw_data"));
        if let Some(d) = &t.typed {
            let lists = [
                ("float_data", !d.float_data.is_empty()),
                ("int32_data", !d.int32_data.is_empty()),
                ("string_data", !d.string_data.is_empty()),
                ("int64_data", !d.int64_data.is_empty()),
                ("double_data", !d.double_data.is_empty()),
                ("uint64_data", !d.uint64_data.is_empty()),
            ];
            fields.extend(lists.into_iter().filter(|(_, filled)| *filled).map(|(name, _)| name));
        }
        if let [first, second, ..] = fields.as_slice() {
            let message = format!("the tensor has values in {first} and in {second}");
            self.error("onnx.tensor.fields", message, Place::tensor(name));
        }
    }

    /// Indices stand in order, each once, inside the shape.
    fn sparse(&mut self, s: &SparseTensorProto<'_>) {
        let (Some(values), Some(indices)) = (&s.values, &s.indices) else { return };
        let here = Place::tensor(text(&values.name));
        let Some(all) = numbers(indices) else { return };
        let rank = if indices.dims.len() > 1 { s.dims.len().max(1) } else { 1 };
        let total = s.dims.iter().try_fold(1i64, |n, &d| n.checked_mul(d)).unwrap_or(i64::MAX);
        let limits: &[i64] = if indices.dims.len() > 1 { &s.dims } else { &[total] };
        let mut last: Option<&[i64]> = None;
        for index in all.chunks(rank) {
            if index.iter().zip(limits).any(|(i, limit)| i < &0 || i >= limit) {
                let message = format!("an index of the sparse tensor, {index:?}, lies outside of {:?}", s.dims);
                return self.error("onnx.sparse.index", message, here);
            }
            if last.is_some_and(|l| l >= index) {
                let message = format!("the index {index:?} of the sparse tensor is not in order");
                return self.error("onnx.sparse.index", message, here);
            }
            last = Some(index);
        }
    }

    fn function(&mut self, f: &FunctionProto<'_>) {
        let here = || Place::node(text(&f.name));
        if text(&f.name).is_empty() || text(&f.domain).is_empty() {
            self.error("onnx.function.name", "a function has no name or no domain", here());
        }
        if f.opset_import.is_empty() {
            let message = format!("the function {} imports no operator set", text(&f.name));
            self.error("onnx.function.opset", message, here());
        }
        let outer = std::mem::replace(&mut self.imported, domains(&f.opset_import));
        self.visible.push(f.input.iter().map(|i| i.clone().into_owned()).collect());
        self.nodes(&f.node);
        self.visible.pop();
        self.imported = outer;
    }
}

/// Whether the kind is one whose value must be there; an empty list says nothing.
fn single(kind: AttributeType) -> bool {
    use AttributeType::*;
    matches!(kind, Float | Int | String | Tensor | Graph | SparseTensor | Type)
}

/// The kinds of the fields that are filled.
fn fields(a: &AttributeProto<'_>) -> Vec<AttributeType> {
    use AttributeType::*;
    let l = &a.lists;
    let all = [
        (Float, a.f.is_some()),
        (Int, a.i.is_some()),
        (String, a.s.is_some()),
        (Tensor, a.t.is_some()),
        (Graph, a.g.is_some()),
        (SparseTensor, a.sparse_tensor.is_some()),
        (Type, a.tp.is_some()),
        (Floats, !l.floats.is_empty()),
        (Ints, !l.ints.is_empty()),
        (Strings, !l.strings.is_empty()),
        (Tensors, !l.tensors.is_empty()),
        (Graphs, !l.graphs.is_empty()),
        (SparseTensors, !l.sparse_tensors.is_empty()),
        (Types, !l.type_protos.is_empty()),
    ];
    all.into_iter().filter(|(_, filled)| *filled).map(|(kind, _)| kind).collect()
}

/// What differs between an input and the initializer that stands in for it.
fn unlike(input: &ValueInfoProto<'_>, t: &TensorProto<'_>) -> Option<String> {
    let Some(TypeValue::Tensor(ty)) = input.ty.as_ref().and_then(|ty| ty.value.as_ref()) else { return None };
    if ty.elem_type.is_some_and(|c| c != 0 && Some(c) != t.data_type) {
        return Some(format!("the input {} is of another element type than its initializer", text(&input.name)));
    }
    let dims = &ty.shape.as_ref()?.dim;
    let differs = |(d, n): (&Dimension<'_>, &i64)| matches!(d.value, Some(DimValue::Value(v)) if v != *n);
    let unlike = dims.len() != t.dims.len() || dims.iter().zip(&t.dims).any(differs);
    unlike.then(|| format!("the input {} is of another shape than its initializer, {:?}", text(&input.name), t.dims))
}

/// Whether a type names its element types.
fn whole(ty: &TypeProto<'_>) -> bool {
    match &ty.value {
        Some(TypeValue::Tensor(t) | TypeValue::Sparse(t)) => t.elem_type.is_some_and(|c| c != 0),
        Some(_) => true,
        None => false,
    }
}

/// The elements of a tensor of 64-bit integers in the file; `None` where they do not lie there.
fn numbers(t: &TensorProto<'_>) -> Option<Vec<i64>> {
    if let Some(raw) = &t.raw_data {
        let bytes = match raw {
            Payload::File(m) => m.bytes(),
            Payload::Memory(bytes) => bytes,
            Payload::Stream { .. } => return None,
        };
        return Some(bytes.chunks_exact(8).filter_map(|c| c.try_into().ok().map(i64::from_le_bytes)).collect());
    }
    let typed = t.typed.as_ref()?;
    typed.int64_data.iter().map(|v| v.ok().map(u64::cast_signed)).collect()
}
