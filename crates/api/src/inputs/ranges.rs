//! What values an input may take, read off the graph: an index stays inside the table it gathers from, a loop count
//! stays small, a mask is 0 or 1.
//!
//! The search follows an input forward through operators that move or convert elements, into bodies and functions,
//! and stops at the first operator that limits them.

use modelsmith_base::DType;
use modelsmith_ir::{Attr, Model, Node, NodeId, Op, ValueId};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Limits of one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Domain {
    /// Anything that the element type holds.
    Free,
    /// Integers from `lo..=hi`, in any element type.
    Range {
        /// Smallest.
        lo: i64,
        /// Largest.
        hi: i64,
        /// Which node says so.
        why: String,
    },
    /// 0 or 1: a prefix of ones along the last axis.
    Mask(String),
    /// These values, repeated or cut to the shape.
    Fixed(Vec<i64>, String),
    /// One of these words.
    Words(Vec<String>, String),
}

impl Domain {
    /// For reports: the limits and their reason.
    pub fn describe(&self) -> String {
        match self {
            Domain::Free => "free".into(),
            Domain::Range { lo, hi, why } => format!("{lo}..={hi} ({why})"),
            Domain::Mask(why) => format!("0 or 1 ({why})"),
            Domain::Fixed(v, why) => format!("{v:?} ({why})"),
            Domain::Words(w, why) => format!("{} words ({why})", w.len()),
        }
    }

    /// Both limits at once; the tighter kind wins.
    fn and(self, other: Domain) -> Domain {
        use Domain::*;
        match (self, other) {
            (Free, d) | (d, Free) => d,
            (Fixed(v, w), _) | (_, Fixed(v, w)) => Fixed(v, w),
            (Range { lo, hi, why }, Range { lo: l, hi: h, why: w }) => {
                let why = if (hi - lo) <= (h - l) { why } else { w };
                Range { lo: lo.max(l), hi: hi.min(h).max(lo.max(l)), why }
            }
            // An index into a table of one or two rows and a mask mean the same.
            (Mask(w), Range { lo, hi, why }) | (Range { lo, hi, why }, Mask(w)) => {
                if hi < 1 {
                    Range { lo, hi, why }
                } else {
                    Mask(w)
                }
            }
            (d, _) => d,
        }
    }
}

/// Users of each value, over all regions.
struct Uses(HashMap<ValueId, Vec<(NodeId, usize)>>);

impl Uses {
    fn of(model: &Model) -> Uses {
        let mut map = HashMap::<_, Vec<_>>::new();
        for (_, region) in model.regions.iter() {
            for &n in &region.body {
                for (i, v) in model.nodes[n].inputs.iter().enumerate() {
                    if let Some(v) = v {
                        map.entry(*v).or_default().push((n, i));
                    }
                }
            }
        }
        Uses(map)
    }
}

/// Prefix of the metadata properties that say what an input may take, for models that do not show their graph.
const NOTE: &str = "modelsmith.input.";

/// Limits of each input of the main graph: read off the graph, or those that the metadata states where there is none.
pub fn domains(model: &Model) -> Vec<Domain> {
    let uses = Uses::of(model);
    let hidden = model.graph().body.is_empty();
    let stated = |p: ValueId| {
        let name = &model.values[p].name;
        let (_, note) = model.meta.props.iter().filter(|_| hidden).find(|(k, _)| k.strip_prefix(NOTE) == Some(name))?;
        serde_json::from_str(note).ok()
    };
    let params = &model.graph().params;
    params.iter().map(|&p| stated(p).unwrap_or_else(|| domain_of(model, &uses, p))).collect()
}

/// The limits as metadata properties, which an engine keeps so that its inputs can be drawn.
pub fn notes(model: &Model) -> Vec<(String, String)> {
    let limited = model.graph().params.iter().zip(domains(model)).filter(|(_, d)| *d != Domain::Free);
    let note = |(&p, d)| Some((format!("{NOTE}{}", model.values[p].name), serde_json::to_string(&d).ok()?));
    limited.filter_map(note).collect()
}

