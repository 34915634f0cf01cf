//! Adapters that many operators share: forms of opset 1 to 6.

use crate::prelude::*;
use modelsmith_ir::Attr as A;

/// Opset 1 wrote `consumed_inputs`, a hint for in-place work without meaning.
///
/// # Errors
/// Never.
pub fn drop_consumed_inputs(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().remove("consumed_inputs");
    Ok(())
}

/// Opset 6 and before broadcast only when `broadcast = 1`, aligning the second operand at `axis` (its last
/// dimensions when absent). The hub broadcasts as numpy does, so the second operand is given trailing ones.
///
/// # Errors
/// When `axis` is given and a rank is not known.
pub fn broadcast_from_axis(cx: &mut AdaptCx) -> OpResult<()> {
    drop_consumed_inputs(cx)?;
    cx.attrs().remove("broadcast");
    let axis = match cx.attrs().remove("axis") {
        Some(A::Int(axis)) => axis,
        _ => return Ok(()),
    };
    let (Some(a), Some(b)) = (cx.rank(0), cx.rank(1)) else {
        return Err(OpError::unsupported("attribute axis with operands of unknown rank"));
    };
    let axis = if axis < 0 { axis + a as i64 } else { axis };
    let trailing = a as i64 - axis - b as i64;
    if trailing <= 0 {
        return Ok(());
    }
    let Some(value) = cx.input(1) else { return Ok(()) };
    let axes = (b as i64..b as i64 + trailing).collect::<Vec<_>>();
    let mut before = cx.before();
    let axes = before.ints(&axes);
    let wide = before.op("Unsqueeze", &[value, axes])?;
    cx.set_input(1, Some(wide));
    Ok(())
}

/// The way back: opset 6 says `broadcast = 1` when the shapes differ, and only the second operand may be the smaller.
///
/// # Errors
/// When a rank is not known, or the first operand would be broadcast.
pub fn broadcast_to_axis(cx: &mut AdaptCx) -> OpResult<()> {
    let shape = |i: usize| cx.input(i).and_then(|v| cx.model.ty(v).shape().map(<[Dim]>::to_vec));
    let (Some(a), Some(b)) = (shape(0), shape(1)) else {
        return Err(OpError::unsupported("operands of unknown shape, which opset 6 cannot broadcast"));
    };
    if a == b {
        return Ok(());
    }
    let suffix = b.len() <= a.len() && a[a.len() - b.len()..] == b[..];
    if !suffix && b.iter().any(|d| *d != Dim::Known(1)) {
        return Err(OpError::unsupported("opset 6 broadcasts only the second operand, aligned at its last dimensions"));
    }
    cx.attrs().set("broadcast", 1);
    Ok(())
}
