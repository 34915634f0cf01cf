//! Einsum of two operands as one matrix product: dimensions in order, those of one kind as one, and back.

use super::equation::{Equation, Label};
use crate::prelude::*;

/// An operand or a result whose dimensions are labelled.
struct Labelled {
    value: ValueId,
    labels: Vec<Label>,
}

/// The product of two operands whose labels are each in both, or in one and in the result.
///
/// # Errors
/// When a label is summed within one operand, comes twice, has two sizes, or sizes that must be one number are not known.
pub(super) fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let refuse = |why: &str| OpError::unsupported(format!("an equation {why}"));
    let inputs = b.model.nodes[node].inputs.clone();
    let [Some(left), Some(right)] = inputs[..] else { return Err(refuse("of other than two operands")) };
    let shape = |v| b.ty(v).shape().map(<[Dim]>::to_vec).ok_or_else(|| refuse("of operands of unknown rank"));
    let (x, y) = (shape(left)?, shape(right)?);
    let equation = Equation::parse(b.attrs(node)?.string("equation")?, &[x.len(), y.len()])?;
    let [of_left, of_right] = &equation.inputs[..] else { return Err(refuse("of other than two operands")) };
    let twice = |l: &[Label]| l.iter().enumerate().any(|(i, label)| l[..i].contains(label));
    if twice(of_left) || twice(of_right) {
        return Err(refuse("with a label twice in one operand"));
    }
    let size = |label: Label| -> Option<Dim> {
        let at = |labels: &[Label], dims: &[Dim]| labels.iter().position(|&l| l == label).map(|i| dims[i].clone());
        match (at(of_left, &x), at(of_right, &y)) {
            (Some(p), Some(q)) => (p == q && p != Dim::Unknown).then_some(p),
            (p, q) => p.or(q),
        }
    };
    let out = &equation.output;
    let both = |l: &&Label| of_left.contains(l) && of_right.contains(l);
    let batch = out.iter().filter(both).copied().collect::<Vec<_>>();
    let sums = of_left.iter().filter(|l| both(l) && !out.contains(l)).copied().collect::<Vec<_>>();
    let rows = out.iter().filter(|l| !of_right.contains(l)).copied().collect::<Vec<_>>();
    let columns = out.iter().filter(|l| !of_left.contains(l)).copied().collect::<Vec<_>>();
    let complete = |labels: &[Label]| labels.iter().all(|l| out.contains(l) || sums.contains(l));
    if !complete(of_left) || !complete(of_right) || of_left.iter().chain(of_right).any(|&l| size(l).is_none()) {
        return Err(refuse("that sums within an operand, or whose sizes differ"));
    }
    // Zero copies a dimension of its own place, so batches stay as they are; one size may be left open.
    let merged = |groups: [&[Label]; 2]| -> OpResult<Vec<i64>> {
        let product = |labels: &[Label]| {
            let sizes = labels.iter().map(|&l| size(l)?.size()).collect::<Option<Vec<_>>>();
            sizes.map_or(-1, |s| s.iter().product::<usize>() as i64)
        };
        targets(batch.len(), groups.iter().map(|g| product(g)))
    };
    let apart = |groups: [&[Label]; 2]| -> OpResult<Vec<i64>> {
        let one = |&l: &Label| size(l).and_then(|d| d.size()).map_or(-1, |n| n as i64);
        targets(batch.len(), groups.concat().iter().map(one))
    };
    let (into_left, into_right, back) =
        (merged([&rows, &sums])?, merged([&sums, &columns])?, apart([&rows, &columns])?);
    let single = |groups: [&[Label]; 2]| groups.iter().all(|g| g.len() == 1);
    let a = arranged(b, Labelled { value: left, labels: of_left.clone() }, &[&batch[..], &rows, &sums].concat())?;
    let a = if single([&rows, &sums]) { a } else { reshaped(b, a, &into_left)? };
    let c = arranged(b, Labelled { value: right, labels: of_right.clone() }, &[&batch[..], &sums, &columns].concat())?;
    let c = if single([&sums, &columns]) { c } else { reshaped(b, c, &into_right)? };
    let product = b.op("MatMul", &[a, c])?;
    let product = if single([&rows, &columns]) { product } else { reshaped(b, product, &back)? };
    let labels = [batch, rows, columns].concat();
    Ok(vec![arranged(b, Labelled { value: product, labels }, out)?])
}

/// Target of a Reshape behind `copied` dimensions that stay.
fn targets(copied: usize, sizes: impl Iterator<Item = i64>) -> OpResult<Vec<i64>> {
    let out = std::iter::repeat_n(0, copied).chain(sizes).collect::<Vec<_>>();
    match out.iter().filter(|&&d| d < 0).count() > 1 || out[copied..].contains(&0) {
        true => Err(OpError::unsupported("an equation with several sizes that are not known, or with none")),
        false => Ok(out),
    }
}

fn reshaped(b: &mut Builder, x: ValueId, target: &[i64]) -> OpResult<ValueId> {
    let target = b.ints(target);
    b.op("Reshape", &[x, target])
}

/// The dimensions in the order of `wanted`.
fn arranged(b: &mut Builder, of: Labelled, wanted: &[Label]) -> OpResult<ValueId> {
    let place = |l: &Label| of.labels.iter().position(|m| m == l).map(|i| i as i64);
    let perm = wanted.iter().filter_map(place).collect::<Vec<_>>();
    if perm.iter().enumerate().all(|(i, &p)| i as i64 == p) {
        return Ok(of.value);
    }
    b.op_with("Transpose", &[of.value], Attrs::new().with("perm", perm))
}