fn domain_of(model: &Model, uses: &Uses, param: ValueId) -> Domain {
    let mut found = Domain::Free;
    let mut seen = HashSet::from([param]);
    let mut queue = vec![param];
    while let Some(v) = queue.pop() {
        for &(n, i) in uses.0.get(&v).map_or(&[][..], Vec::as_slice) {
            let node = &model.nodes[n];
            let name = model.op_name(n).to_owned();
            if let Some(limit) = limit(model, n, node, &name, i) {
                found = found.and(limit);
                continue;
            }
            for next in onward(model, node, &name, i) {
                if seen.insert(next) {
                    queue.push(next);
                }
            }
        }
    }
    let v = &model.values[param];
    let integral = v.ty.dtype().is_some_and(|d| d.is_int());
    match found {
        Domain::Free if integral && v.name.to_ascii_lowercase().contains("mask") => {
            Domain::Mask("its name says mask".into())
        }
        found => found,
    }
}

/// Values to which the elements of operand `i` go on unchanged, but for their type or place.
fn onward(model: &Model, node: &Node, name: &str, i: usize) -> Vec<ValueId> {
    let bodies = |node: &Node, at: usize| {
        let regions = node.regions.iter().map(|(_, r)| *r);
        regions.filter_map(|r| model.regions[r].params.get(at).copied()).collect::<Vec<_>>()
    };
    match (&node.op, name) {
        (Op::Call(f), _) => {
            let params = &model.regions[model.functions[*f].region].params;
            params.get(i).copied().into_iter().collect()
        }
        (_, "Loop") if i >= 2 => bodies(node, i),
        (_, "Scan") => bodies(node, i),
        (
            _,
            "Cast" | "CastLike" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Transpose" | "Slice"
            | "Expand" | "Tile" | "Gather" | "Split",
        ) if i == 0 => node.outputs.iter().flatten().copied().collect(),
        (
            _,
            "Concat" | "SequenceConstruct" | "Min" | "Max" | "Add" | "Optional" | "OptionalGetElement" | "SequenceAt",
        ) => node.outputs.iter().flatten().copied().collect(),
        (_, "Where") if i > 0 => node.outputs.iter().flatten().copied().collect(),
        _ => vec![],
    }
}

fn range(lo: i64, hi: i64, model: &Model, n: NodeId) -> Option<Domain> {
    Some(Domain::Range { lo, hi: hi.max(lo), why: model.node_label(n) })
}

/// What operand `i` of the node must be, when the operator says so.
fn limit(model: &Model, n: NodeId, node: &Node, name: &str, i: usize) -> Option<Domain> {
    let mask = || Some(Domain::Mask(model.node_label(n)));
    match (name, i) {
        ("Gather", 1) => below(model, n, node, int_attr(node, "axis", 0)),
        ("GatherElements" | "ScatterElements" | "Scatter", 1) => below(model, n, node, int_attr(node, "axis", 0)),
        ("GatherND" | "ScatterND", 1) => below_all(model, n, node),
        ("ArrayFeatureExtractor", 1) => below(model, n, node, -1),
        ("OneHot", 0) => {
            let depth = node.input(1).and_then(|d| model.constant(d)?.to_f64s().ok()?.first().copied());
            range(0, depth.map_or(1, |d| d as i64 - 1), model, n)
        }
        ("OneHot", 1) => range(1, 8, model, n),
        ("NegativeLogLikelihoodLoss" | "SoftmaxCrossEntropyLoss", 1) => below(model, n, node, 1),
        ("EmbedLayerNormalization", 0) => table(model, n, node, 2),
        ("EmbedLayerNormalization", 1) => table(model, n, node, 4),
        ("Loop", 0) => range(0, 5, model, n),
        ("Range", 0) => range(0, 0, model, n),
        ("Range", 1) => range(1, 8, model, n),
        ("Range", 2) => range(1, 1, model, n),
        ("TopK", 1) => range(1, topk(model, node), model, n),
        ("ConstantOfShape", 0) | ("Tile" | "Upsample", 1) | ("NonMaxSuppression", 2) => range(1, 3, model, n),
        ("Expand", 1) => range(1, 1, model, n),
        ("Reshape", 1) => Some(Domain::Fixed(reshape(model, node), model.node_label(n))),
        ("Slice", 1) => range(0, 0, model, n),
        ("Slice", 2) => range(1, 4, model, n),
        ("Slice", 4) => range(1, 1, model, n),
        ("Slice", 3) | ("Squeeze" | "Unsqueeze" | "SequenceAt" | "SequenceErase" | "SplitToSequence" | "CumSum", 1) => {
            range(0, 0, model, n)
        }
        ("Pad" | "CenterCropPad", 1) => range(0, 1, model, n),
        ("BitShift", 1) => range(0, 3, model, n),
        ("Mod" | "Div", 1) if integer(model, node, 1) => range(1, 9, model, n),
        ("LSTM" | "GRU" | "RNN", 4) => {
            let steps = node.input(0).and_then(|x| model.ty(x).shape()?.first()?.known()).unwrap_or(1);
            range(1, steps, model, n)
        }
        ("If" | "Where" | "Loop", 0 | 1) | ("Not" | "And" | "Or" | "Xor", _) | ("Compress", 1)
            if name != "Where" || i == 0 =>
        {
            mask()
        }
        ("Cast", 0) if int_attr(node, "to", 0) == modelsmith_ir::code_of_dtype(DType::Bool) => mask(),
        ("Cast", 0) if node.input(0).is_some_and(|v| model.ty(v).dtype() == Some(DType::String)) => {
            Some(Domain::Words((0..10).map(|i| i.to_string()).collect(), model.node_label(n)))
        }
        // `1 - mask`, as every exported attention writes it.
        ("Sub", 1) if is_one(model, node.input(0)) => mask(),
        (
            "LabelEncoder" | "StringNormalizer" | "TfIdfVectorizer" | "CategoryMapper" | "OneHotEncoder"
            | "DictVectorizer",
            0,
        ) => vocabulary(model, n, node),
        _ => None,
    }
}

