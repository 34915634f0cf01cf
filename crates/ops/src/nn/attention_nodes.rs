//! Attention in simpler operators.

use super::attention::AttentionAttrs;
use crate::prelude::*;

/// The nodes of one attention; see [`build`].
struct Nodes<'a, 'b> {
    b: &'a mut Builder<'b>,
    attrs: AttentionAttrs,
    dtype: DType,
}

/// Values that replace the outputs of an Attention node.
///
/// # Errors
/// When a rank or type is not known, for a cache that is kept outside, and for a mask shorter than the keys.
pub fn build(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = AttentionAttrs::of(&b.attrs(node)?)?;
    let [q, k, v] = [0, 1, 2].map(|i| b.input(node, i));
    let (q, k, v) = (q?, k?, v?);
    let (mask, past) = (b.opt_input(node, 3), [b.opt_input(node, 4), b.opt_input(node, 5)]);
    if b.opt_input(node, 6).is_some() {
        return Err(OpError::unsupported("nonpad_kv_seqlen in simpler operators"));
    }
    let unknown = || OpError::unsupported("attention over operands of unknown rank or type");
    let (rank, dtype) = (b.ty(q).rank().ok_or_else(unknown)?, b.ty(q).dtype().ok_or_else(unknown)?);
    let mut n = Nodes { b, attrs, dtype };
    let packed = rank == 3;
    let (q_heads, kv_heads) = n.heads(q, k, packed)?;
    let q = n.unpacked(q, packed, q_heads)?;
    let (mut k, mut v) = (n.unpacked(k, packed, kv_heads)?, n.unpacked(v, packed, kv_heads)?);
    if let [Some(past_k), Some(past_v)] = past {
        k = n.joined(past_k, k)?;
        v = n.joined(past_v, v)?;
    }
    let (present_k, present_v) = (k, v);
    let (k, v) = (n.repeated(k, q_heads / kv_heads)?, n.repeated(v, q_heads / kv_heads)?);
    let scores = n.scores(q, k)?;
    let capped = n.capped(scores)?;
    let bias = n.bias(q, k, mask, past[0])?;
    let biased = match bias {
        Some(bias) => n.b.op("Add", &[capped, bias])?,
        None => capped,
    };
    let weights = n.weights(biased, bias)?;
    let mut y = n.b.op("MatMul", &[weights, v])?;
    if packed {
        y = n.b.op_with("Transpose", &[y], Attrs::new().with("perm", [0, 2, 1, 3]))?;
        let shape = n.b.ints(&[0, 0, -1]);
        y = n.b.op("Reshape", &[y, shape])?;
    }
    let shown = [scores, capped, biased, weights][n.attrs.output_mode];
    Ok(vec![y, present_k, present_v, shown])
}

impl Nodes<'_, '_> {
    fn scalar(&mut self, value: f64) -> OpResult<ValueId> {
        Ok(self.b.constant(Tensor::from_f64s(self.dtype, &[], &[value])?))
    }

    fn heads(&self, q: ValueId, k: ValueId, packed: bool) -> OpResult<(usize, usize)> {
        let of = |v: ValueId, given: Option<usize>| match packed {
            true => given,
            false => self.b.ty(v).shape().and_then(|s| s.get(1)?.size()),
        };
        match (of(q, self.attrs.q_heads), of(k, self.attrs.kv_heads)) {
            (Some(q), Some(kv)) if kv > 0 && q % kv == 0 => Ok((q, kv)),
            (Some(_), Some(_)) => Err(OpError::invalid("the query heads are no multiple of the key heads")),
            _ => Err(OpError::unsupported("attention with an unknown number of heads")),
        }
    }

    fn unpacked(&mut self, x: ValueId, packed: bool, heads: usize) -> OpResult<ValueId> {
        if !packed {
            return Ok(x);
        }
        let shape = self.b.ints(&[0, 0, heads as i64, -1]);
        let x = self.b.op("Reshape", &[x, shape])?;
        self.b.op_with("Transpose", &[x], Attrs::new().with("perm", [0, 2, 1, 3]))
    }

    fn joined(&mut self, past: ValueId, new: ValueId) -> OpResult<ValueId> {
        self.b.op_with("Concat", &[past, new], Attrs::new().with("axis", 2))
    }

    /// Each head `times` times in a row.
    fn repeated(&mut self, x: ValueId, times: usize) -> OpResult<ValueId> {
        if times == 1 {
            return Ok(x);
        }
        let part = |b: &mut Builder, start: i64, end: i64| {
            b.op_with("Shape", &[x], Attrs::new().with("start", start).with("end", end))
        };
        let (batch, rest) = (part(self.b, 0, 1)?, part(self.b, 2, 4)?);
        let (axis, all) = (self.b.ints(&[2]), self.b.ints(&[-1]));
        let shape = self.b.op_with("Concat", &[batch, all, rest], Attrs::new().with("axis", 0))?;
        let (wide, repeats) = (self.b.op("Unsqueeze", &[x, axis])?, self.b.ints(&[1, 1, times as i64, 1, 1]));
        let tiled = self.b.op("Tile", &[wide, repeats])?;
        self.b.op("Reshape", &[tiled, shape])
    }

