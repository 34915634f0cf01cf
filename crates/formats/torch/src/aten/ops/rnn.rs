//! Recurrent layers.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_ir::{Attrs, Dim, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row(
        "lstm.input(T input, T[] hx, T[] params, B has_biases, I num_layers, F dropout, B train, B \
         bidirectional, B batch_first)",
        lstm,
    ),
    row(
        "gru.input|rnn_tanh.input|rnn_relu.input(T input, T hx, T[] params, B has_biases, I num_layers, F \
         dropout, B train, B bidirectional, B batch_first)",
        gru,
    ),
    row("lstm_cell(T input, T[] hx, T w_ih, T w_hh, T? b_ih=None, T? b_hh=None)", lstm_cell),
    row("gru_cell|rnn_tanh_cell|rnn_relu_cell(T input, T hx, T w_ih, T w_hh, T? b_ih=None, T? b_hh=None)", gru_cell),
];

/// Of each gate in the order of the hub the place in PyTorch's: i f g o and i o f c, r z n and z r h.
fn order(op: &str) -> &'static [usize] {
    match op {
        "LSTM" => &[0, 3, 1, 2],
        "GRU" => &[1, 0, 2],
        _ => &[0],
    }
}

/// Rows of a weight or bias by gate in the order of the hub.
fn gates(cx: &mut Context, op: &str, v: ValueId) -> Outcome<ValueId> {
    let order = order(op);
    let n = i64::try_from(order.len()).unwrap_or(1);
    if n == 1 {
        return Ok(v);
    }
    let Some(rows) = cx.shape(v)?.first().and_then(Dim::known) else {
        return unsupported("a recurrent layer whose weights have an unknown size");
    };
    let each = rows.checked_div(n).unwrap_or(0);
    let mut parts = Vec::new();
    for &k in order {
        let k = i64::try_from(k).unwrap_or(0);
        let (start, end) = (cx.ints(&[k.saturating_mul(each)]), cx.ints(&[k.saturating_add(1).saturating_mul(each)]));
        let axes = cx.ints(&[0]);
        parts.push(cx.op("Slice", &[v, start, end, axes])?);
    }
    cx.op_with("Concat", &parts, Attrs::new().with("axis", 0))
}

/// The tensors of one layer with an axis of directions in front.
fn stacked(cx: &mut Context, parts: &[ValueId]) -> Outcome<ValueId> {
    let axes = cx.ints(&[0]);
    let mut rows = Vec::new();
    for &p in parts {
        rows.push(cx.op("Unsqueeze", &[p, axes])?);
    }
    match *rows {
        [one] => Ok(one),
        _ => cx.op_with("Concat", &rows, Attrs::new().with("axis", 0)),
    }
}

struct Layers {
    biases: bool,
    count: usize,
    directions: usize,
    batch_first: bool,
}

fn layers(cx: &mut Context, a: &Args<'_>) -> Outcome<Layers> {
    super::activation::training(cx, a, 6).ok();
    let count = usize::try_from(a.int(cx, 4)?).unwrap_or(0);
    if count == 0 || count > 1024 {
        return unsupported(format!("{count} recurrent layers"));
    }
    Ok(Layers { biases: a.flag(3)?, count, directions: 1 + usize::from(a.flag(7)?), batch_first: a.flag(8)? })
}

/// Runs all layers; returns the sequence and the last states.
fn run(cx: &mut Context, a: &Args<'_>, op: &str, states: &[ValueId]) -> Outcome<(ValueId, Vec<ValueId>)> {
    let l = layers(cx, a)?;
    let params = a.tensors(cx, 2)?;
    let input = a.tensor(cx, 0)?;
    let rank = cx.rank_or(input, Some(3))?;
    let alone = rank == 2;
    let one = cx.ints(&[1]);
    let mut x = if alone { cx.op("Unsqueeze", &[input, one])? } else { input };
    if l.batch_first && !alone {
        x = cx.permute(x, &[1, 0, 2])?;
    }
    let mut begin = Vec::new();
    for &s in states {
        begin.push(if alone { cx.op("Unsqueeze", &[s, one])? } else { s });
    }
    let each = if l.biases { 4usize } else { 2 };
    let mut ends: Vec<Vec<ValueId>> = vec![Vec::new(); states.len()];
    for layer in 0..l.count {
        let first = layer.saturating_mul(l.directions).saturating_mul(each);
        let last = first.saturating_add(l.directions.saturating_mul(each));
        let Some(own) = params.get(first..last) else {
            return unsupported("a recurrent layer with fewer weights than it has layers");
        };
        let (y, more) = one_layer(cx, a.name, op, x, own, &begin, layer, &l)?;
        x = y;
        for (slot, v) in ends.iter_mut().zip(more) {
            slot.push(v);
        }
    }
    if l.batch_first && !alone {
        x = cx.permute(x, &[1, 0, 2])?;
    }
    let mut out = Vec::new();
    for parts in ends {
        let joined = match *parts {
            [single] => single,
            _ => cx.op_with("Concat", &parts, Attrs::new().with("axis", 0))?,
        };
        out.push(if alone { cx.op("Squeeze", &[joined, one])? } else { joined });
    }
    let x = if alone { cx.op("Squeeze", &[x, one])? } else { x };
    Ok((x, out))
}

