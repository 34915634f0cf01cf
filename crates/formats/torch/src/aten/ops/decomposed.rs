//! Quantized graphs of PyTorch 2 Export: `quantized_decomposed`, each operator a pair of QuantizeLinear and
//! DequantizeLinear with one other, or the arithmetic that it stands for where the range or type is none of theirs.

use crate::aten::schema::{Args, Row, element, row};
use crate::aten::value::float;
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row(
        "quantized_decomposed::quantize_per_tensor|quantized_decomposed::quantize_per_tensor.tensor|\
         quantized_decomposed::quantize_per_tensor.tensor2(T input, N scale, N zero_point, N quant_min, N quant_max, \
         I dtype)",
        quantize,
    ),
    row(
        "quantized_decomposed::dequantize_per_tensor|quantized_decomposed::dequantize_per_tensor.tensor|\
         quantized_decomposed::dequantize_per_tensor.tensor2(T input, N scale, N zero_point, N quant_min, N \
         quant_max, I dtype, I? out_dtype=None)",
        dequantize,
    ),
    row(
        "quantized_decomposed::quantize_per_channel(T input, T scales, T zero_points, I axis, I quant_min, I \
         quant_max, I dtype)",
        quantize_channels,
    ),
    row(
        "quantized_decomposed::dequantize_per_channel(T input, T scales, T? zero_points, I axis, I quant_min, I \
         quant_max, I dtype, I? out_dtype=None)",
        dequantize_channels,
    ),
    row("quantized_decomposed::choose_qparams.tensor(T input, I quant_min, I quant_max, F eps, I dtype)", choose),
    row(
        "quantized_decomposed::choose_qparams_symmetric.tensor(T input, I quant_min, I quant_max, F eps, I dtype)",
        choose_symmetric,
    ),
    row("quantized_decomposed::_choose_qparams_per_token_asymmetric_impl(T input, I dtype)", choose_tokens),
    row("quantized_decomposed::choose_qparams_per_token_asymmetric(T input, I dtype)", choose_tokens),
    row(
        "quantized_decomposed::quantize_per_token(T input, T scales, T zero_points, I quant_min, I quant_max, I dtype)",
        quantize_tokens,
    ),
    row(
        "quantized_decomposed::dequantize_per_token(T input, T scales, T zero_points, I quant_min, I quant_max, I \
         dtype, I output_dtype)",
        dequantize_tokens,
    ),
];

/// How integers stand for floats.
struct Scheme {
    scale: ValueId,
    zero: ValueId,
    /// Axis of scales that are a vector.
    axis: Option<i64>,
    low: i64,
    high: i64,
    dtype: DType,
}

/// Both ends of the range of a type that QuantizeLinear has.
fn range(dtype: DType) -> Option<(i64, i64)> {
    match dtype {
        DType::I8 => Some((-128, 127)),
        DType::U8 => Some((0, 255)),
        DType::I16 => Some((-32768, 32767)),
        DType::U16 => Some((0, 65535)),
        _ => None,
    }
}

/// A number or tensor of one element as a scalar.
fn one(cx: &mut Context, v: &Val, dtype: DType) -> Outcome<ValueId> {
    let x = cx.operand(v, dtype)?;
    match cx.ty(x).rank() {
        Some(0) => Ok(x),
        _ => {
            let none = cx.ints(&[]);
            cx.op("Reshape", &[x, none])
        }
    }
}

/// The scheme of arguments 1 to 5: scale, zero point, range, type.
fn per_tensor(cx: &mut Context, a: &Args<'_>) -> Outcome<Scheme> {
    let dtype = element(a.int(cx, 5)?)?;
    let (low, high) = (a.int(cx, 3)?, a.int(cx, 4)?);
    let scale = one(cx, a.get(1), DType::F32)?;
    let zero = one(cx, a.get(2), dtype)?;
    Ok(Scheme { scale, zero, axis: None, low, high, dtype })
}