fn int_attr(node: &Node, name: &str, default: i64) -> i64 {
    match node.attrs.get(name) {
        Some(Attr::Int(x)) => *x,
        Some(Attr::Type(t)) => t.dtype().map_or(default, modelsmith_ir::code_of_dtype),
        _ => default,
    }
}

fn dims_of(model: &Model, v: Option<ValueId>) -> Option<Vec<Option<usize>>> {
    let v = v?;
    if let Some(w) = model.weight(v) {
        return Some(w.shape().into_iter().map(Some).collect());
    }
    model.ty(v).shape().map(|s| s.iter().map(|d| d.size()).collect())
}

fn below(model: &Model, n: NodeId, node: &Node, axis: i64) -> Option<Domain> {
    let dims = dims_of(model, node.input(0));
    let size = dims.and_then(|d| {
        let axis = if axis < 0 { axis + d.len() as i64 } else { axis };
        d.get(usize::try_from(axis).ok()?).copied().flatten()
    });
    range(0, size.map_or(0, |s| s as i64 - 1), model, n)
}

fn below_all(model: &Model, n: NodeId, node: &Node) -> Option<Domain> {
    let dims = dims_of(model, node.input(0)).unwrap_or_default();
    let last = dims_of(model, node.input(1)).and_then(|d| d.last().copied().flatten()).unwrap_or(dims.len());
    let batch = usize::try_from(int_attr(node, "batch_dims", 0)).unwrap_or(0);
    let least = dims.iter().skip(batch).take(last).map(|d| d.unwrap_or(1)).min().unwrap_or(1);
    range(0, least as i64 - 1, model, n)
}

fn table(model: &Model, n: NodeId, node: &Node, i: usize) -> Option<Domain> {
    let rows = dims_of(model, node.input(i)).and_then(|d| d.first().copied().flatten());
    range(0, rows.map_or(0, |r| r as i64 - 1), model, n)
}

fn topk(model: &Model, node: &Node) -> i64 {
    let dims = dims_of(model, node.input(0)).unwrap_or_default();
    let axis = int_attr(node, "axis", -1);
    let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
    usize::try_from(axis).ok().and_then(|a| dims.get(a).copied().flatten()).map_or(1, |d| d.min(5) as i64)
}

/// A target shape that every tensor fits: copy each dimension, or flatten.
fn reshape(model: &Model, node: &Node) -> Vec<i64> {
    let rank = dims_of(model, node.input(0)).map(|d| d.len());
    let wanted = dims_of(model, node.input(1)).and_then(|d| d.first().copied().flatten());
    match (rank, wanted) {
        (Some(r), Some(w)) if r == w && int_attr(node, "allowzero", 0) == 0 => vec![0; w],
        (_, Some(w)) if w > 0 => (0..w).map(|i| if i + 1 == w { -1 } else { 1 }).collect(),
        _ => vec![-1],
    }
}