#[allow(clippy::too_many_arguments)]
fn one_layer(
    cx: &mut Context,
    name: &str,
    op: &str,
    x: ValueId,
    own: &[ValueId],
    begin: &[ValueId],
    layer: usize,
    l: &Layers,
) -> Outcome<(ValueId, Vec<ValueId>)> {
    let each = if l.biases { 4 } else { 2 };
    let (mut w, mut r, mut b) = (Vec::new(), Vec::new(), Vec::new());
    for direction in own.chunks(each) {
        let &[w_ih, w_hh, ..] = direction else { return unsupported("a recurrent layer without weights") };
        if cx.shape(w_hh)?.get(1) != cx.shape(w_hh)?.first().map(|d| d.floor_div(&gate_count(op))).as_ref() {
            return unsupported("a recurrent layer with a projection of its state");
        }
        w.push(gates(cx, op, w_ih)?);
        r.push(gates(cx, op, w_hh)?);
        if let &[_, _, b_ih, b_hh] = direction {
            let (b_ih, b_hh) = (gates(cx, op, b_ih)?, gates(cx, op, b_hh)?);
            b.push(cx.op_with("Concat", &[b_ih, b_hh], Attrs::new().with("axis", 0))?);
        }
    }
    let hidden = cx.shape(*r.first().unwrap_or(&x))?.get(1).and_then(Dim::known);
    let Some(hidden) = hidden else { return unsupported("a recurrent layer of unknown size") };
    let (w, r) = (stacked(cx, &w)?, stacked(cx, &r)?);
    let b = if b.is_empty() { None } else { Some(stacked(cx, &b)?) };
    let from = i64::try_from(layer.saturating_mul(l.directions)).unwrap_or(0);
    let to = from.saturating_add(i64::try_from(l.directions).unwrap_or(1));
    let mut inputs = vec![Some(x), Some(w), Some(r), b, None];
    for &s in begin {
        let (start, end, axes) = (cx.ints(&[from]), cx.ints(&[to]), cx.ints(&[0]));
        let whole = cx.shape(s)?.first().and_then(Dim::known) == Some(to.saturating_sub(from));
        inputs.push(Some(if whole { s } else { cx.op("Slice", &[s, start, end, axes])? }));
    }
    let mut attrs = Attrs::new().with("hidden_size", hidden);
    attrs.set("direction", if l.directions == 2 { "bidirectional" } else { "forward" });
    if op == "GRU" {
        attrs.set("linear_before_reset", 1);
    }
    if op == "RNN" {
        let f = if name.contains("relu") { "Relu" } else { "Tanh" };
        attrs.set("activations", vec![f.to_owned(); l.directions]);
    }
    let made = cx.node(op, &inputs, attrs, begin.len().saturating_add(1))?;
    let Some((&y, states)) = made.split_first() else { return unsupported("a recurrent layer without results") };
    // Y is [time, directions, batch, hidden].
    let y = if l.directions == 1 {
        let axes = cx.ints(&[1]);
        cx.op("Squeeze", &[y, axes])?
    } else {
        let y = cx.permute(y, &[0, 2, 1, 3])?;
        let shape = cx.ints(&[0, 0, -1]);
        cx.op("Reshape", &[y, shape])?
    };
    Ok((y, states.to_vec()))
}

fn gate_count(op: &str) -> Dim {
    Dim::Known(i64::try_from(order(op).len()).unwrap_or(1))
}

fn lstm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let states = a.tensors(cx, 1)?;
    let (y, ends) = run(cx, a, "LSTM", &states)?;
    let mut out = vec![cx.tensor(y)];
    out.extend(ends.into_iter().map(|v| cx.tensor(v)));
    Ok(Val::tuple(out))
}

fn gru(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let state = a.tensor(cx, 1)?;
    let op = if a.name.contains("gru") { "GRU" } else { "RNN" };
    let (y, ends) = run(cx, a, op, &[state])?;
    let mut out = vec![cx.tensor(y)];
    out.extend(ends.into_iter().map(|v| cx.tensor(v)));
    Ok(Val::tuple(out))
}

/// One step: the layer over a sequence of one.
fn cell(cx: &mut Context, a: &Args<'_>, op: &str, states: &[ValueId]) -> Outcome<Vec<ValueId>> {
    let x = a.tensor(cx, 0)?;
    let rank = cx.rank_or(x, Some(2))?;
    let front = cx.ints(&[0]);
    let lift = |cx: &mut Context, v: ValueId| -> Outcome<ValueId> {
        let v = if rank == 1 { cx.op("Unsqueeze", &[v, front])? } else { v };
        cx.op("Unsqueeze", &[v, front])
    };
    let x = lift(cx, x)?;
    let mut begin = Vec::new();
    for &s in states {
        begin.push(lift(cx, s)?);
    }
    let mut own = vec![a.tensor(cx, 2)?, a.tensor(cx, 3)?];
    let biases = !a.is_none(4);
    if biases {
        own.extend([a.tensor(cx, 4)?, a.tensor(cx, 5)?]);
    }
    let l = Layers { biases, count: 1, directions: 1, batch_first: false };
    let (_, ends) = one_layer(cx, a.name, op, x, &own, &begin, 0, &l)?;
    let mut out = Vec::new();
    for v in ends {
        let v = cx.op("Squeeze", &[v, front])?;
        out.push(if rank == 1 { cx.op("Squeeze", &[v, front])? } else { v });
    }
    Ok(out)
}

fn lstm_cell(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let states = a.tensors(cx, 1)?;
    let ends = cell(cx, a, "LSTM", &states)?;
    let out = ends.into_iter().map(|v| cx.tensor(v)).collect();
    Ok(Val::tuple(out))
}

fn gru_cell(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let state = a.tensor(cx, 1)?;
    let op = if a.name.contains("gru") { "GRU" } else { "RNN" };
    let ends = cell(cx, a, op, &[state])?;
    match *ends {
        [h] => Ok(cx.tensor(h)),
        _ => unsupported("a cell without a state"),
    }
}
