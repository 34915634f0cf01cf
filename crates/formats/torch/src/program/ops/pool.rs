//! Pooling.

use super::conv::{Window, padded, window};
use super::pad;
use crate::program::context::Cx;
use crate::program::number::{ints, truth};
use crate::program::table::{Made, Row, Said, by};

pub(super) const ROWS: &[Row] = &[
    by("AveragePool", average),
    by("GlobalAveragePool", |cx| global(cx, "mean")),
    by("GlobalMaxPool", |cx| global(cx, "amax")),
    by("MaxPool", max),
];

fn global(cx: &mut Cx<'_>, name: &str) -> Said<Made> {
    let axes = (2..i64::try_from(cx.rank(0)?).unwrap_or(0)).collect::<Vec<_>>();
    Ok(Made::from(format!("torch.{name}({}, {}, True)", cx.tensor(0)?, ints(&axes))))
}

/// The window of a pool, as far as PyTorch has one.
fn pool(cx: &Cx<'_>) -> Said<(Window, usize, bool)> {
    let w = window(cx, cx.attr_ints("kernel_shape")?.unwrap_or_default())?;
    let n = w.kernel.len();
    if !(1..=3).contains(&n) {
        return Err(format!("PyTorch has no pooling over {n} axes"));
    }
    if !cx.dtype(0)?.is_float() {
        return Err("PyTorch does not pool integers".to_owned());
    }
    Ok((w, n, cx.attr_int("ceil_mode")? != 0))
}

/// True where PyTorch takes the pads: the same on both sides, of at most half a window.
fn fits(w: &Window) -> bool {
    w.even().is_some_and(|p| p.iter().zip(&w.kernel).all(|(p, k)| p.saturating_mul(2) <= *k))
}

fn max(cx: &mut Cx<'_>) -> Said<Made> {
    if cx.node.output(1).is_some() {
        return Err("the indices of a maximum count over the whole tensor, PyTorch's over a plane".to_owned());
    }
    let (w, n, ceil) = pool(cx)?;
    let (x, pads) = match fits(&w) {
        true => padded(cx, &w, "0")?,
        false if ceil => return Err("pads that are not the same on both sides, with sizes rounded up".to_owned()),
        false => {
            let (x, texts) = (cx.tensor(0)?, w.texts(cx)?);
            (cx.set("padded", pad::constant(&x, &texts, "-inf")), vec![0; n])
        }
    };
    let (kernel, strides, dilations) = (ints(&w.kernel), ints(&w.strides), ints(&w.dilations));
    Ok(Made::from(format!(
        "torch.max_pool{n}d({x}, {kernel}, {strides}, {}, {dilations}, {})",
        ints(&pads),
        truth(ceil)
    )))
}

fn average(cx: &mut Cx<'_>) -> Said<Made> {
    let (w, n, ceil) = pool(cx)?;
    if w.dilations.iter().any(|&d| d != 1) {
        return Err("PyTorch averages no window with gaps".to_owned());
    }
    let count = cx.attr_int("count_include_pad")? != 0;
    let (kernel, strides) = (ints(&w.kernel), ints(&w.strides));
    let say = |x: &str, pads: &[i64], count: bool| {
        format!("torch.avg_pool{n}d({x}, {kernel}, {strides}, {}, {}, {})", ints(pads), truth(ceil), truth(count))
    };
    if fits(&w) {
        let (x, pads) = padded(cx, &w, "0")?;
        return Ok(Made::from(say(&x, &pads, count)));
    }
    if ceil {
        return Err("pads that are not the same on both sides, with sizes rounded up".to_owned());
    }
    let (x, texts) = (cx.tensor(0)?, w.texts(cx)?);
    let padded = cx.set("padded", pad::constant(&x, &texts, "0"));
    let none = vec![0; n];
    if count {
        return Ok(Made::from(say(&padded, &none, true)));
    }
    // What lies in the window is as much of it as the average of ones.
    let ones = cx.set("ones", pad::constant(&format!("torch.ones_like({x})"), &texts, "0"));
    Ok(Made::from(format!("torch.div({}, {})", say(&padded, &none, true), say(&ones, &none, true))))
}
