//! Why the first value that differs does: what its node says in one model and in the other.

use crate::Model;
use crate::layers::LayerReport;
use modelsmith_base::Budget;
use modelsmith_ir::{Def, NodeId, ValueId};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Tensor, materialize};
use std::collections::HashSet;

/// Nodes between values that agree and the one that does not which are looked at.
const MOST_NODES: usize = 32;

/// What differs in the definition of `value`, in sentences; the search goes back to values that agree.
pub fn explain(a: &Model, b: &Model, value: &str, layers: &[LayerReport]) -> Vec<String> {
    let agreeing = layers.iter().filter(|l| l.agrees).map(|l| l.name.as_str()).collect::<HashSet<_>>();
    let (Some(x), Some(y)) = (find(a, value), find(b, value)) else {
        return vec![format!("{value} is named in one of the models only")];
    };
    let mut out = Vec::new();
    let mut queue = vec![(x, y)];
    let mut seen = HashSet::from([x]);
    let mut looked = 0;
    while let Some((x, y)) = queue.pop() {
        looked += 1;
        let (Some(n), Some(m)) = (a.hub().producer(x), b.hub().producer(y)) else { continue };
        nodes(a, b, (n, m), &mut out);
        let pairs = a.hub().nodes[n].inputs.iter().zip(&b.hub().nodes[m].inputs);
        for (p, q) in pairs.filter_map(|(p, q)| Some(((*p)?, (*q)?))) {
            let name = a.hub().values[p].name.as_str();
            let made = matches!(a.hub().values[p].def, Def::Node(..));
            if made && !agreeing.contains(name) && seen.insert(p) && looked + queue.len() < MOST_NODES {
                queue.push((p, q));
            }
        }
    }
    if out.is_empty() {
        out.push(format!("the nodes that make {value} are the same in both: the difference is in how they are run"));
    }
    out
}

fn find(m: &Model, name: &str) -> Option<ValueId> {
    m.hub().values.iter().find(|(_, v)| v.name == name).map(|(id, _)| id)
}

fn nodes(a: &Model, b: &Model, (n, m): (NodeId, NodeId), out: &mut Vec<String>) {
    let (x, y) = (&a.hub().nodes[n], &b.hub().nodes[m]);
    let label = a.hub().node_label(n);
    let (p, q) = (a.hub().op_name(n), b.hub().op_name(m));
    if p != q {
        out.push(format!("{label}: the operator is {p} in A and {q} in B"));
        return;
    }
    let text = |attrs: &modelsmith_ir::Attrs, key: &str| attrs.get(key).map(|v| format!("{v:?}"));
    let keys = x.attrs.iter().chain(y.attrs.iter()).map(|(k, _)| k).collect::<std::collections::BTreeSet<_>>();
    for key in keys {
        let (v, w) = (text(&x.attrs, key), text(&y.attrs, key));
        if v != w {
            let show = |t: Option<String>| t.unwrap_or_else(|| "absent".into());
            out.push(format!("{label}: attribute {key} is {} in A and {} in B", show(v), show(w)));
        }
    }
    for i in 0..x.inputs.len().max(y.inputs.len()) {
        match (x.input(i), y.input(i)) {
            (Some(v), Some(w)) => weights(a, b, (v, w), &label, out),
            (None, None) => {}
            (v, _) => out.push(format!("{label}: input {i} is absent in {}", if v.is_none() { "A" } else { "B" })),
        }
    }
}

fn weights(a: &Model, b: &Model, (v, w): (ValueId, ValueId), label: &str, out: &mut Vec<String>) {
    let read =
        |m: &Model, v: ValueId| m.hub().weight(v).and_then(|e| materialize(e, &Operators, &Budget::unlimited()).ok());
    let (Some(x), Some(y)) = (read(a, v), read(b, w)) else { return };
    if !x.same_bits(&y) {
        out.push(format!("{label}: weight {} {}", a.hub().values[v].name, difference(&x, &y)));
    }
}

/// How two tensors differ, in words that name the usual mistakes.
fn difference(x: &Tensor, y: &Tensor) -> String {
    if x.dtype() != y.dtype() || x.shape() != y.shape() {
        return format!("is {}{:?} in A and {}{:?} in B", x.dtype(), x.shape(), y.dtype(), y.shape());
    }
    let (Ok(p), Ok(q)) = (x.to_f64s(), y.to_f64s()) else { return "differs".into() };
    let nan = |v: &[f64]| v.iter().filter(|x| x.is_nan()).count();
    if nan(&p) != nan(&q) {
        return format!("holds {} NaN in A and {} in B", nan(&p), nan(&q));
    }
    if q.iter().all(|v| *v == 0.0) {
        return "is all zeros in B".into();
    }
    let changed = p.iter().zip(&q).filter(|(a, b)| a != b).count();
    let mut ratios = p.iter().zip(&q).filter(|(a, _)| **a != 0.0).map(|(a, b)| b / a);
    if let Some(first) = ratios.next()
        && (first - 1.0).abs() > 1e-6
        && ratios.all(|r| (r - first).abs() <= 1e-4 * first.abs())
    {
        return format!("is {first:.5} times that of A");
    }
    if let [rows, cols] = *x.shape()
        && rows == cols
        && (0..p.len()).all(|k| q[k] == p[k % rows * rows + k / rows])
    {
        return "is transposed in B".into();
    }
    let (mut s, mut t) = (p.clone(), q.clone());
    s.sort_by(f64::total_cmp);
    t.sort_by(f64::total_cmp);
    if s == t {
        return "holds the same elements in another order".into();
    }
    format!("differs in {changed} of {} elements", p.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_mistakes_are_named() {
        let t = |v: &[f32]| Tensor::new(&[2, 2], v.to_vec()).unwrap();
        let a = t(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(difference(&a, &t(&[1.0, 3.0, 2.0, 4.0])), "is transposed in B");
        assert_eq!(difference(&a, &t(&[2.0, 4.0, 6.0, 8.0])), "is 2.00000 times that of A");
        assert_eq!(difference(&a, &t(&[4.0, 3.0, 2.0, 1.0])), "holds the same elements in another order");
        assert_eq!(difference(&a, &t(&[1.0, f32::NAN, 3.0, 4.0])), "holds 0 NaN in A and 1 in B");
        assert_eq!(difference(&a, &t(&[1.0, 2.0, 3.0, 5.0])), "differs in 1 of 4 elements");
    }
}
