//! The largest part of a model that loads: nodes between two sets of nodes that do not.
//!
//! Along one topological order of the nodes that do not load, the graph may be cut before any of them, or after the
//! last. A node that loads belongs to the part of a cut when all that do not load and lie before it (on a way of edges)
//! come before the cut, and all that lie after it come after the cut. Such a part is convex: no way leaves it and comes
//! back. Each node is thus an interval of cuts, and the best cut is the point that most intervals share.

use modelsmith_ir::{Def, Edit, Model, NodeId, Type, ValueId};
use modelsmith_rewrite::sweep::sweep;
use std::collections::{HashMap, HashSet};

/// The largest part of the main graph of `model`, types inferred, without the nodes `lacking`. `None` when nothing but
/// constants is left, or the type of a value on the border is not known.
pub fn largest(model: &Model, lacking: &HashSet<NodeId>) -> Option<Model> {
    let kept = nodes(model, lacking);
    let work = |n: &&NodeId| !matches!(model.op_name(**n), "Constant" | "Identity");
    if kept.iter().filter(work).count() == 0 {
        return None;
    }
    cut_out(model, &kept)
}

/// The nodes of the largest part, in order.
pub fn nodes(model: &Model, lacking: &HashSet<NodeId>) -> Vec<NodeId> {
    let body = &model.graph().body;
    let bad = body.iter().filter(|n| lacking.contains(n)).count();
    let (before, after) = cuts(model, lacking, bad);
    let mut change = vec![0i64; bad + 2];
    let weight = |n: &NodeId| i64::from(model.op_name(*n) != "Constant");
    let spans = body.iter().filter(|n| !lacking.contains(n)).map(|n| (n, before[n], after[n]));
    let spans = spans.filter(|(_, low, high)| low <= high).collect::<Vec<_>>();
    for (n, low, high) in &spans {
        change[*low] += weight(n);
        change[high + 1] -= weight(n);
    }
    let mut sum = 0;
    let counts = change.iter().take(bad + 1).map(|c| {
        sum += c;
        sum
    });
    // The first of the best, so that the part begins at the inputs where it can.
    let best = counts.enumerate().max_by_key(|&(at, n)| (n, std::cmp::Reverse(at))).map_or(0, |(at, _)| at);
    spans.into_iter().filter(|(_, low, high)| (*low..=*high).contains(&best)).map(|(n, ..)| *n).collect()
}

/// For each node, the number of nodes that do not load of which the last before it is the last, and the number of
/// those that come before the first after it: cuts from the one to the other hold it.
fn cuts(model: &Model, lacking: &HashSet<NodeId>, bad: usize) -> (HashMap<NodeId, usize>, HashMap<NodeId, usize>) {
    let body = &model.graph().body;
    let feeds = body.iter().map(|&n| (n, operands(model, n))).collect::<Vec<_>>();
    let (mut before, mut seen) = (HashMap::new(), 0);
    for (n, operands) in &feeds {
        let mut low =
            operands.iter().filter_map(|v| model.producer(*v)?.into()).filter_map(|p| before.get(&p)).copied().max();
        if lacking.contains(n) {
            seen += 1;
            low = low.max(Some(seen));
        }
        before.insert(*n, low.unwrap_or(0));
    }
    let mut after = body.iter().map(|&n| (n, bad)).collect::<HashMap<_, _>>();
    let mut left = bad;
    for (n, operands) in feeds.iter().rev() {
        let mut high = after[n];
        if lacking.contains(n) {
            left -= 1;
            high = high.min(left);
        }
        for p in operands.iter().filter_map(|v| model.producer(*v)) {
            after.entry(p).and_modify(|h| *h = (*h).min(high));
        }
    }
    (before, after)
}

/// What a node reads, what its bodies capture included.
fn operands(model: &Model, n: NodeId) -> Vec<ValueId> {
    let node = &model.nodes[n];
    let inner = node.regions.iter().flat_map(|(_, r)| model.captures(*r));
    node.inputs.iter().flatten().copied().chain(inner).collect()
}

