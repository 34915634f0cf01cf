//! Chains of operators that only reinterpret the shape become one, and shapes worked out at run time become constants.

use crate::shape_vector::shape_vector;
use modelsmith_ir::{Dim, NodeId, ValueId};
use modelsmith_rewrite::{Graph, Pass, Preserves, Rule, Try};
use modelsmith_tensor::Tensor;

/// See the module.
pub static PASS: Pass = Pass {
    name: "simplify-reshapes",
    doc: "merges chains of Reshape, Squeeze, Unsqueeze and Flatten, and makes their shapes constant",
    after: &["lift-constants"],
    rules: &[RULES],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
    ..Pass::BASE
};

/// All rules of this family.
pub static RULES: &[&Rule] = &[&CHAIN, &CONSTANT_SHAPE, &LONE_TRANSPOSE, &ROWS];

const SHAPED: &[&str] = &["Reshape", "Squeeze", "Unsqueeze", "Flatten"];

static CHAIN: Rule = Rule::code("reshape-chain", SHAPED, chain, Preserves::Exact)
    .doc("of a chain of reinterpretations only the last shape counts")
    .samples(&[
        "graph(%x: f32[n, 6]) {
          %a = Reshape(%x, i64[3] [0, 2, 3])
          %b = Unsqueeze(%a, i64[1] [0])
          %y = Neg(%b)
          return %y
        }",
        "graph(%x: f32[n, 6]) {
          %a = Unsqueeze(%x, i64[1] [0])
          %b = Squeeze(%a, i64[1] [0])
          %y = Neg(%b)
          return %y
        }",
    ]);

static CONSTANT_SHAPE: Rule = Rule::code("constant-shape", &["Reshape"], constant_shape, Preserves::Exact)
    .doc("a shape made of the operand's own sizes is said with 0 and -1")
    .samples(&["graph(%x: f32[n, 4, m]) {
      %s = Shape(%x)
      %b = Gather(%s, i64[1] [0])
      %t = Concat(%b, i64[1] [2], i64[1] [-1]) {axis = 0}
      %r = Reshape(%x, %t)
      %y = Neg(%r)
      return %y
    }"]);

static LONE_TRANSPOSE: Rule = Rule::code("transpose-of-ones", &["Transpose"], of_ones, Preserves::Exact)
    .doc("a transposition that moves only dimensions of 1, next to a reinterpretation, is one too")
    .samples(&["graph(%x: f32[5, 1, 6]) {
      %a = Transpose(%x) {perm = [1, 0, 2]}
      %b = Reshape(%a, i64[3] [1, 10, 3])
      %y = Neg(%b)
      return %y
    }"]);

static ROWS: Rule = Rule::code("rows-in-place", SHAPED, rows, Preserves::Exact)
    .doc("Softmax, LogSoftmax or Hardmax of the rows of a matrix that are an axis of a tensor works along that axis")
    .samples(&[
        "graph(%x: f32[n, 5, 1, 1]) {
          %a = Flatten(%x) {axis = 1}
          %b = Softmax(%a) {axis = -1}
          %s = Shape(%x)
          %y = Reshape(%b, %s)
          %z = Neg(%y)
          return %z
        }",
        "graph(%x: f32[2, 3, 4]) {
          %a = Reshape(%x, i64[2] [6, 4])
          %b = Hardmax(%a) {axis = 1}
          %y = Reshape(%b, i64[3] [2, 3, 4])
          %z = Neg(%y)
          return %z
        }",
    ]);

/// The constant shape that makes Reshape give the type of `y` from `x`.
fn vector(g: &Graph, x: ValueId, y: ValueId) -> Option<Vec<i64>> {
    shape_vector(g.shape(x).ok()?, g.shape(y).ok()?, |d| g.follows_from_inputs(d))
}

fn shaped(g: &Graph, n: NodeId) -> bool {
    SHAPED.iter().any(|op| g.model().nodes[n].is(op))
}

