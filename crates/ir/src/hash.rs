//! Structural hash and equality: names and documentation do not count, order of nodes and weights' contents do.

use crate::{Attr, Attrs, Def, Model, Node, NodeId, Op, RegionId, Type, ValueId};
use modelsmith_tensor::{Tensor, WeightExpr};
use std::collections::HashMap;
use std::sync::Arc;

/// A running hash of 128 bits, the same on every machine and in every release.
#[derive(Clone)]
pub struct Digest {
    state: u128,
}

impl std::default::Default for Digest {
    fn default() -> Self {
        Digest { state: 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d }
    }
}

impl Digest {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    /// Adds a number.
    pub fn word(&mut self, x: u64) {
        let mixed = (self.state ^ u128::from(x)).wrapping_mul(Self::PRIME | 1 << 77);
        self.state = mixed ^ (mixed >> 61);
    }

    /// Adds bytes, with their number.
    pub fn bytes(&mut self, b: &[u8]) {
        self.word(b.len() as u64);
        let (words, rest) = b.as_chunks::<8>();
        for w in words {
            self.word(u64::from_le_bytes(*w));
        }
        self.word(rest.iter().fold(0, |n, &b| n << 8 | u64::from(b)));
    }

    /// Adds text.
    pub fn text(&mut self, s: &str) {
        self.bytes(s.as_bytes());
    }

    /// The hash of all that was added.
    pub fn finish(&self) -> u128 {
        let mut last = self.clone();
        last.word(0x9e37_79b9_7f4a_7c15);
        last.word(0x2545_f491_4f6c_dd1d);
        last.state
    }
}

/// Hash of the whole model: equal for models that differ in names, documentation and metadata only. Reads all
/// weights whose bytes are in memory or mapped; others count by file name and range.
pub fn hash_model(model: &Model) -> u128 {
    let mut h = Hasher { model, digest: Digest::default(), values: HashMap::new() };
    for (_, f) in model.functions.iter() {
        h.digest.text(&f.domain);
        h.digest.text(&f.name);
        h.digest.text(&f.overload);
        h.attrs(&f.defaults);
        h.region(f.region);
    }
    h.region(model.main);
    h.digest.finish()
}

/// Hash of operator, attributes and operands of one node without bodies: nodes that compute the same have the same.
pub fn hash_node(model: &Model, node: &Node) -> u128 {
    let mut h = Hasher { model, digest: Digest::default(), values: HashMap::new() };
    h.op(&node.op);
    h.attrs(&node.attrs);
    for v in &node.inputs {
        h.digest.word(v.map_or(0, |v| v.index() as u64 + 1));
    }
    h.digest.word(node.outputs.len() as u64);
    h.digest.finish()
}

/// True when both nodes have the same operator, attributes and operands, and no bodies. Whether the operator is
/// random is for the caller to ask.
pub fn same_node(a: &Node, b: &Node) -> bool {
    let ops = match (&a.op, &b.op) {
        (Op::Known(x), Op::Known(y)) => x == y,
        (Op::Call(x), Op::Call(y)) => x == y,
        (Op::Foreign { domain: d, name: n, version: v }, Op::Foreign { domain: e, name: m, version: w }) => {
            d == e && n == m && v == w
        }
        _ => false,
    };
    ops && a.inputs == b.inputs
        && a.outputs.len() == b.outputs.len()
        && a.regions.is_empty()
        && b.regions.is_empty()
        && same_attrs(&a.attrs, &b.attrs)
}

/// True when both set the same attributes to the same bits, in any order.
pub fn same_attrs(a: &Attrs, b: &Attrs) -> bool {
    a.len() == b.len() && a.iter().all(|(name, x)| b.get(name).is_some_and(|y| same_attr(x, y)))
}

