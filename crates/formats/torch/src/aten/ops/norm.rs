//! Normalisations.

use super::activation::{narrow, training};
use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};
use modelsmith_tensor::Tensor;

pub(crate) const ROWS: &[Row] = &[
    row(
        "batch_norm(T input, T? weight, T? bias, T? running_mean, T? running_var, B training, F momentum, F \
         eps, B cudnn_enabled=False)",
        batch_norm,
    ),
    row(
        "_native_batch_norm_legit_no_training(T input, T? weight, T? bias, T running_mean, T running_var, F \
         momentum, F eps)",
        native_batch,
    ),
    row(
        "native_batch_norm|_batch_norm_impl_index|_native_batch_norm_legit(T input, T? weight, T? bias, T? running_mean, T? \
         running_var, B training, F momentum, F eps)",
        native_batch_flag,
    ),
    row(
        "layer_norm(T input, I[] normalized_shape, T? weight=None, T? bias=None, F eps=1e-05, B \
         cudnn_enable=True)",
        layer_norm,
    ),
    row("native_layer_norm(T input, I[] normalized_shape, T? weight, T? bias, F eps)", native_layer_norm),
    row(
        "group_norm(T input, I num_groups, T? weight=None, T? bias=None, F eps=1e-05, B cudnn_enabled=True)",
        group_norm,
    ),
    row("native_group_norm(T input, T? weight, T? bias, I N, I C, I HxW, I group, F eps)", native_group_norm),
    row(
        "instance_norm(T input, T? weight, T? bias, T? running_mean, T? running_var, B use_input_stats, F \
         momentum, F eps, B cudnn_enabled=False)",
        instance_norm,
    ),
    row("rms_norm(T input, I[] normalized_shape, T? weight=None, F? eps=None)", rms_norm),
    row("_weight_norm(T v, T g, I dim=0)", weight_norm),
    row("_weight_norm_interface(T v, T g, I dim=0)", weight_norm_pair),
    row("local_response_norm(T input, I size, F alpha=0.0001, F beta=0.75, F k=1)", lrn),
];

/// A vector of `value`s, one for each channel.
fn channels(cx: &mut Context, given: Option<ValueId>, count: ValueId, dtype: DType, value: f64) -> Outcome<ValueId> {
    if let Some(v) = given {
        return Ok(v);
    }
    let n = cx.ty(count).shape().and_then(|s| s.first()).and_then(modelsmith_ir::Dim::size);
    let Some(n) = n else { return unsupported("a normalisation over an unknown number of channels") };
    Ok(cx.constant(Tensor::from_f64s(dtype, &[n], &vec![value; n])?))
}

fn batch(cx: &mut Context, a: &Args<'_>, eps: usize) -> Outcome<ValueId> {
    let x = a.tensor(cx, 0)?;
    let (w, b) = (a.opt_tensor(cx, 1)?, a.opt_tensor(cx, 2)?);
    let (Some(mean), Some(var)) = (a.opt_tensor(cx, 3)?, a.opt_tensor(cx, 4)?) else {
        return unsupported("a batch normalisation without running statistics");
    };
    let dtype = cx.dtype(mean)?;
    let w = channels(cx, w, mean, dtype, 1.0)?;
    let b = channels(cx, b, mean, dtype, 0.0)?;
    let attrs = Attrs::new().with("epsilon", narrow(a.float(cx, eps)?));
    cx.op_with("BatchNormalization", &[x, w, b, mean, var], attrs)
}

fn batch_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    training(cx, a, 5)?;
    let made = batch(cx, a, 7)?;
    Ok(cx.tensor(made))
}

fn with_empties(cx: &mut Context, made: ValueId, more: usize) -> Outcome<Val> {
    let mut out = vec![cx.tensor(made)];
    for _ in 0..more {
        let none = cx.constant(Tensor::zeros(DType::F32, &[0])?);
        out.push(cx.tensor(none));
    }
    Ok(Val::tuple(out))
}

