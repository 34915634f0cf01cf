//! Recurrent layers: those of PyTorch, with the gates in its order.

use crate::program::context::{Cx, said};
use crate::program::number::{code, list, truth};
use crate::program::table::{Made, Row, Said, by};
use modelsmith_tensor::WeightExpr;
use std::sync::Arc;

pub(super) const ROWS: &[Row] = &[
    // i o f c to i f c o; z r h to r z h.
    by("GRU", |cx| layer(cx, "gru", &[1, 0, 2], &["Sigmoid", "Tanh"])),
    by("LSTM", |cx| layer(cx, "lstm", &[0, 2, 3, 1], &["Sigmoid", "Tanh", "Tanh"])),
    by("RNN", |cx| layer(cx, "rnn", &[0], &["Tanh"])),
];

/// What PyTorch's layers cannot do.
fn odd(cx: &Cx<'_>, kind: &str, activations: &[&str]) -> Said<bool> {
    let attrs = cx.attrs()?;
    if attrs.has("clip") {
        return Err("cells that are clipped".to_owned());
    }
    let given = said(attrs.opt_strings("activations"))?.unwrap_or_default();
    let relu = kind == "rnn" && !given.is_empty() && given.iter().all(|a| a == "Relu");
    let usual = given.iter().zip(activations.iter().cycle()).all(|(a, b)| a == b);
    if !relu && !usual {
        return Err(format!("the activations {}", given.join(", ")));
    }
    if kind == "lstm" && (cx.attr_int("input_forget")? != 0 || cx.has(7)) {
        return Err("peepholes or coupled gates".to_owned());
    }
    if kind == "gru" && cx.attr_int("linear_before_reset")? == 0 {
        return Err("a reset gate before the product (linear_before_reset = 0)".to_owned());
    }
    let full = cx.shape(0)?.first().and_then(modelsmith_ir::Dim::known);
    if cx.has(4) && cx.known(4).is_none_or(|k| k.iter().any(|&n| Some(n) != full)) {
        return Err("sequences of different lengths".to_owned());
    }
    Ok(relu)
}

fn layer(cx: &mut Cx<'_>, kind: &str, order: &[usize], activations: &[&str]) -> Said<Made> {
    let relu = odd(cx, kind, activations)?;
    let way = cx.attr_text("direction")?;
    let (both, reverse, front) = (way == "bidirectional", way == "reverse", cx.attr_int("layout")? != 0);
    let directions = if both { 2 } else { 1 };
    let hidden = cx.shape(2)?.last().and_then(modelsmith_ir::Dim::size).ok_or("the size of the state is not known")?;
    let mut x = cx.tensor(0)?;
    let batch = cx.size(0, usize::from(!front))?;
    if front {
        x = cx.set("x", format!("torch.transpose({x}, 0, 1)"));
    }
    if reverse {
        x = cx.set("turned", format!("torch.flip({x}, [0])"));
    }
    let mut states = Vec::new();
    for i in if kind == "lstm" { 5..=6 } else { 5..=5 } {
        states.push(match (cx.has(i), front) {
            (false, _) => {
                let dtype = code(cx.dtype(0)?).unwrap_or(6);
                cx.set("state", format!("torch.zeros([{directions}, {batch}, {hidden}], dtype={dtype})"))
            }
            (true, false) => cx.tensor(i)?,
            (true, true) => format!("torch.transpose({}, 0, 1)", cx.tensor(i)?),
        });
    }
    let mut weights = Vec::new();
    for d in 0..directions {
        weights.push(gates(cx, 1, d, order, hidden, 0)?);
        weights.push(gates(cx, 2, d, order, hidden, 0)?);
        if cx.has(3) {
            weights.push(gates(cx, 3, d, order, hidden, 0)?);
            weights.push(gates(cx, 3, d, order, hidden, order.len())?);
        }
    }
    let name = match (kind, relu) {
        ("rnn", true) => "rnn_relu",
        ("rnn", false) => "rnn_tanh",
        (other, _) => other,
    };
    let state = if kind == "lstm" { list(&states) } else { states.concat() };
    let (weights, biases, both) = (list(&weights), truth(cx.has(3)), truth(both));
    let call = format!("torch.{name}({x}, {state}, {weights}, {biases}, 1, 0., False, {both}, False)");
    let hints: &[&str] = if kind == "lstm" { &["all", "hidden", "cell"] } else { &["all", "hidden"] };
    let mut made = cx.unpack(hints, call);
    if let Some(all) = made.first_mut() {
        *all = arranged(cx, all, (directions, hidden), reverse, front)?;
    }
    if front {
        for state in made.iter_mut().skip(1) {
            *state = format!("torch.transpose({state}, 0, 1)");
        }
    }
    Ok(Made::Each(made))
}

/// Every state, from `[sequence, batch, directions * hidden]` to the order of ONNX.
fn arranged(
    cx: &mut Cx<'_>,
    all: &str,
    (directions, hidden): (usize, usize),
    reverse: bool,
    front: bool,
) -> Said<String> {
    let all = if reverse { cx.set("all", format!("torch.flip({all}, [0])")) } else { all.to_owned() };
    if directions == 1 && !front {
        return Ok(format!("torch.unsqueeze({all}, 1)"));
    }
    let parts = cx.set("parts", format!("torch.unflatten({all}, -1, [{directions}, {hidden}])"));
    Ok(format!("torch.permute({parts}, {})", if front { "[1, 0, 2, 3]" } else { "[0, 2, 1, 3]" }))
}

/// The blocks of operand `i` for direction `d`, in PyTorch's order, from block `first` on. Of a weight they are one of
/// their own; else code takes them apart.
fn gates(cx: &mut Cx<'_>, i: usize, d: usize, order: &[usize], hidden: usize, first: usize) -> Said<String> {
    let v = cx.operand_id(i)?;
    let starts = order.iter().map(|o| o.saturating_add(first).saturating_mul(hidden));
    if let Some(weight) = cx.model.weight(v) {
        let mut shape = weight.shape();
        shape.remove(0);
        let one = Arc::new(WeightExpr::Slice { of: weight.clone(), axis: 0, start: d, len: 1 });
        let one = Arc::new(WeightExpr::Reshape(one, shape));
        let part = |start| Arc::new(WeightExpr::Slice { of: one.clone(), axis: 0, start, len: hidden });
        let parts = starts.map(part).collect::<Vec<_>>();
        let whole = if let [part] = parts.as_slice() { part.clone() } else { Arc::new(WeightExpr::Concat(parts, 0)) };
        let kind = match (i, first) {
            (1, _) => "ih",
            (2, _) => "hh",
            (_, 0) => "bias_ih",
            _ => "bias_hh",
        };
        let way = if d == 0 { "" } else { "_reverse" };
        let name = format!("{}_{kind}{way}", cx.label(v));
        return Ok(cx.attributes.add(&name, &whole));
    }
    let of = cx.tensor(i)?;
    let of = cx.set("direction", format!("torch.select({of}, 0, {d})"));
    let parts = starts.map(|s| format!("torch.slice({of}, 0, {s}, {})", s.saturating_add(hidden))).collect::<Vec<_>>();
    Ok(cx.set("gates", format!("torch.cat({}, 0)", list(&parts))))
}
