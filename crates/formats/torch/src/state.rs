//! What a program keeps between runs: inputs, and outputs under the name with `_next`.

use crate::aten::Context;
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_ir::{Def, Model, ValueId};
use std::collections::HashSet;

/// Elements of which a start is said whether it is all zeros.
const LOOKED_AT: usize = 1 << 16;

/// Numbers of the states, pairs of what they begin and end as, that `results` depend on, now or in a later run.
pub(crate) fn needed(model: &Model, results: Vec<ValueId>, states: &[(ValueId, ValueId)]) -> HashSet<usize> {
    let (mut needed, mut reached) = (HashSet::new(), behind(model, results));
    let used = |i: &usize, reached: &HashSet<ValueId>| states.get(*i).is_some_and(|(start, _)| reached.contains(start));
    while let Some(i) = (0..states.len()).find(|i| used(i, &reached) && !needed.contains(i)) {
        needed.insert(i);
        reached.extend(behind(model, states.get(i).map(|(_, end)| *end).into_iter().collect()));
    }
    needed
}

/// What is said of states that are handed on: their names, and what the archive has for the first run.
pub(crate) fn handed_on(states: &[(String, String)]) -> Diagnostic {
    let names = states.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let begin = states.iter().map(|(name, begin)| format!("{name} = {begin}")).collect::<Vec<_>>().join(", ");
    let what = format!("the program keeps state between runs, which is handed on by inputs and outputs: {names}");
    let help = format!("each run takes as NAME what the one before gave as NAME_next; the archive has {begin}");
    Diagnostic::new(Severity::Note, "torch.state", what).help(help)
}

/// A tensor of the archive in words: its type, its elements where they are few, or that they are zeros.
pub(crate) fn described(cx: &Context, v: ValueId) -> String {
    let ty = cx.ty(v).to_string();
    let small =
        cx.ty(v).sizes().is_some_and(|s| s.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) <= Some(LOOKED_AT));
    let values = if small { cx.known_tensor(v).and_then(|t| t.to_f64s().ok()) } else { None };
    match values {
        Some(x) if x.len() <= 4 && !x.is_empty() => format!("{ty} {x:?}"),
        Some(x) if !x.is_empty() && x.iter().all(|&x| x == 0.0) => format!("{ty} of zeros"),
        _ => ty,
    }
}

/// All values that `values` are made of.
pub(crate) fn behind(model: &Model, values: Vec<ValueId>) -> HashSet<ValueId> {
    let (mut seen, mut queue) = (HashSet::new(), values);
    while let Some(v) = queue.pop() {
        if !seen.insert(v) {
            continue;
        }
        if let Some(Def::Node(n, _)) = model.values.get(v).map(|v| &v.def)
            && let Some(node) = model.nodes.get(*n)
        {
            queue.extend(node.inputs.iter().flatten());
            let mut regions = node.regions.iter().map(|(_, r)| *r).collect::<Vec<_>>();
            while let Some(r) = regions.pop() {
                let Some(region) = model.regions.get(r) else { continue };
                queue.extend(region.results.iter());
                for n in region.body.iter().filter_map(|&n| model.nodes.get(n)) {
                    queue.extend(n.inputs.iter().flatten());
                    regions.extend(n.regions.iter().map(|(_, r)| *r));
                }
            }
        }
    }
    seen
}
