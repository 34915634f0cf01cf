//! Merges and cancels transpositions, and moves them down through element-wise operators to where they meet.

use modelsmith_ir::{Attrs, NodeId, ValueId};
use modelsmith_rewrite::{Graph, Pass, Preserves, Rule, Try};
use modelsmith_tensor::WeightExpr;

/// See the module.
pub static PASS: Pass = Pass {
    name: "simplify-transposes",
    doc: "merges, cancels and sinks transpositions",
    after: &["lift-constants"],
    rules: &[RULES],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
    ..Pass::BASE
};

/// All rules of this family.
pub static RULES: &[&Rule] = &[&PAIR, &UNARY, &BINARY, &CONCAT];

static PAIR: Rule =
    Rule::code("transpose-pair", &["Transpose"], pair, Preserves::Exact).doc("two transpositions are one").samples(&[
        "graph(%x: f32[2, n, 3]) {
          %a = Transpose(%x) {perm = [1, 2, 0]}
          %b = Transpose(%a) {perm = [0, 2, 1]}
          %y = Neg(%b)
          return %y
        }",
        "graph(%x: f32[2, n, 3]) {
          %a = Transpose(%x) {perm = [1, 2, 0]}
          %b = Transpose(%a) {perm = [2, 0, 1]}
          %y = Neg(%b)
          return %y
        }",
    ]);

static UNARY: Rule = Rule::code("transpose-unary", &[], unary, Preserves::Exact)
    .doc("an element-wise operator may come before the transposition, where another transposition follows")
    .samples(&["graph(%x: f32[2, n, 3]) {
      %a = Transpose(%x) {perm = [1, 2, 0]}
      %b = Relu(%a)
      %c = Transpose(%b) {perm = [2, 0, 1]}
      %y = Neg(%c)
      return %y
    }"]);

static BINARY: Rule = Rule::code("transpose-binary", &[], binary, Preserves::Exact)
    .doc("two transpositions of one kind, or one and a constant, are one behind the operator")
    .samples(&[
        "graph(%x: f32[2, n, 3], %z: f32[2, n, 3]) {
          %a = Transpose(%x) {perm = [1, 2, 0]}
          %b = Transpose(%z) {perm = [1, 2, 0]}
          %y = Add(%a, %b)
          return %y
        }",
        "graph(%x: f32[2, n, 3]) {
          weight %w = f32[3, 1] [1, 2, 3]
          %a = Transpose(%x) {perm = [1, 2, 0]}
          %y = Add(%w, %a)
          %u = Transpose(%y) {perm = [2, 0, 1]}
          %v = Neg(%u)
          return %v
        }",
    ]);

static CONCAT: Rule = Rule::code("transpose-concat", &["Concat"], concat, Preserves::Exact)
    .doc("transpositions of one kind that are joined are one behind the join")
    .samples(&["graph(%x: f32[2, n, 3], %z: f32[2, n, 3]) {
      %a = Transpose(%x) {perm = [1, 2, 0]}
      %b = Transpose(%z) {perm = [1, 2, 0]}
      %y = Concat(%a, %b) {axis = -1}
      return %y
    }"]);

/// The transposition that makes `v`: its operand and its permutation.
fn transposed(g: &Graph, v: ValueId) -> Try<(ValueId, Vec<i64>)> {
    let n = g.made_by(v, "Transpose").ok_or("the operand is not transposed")?;
    let x = g.input(n, 0)?;
    let rank = g.shape(x)?.len() as i64;
    let perm = g.attrs(n)?.opt_ints("perm")?.unwrap_or_else(|| (0..rank).rev().collect());
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    match sorted.into_iter().eq(0..rank) {
        true => Ok((x, perm)),
        false => Err("the permutation is broken".into()),
    }
}

fn inverse(perm: &[i64]) -> Vec<i64> {
    let mut out = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        if let Some(slot) = usize::try_from(p).ok().and_then(|p| out.get_mut(p)) {
            *slot = i as i64;
        }
    }
    out
}

fn pair(g: &mut Graph, n: NodeId) -> Try {
    let mid = g.input(n, 0)?;
    let (x, first) = transposed(g, mid)?;
    let (_, second) = transposed(g, g.output(n)?)?;
    let perm = second.iter().map(|&p| first[p as usize]).collect::<Vec<_>>();
    if perm.iter().copied().eq(0..perm.len() as i64) {
        return g.replace(n, x);
    }
    if !g.used_once(mid) {
        return Err("the first is used elsewhere".into());
    }
    let inner = g.model().producer(mid);
    let sources = inner.into_iter().chain([n]).collect::<Vec<_>>();
    let new = g.build(n, &sources, |b| b.op_with("Transpose", &[x], Attrs::new().with("perm", perm)))?;
    g.replace(n, new)
}

