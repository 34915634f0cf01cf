//! Removal of what no result needs.

use modelsmith_ir::{Def, FunctionId, Model, NodeId, Op, ParamKind, RegionId, Use, ValueId};
use std::collections::HashSet;

/// Removes nodes, initializers and functions that no result of the main graph needs, and the names of optional
/// results that nothing uses. Returns the number of things removed.
pub fn sweep(model: &mut Model) -> usize {
    let live = Live::of(model);
    let mut removed = 0;
    let functions = model.functions.ids().filter(|f| !live.functions.contains(f)).collect::<Vec<_>>();
    for f in functions {
        if let Some(f) = model.functions.remove(f) {
            drop_region(model, f.region);
            removed += 1;
        }
    }
    let regions = model.regions.ids().collect::<Vec<_>>();
    for r in regions {
        let Some(region) = model.regions.get_mut(r) else { continue };
        let body = std::mem::take(&mut region.body);
        let (kept, dead): (Vec<_>, Vec<_>) = body.into_iter().partition(|n| live.nodes.contains(n));
        let weights = std::mem::take(&mut region.weights);
        let exposed = region.exposed.clone();
        let (weights, unused): (Vec<_>, Vec<_>) =
            weights.into_iter().partition(|w| live.values.contains(w) || exposed.contains(w));
        region.body = kept;
        region.weights = weights;
        removed += dead.len() + unused.len();
        dead.into_iter().for_each(|n| drop_node(model, n));
        unused.into_iter().for_each(|w| drop(model.values.remove(w)));
    }
    removed + drop_unused_results(model, &live)
}

#[derive(Default)]
struct Live {
    values: HashSet<ValueId>,
    nodes: HashSet<NodeId>,
    functions: HashSet<FunctionId>,
}

impl Live {
    fn of(model: &Model) -> Live {
        let mut live = Live::default();
        let mut work = model.graph().results.clone();
        while let Some(v) = work.pop() {
            if !live.values.insert(v) {
                continue;
            }
            let Some(Def::Node(n, _)) = model.values.get(v).map(|v| &v.def) else { continue };
            if !live.nodes.insert(*n) {
                continue;
            }
            let Some(node) = model.nodes.get(*n) else { continue };
            work.extend(node.inputs.iter().flatten());
            work.extend(node.regions.iter().filter_map(|(_, r)| model.regions.get(*r)).flat_map(|r| &r.results));
            if let Op::Call(f) = node.op
                && live.functions.insert(f)
            {
                work.extend(
                    model.functions.get(f).and_then(|f| model.regions.get(f.region)).iter().flat_map(|r| &r.results),
                );
            }
        }
        live
    }
}

fn drop_node(model: &mut Model, id: NodeId) {
    let Some(node) = model.nodes.remove(id) else { return };
    for v in node.outputs.into_iter().flatten() {
        model.values.remove(v);
    }
    for (_, r) in node.regions {
        drop_region(model, r);
    }
}

/// Removes a region with everything in it.
pub fn drop_region(model: &mut Model, id: RegionId) {
    let mut work = vec![id];
    while let Some(r) = work.pop() {
        let Some(region) = model.regions.remove(r) else { continue };
        for v in region.params.into_iter().chain(region.weights) {
            model.values.remove(v);
        }
        for n in region.body {
            let Some(node) = model.nodes.remove(n) else { continue };
            node.outputs.into_iter().flatten().for_each(|v| drop(model.values.remove(v)));
            work.extend(node.regions.into_iter().map(|(_, r)| r));
        }
    }
}

/// Optional results at the end of a node that nothing uses.
fn drop_unused_results(model: &mut Model, live: &Live) -> usize {
    let mut removed = 0;
    for n in model.nodes.ids().collect::<Vec<_>>() {
        let node = &model.nodes[n];
        let Some(def) = node.known() else { continue };
        let optional = |i: usize| def.schema.output(i).is_some_and(|p| p.kind == ParamKind::Optional);
        let mut keep = node.outputs.len();
        while keep > 1 && optional(keep - 1) && node.outputs[keep - 1].is_none_or(|v| !live.values.contains(&v)) {
            keep -= 1;
        }
        for v in model.nodes[n].outputs.split_off(keep) {
            removed += usize::from(v.is_some());
            v.into_iter().for_each(|v| drop(model.values.remove(v)));
        }
    }
    removed
}

/// True when `value` is a result of a region.
pub fn is_result(uses: &[Use]) -> bool {
    uses.iter().any(|u| matches!(u, Use::Result(..)))
}