/// A model of these nodes: what they read from elsewhere becomes an input, what others read of them an output.
fn cut_out(model: &Model, kept: &[NodeId]) -> Option<Model> {
    let mut m = model.clone();
    let main = m.main;
    let inside = kept.iter().copied().collect::<HashSet<_>>();
    let made = |m: &Model, v: ValueId| m.producer(v).is_some_and(|p| inside.contains(&p));
    let (mut params, mut results) = (Vec::new(), Vec::new());
    for &n in &m.graph().body {
        for v in operands(&m, n) {
            let own = made(&m, v);
            let list = match inside.contains(&n) {
                true if !own && m.weight(v).is_none() => &mut params,
                false if own => &mut results,
                _ => continue,
            };
            if !list.contains(&v) {
                list.push(v);
            }
        }
    }
    let asked = m.graph().results.iter().filter(|v| made(&m, **v) && !results.contains(v)).copied().collect::<Vec<_>>();
    results.extend(asked);
    let inputs = m.graph().params.clone();
    params.sort_by_key(|v| inputs.iter().position(|i| i == v).unwrap_or(usize::MAX));
    for (i, &v) in params.iter().enumerate() {
        let value = &mut m.values[v];
        if value.ty == Type::Unknown || value.ty.as_tensor().is_some_and(|t| t.dtype.is_none()) {
            return None;
        }
        value.ty = modelsmith_ops::infer::without_invented(&value.ty);
        value.def = Def::Param(main, i);
        name(&mut m, v, "in");
    }
    results.iter().for_each(|&v| name(&mut m, v, "out"));
    let region = &mut m.regions[main];
    let dropped = region.body.iter().filter(|n| !inside.contains(n)).copied().collect::<Vec<_>>();
    region.body.retain(|n| inside.contains(n));
    region.params.clone_from(&params);
    region.results = results;
    region.exposed.clear();
    for n in dropped {
        for v in m.nodes.remove(n).map(|n| n.outputs).unwrap_or_default().into_iter().flatten() {
            if !params.contains(&v) {
                m.values.remove(v);
            }
        }
    }
    for p in inputs.into_iter().filter(|p| !params.contains(p)) {
        m.values.remove(p);
    }
    Edit::new(&mut m).drop_unused_weights();
    sweep(&mut m);
    Some(m)
}

fn name(m: &mut Model, v: ValueId, kind: &str) {
    if m.values[v].name.is_empty() {
        m.values[v].name = format!("part_{kind}_{}", v.index());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_ir::text::parse;

    fn part(text: &str) -> (Vec<String>, Option<Model>) {
        let m = parse(text, modelsmith_ops::all()).unwrap();
        let lacking = m.graph().body.iter().filter(|&&n| m.op_name(n) == "Det").copied().collect::<HashSet<_>>();
        let names = nodes(&m, &lacking).iter().map(|&n| m.values[m.nodes[n].output(0).unwrap()].name.clone()).collect();
        (names, largest(&m, &lacking))
    }

    #[test]
    fn the_longer_side_of_a_chain_is_kept() {
        let (names, model) = part(
            "graph(%x: f32[2, 2]) { %a = Relu(%x) %d: f32[] = Det(%a) %b = Relu(%d) %c = Neg(%b) %e = Abs(%c) return %e }",
        );
        assert_eq!(names, ["b", "c", "e"]);
        let m = model.unwrap();
        let of = |v: &[ValueId]| v.iter().map(|&v| m.values[v].name.clone()).collect::<Vec<_>>();
        assert_eq!((of(&m.graph().params), of(&m.graph().results)), (vec!["d".to_owned()], vec!["e".to_owned()]));
        assert!(modelsmith_ir::verify(&m).is_empty());
    }

    #[test]
    fn a_branch_around_stays_and_no_way_comes_back() {
        // `a` lies before the one that is lacking, `s` and `t` after it, `p` and `q` beside it.
        let (names, _) = part(
            "graph(%x: f32[2, 2]) { %a = Relu(%x) %d: f32[] = Det(%a) %p = Neg(%x) %q = Abs(%p) %s = Add(%d, %a) %t = Mul(%s, %q) return %t }",
        );
        assert_eq!(names, ["p", "q", "s", "t"]);
        let (none, model) = part("graph(%x: f32[2, 2]) { %d: f32[] = Det(%x) return %d }");
        assert!(none.is_empty() && model.is_none());
    }
}
