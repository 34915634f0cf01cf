//! Attention written out as products of matrices and a softmax.

use modelsmith_ir::{Attrs, Dim, NodeId, ValueId};
use modelsmith_rewrite::{Graph, Preserves, Rule, Try};

/// All of them.
pub static RULES: &[&Rule] = &[&ATTENTION];

static ATTENTION: Rule = Rule::code("attention", &["MatMul"], attention, Preserves::Float(256))
    .doc("softmax(q * transposed k * scale + mask) * v over batch and heads")
    .samples(&[
        "graph(%x: f32[b, s, 2, 4], %k: f32[b, t, 2, 4], %v: f32[b, 2, t, 5], %m: f32[b, 1, 1, t]) {
          %q = Transpose(%x) {perm = [0, 2, 1, 3]}
          %kt = Transpose(%k) {perm = [0, 2, 3, 1]}
          %a = MatMul(%q, %kt)
          %c = Div(%a, f32[] 2)
          %d = Add(%c, %m)
          %p = Softmax(%d) {axis = -1}
          %y = MatMul(%p, %v)
          return %y
        }",
        "graph(%q: f32[1, 2, 3, 4], %k: f32[1, 2, 6, 4], %v: f32[1, 2, 6, 4]) {
          %kt = Transpose(%k) {perm = [0, 1, 3, 2]}
          %q1 = Mul(%q, f32[] 0.8)
          %k1 = Mul(%kt, f32[] 0.7)
          %a = MatMul(%q1, %k1)
          %p = Softmax(%a) {axis = 3}
          %y = MatMul(%p, %v)
          return %y
        }",
    ]);

/// The operator that makes `v`, whose only use is here.
fn inner(g: &Graph, v: ValueId, op: &str) -> Try<NodeId> {
    let n = g.made_by(v, op).ok_or_else(|| format!("it is not made by {op}"))?;
    match g.used_once(v) {
        true => Ok(n),
        false => Err(format!("the result of {op} is used elsewhere").into()),
    }
}

/// `v` without a factor: the value and the factor, 1 when there is none.
fn unscaled(g: &Graph, v: ValueId) -> (ValueId, f64) {
    let try_it = || -> Try<(ValueId, f64)> {
        if let Ok(n) = inner(g, v, "Div") {
            return Ok((g.input(n, 0)?, 1.0 / g.scalar(g.input(n, 1)?)?));
        }
        let n = inner(g, v, "Mul")?;
        let (a, b) = (g.input(n, 0)?, g.input(n, 1)?);
        match (g.scalar(a), g.scalar(b)) {
            (_, Ok(factor)) => Ok((a, factor)),
            (Ok(factor), _) => Ok((b, factor)),
            (Err(why), _) => Err(why),
        }
    };
    match try_it() {
        // The factor must not be what gives the value its rank.
        Ok((x, factor)) if factor.is_finite() && g.ty(x).rank() == g.ty(v).rank() => (x, factor),
        _ => (v, 1.0),
    }
}

/// Scores before the softmax: their operands, the factor, the mask.
struct Scores {
    q: ValueId,
    transposed_k: ValueId,
    scale: f64,
    mask: Option<ValueId>,
}

fn scores(g: &Graph, v: ValueId) -> Try<Scores> {
    let (product, mask) = match inner(g, v, "Add") {
        Err(_) => (v, None),
        Ok(add) => {
            let (a, b) = (g.input(add, 0)?, g.input(add, 1)?);
            let is_product = |v: ValueId| g.made_by(unscaled(g, v).0, "MatMul").is_some();
            if is_product(a) { (a, Some(b)) } else { (b, Some(a)) }
        }
    };
    let (product, scale) = unscaled(g, product);
    let n = inner(g, product, "MatMul")?;
    let ((q, a), (transposed_k, b)) = (unscaled(g, g.input(n, 0)?), unscaled(g, g.input(n, 1)?));
    Ok(Scores { q, transposed_k, scale: scale * a * b, mask })
}

/// Batch and heads of the three agree, and the mask spans all keys.
fn fits(g: &Graph, s: &Scores, v: ValueId) -> Try {
    let (q, k, v) = (g.shape(s.q)?, g.shape(s.transposed_k)?, g.shape(v)?);
    let ([b, h, _, d], [kb, kh, kd, keys], [vb, vh, vk, _]) = (q, k, v) else {
        return Err("the operands are not of rank 4".into());
    };
    let same = [kb, vb].iter().all(|x| *x == b) && [kh, vh].iter().all(|x| *x == h) && d == kd && keys == vk;
    if !same || [b, h, d, keys].contains(&&Dim::Unknown) {
        return Err("batch, heads or sizes differ".into());
    }
    match s.mask {
        Some(m) if g.shape(m)?.last() != Some(keys) || g.shape(m)?.len() > 4 => {
            Err("the mask is of another size".into())
        }
        _ => Ok(()),
    }
}

fn attention(g: &mut Graph, n: NodeId) -> Try {
    let v = g.input(n, 1)?;
    let softmax = inner(g, g.input(n, 0)?, "Softmax")?;
    if !matches!(g.attrs(softmax)?.int("axis")?, -1 | 3) {
        return Err("the softmax is not over the keys".into());
    }
    let s = scores(g, g.input(softmax, 0)?)?;
    fits(g, &s, v)?;
    let turn = g.made_by(s.transposed_k, "Transpose").ok_or("the keys are not transposed")?;
    let x = g.input(turn, 0)?;
    let mut perm = g.attrs(turn)?.opt_ints("perm")?.ok_or("the keys are turned around")?;
    perm.swap(2, 3);
    let attrs = Attrs::new().with("scale", s.scale as f32);
    let new = g.build(n, &[softmax, n], |b| {
        let k = match perm == [0, 1, 2, 3] {
            true => x,
            false => b.op_with("Transpose", &[x], Attrs::new().with("perm", perm))?,
        };
        let inputs = [Some(s.q), Some(k), Some(v), s.mask];
        let given = 3 + usize::from(s.mask.is_some());
        Ok(b.node("", "Attention", &inputs[..given], attrs, 1)?[0])
    })?;
    g.replace(n, new)
}
