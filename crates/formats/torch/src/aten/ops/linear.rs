//! Products of matrices, and attention.

use super::arithmetic::binary;
use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row("linear(T input, T weight, T? bias=None)", linear),
    row("matmul|mm|bmm|mv|dot|inner|vdot(T self, T other)", matmul),
    row("addmm|addbmm|baddbmm|addmv(T self, T mat1, T mat2, N beta=1, N alpha=1)", addmm),
    row("bilinear(T input1, T input2, T weight, T? bias=None)", bilinear),
    row("einsum(S equation, T[] tensors, A path=None)", einsum),
    row("det|linalg_det(T self)", determinant),
    row("outer|ger(T self, T vec2)", outer),
    row("chain_matmul|linalg_multi_dot(T[] matrices)", chain),
    row(
        "scaled_dot_product_attention(T query, T key, T value, T? attn_mask=None, F dropout_p=0, B \
         is_causal=False, F? scale=None, B enable_gqa=False)",
        attention,
    ),
    row("embedding(T weight, T indices, I padding_idx=-1, B scale_grad_by_freq=False, B sparse=False)", embedding),
    row("cosine_similarity(T x1, T x2, I dim=1, F eps=1e-08)", cosine),
];

/// `v` with its last two axes exchanged.
pub(super) fn swapped(cx: &mut Context, v: ValueId) -> Outcome<ValueId> {
    let rank = cx.rank(v)?;
    let mut perm = (0..rank).collect::<Vec<_>>();
    if rank >= 2 {
        perm.swap(rank.saturating_sub(1), rank.saturating_sub(2));
    }
    cx.permute(v, &perm)
}

fn linear(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, w, b) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.opt_tensor(cx, 2)?);
    let rank = cx.rank_or(x, Some(2))?;
    let made = affine(cx, x, w, b, rank)?;
    Ok(cx.tensor(made))
}

/// `x w^T + b`.
pub(super) fn affine(cx: &mut Context, x: ValueId, w: ValueId, b: Option<ValueId>, rank: usize) -> Outcome<ValueId> {
    if rank == 2 && cx.rank(w)? == 2 {
        let inputs = match b {
            Some(b) => vec![Some(x), Some(w), Some(b)],
            None => vec![Some(x), Some(w)],
        };
        return cx.op_opt("Gemm", &inputs, Attrs::new().with("transB", 1));
    }
    let w = swapped(cx, w)?;
    let made = cx.op("MatMul", &[x, w])?;
    match b {
        Some(b) => cx.op("Add", &[made, b]),
        None => Ok(made),
    }
}

fn matmul(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, mut y) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let guess = if matches!(a.name, "aten::bmm") { 3 } else { 2 };
    if a.name == "aten::inner" {
        y = swapped(cx, y)?;
    }
    cx.rank_or(x, Some(guess))?;
    cx.rank_or(y, Some(guess))?;
    let made = cx.op("MatMul", &[x, y])?;
    Ok(cx.tensor(made))
}

fn addmm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (c, x, y) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.tensor(cx, 2)?);
    let (beta, alpha) = (a.float(cx, 3)?, a.float(cx, 4)?);
    if a.name == "aten::addmm" && cx.dtype(x)?.is_float() {
        cx.rank_or(x, Some(2))?;
        let narrow = super::activation::narrow;
        let attrs = Attrs::new().with("alpha", narrow(alpha)).with("beta", narrow(beta));
        let made = cx.op_with("Gemm", &[x, y, c], attrs)?;
        return Ok(cx.tensor(made));
    }
    let mut made = cx.op("MatMul", &[x, y])?;
    if a.name == "aten::addbmm" {
        let axes = cx.ints(&[0]);
        made = cx.op_with("ReduceSum", &[made, axes], Attrs::new().with("keepdims", 0))?;
    }
    let made = cx.tensor(made);
    let made = if alpha == 1.0 { made } else { binary(cx, "Mul", &made, a.get(4))? };
    if beta == 0.0 {
        return Ok(made);
    }
    let c = if beta == 1.0 { a.get(0).clone() } else { binary(cx, "Mul", a.get(0), a.get(3))? };
    binary(cx, "Add", &c, &made)
}

fn bilinear(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, w) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.tensor(cx, 2)?);
    let attrs = Attrs::new().with("equation", "...i,oij,...j->...o");
    let made = cx.op_with("Einsum", &[x, w, y], attrs)?;
    let made = match a.opt_tensor(cx, 3)? {
        Some(b) => cx.op("Add", &[made, b])?,
        None => made,
    };
    Ok(cx.tensor(made))
}

fn einsum(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let tensors = a.tensors(cx, 1)?;
    let equation = a.text(0)?.to_owned();
    let made = cx.op_with("Einsum", &tensors, Attrs::new().with("equation", equation.as_str()))?;
    Ok(cx.tensor(made))
}

fn outer(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let axes = cx.ints(&[1]);
    let x = cx.op("Unsqueeze", &[x, axes])?;
    let made = cx.op("Mul", &[x, y])?;
    Ok(cx.tensor(made))
}

fn chain(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mut tensors = a.tensors(cx, 0)?.into_iter();
    let Some(mut made) = tensors.next() else { return unsupported("a product of no matrices") };
    for t in tensors {
        made = cx.op("MatMul", &[made, t])?;
    }
    Ok(cx.tensor(made))
}

