//! Activations with parameters.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val};
use modelsmith_ir::{Attrs, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row("silu|mish|log_sigmoid|relu6|hardswish|hardsigmoid|tanhshrink(T self)", plain),
    row("gelu(T self, S approximate='none')", gelu),
    row("hardtanh(T self, N min_val=-1, N max_val=1)", hardtanh),
    row("leaky_relu(T self, F negative_slope=0.01)", leaky),
    row("rrelu(T self, F lower=0.125, F upper=0.3333333333333333, B training=False, A generator=None)", rrelu),
    row("elu(T self, F alpha=1, F scale=1, F input_scale=1)", elu),
    row("selu(T self)", selu),
    row("celu(T self, F alpha=1)", celu),
    row("prelu|_prelu_kernel(T self, T weight)", prelu),
    row("softplus(T self, F beta=1, F threshold=20)", softplus),
    row("hardshrink|softshrink(T self, F lambd=0.5)", shrink),
    row("threshold(T self, F threshold, F value)", threshold),
    row("glu(T self, I dim=-1)", glu),
    row("softmax|softmax.int|_softmax|special_softmax(T self, I dim, A dtype=None)", softmax),
    row("log_softmax|log_softmax.int|_log_softmax|special_log_softmax(T self, I dim, A dtype=None)", log_softmax),
    row("dropout|feature_dropout|alpha_dropout|feature_alpha_dropout(T self, F p=0.5, B train=False)", dropout),
    row("native_dropout(T self, F p, B? train=None)", native_dropout),
];

fn name<'a>(a: &'a Args<'_>) -> &'a str {
    a.name.strip_prefix("aten::").unwrap_or(a.name)
}

fn clip(cx: &mut Context, v: ValueId, low: f64, high: f64) -> Outcome<ValueId> {
    let dtype = cx.dtype(v)?;
    let (low, high) = (cx.scalar(dtype, low)?, cx.scalar(dtype, high)?);
    cx.op("Clip", &[v, low, high])
}

fn plain(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let v = cx.floating(v)?;
    let made = match name(a) {
        "silu" => {
            let gate = cx.op("Sigmoid", &[v])?;
            cx.op("Mul", &[v, gate])?
        }
        "mish" => cx.op("Mish", &[v])?,
        "log_sigmoid" => {
            let neg = cx.op("Neg", &[v])?;
            let soft = cx.op("Softplus", &[neg])?;
            cx.op("Neg", &[soft])?
        }
        "relu6" => clip(cx, v, 0.0, 6.0)?,
        "hardswish" => cx.op("HardSwish", &[v])?,
        "hardsigmoid" => {
            let attrs = Attrs::new().with("alpha", 1f32 / 6.0).with("beta", 0.5f32);
            cx.op_with("HardSigmoid", &[v], attrs)?
        }
        _ => {
            let t = cx.op("Tanh", &[v])?;
            cx.op("Sub", &[v, t])?
        }
    };
    Ok(cx.tensor(made))
}

fn gelu(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let how = a.text(1)?.to_owned();
    let made = cx.op_with("Gelu", &[v], Attrs::new().with("approximate", how.as_str()))?;
    Ok(cx.tensor(made))
}

fn hardtanh(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    super::unary::bounded(cx, a.get(0), a.get(1), a.get(2))
}

fn attr(cx: &mut Context, a: &Args<'_>, op: &str, attrs: &[(&str, usize)]) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let mut set = Attrs::new();
    for &(name, at) in attrs {
        set.set(name, narrow(a.float(cx, at)?));
    }
    let made = cx.op_with(op, &[v], set)?;
    Ok(cx.tensor(made))
}

/// The nearest float of 32 bits.
#[allow(clippy::as_conversions)]
pub(super) fn narrow(x: f64) -> f32 {
    x as f32
}

fn leaky(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    attr(cx, a, "LeakyRelu", &[("alpha", 1)])
}

fn rrelu(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let slope = (a.float(cx, 1)? + a.float(cx, 2)?) / 2.0;
    let made = cx.op_with("LeakyRelu", &[v], Attrs::new().with("alpha", narrow(slope)))?;
    Ok(cx.tensor(made))
}

fn elu(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (scale, inner) = (a.float(cx, 2)?, a.float(cx, 3)?);
    if scale == 1.0 && inner == 1.0 {
        return attr(cx, a, "Elu", &[("alpha", 1)]);
    }
    let v = a.tensor(cx, 0)?;
    let dtype = cx.dtype(v)?;
    let (zero, one) = (cx.scalar(dtype, 0.0)?, cx.scalar(dtype, 1.0)?);
    let (s, i) = (cx.scalar(dtype, scale)?, cx.scalar(dtype, inner)?);
    let low = a.float(cx, 1)? * scale;
    let low = cx.scalar(dtype, low)?;
    let positive = cx.op("Mul", &[v, s])?;
    let power = cx.op("Mul", &[v, i])?;
    let power = cx.op("Exp", &[power])?;
    let power = cx.op("Sub", &[power, one])?;
    let negative = cx.op("Mul", &[power, low])?;
    let mask = cx.op("Greater", &[v, zero])?;
    let made = cx.op("Where", &[mask, positive, negative])?;
    Ok(cx.tensor(made))
}

