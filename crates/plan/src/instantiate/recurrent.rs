//! Recurrent layers.

use super::{Call, Cx, Made, product};
use modelsmith_kop::{GruProblem, KOp, LstmProblem};
use modelsmith_tensor::DType;

/// Time steps and sequences of the input part of `count` gates, and the elements of a state.
fn driven(cx: &Cx, hidden: usize, count: usize) -> Made<[usize; 3]> {
    let gates = cx.input(0)?;
    gates.want(DType::F32, "gates")?;
    let [seq, batch, width] = gates.shape[..] else { return Err("gates are not of rank 3".into()) };
    if hidden.checked_mul(count) != Some(width) {
        return Err("gates do not fit the hidden size".into());
    }
    Ok([seq, batch, product(&[batch, hidden])?])
}

pub(super) fn lstm(cx: &Cx, reverse: bool, hidden: usize) -> Made<Vec<Call>> {
    let [seq, batch, y_step_stride] = driven(cx, hidden, 4)?;
    cx.one(KOp::Lstm(LstmProblem { seq, batch, hidden, reverse, y_step_stride }))
}

pub(super) fn gru(
    cx: &Cx,
    (reverse, linear_before_reset, lengths): (bool, bool, bool),
    hidden: usize,
) -> Made<Vec<Call>> {
    let [seq, batch, y_step_stride] = driven(cx, hidden, 3)?;
    if lengths {
        cx.input(5 + usize::from(linear_before_reset))?.want(DType::I32, "lengths")?;
    }
    cx.one(KOp::Gru(GruProblem { seq, batch, hidden, reverse, linear_before_reset, lengths, y_step_stride }))
}
