//! Slice: every `steps`-th index from `starts` to before `ends` along `axes`; both are counted from the end when negative and
//! clipped to the dimension.
//!
//! <https://onnx.ai/onnx/operators/onnx__Slice.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("data", "T"),
        Param::one("starts", "Tind"),
        Param::one("ends", "Tind"),
        Param::opt("axes", "Tind"),
        Param::opt("steps", "Tind"),
    ],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", ALL_IR4), types_of("Tind", INDEX)],
};

/// The ONNX operator Slice.
pub static SLICE: OpDef = OpDef {
    name: "Slice",
    since: 13,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[
                    AttrDef::optional("axes", AttrKind::Ints),
                    AttrDef::required("ends", AttrKind::Ints),
                    AttrDef::required("starts", AttrKind::Ints),
                ],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(to_inputs),
            down: Adapt::Rewrite(to_attributes),
        },
        Past {
            since: 10,
            schema: Schema { types: &[types_of("T", ALL), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", ALL), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn to_inputs(cx: &mut AdaptCx) -> OpResult<()> {
    cx.ints_to_input("starts", 1)?;
    cx.ints_to_input("ends", 2)?;
    cx.ints_to_input("axes", 3)
}

fn to_attributes(cx: &mut AdaptCx) -> OpResult<()> {
    if let Some(steps) = cx.input(4) {
        let ones = cx.constant_of(steps).and_then(|t| t.to_i64s().ok()).is_some_and(|s| s.iter().all(|&x| x == 1));
        if !ones {
            return Err(OpError::unsupported("steps other than 1"));
        }
        cx.set_input(4, None);
    }
    cx.input_to_ints(3, "axes")?;
    cx.input_to_ints(2, "ends")?;
    cx.input_to_ints(1, "starts")
}

/// Larger ends mean "to the end": exporters write `i32::MAX` and more.
const END: i64 = i32::MAX as i64;

/// First index and number of indices along a dimension of `d`.
fn range(d: &Dim, start: &Dim, end: &Dim, step: i64) -> OpResult<(Dim, Dim)> {
    if let (Some(d), Some(start), Some(end)) = (d.known(), start.known(), end.known()) {
        let from_end = |x: i64| if x < 0 { x.saturating_add(d) } else { x };
        // Backwards a start before the first element is the first element, an end before it is beyond it.
        let (first, lo, hi) = if step > 0 { (0, 0, d) } else { (0.min(d - 1), -1, d - 1) };
        let (a, b) = (from_end(start).clamp(first, hi), from_end(end).clamp(lo, hi));
        let span = if step > 0 { b - a } else { a - b };
        let stride = step.unsigned_abs().min(i64::MAX as u64) as i64;
        let n = if span <= 0 || d == 0 { 0 } else { (span - 1) / stride + 1 };
        return Ok((Dim::Known(a.max(0)), Dim::Known(n)));
    }
    if step < 0 {
        let whole = start.known().is_some_and(|s| s == -1 || s >= END) && end.known().is_some_and(|e| e <= -END);
        let n = if whole { d.ceil_div(&Dim::Known(step.checked_neg().unwrap_or(i64::MAX))) } else { Dim::Unknown };
        return Ok((Dim::Unknown, n));
    }
    let clipped = |x: &Dim| match x {
        Dim::Known(n) if *n >= END => d.clone(),
        Dim::Known(n) if *n < 0 => moves::at_least_zero(&(d.clone() + x.clone())),
        x if shapes::non_negative(x) => x.smaller(d),
        _ => Dim::Unknown,
    };
    let (a, b) = (clipped(start), clipped(end));
    let span = match (start, b == *d) {
        // d - min(s, d) and max(d - s, 0) are one thing; the second reads better.
        (Dim::Known(s), true) if *s >= 0 && *s < END => moves::at_least_zero(&(d.clone() - start.clone())),
        _ => moves::at_least_zero(&(b - a.clone())),
    };
    Ok((a, span.ceil_div(&Dim::Known(step))))
}

/// One cut: axis, start, end, step.
type Cut = (usize, Dim, Dim, i64);

fn cuts(rank: usize, starts: &[Dim], ends: &[Dim], axes: Option<Vec<i64>>, steps: &[i64]) -> OpResult<Vec<Cut>> {
    let axes = shapes::axes(&axes.unwrap_or_else(|| (0..starts.len() as i64).collect()), rank)?;
    if starts.len() != axes.len() || ends.len() != axes.len() || steps.len() != axes.len() {
        let n = [axes.len(), starts.len(), ends.len(), steps.len()];
        return Err(OpError::invalid(format!("axes, starts, ends and steps of {n:?} elements")));
    }
    if steps.contains(&0) {
        return Err(OpError::invalid("a step of 0"));
    }
    Ok((0..axes.len()).map(|i| (axes[i], starts[i].clone(), ends[i].clone(), steps[i])).collect())
}

fn known_cuts(cx: &InferCx, rank: usize) -> OpResult<Option<Vec<Cut>>> {
    let (Some(starts), Some(ends)) = (moves::from_operand(cx, 1), moves::from_operand(cx, 2)) else {
        return Ok(None);
    };
    let axes = cx.ints(3);
    let steps = if cx.has(4) { cx.ints(4) } else { Some(vec![1; starts.len()]) };
    match steps {
        Some(steps) if !cx.has(3) || axes.is_some() => cuts(rank, &starts, &ends, axes, &steps).map(Some),
        _ => Ok(None),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let Some(x) = cx.shape(0) else {
        cx.set_tensor(0, cx.dtype(0), None);
        return Ok(());
    };
    let Some(cuts) = known_cuts(cx, x.len())? else {
        let axes = cx.ints(3).and_then(|a| shapes::axes(&a, x.len()).ok());
        let touched = |i: &usize| axes.as_ref().is_none_or(|a| a.contains(i));
        let shape = (0..x.len()).map(|i| if touched(&i) { Dim::Unknown } else { x[i].clone() }).collect();
        cx.set_tensor(0, cx.dtype(0), Some(shape));
        return Ok(());
    };
    let mut shape = x.to_vec();
    for (axis, start, end, step) in &cuts {
        let (first, n) = range(&x[*axis], start, end, *step)?;
        if let (Some(v), 1, Some(first), Some(n)) = (cx.value(0), x.len(), first.known(), n.known()) {
            let picked = (0..n).map(|k| v.dims.get((first + k * step) as usize).cloned().unwrap_or(Dim::Unknown));
            cx.set_value(0, SymTensor::vector(picked.collect()));
        }
        shape[*axis] = n;
    }
    cx.set_tensor(0, cx.dtype(0), Some(shape));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let dims = |i| Ok::<_, OpError>(cx.tensor(inputs, i)?.to_i64s()?.into_iter().map(Dim::Known).collect::<Vec<_>>());
    let (starts, ends) = (dims(1)?, dims(2)?);
    let steps = cx.opt_ints(inputs, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    let mut shape = x.shape().to_vec();
    let own = index::strides(x.shape());
    let mut strides = own.iter().map(|&s| s as isize).collect::<Vec<_>>();
    let mut at = 0isize;
    for (axis, start, end, step) in cuts(x.rank(), &starts, &ends, cx.opt_ints(inputs, 3)?, &steps)? {
        let (first, n) = range(&x.shape()[axis].into(), &start, &end, step)?;
        shape[axis] = n.size().unwrap_or(0);
        at += first.known().unwrap_or(0) as isize * own[axis] as isize;
        strides[axis] = if shape[axis] > 1 { strides[axis] * step as isize } else { 0 };
    }
    Ok(vec![x.strided(&shape, &strides, at)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[4, 3]);
        s.case().input(x).input(Tensor::vector(&[1i64, 0])).input(Tensor::vector(&[9i64, -1])).add();
    }
    type Case = (&'static [usize], &'static [i64], &'static [i64], &'static [i64], &'static [i64]);
    let cases: [Case; 10] = [
        (&[5], &[-1], &[i64::MIN], &[0], &[-2]),
        (&[5], &[3], &[1], &[0], &[1]),
        (&[5], &[i64::MAX], &[i64::MIN], &[-1], &[i64::MIN]),
        (&[3, 4], &[0, 1], &[2, i64::MAX], &[1, 0], &[2, 1]),
        (&[2, 3, 4], &[-2], &[-1], &[-1], &[1]),
        (&[2, 1, 3, 2], &[2], &[0], &[2], &[-1]),
        (&[1, 2, 1, 3, 2], &[0, 7], &[1, 9], &[1, 3], &[3, 1]),
        (&[2, 0, 3], &[0, -5], &[5, 5], &[1, 2], &[1, 2]),
        (&[4], &[-9], &[-9], &[0], &[-1]),
        (&[0], &[-9], &[-9], &[0], &[-1]),
    ];
    for (shape, starts, ends, axes, steps) in cases {
        let x = s.any(F32, shape);
        let case = s.case().input(x).input(Tensor::vector(starts)).input(Tensor::vector(ends));
        case.input(Tensor::vector(axes)).input(Tensor::vector(steps)).add();
    }
    let x = s.any(F32, &[3, 3]);
    let narrow = |v: i32| Tensor::vector(&[v]);
    s.case().input(x.clone()).input(narrow(1)).input(narrow(3)).input(narrow(1)).add();
    s.case().input(x).input(narrow(-3)).input(narrow(3)).absent().input(narrow(2)).add();
}