fn same_attr(a: &Attr, b: &Attr) -> bool {
    let floats = |x: &[f32], y: &[f32]| x.iter().map(|x| x.to_bits()).eq(y.iter().map(|y| y.to_bits()));
    match (a, b) {
        (Attr::Int(x), Attr::Int(y)) => x == y,
        (Attr::Float(x), Attr::Float(y)) => x.to_bits() == y.to_bits(),
        (Attr::String(x), Attr::String(y)) => x == y,
        (Attr::Bytes(x), Attr::Bytes(y)) => x == y,
        (Attr::Tensor(x), Attr::Tensor(y)) => same_weight(x, y),
        (Attr::Sparse(v, i, s), Attr::Sparse(w, j, t)) => s == t && same_weight(v, w) && same_weight(i, j),
        (Attr::Type(x), Attr::Type(y)) => x == y,
        (Attr::Ints(x), Attr::Ints(y)) => x == y,
        (Attr::Floats(x), Attr::Floats(y)) => floats(x, y),
        (Attr::Strings(x), Attr::Strings(y)) => x == y,
        (Attr::Tensors(x), Attr::Tensors(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_weight(x, y)),
        (Attr::Types(x), Attr::Types(y)) => x == y,
        (Attr::Ref(x, k), Attr::Ref(y, l)) => x == y && k == l,
        _ => false,
    }
}

/// True when both weights surely hold the same bits: by identity, by contents where they are in memory or mapped,
/// or because they are made in the same way from weights of which that is true.
pub fn same_weight(a: &Arc<WeightExpr>, b: &Arc<WeightExpr>) -> bool {
    if Arc::ptr_eq(a, b) {
        return true;
    }
    if a.dtype() != b.dtype() || a.shape() != b.shape() {
        return false;
    }
    if let (Some(x), Some(y)) = (a.mapped(), b.mapped()) {
        return x == y;
    }
    match (&**a, &**b) {
        (WeightExpr::Literal(x), WeightExpr::Literal(y)) => x.same_bits(y),
        (WeightExpr::Read(x), WeightExpr::Read(y)) => {
            Arc::ptr_eq(&x.source, &y.source) && x.offset == y.offset && x.len == y.len
        }
        (WeightExpr::Cast(x, _), WeightExpr::Cast(y, _)) => same_weight(x, y),
        (WeightExpr::Permute(x, p), WeightExpr::Permute(y, q)) => p == q && same_weight(x, y),
        (WeightExpr::Reshape(x, _), WeightExpr::Reshape(y, _)) => same_weight(x, y),
        (WeightExpr::Slice { of: x, axis: i, start: s, .. }, WeightExpr::Slice { of: y, axis: j, start: t, .. }) => {
            i == j && s == t && same_weight(x, y)
        }
        (
            WeightExpr::View { of: x, offset: i, strides: p, .. },
            WeightExpr::View { of: y, offset: j, strides: q, .. },
        ) => i == j && p == q && same_weight(x, y),
        (WeightExpr::Blocks(x), WeightExpr::Blocks(y)) => {
            Arc::ptr_eq(&x.source, &y.source)
                && (x.offset, x.len) == (y.offset, y.len)
                && x.encoding.name == y.encoding.name
        }
        (WeightExpr::Encode { of: x, encoding: e, .. }, WeightExpr::Encode { of: y, encoding: f, .. }) => {
            e.name == f.name && same_weight(x, y)
        }
        (WeightExpr::Concat(x, i), WeightExpr::Concat(y, j)) => {
            i == j && x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_weight(x, y))
        }
        (WeightExpr::Eval { op: o, inputs: x, .. }, WeightExpr::Eval { op: p, inputs: y, .. }) => {
            o == p && x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_weight(x, y))
        }
        _ => false,
    }
}

struct Hasher<'m> {
    model: &'m Model,
    digest: Digest,
    /// Numbers of values in the order in which they are defined.
    values: HashMap<ValueId, u64>,
}