    fn scores(&mut self, q: ValueId, k: ValueId) -> OpResult<ValueId> {
        let size = self.b.ty(q).shape().and_then(|s| s.get(3)?.size());
        let scale = match (self.attrs.scale, size) {
            (Some(scale), _) => scale,
            (None, Some(size)) => 1.0 / (size as f64).sqrt(),
            _ => return Err(OpError::unsupported("attention with heads of unknown size")),
        };
        let root = self.scalar(scale.sqrt())?;
        let turned = self.b.op_with("Transpose", &[k], Attrs::new().with("perm", [0, 1, 3, 2]))?;
        let (q, k) = (self.b.op("Mul", &[q, root])?, self.b.op("Mul", &[turned, root])?);
        self.b.op("MatMul", &[q, k])
    }

    fn capped(&mut self, scores: ValueId) -> OpResult<ValueId> {
        if self.attrs.softcap <= 0.0 {
            return Ok(scores);
        }
        let cap = self.scalar(self.attrs.softcap)?;
        let ratio = self.b.op("Div", &[scores, cap])?;
        let bent = self.b.op("Tanh", &[ratio])?;
        self.b.op("Mul", &[bent, cap])
    }

    /// What is added to the scores: 0 or the mask where a key is seen, minus infinity elsewhere.
    fn bias(
        &mut self,
        q: ValueId,
        k: ValueId,
        mask: Option<ValueId>,
        past: Option<ValueId>,
    ) -> OpResult<Option<ValueId>> {
        let (zero, never) = (self.scalar(0.0)?, self.scalar(f64::NEG_INFINITY)?);
        let mut bias = None;
        if let Some(mask) = mask {
            let last = |v: ValueId, at: fn(&[Dim]) -> Option<&Dim>| self.b.ty(v).shape().and_then(at).cloned();
            let (have, wanted) = (last(mask, |s| s.last()), last(k, |s| s.get(2)));
            if have.is_none() || have != wanted {
                return Err(OpError::unsupported("a mask that may be shorter than the keys"));
            }
            bias = Some(match self.b.ty(mask).dtype() {
                Some(DType::Bool) => self.b.op("Where", &[mask, zero, never])?,
                Some(d) if d == self.dtype => mask,
                _ => self.b.op_with("Cast", &[mask], Attrs::new().with("to", self.dtype))?,
            });
        }
        if let Some(seen) = self.visible(q, k, past)? {
            let frontier = self.b.op("Where", &[seen, zero, never])?;
            bias = Some(match bias {
                Some(bias) => self.b.op("Add", &[bias, frontier])?,
                None => frontier,
            });
        }
        Ok(bias)
    }

    /// Which keys each query sees by causality and windows, `[queries, keys]`.
    fn visible(&mut self, q: ValueId, k: ValueId, past: Option<ValueId>) -> OpResult<Option<ValueId>> {
        let right = match (self.attrs.causal, self.attrs.right) {
            (true, Some(right)) => Some(right.min(0)),
            (true, None) => Some(0),
            (false, right) => right,
        };
        let left = self.attrs.left;
        if left.is_none() && right.is_none() {
            return Ok(None);
        }
        let length = |b: &mut Builder, x: ValueId| {
            let size = b.op_with("Shape", &[x], Attrs::new().with("start", 2).with("end", 3))?;
            b.op("Squeeze", &[size])
        };
        let scalar = |b: &mut Builder, x: i64| b.constant(Tensor::scalar(x));
        let (zero, one) = (scalar(self.b, 0), scalar(self.b, 1));
        let (queries, keys) = (length(self.b, q)?, length(self.b, k)?);
        let (mut rows, columns) = (self.b.op("Range", &[zero, queries, one])?, self.b.op("Range", &[zero, keys, one])?);
        if let Some(past) = past {
            let offset = length(self.b, past)?;
            rows = self.b.op("Add", &[rows, offset])?;
        }
        let axis = self.b.ints(&[1]);
        let rows = self.b.op("Unsqueeze", &[rows, axis])?;
        let mut seen = None;
        for (name, bound, sign) in [("LessOrEqual", right, 1), ("GreaterOrEqual", left, -1)] {
            let Some(bound) = bound else { continue };
            let shift = scalar(self.b, sign * bound);
            let limit = self.b.op("Add", &[rows, shift])?;
            let part = self.b.op(name, &[columns, limit])?;
            seen = Some(match seen {
                Some(seen) => self.b.op("And", &[seen, part])?,
                None => part,
            });
        }
        Ok(seen)
    }

    /// Softmax in the precision asked for; a query that sees no key gets zeros.
    fn weights(&mut self, scores: ValueId, bias: Option<ValueId>) -> OpResult<ValueId> {
        let wide = self.attrs.precision.filter(|&p| p != self.dtype);
        let to = |d: DType| Attrs::new().with("to", d);
        let mut x = scores;
        if let Some(wide) = wide {
            x = self.b.op_with("Cast", &[x], to(wide))?;
        }
        x = self.b.op_with("Softmax", &[x], Attrs::new().with("axis", -1))?;
        if wide.is_some() {
            x = self.b.op_with("Cast", &[x], to(self.dtype))?;
        }
        if let Some(bias) = bias {
            let (axis, zero, never) = (self.b.ints(&[-1]), self.scalar(0.0)?, self.scalar(f64::NEG_INFINITY)?);
            let top = self.b.op("ReduceMax", &[bias, axis])?;
            let blind = self.b.op("Equal", &[top, never])?;
            x = self.b.op("Where", &[blind, zero, x])?;
        }
        Ok(x)
    }
}
