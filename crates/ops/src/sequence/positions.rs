//! What operators on sequences share: elements, and positions counted from either end.

use crate::prelude::*;

/// Type of the elements of a sequence type.
pub(crate) fn item(ty: &Type) -> Type {
    match ty {
        Type::Sequence(item) => (**item).clone(),
        _ => Type::Unknown,
    }
}

/// Elements of operand `i`.
///
/// # Errors
/// When it is absent or no sequence.
pub(crate) fn items<'v>(inputs: &[Option<&'v Value>], i: usize) -> OpResult<&'v [Value]> {
    let value = inputs.get(i).copied().flatten().ok_or_else(|| OpError::invalid(format!("input {i} is required")))?;
    Ok(value.sequence()?)
}

/// The position in a sequence of `len` elements that operand `i` names, from 0 to `len`; `None` when it is absent.
///
/// # Errors
/// When it is outside.
pub(crate) fn position(cx: &EvalCx, inputs: &[Option<&Value>], i: usize, len: usize) -> OpResult<Option<usize>> {
    let Some(given) = cx.opt_ints(inputs, i)? else { return Ok(None) };
    let n = len as i64;
    match given.as_slice() {
        &[p] if (-n..=n).contains(&p) => Ok(Some(if p < 0 { p + n } else { p } as usize)),
        _ => Err(OpError::invalid(format!("position {given:?} of a sequence of {len} elements"))),
    }
}