impl Hasher<'_> {
    fn define(&mut self, v: ValueId) {
        let next = self.values.len() as u64 + 1;
        self.values.insert(v, next);
    }

    fn value(&mut self, v: ValueId) {
        let number = self.values.get(&v).copied().unwrap_or(u64::MAX);
        self.digest.word(number);
    }

    fn ty(&mut self, ty: &Type) {
        self.digest.text(&ty.to_string());
    }

    fn region(&mut self, id: RegionId) {
        let Some(region) = self.model.regions.get(id) else { return self.digest.word(1) };
        self.digest.word(region.params.len() as u64);
        for &p in &region.params {
            self.define(p);
            self.ty(&self.model.values[p].ty);
        }
        self.digest.word(region.weights.len() as u64);
        for &w in &region.weights {
            self.define(w);
            self.digest.word(u64::from(region.exposed.contains(&w)));
            if let Def::Weight(_, w) = &self.model.values[w].def {
                weight(&mut self.digest, w);
            }
        }
        self.digest.word(region.body.len() as u64);
        for &n in &region.body {
            self.node(n);
        }
        self.digest.word(region.results.len() as u64);
        for &r in &region.results {
            self.value(r);
        }
    }

    fn node(&mut self, id: NodeId) {
        let node = &self.model.nodes[id];
        self.op(&node.op);
        self.attrs(&node.attrs);
        for v in &node.inputs {
            match v {
                Some(v) => self.value(*v),
                None => self.digest.word(0),
            }
        }
        self.digest.word(node.regions.len() as u64);
        for (name, region) in &node.regions {
            self.digest.text(name);
            self.region(*region);
        }
        self.digest.word(node.outputs.len() as u64);
        for v in &node.outputs {
            match v {
                Some(v) => self.define(*v),
                None => self.digest.word(0),
            }
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Known(d) => {
                self.digest.word(1);
                self.digest.text(d.domain);
                self.digest.text(d.name);
            }
            Op::Call(f) => {
                self.digest.word(2);
                self.digest.word(f.index() as u64);
            }
            Op::Foreign { domain, name, version } => {
                self.digest.word(3);
                self.digest.text(domain);
                self.digest.text(name);
                self.digest.word(u64::from(*version));
            }
        }
    }

    /// Attributes in order of their names.
    fn attrs(&mut self, attrs: &Attrs) {
        let mut sorted = attrs.iter().collect::<Vec<_>>();
        sorted.sort_by_key(|(name, _)| *name);
        self.digest.word(sorted.len() as u64);
        for (name, value) in sorted {
            self.digest.text(name);
            self.attr(value);
        }
    }

    fn attr(&mut self, attr: &Attr) {
        let d = &mut self.digest;
        d.text(&format!("{:?}", attr.kind()));
        match attr {
            Attr::Int(x) => d.word(*x as u64),
            Attr::Float(x) => d.word(x.to_bits().into()),
            Attr::String(s) => d.text(s),
            Attr::Bytes(b) => d.bytes(b),
            Attr::Tensor(w) => weight(d, w),
            Attr::Sparse(values, indices, shape) => {
                weight(d, values);
                weight(d, indices);
                shape.iter().for_each(|x| d.word(*x as u64));
            }
            Attr::Type(t) => d.text(&t.to_string()),
            Attr::Ints(v) => v.iter().for_each(|x| d.word(*x as u64)),
            Attr::Floats(v) => v.iter().for_each(|x| d.word(x.to_bits().into())),
            Attr::Strings(v) => v.iter().for_each(|s| d.text(s)),
            Attr::Tensors(v) => v.iter().for_each(|w| weight(d, w)),
            Attr::Types(v) => v.iter().for_each(|t| d.text(&t.to_string())),
            Attr::Ref(name, _) => d.text(name),
        }
    }
}

/// Adds a weight: its contents where they are in memory or mapped, else how it is made.
pub fn hash_weight(d: &mut Digest, w: &WeightExpr) {
    weight(d, w);
}