fn chain(g: &mut Graph, n: NodeId) -> Try {
    let (mid, y) = (g.input(n, 0)?, g.output(n)?);
    let inner = g.model().producer(mid).filter(|&p| shaped(g, p)).ok_or("the operand is not reinterpreted")?;
    let x = g.input(inner, 0)?;
    if g.shape(x)? == g.shape(y)? && !g.shape(y)?.contains(&Dim::Unknown) {
        return g.replace(n, x);
    }
    if !g.used_once(mid) {
        return Err("the shape between is used elsewhere".into());
    }
    let shape = vector(g, x, y).ok_or("the shape cannot be said as a constant")?;
    let new = g.build(n, &[inner, n], |b| {
        let shape = b.ints(&shape);
        b.op("Reshape", &[x, shape])
    })?;
    g.replace(n, new)
}

fn constant_shape(g: &mut Graph, n: NodeId) -> Try {
    let (x, shape, y) = (g.input(n, 0)?, g.input(n, 1)?, g.output(n)?);
    if g.weight(shape).is_ok() {
        return Err("it is constant".into());
    }
    let vector = vector(g, x, y).ok_or("the shape cannot be said as a constant")?;
    let constant = g.add_constant(n, Tensor::vector(&vector));
    let producer = g.model().producer(shape);
    g.set_input(n, 1, Some(constant));
    producer.into_iter().for_each(|p| g.remove_dead(p));
    Ok(())
}

/// True when the axes that are not of size 1 keep their order.
pub(crate) fn moves_ones_only(shape: &[Dim], perm: &[i64]) -> bool {
    let kept = perm.iter().filter(|&&p| usize::try_from(p).ok().and_then(|p| shape.get(p)) != Some(&Dim::Known(1)));
    kept.clone().zip(kept.skip(1)).all(|(a, b)| a < b)
}

fn of_ones(g: &mut Graph, n: NodeId) -> Try {
    let (x, y) = (g.input(n, 0)?, g.output(n)?);
    let rank = g.shape(x)?.len() as i64;
    let perm = g.attrs(n)?.opt_ints("perm")?.unwrap_or_else(|| (0..rank).rev().collect());
    if !moves_ones_only(g.shape(x)?, &perm) {
        return Err("it moves elements".into());
    }
    let before = g.model().producer(x).is_some_and(|p| shaped(g, p) && g.used_once(x));
    let after = g.only_user(y).is_some_and(|u| shaped(g, u));
    if !before && !after {
        return Err("no reinterpretation is next to it".into());
    }
    let shape = vector(g, x, y).ok_or("the shape cannot be said as a constant")?;
    let new = g.build(n, &[n], |b| {
        let shape = b.ints(&shape);
        b.op("Reshape", &[x, shape])
    })?;
    g.replace(n, new)
}

fn rows(g: &mut Graph, n: NodeId) -> Try {
    let (mapped, y) = (g.input(n, 0)?, g.output(n)?);
    let lanes = |p: &NodeId| ["Softmax", "LogSoftmax", "Hardmax"].iter().any(|op| g.model().nodes[*p].is(op));
    let middle = g.model().producer(mapped).filter(lanes).ok_or("no operator on rows is before it")?;
    let matrix = g.input(middle, 0)?;
    let inner = g.model().producer(matrix).filter(|&p| shaped(g, p)).ok_or("the rows are not made of another shape")?;
    let x = g.input(inner, 0)?;
    if !g.used_once(mapped) || g.shape(x)? != g.shape(y)? || g.shape(x)?.contains(&Dim::Unknown) {
        return Err("the result has another shape, or is used as rows".into());
    }
    let (shape, of) = (g.shape(x)?, g.shape(matrix)?);
    let axis = g.attrs(middle)?.int("axis")?;
    let last = axis == -1 || axis + 1 == of.len() as i64;
    let place = shape.iter().rposition(|d| *d != Dim::Known(1)).unwrap_or(shape.len().saturating_sub(1));
    if !last || of.is_empty() || shape.get(place) != of.last() {
        return Err("the rows are no axis of the tensor".into());
    }
    let attrs = g.model().nodes[middle].attrs.clone().with("axis", place as i64);
    let name = g.model().op_name(middle).to_owned();
    let new = g.build(n, &[inner, middle, n], |b| b.op_with(&name, &[x], attrs))?;
    g.replace(n, new)
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        let file = include_str!("../tests/ir/simplify_reshapes.ir");
        modelsmith_rewrite::check::check_literate(&super::PASS, file).unwrap();
    }
}
