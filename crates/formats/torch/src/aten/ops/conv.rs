//! Convolutions.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_ir::{Attrs, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row(
        "conv1d|conv2d|conv3d(T input, T weight, T? bias=None, I[] stride=1, I[] padding=0, I[] dilation=1, \
         I groups=1)",
        conv,
    ),
    row(
        "conv1d.padding|conv2d.padding|conv3d.padding(T input, T weight, T? bias=None, I[] stride=1, S \
         padding='valid', I[] dilation=1, I groups=1)",
        conv_named,
    ),
    row(
        "conv_transpose1d|conv_transpose2d.input|conv_transpose3d.input(T input, T weight, T? bias=None, I[] \
         stride=1, I[] padding=0, I[] output_padding=0, I groups=1, I[] dilation=1)",
        transposed,
    ),
    row(
        "_convolution|_convolution.deprecated(T input, T weight, T? bias, I[] stride, I[] padding, I[] \
         dilation, B transposed, I[] output_padding, I groups, B benchmark=False, B deterministic=False, B \
         cudnn_enabled=False, B allow_tf32=False)",
        general,
    ),
    row(
        "convolution(T input, T weight, T? bias, I[] stride, I[] padding, I[] dilation, B transposed, I[] \
         output_padding, I groups)",
        general,
    ),
    row("_convolution_mode(T input, T weight, T? bias, I[] stride, S padding, I[] dilation, I groups)", conv_named),
];

/// The sizes of a window.
struct Window {
    stride: Vec<i64>,
    /// Before and after each axis, as the hub lists them; `None` for a padding that keeps the size.
    pads: Option<Vec<i64>>,
    dilation: Vec<i64>,
    groups: i64,
    /// What is added to the size behind, of a transposed convolution.
    output_padding: Option<Vec<i64>>,
}

fn conv(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let n = spatial(cx, a)?;
    let pads = a.ints_of(cx, 4, n)?;
    let (stride, dilation) = (a.ints_of(cx, 3, n)?, a.ints_of(cx, 5, n)?);
    let groups = a.int(cx, 6)?;
    lower(cx, a, n, &Window { stride, pads: Some(twice(&pads)), dilation, groups, output_padding: None })
}

fn conv_named(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let n = spatial(cx, a)?;
    let pads = if a.text(4)? == "same" { None } else { Some(vec![0; n.saturating_mul(2)]) };
    let (stride, dilation) = (a.ints_of(cx, 3, n)?, a.ints_of(cx, 5, n)?);
    let groups = a.int(cx, 6)?;
    lower(cx, a, n, &Window { stride, pads, dilation, groups, output_padding: None })
}

fn transposed(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let n = spatial(cx, a)?;
    let pads = twice(&a.ints_of(cx, 4, n)?);
    let (stride, dilation) = (a.ints_of(cx, 3, n)?, a.ints_of(cx, 7, n)?);
    let output_padding = Some(a.ints_of(cx, 5, n)?);
    let groups = a.int(cx, 6)?;
    lower(cx, a, n, &Window { stride, pads: Some(pads), dilation, groups, output_padding })
}

fn general(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let n = spatial(cx, a)?;
    let pads = twice(&a.ints_of(cx, 4, n)?);
    let (stride, dilation) = (a.ints_of(cx, 3, n)?, a.ints_of(cx, 5, n)?);
    let output_padding = if a.flag(6)? { Some(a.ints_of(cx, 7, n)?) } else { None };
    let groups = a.int(cx, 8)?;
    lower(cx, a, n, &Window { stride, pads: Some(pads), dilation, groups, output_padding })
}

/// Number of axes of the window, from the weight.
fn spatial(cx: &mut Context, a: &Args<'_>) -> Outcome<usize> {
    let w = a.tensor(cx, 1)?;
    match cx.rank(w)?.checked_sub(2) {
        Some(n) if n > 0 => Ok(n),
        _ => unsupported("a convolution whose weight has less than three dimensions"),
    }
}

fn twice(pads: &[i64]) -> Vec<i64> {
    [pads, pads].concat()
}

fn lower(cx: &mut Context, a: &Args<'_>, n: usize, w: &Window) -> Outcome<Val> {
    let (x, weight, bias) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.opt_tensor(cx, 2)?);
    let rank = cx.rank_or(x, Some(n.saturating_add(2)))?;
    let alone = rank == n.saturating_add(1);
    let front = cx.ints(&[0]);
    let x = if alone { cx.op("Unsqueeze", &[x, front])? } else { x };
    let mut attrs = Attrs::new().with("dilations", w.dilation.clone()).with("group", w.groups);
    if let Some(sizes) = cx.ty(weight).sizes() {
        let kernel = sizes.iter().skip(2).map(|&d| i64::try_from(d).unwrap_or(0)).collect::<Vec<_>>();
        attrs.set("kernel_shape", kernel);
    }
    match &w.pads {
        Some(pads) => attrs.set("pads", pads.clone()),
        // PyTorch puts the odd one behind.
        None => attrs.set("auto_pad", "SAME_UPPER"),
    }
    attrs.set("strides", w.stride.clone());
    let op = match &w.output_padding {
        None => "Conv",
        Some(more) => {
            attrs.set("output_padding", more.clone());
            "ConvTranspose"
        }
    };
    let inputs: Vec<Option<ValueId>> = match bias {
        Some(b) => vec![Some(x), Some(weight), Some(b)],
        None => vec![Some(x), Some(weight)],
    };
    let made = cx.op_opt(op, &inputs, attrs)?;
    let made = if alone { cx.op("Squeeze", &[made, front])? } else { made };
    Ok(cx.tensor(made))
}
