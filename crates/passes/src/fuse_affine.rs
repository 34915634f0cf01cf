//! Folds scales, shifts, batch normalisation and padding into the linear operator before them.

use crate::weights::scaled;
use modelsmith_ir::{Attrs, Dim, NodeId, ValueId};
use modelsmith_rewrite::{Graph, Pass, Preserves, Rule, Try};
use modelsmith_tensor::{Tensor, WeightExpr};

/// See the module.
pub static PASS: Pass = Pass {
    name: "fuse-affine",
    doc: "folds scales, shifts, batch normalisation and padding into convolutions and products",
    preserves: Preserves::Float(64),
    after: &["lift-constants"],
    rules: &[RULES],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
    ..Pass::BASE
};

/// All rules of this family.
pub static RULES: &[&Rule] =
    &[&BATCH_NORM, &CONV_SCALE, &CONV_SHIFT, &GEMM_SHIFT, &GEMM_SCALE, &MATMUL_SHIFT, &CONV_PAD];

static BATCH_NORM: Rule = Rule::code("batch-norm", &["BatchNormalization"], batch_norm, Preserves::Float(64))
    .doc("batch normalisation behind a convolution or Gemm is a scale and a shift of its weights")
    .samples(&[
        "graph(%x: f32[1, 2, 5, 5]) {
          weight %w = f32[4, 1, 3, 3] 0.25
          weight %b = f32[4] [1, 2, 3, 4]
          weight %s = f32[4] [1, 2, 0.5, -1]
          weight %m = f32[4] [0.5, 0, 1, 2]
          %y = Conv(%x, %w, %b) {group = 2}
          %z = BatchNormalization(%y, %s, %b, %m, %b)
          return %z
        }",
        "graph(%x: f32[1, 2, 5, 5]) {
          weight %w = f32[2, 4, 3, 3] 0.25
          weight %s = f32[4] [1, 2, 0.5, -1]
          weight %v = f32[4] [1, 2, 0.5, 1]
          %y = ConvTranspose(%x, %w)
          %z = BatchNormalization(%y, %s, %s, %s, %v)
          return %z
        }",
        "graph(%x: f32[3, 2]) {
          weight %w = f32[2, 4] [1, 2, 3, 4, 5, 6, 7, 8]
          weight %s = f32[4] [1, 2, 0.5, -1]
          weight %v = f32[4] [1, 2, 0.5, 1]
          %y = Gemm(%x, %w, %s)
          %z = BatchNormalization(%y, %s, %s, %s, %v)
          return %z
        }",
    ]);

static CONV_SCALE: Rule = Rule::code("conv-scale", &["Mul", "Div"], conv_scale, Preserves::Float(64))
    .doc("a product with a constant per channel behind a convolution is one of its weights")
    .samples(&[
        "graph(%x: f32[1, 2, 5, 5]) {
          weight %w = f32[4, 2, 3, 3] 0.25
          weight %c = f32[4, 1, 1] [1, 2, 3, 4]
          %y = Conv(%x, %w)
          %z = Mul(%y, %c)
          return %z
        }",
        "graph(%x: f32[1, 2, 5]) {
          weight %w = f32[2, 4, 3] 0.25
          weight %b = f32[4] [1, 2, 3, 4]
          weight %c = f32[4, 1] [1, 2, 3, 4]
          %y = ConvTranspose(%x, %w, %b)
          %z = Div(%y, %c)
          return %z
        }",
    ]);

static CONV_SHIFT: Rule = Rule::code("conv-shift", &["Add", "Sub"], conv_shift, Preserves::Float(64))
    .doc("a constant per channel added behind a convolution is its bias")
    .samples(&[
        "graph(%x: f32[1, 2, 5, 5]) {
          weight %w = f32[4, 2, 3, 3] 0.25
          weight %c = f32[1, 4, 1, 1] [1, 2, 3, 4]
          %y = Conv(%x, %w)
          %z = Add(%c, %y)
          return %z
        }",
        "graph(%x: f32[1, 2, 5, 5]) {
          weight %w = f32[4, 2, 3, 3] 0.25
          weight %b = f32[4] [1, 2, 3, 4]
          %y = Conv(%x, %w, %b)
          %z = Sub(%y, f32[] 3)
          return %z
        }",
    ]);

