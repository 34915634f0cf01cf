//! Functions of one tensor, element by element.

use crate::program::context::Cx;
use crate::program::number::narrow;
use crate::program::table::{Made, Row, Said, by, text};

pub(super) const ROWS: &[Row] = &[
    text("Abs", "torch.abs({0})"),
    text("Acos", "torch.acos({0})"),
    text("Acosh", "torch.acosh({0})"),
    text("Asin", "torch.asin({0})"),
    text("Asinh", "torch.asinh({0})"),
    text("Atan", "torch.atan({0})"),
    text("Atanh", "torch.atanh({0})"),
    text("BitwiseNot", "torch.bitwise_not({0})"),
    text("Ceil", "torch.ceil({0})"),
    text("Celu", "torch.celu({0}, {alpha})"),
    text("Cos", "torch.cos({0})"),
    text("Cosh", "torch.cosh({0})"),
    text("Det", "torch.det({0})"),
    by("Dropout", dropout),
    text("Elu", "torch.elu({0}, {alpha})"),
    text("Erf", "torch.erf({0})"),
    text("Exp", "torch.exp({0})"),
    text("Floor", "torch.floor({0})"),
    by("Gelu", |cx| {
        Ok(Made::from(format!("torch.gelu({}, approximate=\"{}\")", cx.tensor(0)?, cx.attr_text("approximate")?)))
    }),
    by("HardSigmoid", hard_sigmoid),
    text("HardSwish", "torch.hardswish({0})"),
    text("Identity", "{0}"),
    by("IsInf", is_inf),
    text("IsNaN", "torch.isnan({0})"),
    text("LeakyRelu", "torch.leaky_relu({0}, {alpha})"),
    text("Log", "torch.log({0})"),
    text("LogSoftmax", "torch.log_softmax({0}, {axis})"),
    text("Mish", "torch.mish({0})"),
    text("Neg", "torch.neg({0})"),
    text("Not", "torch.logical_not({0})"),
    text("PRelu", "torch.where(torch.lt({0}, 0), torch.mul({0}, {1}), {0})"),
    text("Reciprocal", "torch.reciprocal({0})"),
    text("Relu", "torch.relu({0})"),
    text("Round", "torch.round({0})"),
    text("Selu", "torch.elu({0}, {alpha}, {gamma})"),
    by("Shrink", shrink),
    text("Sigmoid", "torch.sigmoid({0})"),
    text("Sign", "torch.sign({0})"),
    text("Sin", "torch.sin({0})"),
    text("Sinh", "torch.sinh({0})"),
    text("Softmax", "torch.softmax({0}, {axis})"),
    text("Softplus", "torch.softplus({0})"),
    text("Softsign", "torch.div({0}, torch.add(torch.abs({0}), 1))"),
    text("Sqrt", "torch.sqrt({0})"),
    text("Swish", "torch.mul({0}, torch.sigmoid(torch.mul({0}, {alpha})))"),
    text("Tan", "torch.tan({0})"),
    text("Tanh", "torch.tanh({0})"),
    text("ThresholdedRelu", "torch.threshold({0}, {alpha}, 0)"),
];

fn dropout(cx: &mut Cx<'_>) -> Said<Made> {
    if cx.has(2) && cx.known(2).is_none_or(|k| k != [0]) {
        return Err("dropout in training mode draws random numbers".to_owned());
    }
    let x = cx.tensor(0)?;
    let mask = match cx.node.output(1) {
        Some(_) => format!("torch.ones_like({x}, dtype=11)"),
        None => String::new(),
    };
    Ok(Made::Each(vec![x, mask]))
}

fn hard_sigmoid(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, alpha, beta) = (cx.tensor(0)?, cx.attr_float("alpha")?, cx.attr_float("beta")?);
    if (alpha - 1.0 / 6.0).abs() < f32::EPSILON && (beta - 0.5).abs() < f32::EPSILON {
        return Ok(Made::from(format!("torch.hardsigmoid({x})")));
    }
    Ok(Made::from(format!("torch.clamp(torch.add(torch.mul({x}, {}), {}), 0, 1)", narrow(alpha), narrow(beta))))
}

fn is_inf(cx: &mut Cx<'_>) -> Said<Made> {
    let x = cx.tensor(0)?;
    Ok(Made::from(match (cx.attr_int("detect_negative")? != 0, cx.attr_int("detect_positive")? != 0) {
        (true, true) => format!("torch.isinf({x})"),
        (true, false) => format!("torch.isneginf({x})"),
        (false, true) => format!("torch.isposinf({x})"),
        (false, false) => format!("torch.zeros_like({x}, dtype=11)"),
    }))
}

/// `x + bias` below `-lambd`, `x - bias` above `lambd`, else 0.
fn shrink(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, bias, lambd) = (cx.tensor(0)?, cx.attr_float("bias")?, cx.attr_float("lambd")?);
    let (bias, lambd) = (narrow(bias), narrow(lambd));
    let low =
        cx.set("low", format!("torch.where(torch.lt({x}, -{lambd}), torch.add({x}, {bias}), torch.zeros_like({x}))"));
    let made = format!("torch.where(torch.gt({x}, {lambd}), torch.sub({x}, {bias}), {low})");
    Ok(Made::from(if cx.dtype(0)?.is_int() { format!("torch.to({made}, {})", cx.out_code()?) } else { made }))
}
