//! The kinds of fault. Each takes a model and a number that chooses the place, and returns the changed model, or
//! nothing where the model has no such place.

use modelsmith_ir::{Attr, Def, Model, NodeId, Op, ValueId};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{DType, Tensor, WeightExpr, materialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A model with a fault in it.
pub struct Planted {
    /// Kind of the fault.
    pub kind: &'static str,
    /// Node or tensor.
    pub place: String,
    /// The model.
    pub model: Model,
}

/// Faults that are planted where enough models are there.
pub const WANTED: usize = 150;
/// Faults in a single model at most, so that no model dominates.
const MOST_PER_MODEL: usize = 30;

/// Faults in turns over models and kinds, until there are enough.
pub fn plant(models: &[Model]) -> Vec<(usize, Planted)> {
    let mut out = Vec::new();
    let mut used = BTreeSet::new();
    let mut per_model = vec![0; models.len()];
    for round in 0..WANTED as u64 {
        let before = out.len();
        for (kind, make) in FAULTS {
            for (i, m) in models.iter().enumerate() {
                if out.len() == WANTED {
                    return out;
                }
                if per_model[i] >= MOST_PER_MODEL.max(WANTED / models.len() + 1) {
                    continue;
                }
                if let Some(p) = make(m, round)
                    && used.insert((i, format!("{kind}: {}", p.place)))
                {
                    per_model[i] += 1;
                    out.push((i, Planted { kind, ..p }));
                }
            }
        }
        if out.len() == before && round > 40 {
            break;
        }
    }
    out
}

type Make = fn(&Model, u64) -> Option<Planted>;

/// Every kind.
pub const FAULTS: [(&str, Make); 18] = [
    ("weight x 1.01", |m, n| weight(m, n, 2, |x, _| Some(x.iter().map(|v| v * 1.01).collect()))),
    ("swapped channels", |m, n| weight(m, n, 8, swapped)),
    ("dropped bias", dropped_bias),
    ("off-by-one pad", |m, n| attr(m, n, &["Conv", "MaxPool", "AveragePool"], "pads", shifted_pads)),
    ("frozen branch", |m, n| operand(m, n, &["Add", "Concat", "Mul"], 1, 0)),
    ("zeroed weight", |m, n| weight(m, n, 2, |x, _| Some(vec![0.0; x.len()]))),
    ("transposed square weight", |m, n| weight(m, n, 4, transposed)),
    ("NaN", |m, n| weight(m, n, 2, |x, _| Some([&[f64::NAN], &x[1..]].concat()))),
    ("wrong axis", |m, n| attr(m, n, &["Concat", "Softmax", "LogSoftmax", "Gather", "ReduceMean"], "axis", other_axis)),
    ("missing activation", |m, n| {
        renamed(m, n, &["Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Clip"], "Identity")
    }),
    ("other activation", |m, n| renamed(m, n, &["Relu", "Sigmoid"], "Tanh")),
    ("swapped operands", |m, n| swapped_operands(m, n, &["Sub", "Div", "MatMul"])),
    ("flipped sign", |m, n| weight(m, n, 2, |x, s| if s.len() > 1 { flipped_largest(x) } else { None })),
    ("shifted weight", |m, n| weight(m, n, 4, |x, _| Some([&x[x.len() - 1..], &x[..x.len() - 1]].concat()))),
    ("narrowed weight", |m, n| weight(m, n, 64, |x, _| Some(x.iter().map(|v| (v * 16.0).round() / 16.0).collect()))),
    ("average for maximum", |m, n| renamed(m, n, &["MaxPool"], "AveragePool")),
    ("exchanged branches", exchanged_branches),
    ("skipped node", skipped),
];

fn planted(place: String, model: Model) -> Option<Planted> {
    Some(Planted { kind: "", place, model })
}

/// Float weights that a node of the main graph reads, and their values.
fn weights(m: &Model) -> Vec<ValueId> {
    let reachable = m.graph().body.iter().flat_map(|&n| m.nodes[n].inputs.iter().flatten().copied());
    let mut out = Vec::new();
    for v in reachable {
        if m.weight(v).is_some_and(|w| w.dtype() == DType::F32 && !w.is_empty()) && !out.contains(&v) {
            out.push(v);
        }
    }
    out
}

/// Puts other elements into weight number `at` of those with at least `least` elements.
fn weight(m: &Model, at: u64, least: usize, change: fn(&[f64], &[usize]) -> Option<Vec<f64>>) -> Option<Planted> {
    let all = weights(m).into_iter().filter(|&v| m.weight(v).is_some_and(|w| w.len() >= least)).collect::<Vec<_>>();
    let v = *all.get(scatter(at, all.len())?)?;
    let expr = m.weight(v)?;
    let old = materialize(expr, &Operators, &modelsmith_base::Budget::unlimited()).ok()?;
    let values = old.to_f64s().ok()?;
    let new = change(&values, old.shape())?;
    let tensor = Tensor::from_f64s(DType::F32, old.shape(), &new).ok()?;
    if tensor.same_bits(&old) {
        return None;
    }
    let mut model = m.clone();
    let Def::Weight(region, _) = model.values[v].def else { return None };
    model.values[v].def = Def::Weight(region, Arc::new(WeightExpr::Literal(tensor)));
    planted(m.values[v].name.clone(), model)
}

/// Spreads consecutive numbers over `len` places.
fn scatter(at: u64, len: usize) -> Option<usize> {
    (len > 0).then(|| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % len)
}

/// The first two slices along the first axis, exchanged.
fn swapped(x: &[f64], shape: &[usize]) -> Option<Vec<f64>> {
    let rows = *shape.first().filter(|&&n| n >= 2)?;
    let row = x.len() / rows;
    let mut out = x.to_vec();
    out[..row].copy_from_slice(&x[row..2 * row]);
    out[row..2 * row].copy_from_slice(&x[..row]);
    Some(out)
}

fn transposed(x: &[f64], shape: &[usize]) -> Option<Vec<f64>> {
    let [.., a, b] = *shape else { return None };
    if a != b || a < 2 {
        return None;
    }
    let mut out = x.to_vec();
    for (o, i) in out.chunks_mut(a * a).zip(x.chunks(a * a)) {
        (0..a * a).for_each(|k| o[k] = i[k % a * a + k / a]);
    }
    Some(out)
}

fn flipped_largest(x: &[f64]) -> Option<Vec<f64>> {
    let at = (0..x.len()).max_by(|&a, &b| x[a].abs().total_cmp(&x[b].abs()))?;
    let mut out = x.to_vec();
    out[at] = -out[at];
    Some(out)
}

/// Node number `at` of those of the main graph that `fits` accepts.
fn node(m: &Model, at: u64, fits: impl Fn(NodeId) -> bool) -> Option<NodeId> {
    let all = m.graph().body.iter().copied().filter(|&n| fits(n)).collect::<Vec<_>>();
    all.get(scatter(at, all.len())?).copied()
}

fn is_one(m: &Model, n: NodeId, names: &[&str]) -> bool {
    matches!(m.nodes[n].op, Op::Known(d) if d.domain.is_empty() && names.contains(&d.name))
}

/// True where the node computes on data. On shapes, another axis or operand often says the same.
fn on_data(m: &Model, n: NodeId) -> bool {
    let shape = |v: ValueId| m.ty(v).dtype().is_some_and(|d| d.is_int()) || m.ty(v).rank().is_some_and(|r| r < 2);
    let known = |v: ValueId| m.ty(v).dtype().is_some();
    let node = &m.nodes[n];
    node.outputs.iter().chain(&node.inputs).flatten().any(|&v| known(v))
        && !node.outputs.iter().flatten().any(|&v| shape(v))
}

fn dropped_bias(m: &Model, at: u64) -> Option<Planted> {
    let some = |v: ValueId| m.constant(v).and_then(|t| t.to_f64s().ok()).is_some_and(|x| x.iter().any(|v| *v != 0.0));
    let n = node(m, at, |n| is_one(m, n, &["Conv", "Gemm"]) && m.nodes[n].input(2).is_some_and(some))?;
    let mut model = m.clone();
    model.nodes[n].inputs.truncate(2);
    planted(m.node_label(n), model)
}

fn attr(m: &Model, at: u64, ops: &[&str], name: &str, change: fn(&Attr) -> Option<Attr>) -> Option<Planted> {
    let changed = |n: NodeId| m.nodes[n].attrs.get(name).and_then(change);
    let n = node(m, at, |n| is_one(m, n, ops) && on_data(m, n) && changed(n).is_some())?;
    let mut model = m.clone();
    model.nodes[n].attrs.set(name, changed(n)?);
    planted(m.node_label(n), model)
}

/// The same size of result, the window one place off.
fn shifted_pads(old: &Attr) -> Option<Attr> {
    let Attr::Ints(p) = old else { return None };
    let half = p.len() / 2;
    let axis = (0..half).find(|&i| p[i + half] > 0)?;
    let mut out = p.clone();
    out[axis] += 1;
    out[axis + half] -= 1;
    Some(Attr::Ints(out))
}

fn other_axis(old: &Attr) -> Option<Attr> {
    match old {
        Attr::Int(0) => Some(Attr::Int(1)),
        Attr::Int(x) => Some(Attr::Int(x - 1)),
        _ => None,
    }
}

/// Operand `to` becomes what operand `from` is.
fn operand(m: &Model, at: u64, ops: &[&str], to: usize, from: usize) -> Option<Planted> {
    // Tensors filled with one value are equal to each other whichever of them is read.
    let filled = |v: ValueId| m.producer(v).is_some_and(|n| ["Expand", "ConstantOfShape"].contains(&m.op_name(n)));
    let made = |v: Option<ValueId>| v.is_some_and(|v| matches!(m.values[v].def, Def::Node(..)) && !filled(v));
    let fits = |n: NodeId| {
        let node = &m.nodes[n];
        is_one(m, n, ops)
            && on_data(m, n)
            && made(node.input(to))
            && made(node.input(from))
            && node.input(to) != node.input(from)
    };
    let n = node(m, at, fits)?;
    let mut model = m.clone();
    model.nodes[n].inputs[to] = m.nodes[n].input(from);
    planted(m.node_label(n), model)
}

fn swapped_operands(m: &Model, at: u64, ops: &[&str]) -> Option<Planted> {
    let floats = |v: Option<ValueId>| v.is_some_and(|v| m.ty(v).dtype() == Some(DType::F32));
    let fits = |n: NodeId| is_one(m, n, ops) && (floats(m.nodes[n].input(0)) || floats(m.nodes[n].input(1)));
    let n = node(m, at, fits)?;
    let mut model = m.clone();
    model.nodes[n].inputs.swap(0, 1);
    planted(m.node_label(n), model)
}

/// Another operator in the place of one of `ops`.
fn renamed(m: &Model, at: u64, ops: &[&str], to: &str) -> Option<Planted> {
    let n = node(m, at, |n| is_one(m, n, ops) && m.nodes[n].outputs.len() == 1)?;
    let mut model = m.clone();
    model.nodes[n].op = Op::Known(modelsmith_ops::all().get("", to)?);
    if to != "AveragePool" {
        model.nodes[n].attrs = Default::default();
        model.nodes[n].inputs.truncate(1);
    } else {
        model.nodes[n].attrs.remove("storage_order");
    }
    planted(m.node_label(n), model)
}

fn exchanged_branches(m: &Model, at: u64) -> Option<Planted> {
    let n = node(m, at, |n| is_one(m, n, &["If"]) && m.nodes[n].regions.len() == 2)?;
    let mut model = m.clone();
    let regions = &mut model.nodes[n].regions;
    let (a, b) = (regions[0].1, regions[1].1);
    (regions[0].1, regions[1].1) = (b, a);
    planted(m.node_label(n), model)
}

/// A node that is passed by: what reads its result reads its first operand instead, of the same type.
fn skipped(m: &Model, at: u64) -> Option<Planted> {
    let same = |n: NodeId| {
        let (i, o) = (m.nodes[n].input(0)?, m.nodes[n].output(0)?);
        let computes = is_one(
            m,
            n,
            &["BatchNormalization", "Conv", "Relu", "LayerNormalization", "Softmax", "Sigmoid", "Add", "Mul"],
        );
        (computes && m.ty(i).sizes().is_some() && m.ty(i) == m.ty(o)).then_some((i, o))
    };
    let n = node(m, at, |n| same(n).is_some())?;
    let (i, o) = same(n)?;
    let mut model = m.clone();
    let readers = model.graph().body.clone();
    for r in readers {
        model.nodes[r].inputs.iter_mut().for_each(|v| {
            if *v == Some(o) {
                *v = Some(i);
            }
        });
    }
    planted(m.node_label(n), model)
}