fn per_channel(cx: &mut Context, a: &Args<'_>) -> Outcome<Scheme> {
    let dtype = element(a.int(cx, 6)?)?;
    let (axis, low, high) = (a.int(cx, 3)?, a.int(cx, 4)?, a.int(cx, 5)?);
    let scale = a.tensor(cx, 1)?;
    let scale = cx.cast(scale, DType::F32)?;
    let zero = match a.opt_tensor(cx, 2)? {
        Some(z) => cx.cast(z, dtype)?,
        None => {
            let shape = cx.op("Shape", &[scale])?;
            let zero = cx.scalar(dtype, 0.0)?;
            cx.op("Expand", &[zero, shape])?
        }
    };
    Ok(Scheme { scale, zero, axis: Some(axis), low, high, dtype })
}

fn quantized(cx: &mut Context, x: ValueId, s: &Scheme) -> Outcome<Val> {
    let Some((least, most)) = range(s.dtype) else {
        let made = rounded(cx, x, s)?;
        return Ok(cx.tensor(made));
    };
    let x = cx.cast(x, DType::F32)?;
    let mut attrs = Attrs::new();
    if let Some(axis) = s.axis {
        attrs.set("axis", axis);
    }
    let mut made = cx.op_with("QuantizeLinear", &[x, s.scale, s.zero], attrs)?;
    if s.low > least || s.high < most {
        let (low, high) = (cx.scalar(s.dtype, float(s.low))?, cx.scalar(s.dtype, float(s.high))?);
        made = cx.op("Clip", &[made, low, high])?;
    }
    Ok(cx.tensor(made))
}

/// `round(x / scale) + zero` within the range.
fn rounded(cx: &mut Context, x: ValueId, s: &Scheme) -> Outcome<ValueId> {
    if s.axis.is_some() {
        return unsupported(format!("a quantization of channels to {}", s.dtype));
    }
    let x = cx.cast(x, DType::F32)?;
    let zero = cx.cast(s.zero, DType::F32)?;
    let x = cx.op("Div", &[x, s.scale])?;
    let x = cx.op("Round", &[x])?;
    let x = cx.op("Add", &[x, zero])?;
    let (low, high) = (cx.scalar(DType::F32, float(s.low))?, cx.scalar(DType::F32, float(s.high))?);
    let x = cx.op("Clip", &[x, low, high])?;
    cx.cast(x, s.dtype)
}

fn restored(cx: &mut Context, x: ValueId, s: &Scheme, to: Option<DType>) -> Outcome<Val> {
    let made = if range(s.dtype).is_some() {
        let mut attrs = Attrs::new();
        if let Some(axis) = s.axis {
            attrs.set("axis", axis);
        }
        let x = cx.cast(x, s.dtype)?;
        cx.op_with("DequantizeLinear", &[x, s.scale, s.zero], attrs)?
    } else {
        let (mut scale, mut zero) = (s.scale, s.zero);
        if let Some(axis) = s.axis {
            let rank = cx.rank(x)?;
            let axis = crate::aten::context::axis_at(axis, rank)?;
            let shape = (0..rank).map(|i| if i == axis { -1 } else { 1 }).collect::<Vec<_>>();
            let shape = cx.ints(&shape);
            (scale, zero) = (cx.op("Reshape", &[scale, shape])?, cx.op("Reshape", &[zero, shape])?);
        }
        let (x, zero) = (cx.cast(x, DType::F32)?, cx.cast(zero, DType::F32)?);
        let x = cx.op("Sub", &[x, zero])?;
        cx.op("Mul", &[x, scale])?
    };
    let made = match to {
        Some(dtype) => cx.cast(made, dtype)?,
        None => made,
    };
    Ok(cx.tensor(made))
}

fn quantize(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, s) = (a.tensor(cx, 0)?, per_tensor(cx, a)?);
    quantized(cx, x, &s)
}

fn dequantize(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, s) = (a.tensor(cx, 0)?, per_tensor(cx, a)?);
    let to = a.dtype(cx, 6)?;
    restored(cx, x, &s, to)
}

fn quantize_channels(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, s) = (a.tensor(cx, 0)?, per_channel(cx, a)?);
    quantized(cx, x, &s)
}

fn dequantize_channels(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, s) = (a.tensor(cx, 0)?, per_channel(cx, a)?);
    let to = a.dtype(cx, 7)?;
    restored(cx, x, &s, to)
}