fn selu(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    attr(cx, a, "Selu", &[])
}

fn celu(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    attr(cx, a, "Celu", &[("alpha", 1)])
}

fn prelu(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, mut w) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let rank = cx.rank(v)?;
    if cx.rank(w)? == 1 && rank > 2 {
        let axes = (1..rank.saturating_sub(1)).map(|i| i64::try_from(i).unwrap_or(0)).collect::<Vec<_>>();
        let axes = cx.ints(&axes);
        w = cx.op("Unsqueeze", &[w, axes])?;
    }
    let made = cx.op("PRelu", &[v, w])?;
    Ok(cx.tensor(made))
}

fn softplus(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let (beta, threshold) = (a.float(cx, 1)?, a.float(cx, 2)?);
    let dtype = cx.dtype(v)?;
    let b = cx.scalar(dtype, beta)?;
    let scaled = if beta == 1.0 { v } else { cx.op("Mul", &[v, b])? };
    let soft = cx.op("Softplus", &[scaled])?;
    let soft = if beta == 1.0 { soft } else { cx.op("Div", &[soft, b])? };
    let limit = cx.scalar(dtype, threshold)?;
    let over = cx.op("Greater", &[scaled, limit])?;
    let made = cx.op("Where", &[over, v, soft])?;
    Ok(cx.tensor(made))
}

fn shrink(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, lambda) = (a.tensor(cx, 0)?, a.float(cx, 1)?);
    let bias = if name(a) == "softshrink" { lambda } else { 0.0 };
    let attrs = Attrs::new().with("lambd", narrow(lambda)).with("bias", narrow(bias));
    let made = cx.op_with("Shrink", &[v], attrs)?;
    Ok(cx.tensor(made))
}

fn threshold(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let dtype = cx.dtype(v)?;
    let (limit, value) = (a.float(cx, 1)?, a.float(cx, 2)?);
    let (limit, value) = (cx.scalar(dtype, limit)?, cx.scalar(dtype, value)?);
    let over = cx.op("Greater", &[v, limit])?;
    let made = cx.op("Where", &[over, v, value])?;
    Ok(cx.tensor(made))
}

fn glu(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let attrs = Attrs::new().with("axis", axis).with("num_outputs", 2);
    let halves = cx.node("Split", &[Some(v), None], attrs, 2)?;
    let [left, right] = *halves else { return crate::aten::unsupported("glu of no two halves") };
    let gate = cx.op("Sigmoid", &[right])?;
    let made = cx.op("Mul", &[left, gate])?;
    Ok(cx.tensor(made))
}

fn normalised(cx: &mut Context, a: &Args<'_>, op: &str) -> Outcome<Val> {
    let mut v = a.tensor(cx, 0)?;
    let axis = a.int(cx, 1)?;
    match a.get(2) {
        Val::Int(_) => {
            if let Some(dtype) = a.dtype(cx, 2)? {
                v = cx.cast(v, dtype)?;
            }
        }
        _ => v = cx.floating(v)?,
    }
    let made = cx.op_with(op, &[v], Attrs::new().with("axis", axis))?;
    Ok(cx.tensor(made))
}

fn softmax(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    normalised(cx, a, "Softmax")
}

fn log_softmax(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    normalised(cx, a, "LogSoftmax")
}

fn dropout(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    training(cx, a, 2)?;
    Ok(a.get(0).clone())
}

fn native_dropout(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    training(cx, a, 2)?;
    let v = a.tensor(cx, 0)?;
    let shape = cx.op("Shape", &[v])?;
    let one = modelsmith_tensor::Tensor::from_bools(&[1], vec![true])?;
    let mask = cx.op_with("ConstantOfShape", &[shape], Attrs::new().with("value", one))?;
    let mask = cx.tensor(mask);
    Ok(Val::tuple(vec![a.get(0).clone(), mask]))
}

/// Says that a layer in training mode is taken as at inference.
pub(super) fn training(cx: &mut Context, a: &Args<'_>, at: usize) -> Outcome<()> {
    if a.flag(at)? {
        let what = format!("{} is in training mode; it is taken as at inference", name(a));
        let place = cx.place.clone();
        cx.warn("torch.training", if place.is_empty() { what } else { format!("{what} ({place})") });
    }
    Ok(())
}
