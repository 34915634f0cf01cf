//! Turns Constant nodes into initializers of the same region.

use modelsmith_ir::{Attr, NodeId};
use modelsmith_rewrite::{Graph, Pass, Preserves, Rule, Try};
use modelsmith_tensor::WeightExpr;
use std::sync::Arc;

/// See the module.
pub static PASS: Pass = Pass {
    name: "lift-constants",
    doc: "turns Constant nodes into initializers",
    rules: &[&[&LIFT]],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
    ..Pass::BASE
};

static LIFT: Rule = Rule::code("lift-constant", &["Constant"], lift, Preserves::Exact)
    .samples(&["graph(%x: f32[2]) { %c = Constant() {value = f32[] 1} %y = Add(%x, %c) return %y }"]);

fn lift(g: &mut Graph, n: NodeId) -> Try {
    let old = g.output(n)?;
    if modelsmith_rewrite::sweep::is_result(g.uses(old)) {
        return Err("it is a result of its graph".into());
    }
    let attrs = &g.model().nodes[n].attrs;
    let expr = attrs.iter().find_map(|(name, a)| match (name, a) {
        ("value", Attr::Tensor(w)) => Some(w.clone()),
        _ => None,
    });
    let expr = match expr {
        Some(w) => w,
        None => Arc::new(WeightExpr::Literal(g.model().constant(old).ok_or("it is sparse")?)),
    };
    let name = std::mem::take(&mut g.model_mut().values[old].name);
    let new = g.add_weight(n, expr);
    g.model_mut().values[new].name = name;
    g.replace_same(old, new)?;
    g.remove_dead(n);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/lift_constants.ir")).unwrap();
        modelsmith_rewrite::check::check_rule(&super::LIFT).unwrap();
    }
}
