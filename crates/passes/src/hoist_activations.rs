//! Moves activations before the transpositions and reshapes that stand between them and a convolution, whose kernel can then
//! carry them out on its result.

use crate::simplify_transposes::elementwise;
use modelsmith_ir::NodeId;
use modelsmith_rewrite::{Graph, Pass, Preserves, Rule, Try};

/// See the module.
pub static PASS: Pass = Pass {
    name: "hoist-activations",
    doc: "moves activations to the convolution whose transposed or reshaped result they take",
    preserves: Preserves::Exact,
    after: &["recognise"],
    rules: &[&[&HOIST]],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
    ..Pass::BASE
};

static HOIST: Rule = Rule::code("hoist-activation", &[], hoist, Preserves::Exact)
    .doc("an activation may come before the transposition or reshape of a convolution's result")
    .samples(&["graph(%x: f32[1, 2, 5, 4]) {
      weight %w = f32[3, 2, 3, 3] 0.25
      %a = Conv(%x, %w)
      %s = Reshape(%a, i64[3] [1, 3, 6])
      %t = Transpose(%s) {perm = [0, 2, 1]}
      %y = Relu(%t)
      return %y
    }"]);

fn hoist(g: &mut Graph, n: NodeId) -> Try {
    elementwise(g, n, 1)?;
    let mut v = g.input(n, 0)?;
    if g.ty(v).dtype() != g.ty(g.output(n)?).dtype() {
        return Err("the element type changes".into());
    }
    let mut between = Vec::new();
    loop {
        let p = g.model().producer(v).filter(|_| g.used_once(v)).ok_or("made by no node, or used elsewhere")?;
        let node = &g.model().nodes[p];
        if ["Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"].iter().any(|op| node.is(op)) {
            let others = node.inputs.iter().skip(1).copied().collect::<Vec<_>>();
            between.push((p, g.model().op_name(p).to_owned(), others, node.attrs.clone()));
            v = g.input(p, 0)?;
        } else if between.is_empty() || !["Conv", "ConvTranspose"].iter().any(|op| node.is(op)) {
            return Err("no convolution's result, transposed or reshaped".into());
        } else {
            break;
        }
    }
    let (name, attrs) = (g.model().op_name(n).to_owned(), g.model().nodes[n].attrs.clone());
    let from = between.iter().map(|(p, ..)| *p).chain([n]).collect::<Vec<_>>();
    let new = g.build(n, &from, |b| {
        let mut y = b.op_with(&name, &[v], attrs)?;
        for (_, op, others, attrs) in between.into_iter().rev() {
            let inputs = std::iter::once(Some(y)).chain(others).collect::<Vec<_>>();
            y = b.node("", &op, &inputs, attrs, 1)?[0];
        }
        Ok(y)
    })?;
    g.replace(n, new)
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        let file = include_str!("../tests/ir/hoist_activations.ir");
        modelsmith_rewrite::check::check_literate(&super::PASS, file).unwrap();
    }
}
