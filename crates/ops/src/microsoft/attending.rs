//! What the attention operators of `com.microsoft` share: projected rows made heads, masks made biases, and the hub's
//! Attention between.

use crate::prelude::*;

/// Queries, keys and values as `[batch, heads, length, size]`, and what is added to the scores.
pub(crate) struct Attending {
    pub(crate) heads: [ValueId; 3],
    pub(crate) bias: Option<ValueId>,
    pub(crate) past: Option<[ValueId; 2]>,
    pub(crate) attrs: Attrs,
}

impl Attending {
    /// The result `[batch, length, heads * size]`, and keys and values with those of the past before them.
    ///
    /// # Errors
    /// Never for operands of known type.
    pub(crate) fn build(mut self, b: &mut Builder) -> OpResult<[ValueId; 3]> {
        let [mut q, k, v] = self.heads;
        // The hub's Attention multiplies both sides by the root of the scale.
        if let Some(&Attr::Float(scale @ ..0.0)) = self.attrs.get("scale") {
            q = b.op("Neg", &[q])?;
            self.attrs.set("scale", -scale);
        }
        let past = |i: usize| self.past.map(|p| p[i]);
        let operands = [Some(q), Some(k), Some(v), self.bias, past(0), past(1)];
        let out = b.node("", "Attention", &operands, self.attrs, 3)?;
        let rows = b.op_with("Transpose", &[out[0]], Attrs::new().with("perm", [0, 2, 1, 3]))?;
        let shape = b.ints(&[0, 0, -1]);
        Ok([b.op("Reshape", &[rows, shape])?, out[1], out[2]])
    }
}

/// Attributes of the hub's Attention from those that the operators share.
///
/// # Errors
/// When one is of another kind.
pub(crate) fn shared(view: &AttrView) -> OpResult<Attrs> {
    let mut attrs = Attrs::new();
    if let Some(scale) = view.opt_float("scale")?.filter(|&s| s != 0.0) {
        attrs.set("scale", scale);
    }
    if view.opt_int("unidirectional")? == Some(1) {
        attrs.set("is_causal", 1);
    }
    Ok(attrs)
}

/// Number of heads.
///
/// # Errors
/// When it is not positive.
pub(crate) fn count(view: &AttrView, name: &str) -> OpResult<i64> {
    match view.int(name)? {
        n if n > 0 => Ok(n),
        n => Err(OpError::invalid(format!("{name} is {n}, at least 1 is wanted"))),
    }
}

/// `x`, `[batch, length, heads * size]` or heads already, as heads.
///
/// # Errors
/// When its rank is not known.
pub(crate) fn split(b: &mut Builder, x: ValueId, heads: i64) -> OpResult<ValueId> {
    match b.ty(x).rank() {
        Some(4) => Ok(x),
        Some(3) => {
            let shape = b.ints(&[0, 0, heads, -1]);
            let x = b.op("Reshape", &[x, shape])?;
            b.op_with("Transpose", &[x], Attrs::new().with("perm", [0, 2, 1, 3]))
        }
        Some(n) => Err(OpError::unsupported(format!("an operand of {n} dimensions"))),
        None => Err(OpError::unsupported("an operand of unknown rank")),
    }
}

/// What the scores get from a mask of keys, 1 for those that are seen: `filter` where it is 0. Masks are `[batch, keys]`
/// or `[batch, queries, keys]`.
///
/// # Errors
/// For masks of other ranks.
pub(crate) fn masked(b: &mut Builder, mask: ValueId, like: ValueId, filter: f64) -> OpResult<ValueId> {
    let axes = match b.ty(mask).rank() {
        Some(2) => b.ints(&[1, 2]),
        Some(3) => b.ints(&[1]),
        _ => return Err(OpError::unsupported("a mask that is not [batch, keys] or [batch, queries, keys]")),
    };
    let seen = b.op_with("Cast", &[mask], Attrs::new().with("to", Bool))?;
    let seen = b.op("Unsqueeze", &[seen, axes])?;
    let (zero, never) = (b.scalar_like(like, 0.0)?, b.scalar_like(like, filter)?);
    b.op("Where", &[seen, zero, never])
}

/// The sum of what is present.
///
/// # Errors
/// Never for operands of known type.
pub(crate) fn sum(b: &mut Builder, x: Option<ValueId>, y: Option<ValueId>) -> OpResult<Option<ValueId>> {
    match (x, y) {
        (Some(x), Some(y)) => Ok(Some(b.op("Add", &[x, y])?)),
        (x, y) => Ok(x.or(y)),
    }
}

/// The two halves of a tensor of keys and values, `[2, batch, heads, length, size]`.
///
/// # Errors
/// Never for operands of known type.
pub(crate) fn halves(b: &mut Builder, x: ValueId) -> OpResult<[ValueId; 2]> {
    let mut half = |i: i64| {
        let i = b.constant(Tensor::scalar(i));
        b.op_with("Gather", &[x, i], Attrs::new().with("axis", 0))
    };
    Ok([half(0)?, half(1)?])
}

/// Keys and values as one tensor.
///
/// # Errors
/// Never for operands of known type.
pub(crate) fn stacked(b: &mut Builder, keys: ValueId, values: ValueId) -> OpResult<ValueId> {
    let axis = b.ints(&[0]);
    let parts = [b.op("Unsqueeze", &[keys, axis])?, b.op("Unsqueeze", &[values, axis])?];
    b.op_with("Concat", &parts, Attrs::new().with("axis", 0))
}
