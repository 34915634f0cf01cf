//! Functions of two and more tensors, element by element.

use crate::program::context::Cx;
use crate::program::table::{Made, Row, Said, by, text};

pub(super) const ROWS: &[Row] = &[
    text("Add", "torch.add({0#}, {1#})"),
    by("BitShift", shift),
    text("BitwiseAnd", "torch.bitwise_and({0}, {1})"),
    text("BitwiseOr", "torch.bitwise_or({0}, {1})"),
    text("BitwiseXor", "torch.bitwise_xor({0}, {1})"),
    by("Clip", clip),
    by("Div", div),
    by("Max", |cx| chain(cx, "maximum")),
    by("Mean", mean),
    by("Min", |cx| chain(cx, "minimum")),
    by("Mod", modulo),
    text("Mul", "torch.mul({0#}, {1#})"),
    by("Pow", pow),
    text("Sub", "torch.sub({0#}, {1#})"),
    by("Sum", |cx| chain(cx, "add")),
];

fn shift(cx: &mut Cx<'_>) -> Said<Made> {
    let way = if cx.attr_text("direction")? == "LEFT" { "left" } else { "right" };
    Ok(Made::from(format!("torch.bitwise_{way}_shift({}, {})", cx.tensor(0)?, cx.tensor(1)?)))
}

/// Limits that are constants are numbers; others are tensors. Where the limits cross, the upper one counts.
fn clip(cx: &mut Cx<'_>) -> Said<Made> {
    let x = cx.tensor(0)?;
    let constant = |cx: &Cx<'_>, i: usize| !cx.has(i) || cx.constant(i).is_some();
    if constant(cx, 1) && constant(cx, 2) {
        let low = if cx.has(1) { cx.number(1)? } else { "None".to_owned() };
        return Ok(Made::from(match (cx.has(1), cx.has(2)) {
            (false, false) => x,
            (true, false) => format!("torch.clamp_min({x}, {low})"),
            (_, true) => format!("torch.clamp({x}, {low}, {})", cx.number(2)?),
        }));
    }
    let low = if cx.has(1) { format!("torch.maximum({x}, {})", cx.tensor(1)?) } else { x };
    Ok(Made::from(if cx.has(2) { format!("torch.minimum({low}, {})", cx.tensor(2)?) } else { low }))
}

/// Integers are divided towards zero.
fn div(cx: &mut Cx<'_>) -> Said<Made> {
    let (a, b) = (cx.operand(0)?, cx.operand(1)?);
    Ok(Made::from(match cx.dtype(0)?.is_int() {
        true => format!("torch.div({a}, {b}, rounding_mode=\"trunc\")"),
        false if a.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            format!("torch.mul(torch.reciprocal({b}), {a})")
        }
        false => format!("torch.div({a}, {b})"),
    }))
}

fn modulo(cx: &mut Cx<'_>) -> Said<Made> {
    let name = if cx.attr_int("fmod")? == 0 { "remainder" } else { "fmod" };
    Ok(Made::from(format!("torch.{name}({}, {})", cx.tensor(0)?, cx.operand(1)?)))
}

/// The result has the type of the base.
fn pow(cx: &mut Cx<'_>) -> Said<Made> {
    let (a, b) = (cx.tensor(0)?, cx.operand(1)?);
    let made = format!("torch.pow({a}, {b})");
    let same = cx.dtype(0)? == cx.dtype(1)?;
    Ok(Made::from(if same { made } else { format!("torch.to({made}, {})", cx.out_code()?) }))
}

fn chain(cx: &mut Cx<'_>, name: &str) -> Said<Made> {
    let all = cx.all()?;
    let made = all.into_iter().reduce(|a, b| format!("torch.{name}({a}, {b})"));
    Ok(Made::from(made.ok_or("there are no operands")?))
}

fn mean(cx: &mut Cx<'_>) -> Said<Made> {
    let count = cx.node.inputs.len();
    let all = cx.all()?;
    let sum = all.into_iter().reduce(|a, b| format!("torch.add({a}, {b})")).ok_or("there are no operands")?;
    Ok(Made::from(format!("torch.div({sum}, {count})")))
}
