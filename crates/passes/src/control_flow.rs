//! Puts the branch of an If in its place when the condition is known, and the body of a Loop that runs once.

use modelsmith_ir::{Edit, Model, NodeId, RegionId, Use, ValueId};
use modelsmith_ops::infer::{Facts, infer};
use modelsmith_rewrite::{Pass, inline, sweep};
use modelsmith_tensor::{Tensor, WeightExpr};
use std::collections::HashMap;
use std::sync::Arc;

/// See the module.
pub static PASS: Pass = Pass {
    name: "inline-branches",
    doc: "puts the branch of an If with a known condition, and a Loop that runs once or never, in its place",
    after: &["lift-constants"],
    run: |cx| Ok(run(cx.model)),
    ..Pass::BASE
};

fn run(model: &mut Model) -> usize {
    let mut done = 0;
    // Each change makes the facts stale; models hold few nodes of this kind.
    while done < 10_000 {
        let (facts, _) = infer(model);
        let nodes = model.regions.iter().flat_map(|(r, region)| region.body.iter().map(move |&n| (r, n)));
        let chosen = nodes.into_iter().find_map(|(r, n)| Some((r, n, plan(model, &facts, n)?)));
        let Some((region, node, plan)) = chosen else { break };
        carry_out(model, region, node, plan);
        done += 1;
    }
    done
}

/// What takes the place of a node.
enum Plan {
    /// The body of this region, on these operands of the node.
    Body(RegionId, Vec<ValueId>, Results),
    /// Values that are there already.
    Values(Vec<ValueId>),
}

/// Which results of the body are results of the node.
struct Results {
    skip: usize,
}

fn plan(model: &Model, facts: &Facts, n: NodeId) -> Option<Plan> {
    let node = &model.nodes[n];
    let plan = match node.is("If") {
        true => {
            let cond = known(model, facts, node.input(0)?)?;
            let region = node.region(if cond != 0 { "then_branch" } else { "else_branch" })?;
            Plan::Body(region, vec![], Results { skip: 0 })
        }
        false if node.is("Loop") => loop_plan(model, facts, n)?,
        false => return None,
    };
    may_replace(model, n, &plan).then_some(plan)
}

fn known(model: &Model, facts: &Facts, v: ValueId) -> Option<i64> {
    let t = facts.get(model, v).constant?;
    if t.len() != 1 {
        return None;
    }
    t.to_i64s().ok()?.first().copied()
}

/// A Loop without scan results that is known to run once or never.
fn loop_plan(model: &Model, facts: &Facts, n: NodeId) -> Option<Plan> {
    let node = &model.nodes[n];
    let body = node.region("body")?;
    let trips = node.input(0).map_or(Some(i64::MAX), |v| known(model, facts, v))?;
    let cond = node.input(1).map_or(Some(1), |v| known(model, facts, v))?;
    let carried = node.inputs.iter().skip(2).copied().collect::<Option<Vec<_>>>()?;
    if carried.len() != node.outputs.len() {
        return None;
    }
    if trips == 0 || cond == 0 {
        return Some(Plan::Values(carried));
    }
    let again = known(model, facts, *model.regions[body].results.first()?);
    let once = trips == 1 || again == Some(0);
    once.then_some(Plan::Body(body, carried, Results { skip: 1 }))
}

/// A result of a graph must be made by a node of that graph.
fn may_replace(model: &Model, n: NodeId, plan: &Plan) -> bool {
    let outputs = model.nodes[n].outputs.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?)));
    let is_result = |v: &ValueId| model.regions.iter().any(|(_, r)| r.results.contains(v));
    let wanted = outputs.filter(|(_, v)| is_result(v)).map(|(i, _)| i).collect::<Vec<_>>();
    let source = |i: usize| match plan {
        Plan::Values(_) => None,
        Plan::Body(region, _, r) => {
            let v = *model.regions[*region].results.get(i + r.skip)?;
            let made = model.producer(v).filter(|p| model.regions[*region].body.contains(p));
            let twice = model.regions[*region].results.iter().filter(|w| **w == v).count() > 1;
            made.filter(|_| !twice)
        }
    };
    wanted.into_iter().all(|i| source(i).is_some())
}

fn carry_out(model: &mut Model, region: RegionId, node: NodeId, plan: Plan) {
    let Some(at) = model.regions[region].body.iter().position(|&n| n == node) else { return };
    let new = match plan {
        Plan::Values(v) => v,
        Plan::Body(body, args, results) => {
            let params = model.regions[body].params.clone();
            let mut map = params.iter().skip(2).copied().zip(args).collect::<HashMap<_, _>>();
            // Number of the iteration and condition of a Loop.
            let first = [Tensor::scalar(0i64), truth()];
            for (&p, t) in params.iter().zip(first) {
                let shape = model.ty(p).sizes().filter(|s| s.len() == 1).unwrap_or_default();
                let t = t.reshaped(&shape).unwrap_or(t);
                map.insert(p, model.add_weight(region, "", Arc::new(WeightExpr::Literal(t))));
            }
            substitute(model, &map);
            let made = inline::move_body(model, body, region, at);
            params.into_iter().for_each(|p| drop(model.values.remove(p)));
            made.into_iter().skip(results.skip).collect()
        }
    };
    let outputs = model.nodes[node].outputs.clone();
    let mut edit = Edit::new(model);
    for (old, new) in outputs.into_iter().zip(new) {
        if let Some(old) = old {
            edit.replace_uses(old, new);
        }
    }
    edit.remove(node);
    sweep::sweep(model);
}

fn truth() -> Tensor {
    Tensor::from_bools(&[], vec![true]).expect("one element fills rank 0")
}

/// Parameters of a body become the values that are given for them.
fn substitute(model: &mut Model, map: &HashMap<ValueId, ValueId>) {
    let mut edit = Edit::new(model);
    for (&old, &new) in map {
        let uses = edit.uses(old).to_vec();
        for at in uses {
            match at {
                Use::Operand(n, i) => edit.set_input(n, i, Some(new)),
                Use::Result(r, i) => edit.set_result(r, i, new),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/control_flow.ir")).unwrap();
    }
}
