//! Operators that work on lanes: all elements along one axis. Shared by Softmax, LogSoftmax and Hardmax.

use crate::prelude::*;
use modelsmith_ir::Attr as A;

/// Type of the input; fails when `axis` is outside it.
///
/// # Errors
/// As said.
pub fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let Some(rank) = cx.rank(0) {
        axis_of(cx.attrs.int("axis")?, rank)?;
    }
    elementwise::same_as_first(cx)
}

/// An axis of which a scalar has one, of one element.
fn axis_of(axis: i64, rank: usize) -> OpResult<usize> {
    shapes::axis(axis, rank.max(1))
}

/// `f` of every lane of input 0 along `axis`, in `f64`, result of the same type.
///
/// # Errors
/// When `axis` is outside the input.
pub fn map(cx: &EvalCx, inputs: &[Option<&Value>], f: impl Fn(&mut [f64])) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axis = axis_of(cx.attrs.int("axis")?, x.rank())?;
    let mut data = x.to_f64s()?;
    each(&mut data, x.shape(), axis, f);
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &data)?.into()])
}

/// `f` of every lane of `data` of `shape` along `axis`, in place. A scalar is one lane of one element.
pub fn each(data: &mut [f64], shape: &[usize], axis: usize, f: impl Fn(&mut [f64])) {
    let len = shape.get(axis).copied().unwrap_or(1);
    let inner = shape.get(axis + 1..).map_or(1, |s| s.iter().product::<usize>());
    let mut lane = vec![0.0; len];
    if data.is_empty() {
        return;
    }
    for block in data.chunks_exact_mut(len * inner) {
        for i in 0..inner {
            for (k, v) in lane.iter_mut().enumerate() {
                *v = block[k * inner + i];
            }
            f(&mut lane);
            for (k, v) in lane.iter().enumerate() {
                block[k * inner + i] = *v;
            }
        }
    }
}

/// Before opset 13 these operators flattened their input to a matrix at `axis` (1 by default) and worked on its rows.
/// That is the same for the last axis, and where all but one of the flattened dimensions are 1; otherwise the node is put between
/// Flatten and Reshape.
///
/// # Errors
/// Never.
pub fn from_flattened(cx: &mut AdaptCx) -> OpResult<()> {
    let axis = match cx.attrs().get("axis") {
        Some(A::Int(axis)) => *axis,
        _ => 1,
    };
    // Operand and result have one shape, and a file may declare that of the result alone.
    let known = |v: Option<ValueId>| v.and_then(|v| cx.model.ty(v).shape()).map(<[Dim]>::to_vec);
    let shape = known(cx.input(0)).or_else(|| known(cx.model.nodes[cx.node].outputs.first().copied().flatten()));
    let rank = shape.as_ref().map(Vec::len);
    let last = axis == -1 || rank.is_some_and(|r| axis == r as i64 - 1 || axis == r as i64);
    if last {
        cx.attrs().set("axis", -1);
        return Ok(());
    }
    let Some(x) = cx.input(0) else { return Ok(()) };
    if let Some(axis) = shape.and_then(|s| lone_axis(&s, axis)) {
        cx.attrs().set("axis", axis as i64);
        return Ok(());
    }
    let mut before = cx.before();
    let shape = before.op("Shape", &[x])?;
    let flat = before.op_with("Flatten", &[x], Attrs::new().with("axis", axis))?;
    cx.set_input(0, Some(flat));
    cx.attrs().set("axis", -1);
    rewire::behind(cx, 0, |b, rows| b.op("Reshape", &[rows, shape]))
}

/// The axis that is left when `shape` is flattened from `axis` on, where all others there are 1.
fn lone_axis(shape: &[Dim], axis: i64) -> Option<usize> {
    let from = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
    let mut wide = (from..shape.len()).filter(|&i| shape[i] != Dim::Known(1));
    let lone = wide.next().unwrap_or(from);
    (from < shape.len() && wide.next().is_none()).then_some(lone)
}

/// The way back: an axis means the same in both where only dimensions of 1 follow.
///
/// # Errors
/// When the rank is not known.
pub fn to_flattened(cx: &mut AdaptCx) -> OpResult<()> {
    let axis = match cx.attrs().get("axis") {
        Some(A::Int(axis)) => *axis,
        _ => -1,
    };
    let rank = cx.rank(0).ok_or_else(|| OpError::unsupported("an input of unknown rank before opset 13"))?;
    let axis = axis_of(axis, rank)?;
    if axis + 1 >= rank {
        cx.attrs().set("axis", rank.saturating_sub(1) as i64);
        return Ok(());
    }
    let x = cx.input(0);
    let before = cx.before();
    let shape = x.and_then(|x| before.ty(x).shape().map(<[Dim]>::to_vec));
    if shape.is_some_and(|s| s[axis + 1..].iter().all(|d| *d == Dim::Known(1))) {
        cx.attrs().set("axis", axis as i64);
        return Ok(());
    }
    Err(OpError::unsupported(format!("axis {axis} of {rank}: before opset 13 only the last axis means the same")))
}

/// Samples: every type, every axis of several ranks, special values.
pub fn samples(s: &mut Samples, set: TypeSet) {
    for dtype in set.dtypes() {
        let x = s.floats(dtype, &[3, 4], -3.0, 3.0);
        s.case().input(x).add();
    }
    for shape in Samples::shapes().into_iter().filter(|s| !s.is_empty()) {
        for axis in [0, shape.len() as i64 - 1, -(shape.len() as i64)] {
            let x = s.floats(F32, shape, -3.0, 3.0);
            s.case().attr("axis", axis).input(x).add();
        }
    }
    let x = s.floats(F32, &[4], 100.0, 1000.0);
    s.case().input(x).add();
    let x = s.special(F32, 12).reshaped(&[12, 1]).expect("as many");
    s.case().input(x).attr("axis", 0).add();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wide_axis_is_found() {
        let shape = [Dim::symbol("n"), Dim::Known(5), Dim::Known(1), Dim::Known(1)];
        assert_eq!(lone_axis(&shape, 1), Some(1));
        assert_eq!(lone_axis(&shape, -1), Some(3));
        assert_eq!(lone_axis(&shape, 2), Some(2));
        assert_eq!(lone_axis(&shape, 0), None);
        assert_eq!(lone_axis(&shape, 4), None);
        assert_eq!(lone_axis(&shape, -5), None);
    }

    #[test]
    fn the_declared_shape_of_the_result_spares_the_reshaping() {
        for (declared, nodes) in [(true, 1), (false, 4)] {
            let mut model = modelsmith_ir::Model::new();
            let region = model.main;
            let unknown = Type::Tensor(TensorType { dtype: Some(F32), shape: None });
            let x = model.add_param(region, "x", unknown.clone());
            let attrs = Attrs::new().with("axis", 2);
            let y = model.build(crate::all()).op_with("Softmax", &[x], attrs).unwrap();
            model.values[y].ty = if declared { Type::fixed(F32, &[1, 5, 2]) } else { unknown };
            model.regions[region].results.push(y);
            let node = model.nodes_in(region)[0];
            from_flattened(&mut AdaptCx { model: &mut model, ops: crate::all(), region, node }).unwrap();
            assert_eq!(model.nodes_in(region).len(), nodes);
        }
    }
}