/// An element-wise hub operator of the default domain with one result and this many operands.
pub(crate) fn elementwise(g: &Graph, n: NodeId, operands: usize) -> Try {
    let node = &g.model().nodes[n];
    let known = node.known().is_some_and(|d| d.flags.elementwise && d.domain.is_empty());
    let plain = node.regions.is_empty() && node.outputs.len() == 1 && node.inputs.len() == operands;
    match known && plain && node.inputs.iter().all(Option::is_some) {
        true => Ok(()),
        false => Err("the operator is not element-wise".into()),
    }
}

/// True when `v` goes, through element-wise operators, into a transposition.
fn meets_transpose(g: &Graph, v: ValueId) -> bool {
    let mut v = v;
    for _ in 0..16 {
        let Some(user) = g.only_user(v) else { return false };
        if g.model().nodes[user].is("Transpose") {
            return true;
        }
        let through = elementwise(g, user, 1).is_ok() || elementwise(g, user, 2).is_ok();
        match g.output(user) {
            Ok(next) if through => v = next,
            _ => return false,
        }
    }
    false
}

/// Builds the operator of `n` on other operands, and a transposition behind it.
fn sink(g: &mut Graph, n: NodeId, operands: &[ValueId], perm: Vec<i64>, attrs: Attrs) -> Try {
    let def = g.model().nodes[n].known().ok_or("the node is not of the hub")?;
    let operands = operands.iter().map(|&v| Some(v)).collect::<Vec<_>>();
    let new = g.build(n, &[n], |b| {
        let made = b.node(def.domain, def.name, &operands, attrs, 1)?;
        b.op_with("Transpose", &made, Attrs::new().with("perm", perm))
    })?;
    g.replace(n, new)
}

fn unary(g: &mut Graph, n: NodeId) -> Try {
    elementwise(g, n, 1)?;
    let v = g.input(n, 0)?;
    let (x, perm) = transposed(g, v)?;
    if !g.used_once(v) || !meets_transpose(g, g.output(n)?) {
        return Err("nothing would be saved".into());
    }
    let attrs = g.model().nodes[n].attrs.clone();
    sink(g, n, &[x], perm, attrs)
}

fn binary(g: &mut Graph, n: NodeId) -> Try {
    elementwise(g, n, 2)?;
    let (a, b) = (g.input(n, 0)?, g.input(n, 1)?);
    let attrs = g.model().nodes[n].attrs.clone();
    match (transposed(g, a), transposed(g, b)) {
        (Ok((x, p)), Ok((y, q))) if p == q && (g.used_once(a) || g.used_once(b) || a == b) => {
            sink(g, n, &[x, y], p, attrs)
        }
        (Ok((x, p)), Err(_)) => {
            let c = unpermuted(g, n, a, b, &p)?;
            sink(g, n, &[x, c], p, attrs)
        }
        (Err(_), Ok((y, p))) => {
            let c = unpermuted(g, n, b, a, &p)?;
            sink(g, n, &[c, y], p, attrs)
        }
        _ => Err("the transpositions differ".into()),
    }
}

/// The constant `c` beside the transposed operand `t`, with the transposition undone.
fn unpermuted(g: &mut Graph, n: NodeId, t: ValueId, c: ValueId, perm: &[i64]) -> Try<ValueId> {
    if !g.used_once(t) || !meets_transpose(g, g.output(n)?) {
        return Err("nothing would be saved".into());
    }
    let w = g.weight(c)?;
    let rank = perm.len();
    if w.len() == 1 && w.shape().len() <= 1 {
        return Ok(c);
    }
    if w.shape().len() > rank || w.byte_len() > 1 << 20 {
        return Err("the constant is too large".into());
    }
    let mut shape = vec![1; rank - w.shape().len()];
    shape.extend(w.shape());
    let back = inverse(perm).into_iter().map(|p| p as usize).collect::<Vec<_>>();
    let wide = std::sync::Arc::new(WeightExpr::Reshape(w, shape));
    let turned = crate::weights::settle(WeightExpr::Permute(wide, back))?;
    Ok(g.add_weight(n, turned))
}

fn concat(g: &mut Graph, n: NodeId) -> Try {
    let inputs = g.model().nodes[n].inputs.iter().flatten().copied().collect::<Vec<_>>();
    let found = inputs.iter().map(|&v| transposed(g, v)).collect::<Try<Vec<_>>>()?;
    let Some((_, perm)) = found.first().cloned() else { return Err("nothing is joined".into()) };
    if inputs.len() < 2 || found.iter().any(|(_, p)| *p != perm) || !inputs.iter().all(|&v| g.used_once(v)) {
        return Err("the transpositions differ or are used elsewhere".into());
    }
    let axis = g.attrs(n)?.int("axis")?;
    let axis = if axis < 0 { axis + perm.len() as i64 } else { axis };
    let axis = usize::try_from(axis).ok().and_then(|a| perm.get(a)).copied().ok_or("the axis is outside")?;
    let operands = found.into_iter().map(|(x, _)| x).collect::<Vec<_>>();
    sink(g, n, &operands, perm, Attrs::new().with("axis", axis))
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        let file = include_str!("../tests/ir/simplify_transposes.ir");
        modelsmith_rewrite::check::check_literate(&super::PASS, file).unwrap();
    }
}
