//! Adapters that many operators share: forms of opset 1 to 6.

use crate::prelude::*;
use modelsmith_ir::{Attr as A, Def};

/// Opset 1 wrote `consumed_inputs`, a hint for in-place work without meaning.
///
/// # Errors
/// Never.
pub fn drop_consumed_inputs(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().remove("consumed_inputs");
    Ok(())
}

/// Before opset 11 the specification let an `axis` count from the front only.
///
/// # Errors
/// When it counts from the back of an operand of unknown rank.
pub fn axis_from_front(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(A::Int(axis @ ..0)) = cx.attrs().get("axis").cloned() else { return Ok(()) };
    let rank = cx.rank(0).ok_or_else(|| OpError::unsupported("a negative axis of an operand of unknown rank"))?;
    cx.attrs().set("axis", axis + rank as i64);
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

/// A form that also took integers, into one that takes floats only: the node computes in `f64` and its result is cast
/// back. Nothing where the element type is a float or not known.
///
/// # Errors
/// When the operand is absent.
pub fn compute_in_f64(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(x) = cx.input(0) else { return Err(OpError::invalid("input 0 is required")) };
    let Some(dtype) = cx.model.ty(x).dtype().filter(|d| !d.is_float()) else { return Ok(()) };
    let wide = cx.before().op_with("Cast", &[x], Attrs::new().with("to", F64))?;
    cx.set_input(0, Some(wide));
    let Some(old) = cx.model.nodes[cx.node].output(0) else { return Ok(()) };
    let made = cx.after().op_with("Cast", &[wide], Attrs::new().with("to", dtype))?;
    let Some(cast) = cx.model.producer(made) else { return Ok(()) };
    // The old result is now that of the cast, so that nothing that uses it changes.
    cx.model.values[old].def = Def::Node(cast, 0);
    cx.model.nodes[cast].outputs[0] = Some(old);
    cx.model.nodes[cast].inputs[0] = Some(made);
    cx.model.values[made].def = Def::Node(cx.node, 0);
    cx.model.values[made].ty = Type::Tensor(TensorType { dtype: Some(F64), shape: None });
    cx.model.nodes[cx.node].outputs[0] = Some(made);
    Ok(())
}

/// Opset 10 and before count axes from the front only: a negative one in `attr` is made positive.
///
/// # Errors
/// When one is negative and the rank of operand 0 is not known.
pub fn positive_axes(cx: &mut AdaptCx, attr: &str) -> OpResult<()> {
    let list = match cx.attrs().get(attr) {
        Some(A::Int(x)) => vec![*x],
        Some(A::Ints(x)) => x.clone(),
        _ => return Ok(()),
    };
    if list.iter().all(|&a| a >= 0) {
        return Ok(());
    }
    let rank = cx.rank(0).ok_or_else(|| OpError::unsupported("a negative axis with an operand of unknown rank"))?;
    let list = list.iter().map(|&a| Ok(shapes::axis(a, rank)? as i64)).collect::<OpResult<Vec<_>>>()?;
    match cx.attrs().get(attr) {
        Some(A::Int(_)) => cx.attrs().set(attr, list[0]),
        _ => cx.attrs().set(attr, list),
    }
    Ok(())
}

/// Fails unless all operands have one shape, for a target that does not broadcast them.
///
/// # Errors
/// When shapes differ or are not known.
pub fn equal_shapes_only(cx: &mut AdaptCx) -> OpResult<()> {
    let inputs = cx.model.nodes[cx.node].inputs.clone();
    let shapes = inputs.iter().flatten().map(|&v| cx.model.ty(v).shape()).collect::<Option<Vec<_>>>();
    let same = |s: Vec<&[Dim]>| s.windows(2).all(|w| w[0] == w[1]) && s.iter().all(|s| !s.contains(&Dim::Unknown));
    match inputs.len() < 2 || shapes.is_some_and(same) {
        true => Ok(()),
        false => Err(OpError::unsupported("the target does not broadcast, and the operands are not known to be alike")),
    }
}