static GEMM_SHIFT: Rule = Rule::code("gemm-shift", &["Add"], gemm_shift, Preserves::Float(64))
    .doc("a constant added behind Gemm is its third operand")
    .samples(&["graph(%x: f32[3, 2]) {
      weight %w = f32[2, 4] 0.25
      weight %c = f32[4] [1, 2, 3, 4]
      %y = Gemm(%x, %w, %c)
      %z = Add(%y, %c)
      return %z
    }"]);

static GEMM_SCALE: Rule = Rule::code("gemm-scale", &["Mul"], gemm_scale, Preserves::Float(64))
    .doc("a product with a number behind Gemm is one of its factors")
    .samples(&["graph(%x: f32[3, 2]) {
      weight %w = f32[2, 4] 0.25
      weight %c = f32[4] [1, 2, 3, 4]
      %y = Gemm(%x, %w, %c) {alpha = 0.5}
      %z = Mul(%y, f32[] 3)
      return %z
    }"]);

static MATMUL_SHIFT: Rule = Rule::code("matmul-shift", &["Add"], matmul_shift, Preserves::Float(64))
    .doc("a product of matrices and a constant vector added to it are one Gemm")
    .samples(&["graph(%x: f32[n, 2]) {
      weight %w = f32[2, 4] 0.25
      weight %c = f32[4] [1, 2, 3, 4]
      %y = MatMul(%x, %w)
      %z = Add(%y, %c)
      return %z
    }"]);

static CONV_PAD: Rule = Rule::code("conv-pad", &["Conv", "AveragePool"], conv_pad, Preserves::Float(64))
    .doc("padding with zeros before a convolution is its own padding")
    .samples(&["graph(%x: f32[1, 2, 5, 5]) {
      weight %w = f32[4, 2, 3, 3] 0.25
      %p = Pad(%x, i64[8] [0, 0, 1, 2, 0, 0, 1, 0])
      %y = Conv(%p, %w) {pads = [1, 1, 1, 1]}
      return %y
    }"]);

/// The linear node behind `v`, used by nothing else.
fn linear(g: &Graph, v: ValueId, ops: &[&str]) -> Try<NodeId> {
    let n = g.model().producer(v).ok_or("the operand is made by no node")?;
    if !ops.iter().any(|op| g.model().nodes[n].is(op)) {
        return Err("the operand is not made by a linear operator".into());
    }
    match g.used_once(v) {
        true => Ok(n),
        false => Err("the product is used elsewhere".into()),
    }
}

/// The constant among the operands of a node, and the other operand.
fn with_constant(g: &Graph, n: NodeId) -> Try<(ValueId, ValueId)> {
    let (a, b) = (g.input(n, 0)?, g.input(n, 1)?);
    match (g.weight(a).is_ok(), g.weight(b).is_ok()) {
        (false, true) => Ok((a, b)),
        (true, false) => Ok((b, a)),
        _ => Err("not just one operand is an initializer".into()),
    }
}

/// Axis of the weights along which output channels lie, and their number.
fn channels(g: &Graph, n: NodeId) -> Try<(usize, usize)> {
    let w = g.weight(g.input(n, 1)?)?;
    let node = &g.model().nodes[n];
    let axis = match g.model().op_name(n) {
        "Conv" => 0,
        "ConvTranspose" if g.attrs(n)?.int("group")? == 1 => 1,
        "Gemm" => usize::from(g.attrs(n)?.int("transB")? == 0),
        _ => return Err(format!("{} in groups", node.known().map_or("an operator", |d| d.name)).into()),
    };
    match w.shape().get(axis) {
        Some(&c) => Ok((axis, c)),
        None => Err("the weights have too few axes".into()),
    }
}

/// `values`, one for each channel, as a tensor that broadcasts along `axis` of the weights.
fn along(values: &[f64], axis: usize, like: &WeightExpr) -> Try<Tensor> {
    let mut shape = vec![1; like.shape().len()];
    shape[axis] = values.len();
    Ok(Tensor::from_f64s(like.dtype(), &shape, values)?)
}

/// Multiplies the output channels of a linear node, and sets its bias to `bias * factor + shift`.
fn rescale(g: &mut Graph, n: NodeId, factor: &[f64], shift: &[f64]) -> Try {
    let (axis, count) = channels(g, n)?;
    let (weight, bias) = (g.weight(g.input(n, 1)?)?, bias_of(g, n, count)?);
    let new_bias = bias.iter().zip(factor).zip(shift).map(|((b, f), s)| b * f + s).collect::<Vec<_>>();
    let bias = Tensor::from_f64s(weight.dtype(), &[count], &new_bias)?;
    let weight = match factor.iter().all(|&f| f == 1.0) {
        true => None,
        false => Some(scaled(&weight, along(factor, axis, &weight)?)?),
    };
    if let Some(w) = weight {
        let w = g.add_weight(n, w);
        rename_like(g, n, 1, w);
        g.set_input(n, 1, Some(w));
    }
    let bias = g.add_constant(n, bias);
    rename_like(g, n, 2, bias);
    g.set_input(n, 2, Some(bias));
    Ok(())
}

/// Gives a weight the name of the operand that it replaces, when nothing else uses that one.
fn rename_like(g: &mut Graph, n: NodeId, i: usize, new: ValueId) {
    if let Ok(old) = g.input(n, i)
        && g.used_once(old)
        && g.weight(old).is_ok()
    {
        let name = std::mem::take(&mut g.model_mut().values[old].name);
        g.model_mut().values[new].name = name;
    }
}

/// The bias of a linear node per channel; zeros when it has none.
fn bias_of(g: &Graph, n: NodeId, count: usize) -> Try<Vec<f64>> {
    match g.model().nodes[n].input(2) {
        None => Ok(vec![0.0; count]),
        Some(b) => per_channel(&g.constant(b)?, count, 1, 0),
    }
}

/// A constant that broadcasts against `rank` axes and varies along `axis` only, one number for each of `count`.
fn per_channel(t: &Tensor, count: usize, rank: usize, axis: usize) -> Try<Vec<f64>> {
    let values = t.to_f64s()?;
    if values.len() == 1 && t.rank() <= rank {
        return Ok(vec![values[0]; count]);
    }
    let at = (axis + t.rank()).checked_sub(rank);
    match at.is_some_and(|at| t.shape().get(at) == Some(&count)) && values.len() == count && t.rank() <= rank {
        true => Ok(values),
        false => Err("the constant is not one number per channel".into()),
    }
}

/// Result of the node `n` becomes that of the linear node before it.
fn absorb(g: &mut Graph, n: NodeId, linear: NodeId) -> Try {
    let (old, new) = (g.output(n)?, g.output(linear)?);
    g.replace_value(old, new)?;
    g.remove_dead(n);
    Ok(())
}

/// Fails unless the result of `linear` may stand for that of `n`.
fn may_absorb(g: &Graph, n: NodeId, linear: NodeId) -> Try {
    // The value is used by `n` alone, so it is no result yet.
    g.guard(g.output(n)?, g.output(linear)?)
}

fn only_plain_gemm(g: &Graph, n: NodeId) -> Try {
    if !g.model().nodes[n].is("Gemm") {
        return Ok(());
    }
    let a = g.attrs(n)?;
    let shift = g.model().nodes[n].input(2).map_or(Ok(1), |c| g.shape(c).map(<[Dim]>::len))?;
    match a.float("alpha")? == 1.0 && a.float("beta")? == 1.0 && shift == 1 {
        true => Ok(()),
        false => Err("Gemm has factors of its own".into()),
    }
}

fn batch_norm(g: &mut Graph, n: NodeId) -> Try {
    if g.attrs(n)?.int("training_mode")? != 0 {
        return Err("it is in training".into());
    }
    let lin = linear(g, g.input(n, 0)?, &["Conv", "ConvTranspose", "Gemm"])?;
    only_plain_gemm(g, lin)?;
    let (_, count) = channels(g, lin)?;
    let read = |i: usize| {
        let t = g.constant(g.input(n, i)?)?;
        per_channel(&t, count, 1, 0)
    };
    let (scale, bias, mean, variance) = (read(1)?, read(2)?, read(3)?, read(4)?);
    let epsilon = f64::from(g.attrs(n)?.float("epsilon")?);
    let factor = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect::<Vec<_>>();
    if factor.iter().any(|f| !f.is_finite()) {
        return Err("a variance is not positive".into());
    }
    let shift = bias.iter().zip(&mean).zip(&factor).map(|((b, m), f)| b - m * f).collect::<Vec<_>>();
    may_absorb(g, n, lin)?;
    rescale(g, lin, &factor, &shift)?;
    absorb(g, n, lin)
}

/// A constant per channel behind a convolution: the convolution and the numbers.
fn channel_constant(g: &Graph, n: NodeId) -> Try<(NodeId, Vec<f64>)> {
    let (x, c) = with_constant(g, n)?;
    let lin = linear(g, x, &["Conv", "ConvTranspose"])?;
    let (_, count) = channels(g, lin)?;
    let rank = g.shape(x)?.len();
    let values = per_channel(&g.constant(c)?, count, rank, 1)?;
    may_absorb(g, n, lin)?;
    Ok((lin, values))
}

fn conv_scale(g: &mut Graph, n: NodeId) -> Try {
    let divides = g.model().nodes[n].is("Div");
    if divides && g.weight(g.input(n, 0)?).is_ok() {
        return Err("the constant is divided".into());
    }
    let (lin, values) = channel_constant(g, n)?;
    let factor = values.iter().map(|v| if divides { 1.0 / v } else { *v }).collect::<Vec<_>>();
    if factor.iter().any(|f| !f.is_finite()) {
        return Err("a factor is not finite".into());
    }
    rescale(g, lin, &factor, &vec![0.0; factor.len()])?;
    absorb(g, n, lin)
}

fn conv_shift(g: &mut Graph, n: NodeId) -> Try {
    let subtracts = g.model().nodes[n].is("Sub");
    if subtracts && g.weight(g.input(n, 0)?).is_ok() {
        return Err("the product is subtracted".into());
    }
    let (lin, values) = channel_constant(g, n)?;
    let shift = values.iter().map(|v| if subtracts { -v } else { *v }).collect::<Vec<_>>();
    rescale(g, lin, &vec![1.0; shift.len()], &shift)?;
    absorb(g, n, lin)
}

/// A constant that Gemm may add: a number, a row, or one row of rank 2.
fn row(g: &Graph, c: ValueId, columns: &Dim) -> Try<Tensor> {
    let t = g.constant(c)?;
    let columns = columns.size().ok_or("the number of columns is not known")?;
    let values = per_channel(&t, columns, 2, 1)?;
    Ok(Tensor::from_f64s(t.dtype(), &[columns], &values)?)
}

fn gemm_shift(g: &mut Graph, n: NodeId) -> Try {
    let (x, c) = with_constant(g, n)?;
    let gemm = linear(g, x, &["Gemm"])?;
    only_plain_gemm(g, gemm)?;
    let columns = g.shape(x)?.get(1).cloned().ok_or("the product is no matrix")?;
    let new = row(g, c, &columns)?;
    let count = new.len();
    let bias = bias_of(g, gemm, count)?;
    let sum = bias.iter().zip(new.to_f64s()?).map(|(a, b)| a + b).collect::<Vec<_>>();
    let sum = Tensor::from_f64s(new.dtype(), &[count], &sum)?;
    may_absorb(g, n, gemm)?;
    let sum = g.add_constant(gemm, sum);
    rename_like(g, gemm, 2, sum);
    g.set_input(gemm, 2, Some(sum));
    absorb(g, n, gemm)
}

fn gemm_scale(g: &mut Graph, n: NodeId) -> Try {
    let (x, c) = with_constant(g, n)?;
    let gemm = linear(g, x, &["Gemm"])?;
    let factor = g.scalar(c)? as f32;
    if !g.ty(x).dtype().is_some_and(|d| d.is_float()) {
        return Err("the factor would be rounded".into());
    }
    let (alpha, beta) = (g.attrs(gemm)?.float("alpha")?, g.attrs(gemm)?.float("beta")?);
    may_absorb(g, n, gemm)?;
    g.set_attr(gemm, "alpha", alpha * factor);
    g.set_attr(gemm, "beta", beta * factor);
    absorb(g, n, gemm)
}

fn matmul_shift(g: &mut Graph, n: NodeId) -> Try {
    let (x, c) = with_constant(g, n)?;
    let product = linear(g, x, &["MatMul"])?;
    let (a, b) = (g.input(product, 0)?, g.input(product, 1)?);
    let shape = g.shape(b)?;
    let (2, [_, columns]) = (g.shape(a)?.len(), shape) else { return Err("the product is not of matrices".into()) };
    let dtype = g.ty(x).dtype();
    if !dtype.is_some_and(|d| d.is_float() && d.bits() >= 16) {
        return Err("the element type is no float".into());
    }
    let t = row(g, c, &columns.clone())?;
    // The initializer itself serves when it is a row already.
    let c = if g.shape(c)?.len() == 1 && g.sizes(c)? == [t.len()] { c } else { g.add_constant(n, t) };
    let new = g.build(n, &[product, n], |b_| b_.op_with("Gemm", &[a, b, c], Attrs::new()))?;
    g.replace(n, new)
}

/// Sizes that a Pad of zeros adds to the spatial axes: begin and end of each.
fn zero_pads(g: &Graph, pad: NodeId, rank: usize) -> Try<Vec<i64>> {
    let a = g.attrs(pad)?;
    if a.string("mode")? != "constant" || g.model().nodes[pad].input(3).is_some() {
        return Err("the padding is not plain".into());
    }
    if let Some(v) = g.model().nodes[pad].input(2)
        && g.scalar(v)? != 0.0
    {
        return Err("the padding is not zero".into());
    }
    let pads = g.ints(g.input(pad, 1)?)?;
    if pads.len() != 2 * rank || pads.iter().any(|&p| p < 0) {
        return Err("the padding cuts".into());
    }
    match pads[..2] == [0, 0] && pads[rank..rank + 2] == [0, 0] {
        true => Ok([&pads[2..rank], &pads[rank + 2..]].concat()),
        false => Err("batch or channels are padded".into()),
    }
}

fn conv_pad(g: &mut Graph, n: NodeId) -> Try {
    let padded = g.input(n, 0)?;
    let pad = linear(g, padded, &["Pad"])?;
    let x = g.input(pad, 0)?;
    let rank = g.shape(x)?.len();
    if rank < 3 {
        return Err("no spatial axes".into());
    }
    let a = g.attrs(n)?;
    if a.string("auto_pad")? != "NOTSET" {
        return Err("the padding of the operator is worked out".into());
    }
    if g.model().nodes[n].is("AveragePool") && (a.int("count_include_pad")? == 0 || a.int("ceil_mode")? != 0) {
        return Err("padding does not count".into());
    }
    let own = a.opt_ints("pads")?.unwrap_or_else(|| vec![0; 2 * (rank - 2)]);
    let more = zero_pads(g, pad, rank)?;
    if own.len() != more.len() {
        return Err("the padding is of another rank".into());
    }
    let sum = own.iter().zip(&more).map(|(a, b)| a + b).collect::<Vec<_>>();
    g.set_attr(n, "pads", sum);
    g.set_input(n, 0, Some(x));
    g.remove_dead(pad);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/fuse_affine.ir")).unwrap();
    }
}
