//! Attention.

use super::{Call, Cx, Made, Operand, product};
use crate::recipe::{Attention, Axis, Heads};
use modelsmith_kop::{AttentionMask, AttentionProblem, HeadView, KOp, Layout, MaskKind};
use modelsmith_tensor::DType;

/// Sizes and strides of batch, heads, rows and columns, and where the first element lies.
struct Seen {
    sizes: [usize; 4],
    strides: [usize; 4],
    offset: usize,
}

impl Seen {
    fn of(cx: &Cx, o: &Operand, h: &Heads, what: &str) -> Made<Seen> {
        o.want(DType::F32, what)?;
        o.plain(what)?;
        let known = |d: &modelsmith_ir::Dim| d.eval(cx.sizes).and_then(|n| usize::try_from(n).ok());
        let dims = h.dims.iter().map(known).collect::<Option<Vec<_>>>().ok_or("sizes are not known")?;
        if dims.len() != h.axes.len() || product(&dims)? != o.len()? {
            return Err(format!("{what} is not of {dims:?}"));
        }
        let own = Layout::Plain.strides(&dims);
        let mut seen = Seen { sizes: [1; 4], strides: [0; 4], offset: 0 };
        for ((&axis, &len), &stride) in h.axes.iter().zip(&dims).zip(&own) {
            let role = match axis {
                Axis::At(i) if i < len => {
                    let at = i.checked_mul(stride).and_then(|n| n.checked_add(seen.offset));
                    seen.offset = at.ok_or("sizes overflow")?;
                    continue;
                }
                Axis::At(_) => return Err(format!("{what} lies outside of its buffer")),
                Axis::Batch => 0,
                Axis::Head => 1,
                Axis::Row => 2,
                Axis::Column => 3,
            };
            if len == 1 {
                continue;
            }
            if seen.sizes[role] != 1 {
                return Err(format!("{what} has an axis twice"));
            }
            (seen.sizes[role], seen.strides[role]) = (len, stride);
        }
        match seen.sizes[3] > 1 && seen.strides[3] != 1 {
            true => Err(format!("the columns of {what} are not neighbours")),
            false => Ok(seen),
        }
    }

    fn view(&self) -> HeadView {
        let [batch, head, row, _] = self.strides;
        HeadView { offset: self.offset, batch, head, row }
    }
}

pub(super) fn attention(cx: &Cx, a: &Attention) -> Made<Vec<Call>> {
    let q = Seen::of(cx, cx.input(0)?, &a.q, "Q")?;
    let k = Seen::of(cx, cx.input(1)?, &a.k, "K")?;
    let v = Seen::of(cx, cx.input(2)?, &a.v, "V")?;
    let y = Seen::of(cx, cx.output(0)?, &a.y, "the result")?;
    let [batch, heads, queries, size] = q.sizes;
    let [_, kv_heads, keys, _] = k.sizes;
    let values = v.sizes[3];
    let batches = [k.sizes[0], v.sizes[0]].into_iter().all(|n| n == batch || n == 1);
    let fits = v.sizes[1..3] == [kv_heads, keys] && k.sizes[3] == size && kv_heads > 0 && heads % kv_heads == 0;
    if !batches || !fits || y.sizes != [batch, heads, queries, values] {
        return Err(format!("Q {:?}, K {:?}, V {:?} do not give {:?}", q.sizes, k.sizes, v.sizes, y.sizes));
    }
    let mask = match cx.inputs.get(3) {
        Some(Some(o)) => Some(mask(o, [batch, heads, queries, keys])?),
        _ => None,
    };
    cx.one(KOp::Attention(AttentionProblem {
        batch,
        heads,
        kv_heads,
        queries,
        keys,
        size,
        values,
        scale: a.scale,
        causal: a.causal,
        blind_zero: a.blind_zero,
        mask,
        q: q.view(),
        k: k.view(),
        v: v.view(),
        y: y.view(),
    }))
}

/// A mask that is broadcast to the scores' shape, but over the keys.
fn mask(o: &Operand, scores: [usize; 4]) -> Made<AttentionMask> {
    o.plain("the mask")?;
    let kind = match o.dtype {
        DType::F32 => MaskKind::Add,
        DType::Bool => MaskKind::Keep,
        other => return Err(format!("the mask is {other}")),
    };
    let rank = o.shape.len();
    if rank == 0 || rank > 4 || o.shape[rank - 1] != scores[3] {
        return Err(format!("a mask of {:?} does not fit scores of {scores:?}", o.shape));
    }
    let own = o.strides();
    let mut strides = [0; 4];
    for (i, (&len, &stride)) in o.shape.iter().zip(&own).enumerate() {
        let role = i + 4 - rank;
        match len {
            1 => {}
            _ if len == scores[role] => strides[role] = stride,
            _ => return Err(format!("a mask of {:?} does not fit scores of {scores:?}", o.shape)),
        }
    }
    Ok(AttentionMask { kind, batch: strides[0], head: strides[1], row: strides[2] })
}