fn integer(model: &Model, node: &Node, i: usize) -> bool {
    node.input(i).and_then(|v| model.ty(v).dtype()).is_some_and(|d| d.is_int())
}

fn is_one(model: &Model, v: Option<ValueId>) -> bool {
    let small = v.filter(|&v| model.weight(v).is_none_or(|w| w.len() == 1));
    small.and_then(|v| model.constant(v)?.to_f64s().ok()).is_some_and(|x| x == [1.0])
}

fn vocabulary(model: &Model, n: NodeId, node: &Node) -> Option<Domain> {
    let mut words = Vec::new();
    let mut ints = Vec::new();
    for key in [
        "keys_strings",
        "pool_strings",
        "cats_strings",
        "string_vocabulary",
        "stopwords",
        "keys_int64s",
        "pool_int64s",
        "cats_int64s",
    ] {
        match node.attrs.get(key) {
            Some(Attr::Strings(s)) => words.extend(s.iter().cloned()),
            Some(Attr::Ints(x)) => ints.extend(x.iter().copied()),
            _ => {}
        }
    }
    // Of nothing but words that are taken out, nothing is left.
    if node.attrs.get("stopwords").is_some() {
        words.extend(["a", "model"].map(str::to_owned));
    }
    match (words.is_empty(), ints.iter().min(), ints.iter().max()) {
        (false, ..) => Some(Domain::Words(words, model.node_label(n))),
        (true, Some(&lo), Some(&hi)) => range(lo, hi, model, n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_ir::{Attrs, Origin, Type};
    use modelsmith_tensor::{Tensor, WeightExpr};
    use std::sync::Arc;

    fn add(m: &mut Model, op: &str, inputs: Vec<Option<ValueId>>, attrs: Attrs) -> ValueId {
        let at = m.graph().body.len();
        let op = Op::Foreign { domain: String::new(), name: op.into(), version: 17 };
        let node = Node {
            op,
            inputs,
            outputs: vec![],
            attrs,
            regions: vec![],
            name: String::new(),
            origin: Origin::default(),
        };
        let n = m.add_node(m.main, at, node, &[Some("")]);
        m.nodes[n].output(0).unwrap()
    }

    #[test]
    fn limits_are_found_through_conversions() {
        let mut m = Model::new();
        let ids = m.add_param(m.main, "ids", Type::fixed(DType::I64, &[1, 4]));
        let att = m.add_param(m.main, "att", Type::fixed(DType::I64, &[1, 4]));
        let x = m.add_param(m.main, "x", Type::fixed(DType::F32, &[1, 4]));
        let table =
            m.add_weight(m.main, "t", Arc::new(WeightExpr::Literal(Tensor::zeros(DType::F32, &[30, 2]).unwrap())));
        let one = m.add_weight(m.main, "one", Arc::new(WeightExpr::Literal(Tensor::scalar(1f32))));
        let cast = add(&mut m, "Cast", vec![Some(ids)], Attrs::new().with("to", 6));
        add(&mut m, "Gather", vec![Some(table), Some(cast)], Attrs::new());
        let cast = add(&mut m, "Cast", vec![Some(att)], Attrs::new().with("to", 1));
        add(&mut m, "Sub", vec![Some(one), Some(cast)], Attrs::new());
        add(&mut m, "Relu", vec![Some(x)], Attrs::new());
        let d = domains(&m);
        assert!(matches!(d[0], Domain::Range { lo: 0, hi: 29, .. }), "{d:?}");
        assert!(matches!(d[1], Domain::Mask(_)), "{d:?}");
        assert_eq!(d[2], Domain::Free);
        let mut bare = Model::new();
        bare.meta.props = notes(&m);
        assert_eq!(bare.meta.props.len(), 2);
        for name in ["ids", "att", "x"] {
            bare.add_param(bare.main, name, Type::fixed(DType::I64, &[1, 4]));
        }
        assert_eq!(domains(&bare), d);
    }
}
