//! Merges nodes that compute the same, and initializers of the same contents.

use modelsmith_ir::{Digest, Model, NodeId, RegionId, ValueId, hash_node, hash_weight, same_node, same_weight};
use modelsmith_rewrite::{Graph, Pass, sweep};
use modelsmith_tensor::WeightExpr;
use std::collections::HashMap;

/// See the module.
pub static PASS: Pass = Pass {
    name: "merge-duplicates",
    doc: "merges nodes that compute the same, and initializers of the same contents",
    after: &["fold-constants"],
    run: |cx| {
        let mut g = Graph::new(cx.model, cx.target, cx.trace);
        let merged = merge_weights(&mut g);
        Ok(merged + merge_nodes(&mut g))
    },
    ..Pass::BASE
};

/// A value of an outer region is seen in all regions inside it.
fn visible(model: &Model, from: RegionId, inside: RegionId) -> bool {
    from == inside || model.regions_in(from).contains(&inside)
}

fn merge_weights(g: &mut Graph) -> usize {
    let mut groups = HashMap::<_, Vec<(RegionId, ValueId)>>::new();
    let roots = std::iter::once(g.model().main).chain(g.model().functions.iter().map(|(_, f)| f.region));
    for r in roots.flat_map(|r| g.model().regions_in(r)).collect::<Vec<_>>() {
        for &w in &g.model().regions[r].weights {
            let Ok(expr) = g.weight(w) else { continue };
            let key = (expr.dtype(), expr.shape());
            groups.entry(key).or_default().push((r, w));
        }
    }
    let mut merged = 0;
    for group in groups.into_values().filter(|g| g.len() > 1) {
        merged += merge_group(g, group);
    }
    merged
}

fn merge_group(g: &mut Graph, group: Vec<(RegionId, ValueId)>) -> usize {
    let mut kept = HashMap::<u128, Vec<(RegionId, ValueId)>>::new();
    let mut merged = 0;
    for (r, w) in group {
        let Ok(expr) = g.weight(w) else { continue };
        let candidates = kept.entry(quick(&expr)).or_default();
        let same = candidates.iter().find(|(from, other)| {
            visible(g.model(), *from, r) && g.weight(*other).is_ok_and(|o| same_weight(&o, &expr))
        });
        match same.copied() {
            Some((_, other)) if !g.uses(w).is_empty() && g.replace_same(w, other).is_ok() => merged += 1,
            Some(_) => {}
            None => candidates.push((r, w)),
        }
    }
    merged
}

/// A hash of the first and last bytes of what the weight is made of; weights of the same hash are compared.
fn quick(w: &WeightExpr) -> u128 {
    let mut d = Digest::default();
    add_quick(&mut d, w);
    d.finish()
}

fn add_quick(d: &mut Digest, w: &WeightExpr) {
    if let Some(b) = w.mapped() {
        d.bytes(&b[..b.len().min(4096)]);
        d.bytes(&b[b.len().saturating_sub(4096)..]);
        return;
    }
    match w {
        WeightExpr::Cast(w, _) | WeightExpr::Permute(w, _) | WeightExpr::Reshape(w, _) => add_quick(d, w),
        WeightExpr::Encode { of, .. } => add_quick(d, of),
        WeightExpr::Slice { of, start, .. } | WeightExpr::View { of, offset: start, .. } => {
            d.word(*start as u64);
            add_quick(d, of);
        }
        WeightExpr::Concat(parts, _) => parts.iter().for_each(|p| add_quick(d, p)),
        WeightExpr::Eval { op, inputs, .. } => {
            d.text(op);
            inputs.iter().for_each(|p| add_quick(d, p));
        }
        WeightExpr::Read(_) | WeightExpr::Literal(_) | WeightExpr::Blocks(_) => hash_weight(d, w),
    }
}

fn merge_nodes(g: &mut Graph) -> usize {
    let mut merged = 0;
    let roots = std::iter::once(g.model().main).chain(g.model().functions.iter().map(|(_, f)| f.region));
    for root in roots.collect::<Vec<_>>() {
        let mut seen = HashMap::<u128, Vec<(RegionId, NodeId)>>::new();
        merged += merge_region(g, root, &mut seen);
    }
    merged
}

fn merge_region(g: &mut Graph, region: RegionId, seen: &mut HashMap<u128, Vec<(RegionId, NodeId)>>) -> usize {
    let mut merged = 0;
    for n in g.model().regions[region].body.clone() {
        let Some(node) = g.node(n).cloned() else { continue };
        for (_, body) in &node.regions {
            // What a body defines is not seen after it.
            let mut inner = seen.clone();
            merged += merge_region(g, *body, &mut inner);
        }
        let pure = node.known().is_some_and(|d| !d.flags.random);
        if !pure || !node.regions.is_empty() {
            continue;
        }
        let list = seen.entry(hash_node(g.model(), &node)).or_default();
        let twin = list.iter().find(|(_, t)| g.node(*t).is_some_and(|t| same_node(t, &node))).copied();
        match twin {
            Some((_, twin)) if merge_pair(g, n, twin) => merged += 1,
            Some(_) => {}
            None => list.push((region, n)),
        }
    }
    merged
}

fn merge_pair(g: &mut Graph, gone: NodeId, kept: NodeId) -> bool {
    let (from, to) = (g.model().nodes[gone].outputs.clone(), g.model().nodes[kept].outputs.clone());
    let pairs = from.into_iter().zip(to).filter_map(|(a, b)| a.map(|a| (a, b)));
    let pairs = pairs.filter(|(a, _)| !g.uses(*a).is_empty()).collect::<Vec<_>>();
    if pairs.iter().any(|(a, b)| b.is_none() || sweep::is_result(g.uses(*a))) {
        return false;
    }
    for (a, b) in pairs {
        let Some(b) = b else { return false };
        if g.replace_same(a, b).is_err() {
            return false;
        }
    }
    g.remove_dead(gone);
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/merge_duplicates.ir"))
            .unwrap();
    }
}