fn native_batch(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let made = batch(cx, a, 6)?;
    with_empties(cx, made, 2)
}

fn native_batch_flag(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    training(cx, a, 5)?;
    let made = batch(cx, a, 7)?;
    with_empties(cx, made, 2)
}

/// Operands and attributes of LayerNormalization.
fn layered(cx: &mut Context, a: &Args<'_>) -> Outcome<(Vec<Option<ValueId>>, Attrs)> {
    let x = a.tensor(cx, 0)?;
    let shape = a.ints(cx, 1)?;
    let dtype = cx.dtype(x)?;
    let sizes = shape.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect::<Vec<_>>();
    let count = sizes.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= 1 << 26);
    let scale = match (a.opt_tensor(cx, 2)?, count) {
        (Some(w), _) => w,
        (None, Some(n)) => cx.constant(Tensor::from_f64s(dtype, &sizes, &vec![1.0; n])?),
        (None, None) => return unsupported("a layer normalisation over too many elements"),
    };
    let axis = i64::try_from(shape.len()).unwrap_or(1).saturating_neg();
    let attrs = Attrs::new().with("axis", axis).with("epsilon", narrow(a.float(cx, 4)?));
    let inputs = match a.opt_tensor(cx, 3)? {
        Some(b) => vec![Some(x), Some(scale), Some(b)],
        None => vec![Some(x), Some(scale)],
    };
    Ok((inputs, attrs))
}

fn layer_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (inputs, attrs) = layered(cx, a)?;
    let made = cx.op_opt("LayerNormalization", &inputs, attrs)?;
    Ok(cx.tensor(made))
}

fn native_layer_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (inputs, attrs) = layered(cx, a)?;
    let made = cx.node("LayerNormalization", &inputs, attrs, 3)?;
    Ok(Val::tuple(made.into_iter().map(|v| cx.tensor(v)).collect()))
}

/// Groups of channels, each normalised by itself; then scaled by channel.
fn grouped(
    cx: &mut Context,
    x: ValueId,
    groups: i64,
    w: Option<ValueId>,
    b: Option<ValueId>,
    eps: f64,
) -> Outcome<ValueId> {
    let rank = cx.rank_or(x, Some(4))?;
    let dtype = cx.dtype(x)?;
    let group_count = usize::try_from(groups).unwrap_or(1);
    let ones = cx.constant(Tensor::from_f64s(dtype, &[group_count], &vec![1.0; group_count])?);
    let zeros = cx.constant(Tensor::from_f64s(dtype, &[group_count], &vec![0.0; group_count])?);
    let split = cx.ints(&[0, groups, -1]);
    let flat = cx.op("Reshape", &[x, split])?;
    let attrs = Attrs::new().with("epsilon", narrow(eps));
    let normal = cx.op_with("InstanceNormalization", &[flat, ones, zeros], attrs)?;
    let mut made = cx.reshape_like(normal, x)?;
    let axes = (1..rank.saturating_sub(1)).map(|i| i64::try_from(i).unwrap_or(0)).collect::<Vec<_>>();
    for (op, v) in [("Mul", w), ("Add", b)] {
        if let Some(v) = v {
            let axes = cx.ints(&axes);
            let v = cx.op("Unsqueeze", &[v, axes])?;
            made = cx.op(op, &[made, v])?;
        }
    }
    Ok(made)
}

fn group_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, groups) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let (w, b, eps) = (a.opt_tensor(cx, 2)?, a.opt_tensor(cx, 3)?, a.float(cx, 4)?);
    let made = grouped(cx, x, groups, w, b, eps)?;
    Ok(cx.tensor(made))
}

fn native_group_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, groups) = (a.tensor(cx, 0)?, a.int(cx, 6)?);
    let (w, b, eps) = (a.opt_tensor(cx, 1)?, a.opt_tensor(cx, 2)?, a.float(cx, 7)?);
    let made = grouped(cx, x, groups, w, b, eps)?;
    with_empties(cx, made, 2)
}