/// Scale and zero point under which `low..high` of the elements, widened to hold 0, become `least..most`.
pub(super) fn fitted(
    cx: &mut Context,
    low: ValueId,
    high: ValueId,
    ends: (i64, i64),
    eps: f64,
) -> Outcome<(ValueId, ValueId)> {
    let zero = cx.scalar(DType::F32, 0.0)?;
    let (low, high) = (cx.op("Min", &[low, zero])?, cx.op("Max", &[high, zero])?);
    let steps = cx.scalar(DType::F32, float(ends.1.saturating_sub(ends.0)))?;
    let scale = cx.op("Sub", &[high, low])?;
    let scale = cx.op("Div", &[scale, steps])?;
    let eps = cx.scalar(DType::F32, eps)?;
    let scale = cx.op("Max", &[scale, eps])?;
    let (least, most) = (cx.scalar(DType::F32, float(ends.0))?, cx.scalar(DType::F32, float(ends.1))?);
    let at = cx.op("Div", &[low, scale])?;
    let at = cx.op("Round", &[at])?;
    let at = cx.op("Sub", &[least, at])?;
    let at = cx.op("Clip", &[at, least, most])?;
    Ok((scale, cx.cast(at, DType::I64)?))
}

pub(super) fn extremes(cx: &mut Context, x: ValueId, axes: Option<i64>) -> Outcome<(ValueId, ValueId)> {
    let x = cx.cast(x, DType::F32)?;
    let mut inputs = vec![Some(x)];
    inputs.extend(axes.map(|a| Some(cx.ints(&[a]))));
    let attrs = Attrs::new().with("keepdims", i64::from(axes.is_some()));
    let low = cx.op_opt("ReduceMin", &inputs, attrs.clone())?;
    Ok((low, cx.op_opt("ReduceMax", &inputs, attrs)?))
}

fn pair(cx: &mut Context, scale: ValueId, zero: ValueId) -> Val {
    let (scale, zero) = (cx.tensor(scale), cx.tensor(zero));
    Val::tuple(vec![scale, zero])
}

fn choose(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let (ends, eps) = ((a.int(cx, 1)?, a.int(cx, 2)?), a.float(cx, 3)?);
    let (low, high) = extremes(cx, x, None)?;
    let (scale, zero) = fitted(cx, low, high, ends, eps)?;
    Ok(pair(cx, scale, zero))
}

fn choose_symmetric(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let (least, most, eps) = (a.int(cx, 1)?, a.int(cx, 2)?, a.float(cx, 3)?);
    let (low, high) = extremes(cx, x, None)?;
    let low = cx.op("Neg", &[low])?;
    let zero = cx.scalar(DType::F32, 0.0)?;
    let reach = cx.op("Max", &[low, high])?;
    let reach = cx.op("Max", &[reach, zero])?;
    let half = cx.scalar(DType::F32, float(most.saturating_sub(least)) / 2.0)?;
    let scale = cx.op("Div", &[reach, half])?;
    let eps = cx.scalar(DType::F32, eps)?;
    let scale = cx.op("Max", &[scale, eps])?;
    let unsigned = matches!(element(a.int(cx, 4)?)?, DType::U8);
    let zero = cx.int(if unsigned { 128 } else { 0 });
    Ok(pair(cx, scale, zero))
}

/// Of each row of the last axis, to 8 signed bits.
fn choose_tokens(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let (low, high) = extremes(cx, x, Some(-1))?;
    let (scale, zero) = fitted(cx, low, high, (-128, 127), f64::from(f32::EPSILON))?;
    Ok(pair(cx, scale, zero))
}

fn quantize_tokens(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, scale, zero) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.tensor(cx, 2)?);
    let (low, high) = (a.int(cx, 3)?, a.int(cx, 4)?);
    let dtype = element(a.int(cx, 5)?)?;
    let scale = cx.cast(scale, DType::F32)?;
    let made = rounded(cx, x, &Scheme { scale, zero, axis: None, low, high, dtype })?;
    Ok(cx.tensor(made))
}

fn dequantize_tokens(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, scale, zero) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.tensor(cx, 2)?);
    let scale = cx.cast(scale, DType::F32)?;
    let to = a.dtype(cx, 6)?;
    // Scales of rows are no vector along an axis: the arithmetic is written out, as for a type without a range.
    restored(cx, x, &Scheme { scale, zero, axis: None, low: 0, high: 0, dtype: DType::I64 }, to)
}