fn attention(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (q, mut k, mut v) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.tensor(cx, 2)?);
    let rank = cx.rank_or(q, Some(4))?;
    let dtype = cx.dtype(q)?;
    if a.flag(7)? {
        (k, v) = (heads(cx, k, q)?, heads(cx, v, q)?);
    }
    let scale = match a.opt_float(cx, 6)? {
        Some(scale) => cx.scalar(dtype, scale)?,
        None => {
            let width = cx.size(q, rank.saturating_sub(1))?;
            match cx.known_ints(width).and_then(|k| k.first().copied()) {
                Some(n) => cx.scalar(dtype, 1.0 / crate::aten::value::float(n).sqrt())?,
                None => {
                    let width = cx.cast(width, dtype)?;
                    let root = cx.op("Sqrt", &[width])?;
                    cx.op("Reciprocal", &[root])?
                }
            }
        }
    };
    let keys = swapped(cx, k)?;
    let q = cx.op("Mul", &[q, scale])?;
    let mut scores = cx.op("MatMul", &[q, keys])?;
    if a.flag(5)? {
        scores = causal(cx, scores, dtype)?;
    }
    if let Some(mask) = a.opt_tensor(cx, 3)? {
        scores = masked(cx, scores, mask, dtype)?;
    }
    let weights = cx.op_with("Softmax", &[scores], Attrs::new().with("axis", -1))?;
    let made = cx.op("MatMul", &[weights, v])?;
    Ok(cx.tensor(made))
}

/// `scores` with minus infinity where a mask of flags is off, or with a mask of numbers added.
fn masked(cx: &mut Context, scores: ValueId, mask: ValueId, dtype: DType) -> Outcome<ValueId> {
    if cx.dtype(mask)? == DType::Bool {
        let (zero, off) = (cx.scalar(dtype, 0.0)?, cx.scalar(dtype, f64::NEG_INFINITY)?);
        let bias = cx.op("Where", &[mask, zero, off])?;
        return cx.op("Add", &[scores, bias]);
    }
    let mask = cx.cast(mask, dtype)?;
    cx.op("Add", &[scores, mask])
}

/// `scores` without the keys behind each query.
fn causal(cx: &mut Context, scores: ValueId, dtype: DType) -> Outcome<ValueId> {
    let rank = cx.rank(scores)?;
    let (rows, columns) = (rank.saturating_sub(2), rank.saturating_sub(1));
    let one = cx.int(1);
    let zero = cx.int(0);
    let (rows, columns) = (cx.size(scores, rows)?, cx.size(scores, columns)?);
    let (r, c) = (cx.op("Range", &[zero, rows, one])?, cx.op("Range", &[zero, columns, one])?);
    let axes = cx.ints(&[1]);
    let r = cx.op("Unsqueeze", &[r, axes])?;
    let mask = cx.op("LessOrEqual", &[c, r])?;
    masked(cx, scores, mask, dtype)
}

/// `k` with its heads repeated to those of `q`.
fn heads(cx: &mut Context, k: ValueId, q: ValueId) -> Outcome<ValueId> {
    let rank = cx.rank(k)?;
    let axis = rank.saturating_sub(3);
    let known = |cx: &Context, v| cx.ty(v).shape().and_then(|s| s.get(axis)).and_then(modelsmith_ir::Dim::known);
    let (Some(have), Some(want)) = (known(cx, k), known(cx, q)) else {
        return unsupported("attention with grouped heads whose number is not known");
    };
    if have == want || have <= 0 {
        return Ok(k);
    }
    let repeats = want.checked_div(have).unwrap_or(1);
    let index = (0..have).flat_map(|h| (0..repeats).map(move |_| h)).collect::<Vec<_>>();
    let index = cx.ints(&index);
    cx.op_with("Gather", &[k, index], Attrs::new().with("axis", i64::try_from(axis).unwrap_or(0)))
}

fn embedding(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (w, i) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    if !cx.dtype(i)?.is_int() {
        return Err(crate::aten::Stop::Element(i, DType::I64));
    }
    cx.rank_or(i, Some(2))?;
    let made = cx.op_with("Gather", &[w, i], Attrs::new().with("axis", 0))?;
    Ok(cx.tensor(made))
}

fn cosine(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, axis) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.int(cx, 2)?);
    let eps = a.float(cx, 3)?;
    let axes = cx.ints(&[axis]);
    let attrs = || Attrs::new().with("keepdims", 0);
    let xy = cx.op("Mul", &[x, y])?;
    let dot = cx.op_with("ReduceSum", &[xy, axes], attrs())?;
    let least = cx.scalar(cx.dtype(x)?, eps)?;
    let mut norms = Vec::new();
    for v in [x, y] {
        let norm = cx.op_with("ReduceL2", &[v, axes], attrs())?;
        norms.push(cx.op("Max", &[norm, least])?);
    }
    let size = cx.op("Mul", &norms)?;
    let made = cx.op("Div", &[dot, size])?;
    Ok(cx.tensor(made))
}

fn determinant(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let made = cx.op("Det", &[v])?;
    Ok(cx.tensor(made))
}