fn instance_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    if !a.flag(5)? {
        let made = batch(cx, a, 7)?;
        return Ok(cx.tensor(made));
    }
    cx.rank_or(x, Some(4))?;
    let dtype = cx.dtype(x)?;
    let n = cx.ty(x).shape().and_then(|s| s.get(1)).and_then(modelsmith_ir::Dim::size);
    let (w, b) = (a.opt_tensor(cx, 1)?, a.opt_tensor(cx, 2)?);
    let known = w.or(b).and_then(|v| cx.ty(v).shape().and_then(|s| s.first()).and_then(modelsmith_ir::Dim::size));
    let Some(n) = n.or(known) else { return unsupported("an instance normalisation of an unknown number of channels") };
    let mut ends = Vec::new();
    for (given, value) in [(w, 1.0), (b, 0.0)] {
        ends.push(match given {
            Some(v) => v,
            None => cx.constant(Tensor::from_f64s(dtype, &[n], &vec![value; n])?),
        });
    }
    let attrs = Attrs::new().with("epsilon", narrow(a.float(cx, 7)?));
    let inputs = [vec![x], ends].concat();
    let made = cx.op_with("InstanceNormalization", &inputs, attrs)?;
    Ok(cx.tensor(made))
}

fn rms_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let axes = i64::try_from(a.ints(cx, 1)?.len()).unwrap_or(1);
    let axes = (1..=axes).map(i64::saturating_neg).collect::<Vec<_>>();
    let dtype = cx.dtype(x)?;
    let eps = a.opt_float(cx, 3)?.unwrap_or(match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 9.765_625e-4,
        DType::BF16 => 7.8125e-3,
        _ => f64::from(f32::EPSILON),
    });
    let square = cx.op("Mul", &[x, x])?;
    let axes = cx.ints(&axes);
    let mean = cx.op("ReduceMean", &[square, axes])?;
    let eps = cx.scalar(dtype, eps)?;
    let mean = cx.op("Add", &[mean, eps])?;
    let root = cx.op("Sqrt", &[mean])?;
    let mut made = cx.op("Div", &[x, root])?;
    if let Some(w) = a.opt_tensor(cx, 2)? {
        made = cx.op("Mul", &[made, w])?;
    }
    Ok(cx.tensor(made))
}

/// `v` with the norm `g` over all axes but one.
fn weight_normed(cx: &mut Context, a: &Args<'_>) -> Outcome<(ValueId, ValueId)> {
    let (v, g, dim) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.int(cx, 2)?);
    let rank = cx.rank(v)?;
    let keep = if dim == -1 { None } else { Some(crate::aten::context::axis_at(dim, rank)?) };
    let axes = (0..rank).filter(|&i| Some(i) != keep).map(|i| i64::try_from(i).unwrap_or(0)).collect::<Vec<_>>();
    let norm = super::reduce::reduced(cx, "ReduceL2", v, &axes, true)?;
    let ratio = cx.op("Div", &[g, norm])?;
    Ok((cx.op("Mul", &[v, ratio])?, norm))
}

fn weight_norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (made, _) = weight_normed(cx, a)?;
    Ok(cx.tensor(made))
}

fn weight_norm_pair(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (made, norm) = weight_normed(cx, a)?;
    let out = vec![cx.tensor(made), cx.tensor(norm)];
    Ok(Val::tuple(out))
}

fn lrn(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, size) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let attrs = Attrs::new()
        .with("size", size)
        .with("alpha", narrow(a.float(cx, 2)?))
        .with("beta", narrow(a.float(cx, 3)?))
        .with("bias", narrow(a.float(cx, 4)?));
    let made = cx.op_with("LRN", &[x], attrs)?;
    Ok(cx.tensor(made))
}