fn weight(d: &mut Digest, w: &WeightExpr) {
    d.text(w.dtype().name());
    d.word(w.shape().len() as u64);
    w.shape().iter().for_each(|&x| d.word(x as u64));
    if let Some(bytes) = w.mapped() {
        return d.bytes(bytes);
    }
    let many = |d: &mut Digest, parts: &[Arc<WeightExpr>]| parts.iter().for_each(|p| weight(d, p));
    match w {
        WeightExpr::Literal(t) => strings(d, t),
        WeightExpr::Read(r) => {
            d.text(r.source.name());
            d.word(r.offset);
            d.word(r.len);
        }
        WeightExpr::Cast(w, _) => {
            d.word(2);
            weight(d, w);
        }
        WeightExpr::Permute(w, perm) => {
            d.word(3);
            perm.iter().for_each(|&p| d.word(p as u64));
            weight(d, w);
        }
        WeightExpr::Reshape(w, _) => {
            d.word(4);
            weight(d, w);
        }
        WeightExpr::Slice { of, axis, start, .. } => {
            d.word(5);
            d.word(*axis as u64);
            d.word(*start as u64);
            weight(d, of);
        }
        WeightExpr::Concat(parts, axis) => {
            d.word(6);
            d.word(*axis as u64);
            many(d, parts);
        }
        WeightExpr::View { of, offset, strides, .. } => {
            d.word(8);
            d.word(*offset as u64);
            strides.iter().for_each(|&s| d.word(s as u64));
            weight(d, of);
        }
        WeightExpr::Blocks(b) => {
            d.text(b.encoding.name);
            d.text(b.source.name());
            d.word(b.offset);
            d.word(b.len);
        }
        WeightExpr::Encode { of, encoding, .. } => {
            d.text(encoding.name);
            weight(d, of);
        }
        WeightExpr::Eval { op, inputs, .. } => {
            d.word(7);
            d.text(op);
            many(d, inputs);
        }
    }
}

fn strings(d: &mut Digest, t: &Tensor) {
    for s in t.strings().unwrap_or_default() {
        d.text(s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpDef, OpSet, text::parse};

    fn model(text: &str) -> Model {
        static ADD: OpDef = OpDef { name: "Add", ..OpDef::BASE };
        parse(text, &OpSet::new(&[&ADD])).unwrap()
    }

    #[test]
    fn names_do_not_count_and_contents_do() {
        let a = hash_model(&model("graph(%x: f32[n]) { weight %w = f32[2] [1, 2] %y = Add(%x, %w) return %y }"));
        let b = hash_model(&model("graph g(%q: f32[n]) { weight %v = f32[2] [1, 2] %z = Add(%q, %v) as m return %z }"));
        assert_eq!(a, b);
        for other in [
            "graph(%x: f32[m]) { weight %w = f32[2] [1, 2] %y = Add(%x, %w) return %y }",
            "graph(%x: f32[n]) { weight %w = f32[2] [1, 3] %y = Add(%x, %w) return %y }",
            "graph(%x: f32[n]) { weight %w = f32[2] [1, 2] %y = Add(%w, %x) return %y }",
            "graph(%x: f32[n]) { weight %w = f32[2] [1, 2] %y = Add(%x, %w) return %x }",
            "graph(%x: f32[n]) { weight %w = f32[2] [1, 2] %y = Add(%x, %w) {a = 1} return %y }",
        ] {
            assert_ne!(a, hash_model(&model(other)), "{other}");
        }
    }

    #[test]
    fn nodes_compare_by_bits() {
        let m = model(
            "graph(%x) { %a = Add(%x, %x) {f = 0.0, i = 1} %b = Add(%x, %x) {i = 1, f = 0.0} %c = Add(%x, %x) {f = -0.0, i = 1} return %a }",
        );
        let n = m.graph().body.iter().map(|&n| &m.nodes[n]).collect::<Vec<_>>();
        assert!(same_node(n[0], n[1]) && !same_node(n[0], n[2]));
        assert_eq!(hash_node(&m, n[0]), hash_node(&m, n[1]));
        assert_ne!(hash_node(&m, n[0]), hash_node(&m, n[2]));
    }
}
