//! Range: `start`, `start + delta`, ... up to before `limit`. Half types compute in the type that `stash_type` names.
//!
//! <https://onnx.ai/onnx/operators/onnx__Range.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("start", "T"), Param::one("limit", "T"), Param::one("delta", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("stash_type", 1)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I16, I32, I64]))],
};

/// The ONNX operator Range.
pub static RANGE: OpDef = OpDef {
    name: "Range",
    since: 27,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 11,
        schema: Schema { attrs: &[], types: &[types_of("T", TypeSet::tensors(&[F32, F64, I16, I32, I64]))], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn count(start: f64, limit: f64, delta: f64) -> OpResult<usize> {
    let n = ((limit - start) / delta).ceil();
    match n.is_nan() || n > u32::MAX.into() {
        true => Err(OpError::invalid(format!("a range from {start} to {limit} by {delta}"))),
        false => Ok(n.max(0.0) as usize),
    }
}

fn count_ints(start: i64, limit: i64, delta: i64) -> OpResult<usize> {
    let span = i128::from(limit) - i128::from(start);
    let by = i128::from(delta);
    let n = match by {
        0 => return Err(OpError::invalid("a delta of 0")),
        _ if (span > 0) != (by > 0) || span == 0 => 0,
        _ => (span.abs() - 1) / by.abs() + 1,
    };
    usize::try_from(n).map_err(|_| OpError::invalid(format!("a range from {start} to {limit} by {delta}")))
}

fn symbolic(start: &Dim, limit: &Dim, delta: &Dim) -> OpResult<Dim> {
    if let (Some(a), Some(b), Some(c)) = (start.known(), limit.known(), delta.known()) {
        return Ok(count_ints(a, b, c)?.into());
    }
    match delta.known() {
        Some(0) => Err(OpError::invalid("a delta of 0")),
        Some(by) if by > 0 => Ok(moves::at_least_zero(&(limit.clone() - start.clone()).ceil_div(delta))),
        Some(by) => {
            let by = Dim::Known(by.checked_neg().unwrap_or(i64::MAX));
            Ok(moves::at_least_zero(&(start.clone() - limit.clone()).ceil_div(&by)))
        }
        None => Ok(Dim::Unknown),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let scalar = |i| cx.value(i).and_then(|v| v.dims.first().cloned());
    let mut n = Dim::Unknown;
    if let (Some(a), Some(b), Some(c)) = (scalar(0), scalar(1), scalar(2)) {
        n = symbolic(&a, &b, &c)?;
        if let Some(n @ 0..=1024) = n.known() {
            let dims = (0..n).map(|i| a.clone() + c.clone() * Dim::Known(i)).collect();
            cx.set_value(0, SymTensor::vector(dims));
        }
    } else if let (Some(a), Some(b), Some(c)) = (cx.constant(0), cx.constant(1), cx.constant(2))
        && let (Ok(a), Ok(b), Ok(c)) = (a.to_f64s(), b.to_f64s(), c.to_f64s())
        && let (Some(a), Some(b), Some(c)) = (a.first(), b.first(), c.first())
    {
        n = count(*a, *b, *c)?.into();
    }
    let dtype = (0..3).find_map(|i| cx.dtype(i));
    cx.set_tensor(0, dtype, Some(vec![n]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let operand = |i| {
        let t = cx.tensor(inputs, i)?;
        if t.len() == 1 { Ok(t) } else { Err(OpError::invalid(format!("operand {i} has {} elements", t.len()))) }
    };
    let (start, limit, delta) = (operand(0)?, operand(1)?, operand(2)?);
    let dtype = start.dtype();
    if limit.dtype() != dtype || delta.dtype() != dtype {
        return Err(OpError::invalid("operands of different types"));
    }
    if dtype.is_int() {
        let (a, b, c) = (start.to_i64s()?[0], limit.to_i64s()?[0], delta.to_i64s()?[0]);
        let n = count_ints(a, b, c)?;
        moves::affordable(&[n])?;
        let out = (0..n as i64).map(|i| a.wrapping_add(c.wrapping_mul(i))).collect::<Vec<_>>();
        return Ok(vec![Tensor::from_i64s(dtype, &[n], &out)?.into()]);
    }
    let (a, b, c) = (start.to_f64s()?[0], limit.to_f64s()?[0], delta.to_f64s()?[0]);
    let n = count(a, b, c)?;
    moves::affordable(&[n])?;
    let narrow = matches!(dtype, F16 | BF16);
    let stash = cx.attrs.int("stash_type")?;
    let value = |i: usize| match narrow && stash == 1 {
        true => f64::from(a as f32 + i as f32 * c as f32),
        false => a + i as f64 * c,
    };
    Ok(vec![Tensor::from_f64s(dtype, &[n], &(0..n).map(value).collect::<Vec<_>>())?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F64, F16, BF16, I16, I32, I64] {
        for (a, b, c) in [(1.0, 6.0, 2.0), (3.0, -4.0, -3.0), (2.0, 1.0, 1.0)] {
            let t = |x: f64| Tensor::from_f64s(dtype, &[], &[x]).unwrap_or_else(|_| Tensor::scalar(x));
            s.case().input(t(a)).input(t(b)).input(t(c)).add();
        }
    }
    let t = |x: f64| Tensor::from_f64s(F16, &[], &[x]).unwrap_or_else(|_| Tensor::scalar(x));
    s.case().input(t(0.0)).input(t(0.5)).input(t(0.125)).attr("stash_type", 10).add();
}
