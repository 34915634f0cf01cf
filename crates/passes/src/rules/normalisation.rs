//! Normalisations written out in simpler operators.

use modelsmith_ir::{Attrs, Dim, NodeId, ValueId};
use modelsmith_rewrite::{Graph, Preserves, Rule, Try};

/// All of them.
pub static RULES: &[&Rule] = &[&LAYER_NORM, &RMS_NORM];

static LAYER_NORM: Rule = Rule::code("layer-norm", &["Add"], layer_norm, Preserves::Float(64))
    .doc("(x - mean) / sqrt(variance + epsilon) * scale + bias over the last axes")
    .samples(&["graph(%x: f32[n, 5]) {
      weight %g = f32[5] [1, 2, 0.5, 1, 1]
      weight %b = f32[5] [0, 1, 0, -1, 0]
      %m = ReduceMean(%x, i64[1] [-1])
      %d = Sub(%x, %m)
      %s = Pow(%d, f32[] 2)
      %v = ReduceMean(%s, i64[1] [-1])
      %e = Add(%v, f32[] 1e-5)
      %r = Sqrt(%e)
      %q = Div(%d, %r)
      %w = Mul(%q, %g)
      %y = Add(%w, %b)
      return %y
    }"]);

static RMS_NORM: Rule = Rule::code("rms-norm", &["Mul"], rms_norm, Preserves::Float(64))
    .doc("x / sqrt(mean of squares + epsilon) * scale over the last axis")
    .samples(&[
        "graph(%x: f32[n, 5]) {
          weight %g = f32[5] [1, 2, 0.5, 1, 1]
          %s = Pow(%x, f32[] 2)
          %v = ReduceMean(%s, i64[1] [-1])
          %e = Add(%v, f32[] 1e-5)
          %r = Sqrt(%e)
          %i = Reciprocal(%r)
          %q = Mul(%x, %i)
          %y = Mul(%g, %q)
          return %y
        }",
        "graph(%x: f32[n, 5]) {
          weight %g = f32[5] [1, 2, 0.5, 1, 1]
          %s = Mul(%x, %x)
          %v = ReduceMean(%s, i64[1] [1])
          %e = Add(%v, f32[] 1e-5)
          %r = Sqrt(%e)
          %q = Div(%x, %r)
          %y = Mul(%q, %g)
          return %y
        }",
    ]);

/// The operands of a two-operand node, constant last.
fn constant_last(g: &Graph, n: NodeId) -> Try<(ValueId, ValueId)> {
    let (a, b) = (g.input(n, 0)?, g.input(n, 1)?);
    match (g.weight(a).is_ok(), g.weight(b).is_ok()) {
        (_, true) => Ok((a, b)),
        (true, false) => Ok((b, a)),
        _ => Err("no operand is an initializer".into()),
    }
}

fn made(g: &Graph, v: ValueId, op: &str) -> Try<NodeId> {
    g.made_by(v, op).ok_or_else(|| format!("it is not made by {op}").into())
}

/// The operand of `ReduceMean` over the last axis, kept.
fn mean_of_last(g: &Graph, v: ValueId) -> Try<ValueId> {
    let n = made(g, v, "ReduceMean")?;
    let x = g.input(n, 0)?;
    let axes = g.input(n, 1).and_then(|a| g.ints(a))?;
    let last = g.shape(x)?.len() as i64 - 1;
    let keeps = g.attrs(n)?.int("keepdims")? == 1;
    match keeps && (axes == [-1] || axes == [last]) {
        true => Ok(x),
        false => Err("the mean is not over the last axis".into()),
    }
}

/// `sqrt(mean(square(y)) + epsilon)`: y and epsilon.
fn root_of_mean_square(g: &Graph, v: ValueId) -> Try<(ValueId, f64)> {
    let root = made(g, v, "Sqrt")?;
    let sum = made(g, g.input(root, 0)?, "Add")?;
    let (mean, epsilon) = constant_last(g, sum)?;
    let square = mean_of_last(g, mean)?;
    let epsilon = g.scalar(epsilon)?;
    if let Some(p) = g.made_by(square, "Pow") {
        let exponent = g.scalar(g.input(p, 1)?)?;
        return if exponent == 2.0 { Ok((g.input(p, 0)?, epsilon)) } else { Err("the power is not 2".into()) };
    }
    let product = made(g, square, "Mul")?;
    match (g.input(product, 0)?, g.input(product, 1)?) {
        (a, b) if a == b => Ok((a, epsilon)),
        _ => Err("it is not a square".into()),
    }
}

/// A scale or bias of the size of the last axis.
fn fits_last(g: &Graph, x: ValueId, w: ValueId) -> Try {
    let last = g.shape(x)?.last().cloned();
    match g.shape(w)? {
        [d @ Dim::Known(_)] if Some(d) == last.as_ref() => Ok(()),
        _ => Err("scale or bias is not of the last axis".into()),
    }
}

fn layer_norm(g: &mut Graph, n: NodeId) -> Try {
    let (scaled, bias) = constant_last(g, n)?;
    let scale_node = made(g, scaled, "Mul")?;
    let (quotient, scale) = constant_last(g, scale_node)?;
    let div = made(g, quotient, "Div")?;
    let difference = g.input(div, 0)?;
    let (squared, epsilon) = root_of_mean_square(g, g.input(div, 1)?)?;
    if squared != difference {
        return Err("the variance is of something else".into());
    }
    let sub = made(g, difference, "Sub")?;
    let x = g.input(sub, 0)?;
    if mean_of_last(g, g.input(sub, 1)?)? != x {
        return Err("the mean is of something else".into());
    }
    fits_last(g, x, scale)?;
    fits_last(g, x, bias)?;
    let attrs = Attrs::new().with("axis", -1).with("epsilon", epsilon as f32);
    let new = g.build(n, &[sub, div, scale_node, n], |b| b.op_with("LayerNormalization", &[x, scale, bias], attrs))?;
    g.replace(n, new)
}

fn rms_norm(g: &mut Graph, n: NodeId) -> Try {
    let (normal, scale) = constant_last(g, n)?;
    let (x, root) = match g.made_by(normal, "Div") {
        Some(div) => (g.input(div, 0)?, g.input(div, 1)?),
        None => {
            let mul = made(g, normal, "Mul")?;
            let (a, b) = (g.input(mul, 0)?, g.input(mul, 1)?);
            let (x, r) = if g.made_by(a, "Reciprocal").is_some() { (b, a) } else { (a, b) };
            let reciprocal = made(g, r, "Reciprocal")?;
            (x, g.input(reciprocal, 0)?)
        }
    };
    let (squared, epsilon) = root_of_mean_square(g, root)?;
    if squared != x {
        return Err("the mean square is of something else".into());
    }
    fits_last(g, x, scale)?;
    let attrs = Attrs::new().with("axis", -1).with("epsilon", epsilon as f32);
    let new = g.build(n, &[n], |b| b.op_with("RMSNormalization", &[x, scale], attrs))?;
    g.replace(n, new)
}
