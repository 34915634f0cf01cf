//! RotaryEmbedding: rotation of pairs of elements by angles that depend on the position. <https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html>

use super::heads::{Heads, head_count};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("cos_cache", "T"),
        Param::one("sin_cache", "T"),
        Param::opt("position_ids", "M"),
    ],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::int("interleaved", 0),
        AttrDef::optional("num_heads", AttrKind::Int),
        AttrDef::int("rotary_embedding_dim", 0),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16, BF16])), types_of("M", I64_ONLY)],
};

/// The ONNX operator RotaryEmbedding.
pub static ROTARY_EMBEDDING: OpDef = OpDef {
    name: "RotaryEmbedding",
    since: 23,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

/// Elements of a head that are rotated.
fn rotated(attrs: &AttrView, size: usize) -> OpResult<usize> {
    let given = attrs.int("rotary_embedding_dim")?;
    let dim = if given == 0 { Some(size) } else { usize::try_from(given).ok() };
    let dim = dim.filter(|&d| d <= size && d % 2 == 0);
    dim.ok_or_else(|| OpError::invalid(format!("rotary_embedding_dim is {given} for heads of {size} elements")))
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x_in = cx.tensor(inputs, 0)?;
    let mut x = Heads::of(x_in, head_count(&cx.attrs, "num_heads")?)?;
    let dim = rotated(&cx.attrs, x.size)?;
    let half = dim / 2;
    let (cos, sin) = (cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
    let rows = match cx.opt_ints(inputs, 3)? {
        Some(ids) if ids.len() == x.batch * x.len && cos.rank() == 2 => ids,
        Some(_) => return Err(OpError::invalid("position_ids must hold one position for each element of a sequence")),
        None => (0..(x.batch * x.len) as i64).collect(),
    };
    let count = cos.len().checked_div(half).unwrap_or(0);
    if cos.shape() != sin.shape() || cos.shape().last() != Some(&half) {
        return Err(OpError::invalid(format!("caches of shapes {:?} and {:?}", cos.shape(), sin.shape())));
    }
    let row = |i: i64| usize::try_from(i).ok().filter(|&i| i < count);
    let rows = rows.into_iter().map(row).collect::<Option<Vec<_>>>();
    let rows = rows.ok_or_else(|| OpError::invalid(format!("a position outside of a cache of {count}")))?;
    let (cos, sin) = (cos.to_f64s()?, sin.to_f64s()?);
    let interleaved = cx.attrs.flag("interleaved")?;
    let (len, heads) = (x.len.max(1), x.heads.max(1));
    for (i, head) in x.data.chunks_exact_mut(x.size.max(1)).enumerate() {
        let from = rows[i / len / heads * len + i % len] * half;
        for k in 0..half {
            let (p, q) = if interleaved { (2 * k, 2 * k + 1) } else { (k, half + k) };
            let (a, b, c, s) = (head[p], head[q], cos[from + k], sin[from + k]);
            (head[p], head[q]) = (c * a - s * b, s * a + c * b);
        }
    }
    Ok(vec![x.tensor(x_in.dtype(), x_in.rank() == 3)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let (x, mut cos, mut sin) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let shape = b.ty(x).shape().map(<[Dim]>::to_vec);
    let shape = shape.ok_or_else(|| OpError::unsupported("rotary embedding of an input of unknown rank"))?;
    let packed = shape.len() == 3;
    let heads = head_count(&attrs, "num_heads")?;
    let size = match (packed, heads) {
        (true, Some(heads)) => shape[2].size().map(|n| n / heads),
        _ => shape.last().and_then(Dim::size),
    };
    let size = size.ok_or_else(|| OpError::unsupported("rotary embedding with heads of unknown size"))?;
    let dim = rotated(&attrs, size)?;
    let mut h = x;
    if packed {
        let split = b.ints(&[0, 0, heads.unwrap_or(1) as i64, size as i64]);
        h = b.op("Reshape", &[x, split])?;
    }
    // Angles are [batch, sequence, half]; heads come after the sequence when packed, before it otherwise.
    let axis = b.ints(&[if packed { 2 } else { 1 }]);
    for cache in [&mut cos, &mut sin] {
        if let Some(ids) = b.opt_input(node, 3) {
            *cache = b.op("Gather", &[*cache, ids])?;
        }
        *cache = b.op("Unsqueeze", &[*cache, axis])?;
    }
    let slice = |b: &mut Builder, v: ValueId, from: i64, to: i64, step: i64| {
        let parts = [from, to, 3, step].map(|i| b.ints(&[i]));
        b.op("Slice", &[v, parts[0], parts[1], parts[2], parts[3]])
    };
    let interleaved = attrs.flag("interleaved")?;
    let (dim, half, size) = (dim as i64, dim as i64 / 2, size as i64);
    let (p, q) = match interleaved {
        true => (slice(b, h, 0, dim, 2)?, slice(b, h, 1, dim, 2)?),
        false => (slice(b, h, 0, half, 1)?, slice(b, h, half, dim, 1)?),
    };
    let product = |b: &mut Builder, u: ValueId, v: ValueId| b.op("Mul", &[u, v]);
    let (cp, sq) = (product(b, cos, p)?, product(b, sin, q)?);
    let (sp, cq) = (product(b, sin, p)?, product(b, cos, q)?);
    let (mut real, mut imaginary) = (b.op("Sub", &[cp, sq])?, b.op("Add", &[sp, cq])?);
    let axis = |a: i64| Attrs::new().with("axis", a);
    let mut out = if interleaved {
        let last = b.ints(&[-1]);
        (real, imaginary) = (b.op("Unsqueeze", &[real, last])?, b.op("Unsqueeze", &[imaginary, last])?);
        let pairs = b.op_with("Concat", &[real, imaginary], axis(-1))?;
        let flat = b.ints(&[0, 0, 0, dim]);
        b.op("Reshape", &[pairs, flat])?
    } else {
        b.op_with("Concat", &[real, imaginary], axis(-1))?
    };
    if dim < size {
        let rest = slice(b, h, dim, size, 1)?;
        out = b.op_with("Concat", &[out, rest], axis(-1))?;
    }
    if packed {
        let flat = b.ints(&[0, 0, heads.unwrap_or(1) as i64 * size]);
        out = b.op("Reshape", &[out, flat])?;
    }
    Ok(vec![out])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (x, cos, sin) = (s.any(dtype, &[2, 3, 4, 6]), s.any(dtype, &[9, 3]), s.any(dtype, &[9, 3]));
        let ids = s.ints(I64, &[2, 4], 0, 8);
        s.case().input(x).input(cos).input(sin).input(ids).add();
    }
    for (interleaved, batch) in [(0, 2), (1, 2), (1, 0)] {
        let half = [batch, 4, 2];
        let (x, cos, sin) = (s.any(F32, &[batch, 4, 24]), s.any(F32, &half), s.any(F32, &half));
        let case = s.case().input(x).input(cos).input(sin).attr("num_heads", 3).attr("rotary_embedding_dim", 4);
        case.attr("interleaved", interleaved).add();
        let (x, cos, sin) = (s.any(F32, &[1, 2, 3, 4]), s.any(F32, &[1, 3, 2]), s.any(F32, &[1, 3, 2]));
        s.case().input(x).input(cos).input(sin).attr("interleaved", interleaved).add();
    }
}
