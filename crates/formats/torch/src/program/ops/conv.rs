//! Convolutions.

use super::pad;
use crate::program::context::Cx;
use crate::program::number::ints;
use crate::program::table::{Made, Row, Said, by};
use modelsmith_ir::Dim;

pub(super) const ROWS: &[Row] = &[by("Conv", conv), by("ConvTranspose", transposed)];

/// A window that slides over the spatial axes.
pub(super) struct Window {
    pub(super) kernel: Vec<i64>,
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    /// Before and after each axis.
    pub(super) pads: Vec<(Dim, Dim)>,
}

/// The window of the node, whose kernel is `kernel`; what `auto_pad` leaves open is filled in.
pub(super) fn window(cx: &Cx<'_>, kernel: Vec<i64>) -> Said<Window> {
    let n = kernel.len();
    let ones = || vec![1; n];
    let strides = cx.attr_ints("strides")?.filter(|s| s.len() == n).unwrap_or_else(ones);
    let dilations = cx.attr_ints("dilations")?.filter(|s| s.len() == n).unwrap_or_else(ones);
    let shape = cx.shape(0)?;
    let auto = cx.attr_text("auto_pad")?;
    let given = cx.attr_ints("pads")?.filter(|p| p.len() == n.saturating_mul(2));
    let given = given.filter(|_| auto == "NOTSET" || auto.is_empty()).unwrap_or_else(|| vec![0; n.saturating_mul(2)]);
    let (before, after) = given.split_at(n);
    let mut pads = before.iter().zip(after).map(|(&a, &b)| (Dim::Known(a), Dim::Known(b))).collect::<Vec<_>>();
    if auto.starts_with("SAME") {
        for (i, slot) in pads.iter_mut().enumerate() {
            let at = |v: &[i64]| Dim::Known(v.get(i).copied().unwrap_or(1));
            let size = shape.get(i.saturating_add(2)).cloned().unwrap_or(Dim::Unknown);
            let out = size.ceil_div(&at(&strides));
            let reach = (at(&kernel) - Dim::Known(1)) * at(&dilations) + Dim::Known(1);
            let all = ((out - Dim::Known(1)) * at(&strides) + reach - size).larger(&Dim::Known(0));
            let half = all.floor_div(&Dim::Known(2));
            let rest = all - half.clone();
            *slot = if auto == "SAME_LOWER" { (rest, half) } else { (half, rest) };
        }
    }
    Ok(Window { kernel, strides, dilations, pads })
}

impl Window {
    /// The pads where they are the same numbers on both sides.
    pub(super) fn even(&self) -> Option<Vec<i64>> {
        self.pads.iter().map(|(a, b)| a.known().filter(|n| a == b && *n >= 0)).collect()
    }

    /// The pads as texts, with none before the first two axes.
    pub(super) fn texts(&self, cx: &mut Cx<'_>) -> Said<Vec<(String, String)>> {
        let mut out = vec![("0".to_owned(), "0".to_owned()); 2];
        for (a, b) in &self.pads {
            let both = cx.dim(a).zip(cx.dim(b));
            out.push(both.ok_or("the pads do not follow from sizes")?);
        }
        Ok(out)
    }
}

/// The operand with its pads, and what is left for the operator to pad.
pub(super) fn padded(cx: &mut Cx<'_>, w: &Window, value: &str) -> Said<(String, Vec<i64>)> {
    let x = cx.tensor(0)?;
    match w.even() {
        Some(pads) => Ok((x, pads)),
        None => {
            let texts = w.texts(cx)?;
            let x = cx.set("padded", pad::constant(&x, &texts, value));
            Ok((x, vec![0; w.kernel.len()]))
        }
    }
}

/// The sizes of operand `i`, the weight, behind its first two axes.
pub(super) fn kernel(cx: &Cx<'_>, i: usize) -> Said<Vec<i64>> {
    if let Some(kernel) = cx.attr_ints("kernel_shape")?.filter(|k| !k.is_empty()) {
        return Ok(kernel);
    }
    let shape = cx.shape(i)?;
    shape.iter().skip(2).map(|d| d.known().ok_or_else(|| "the size of the kernel is not known".to_owned())).collect()
}

fn conv(cx: &mut Cx<'_>) -> Said<Made> {
    let w = window(cx, kernel(cx, 1)?)?;
    let (x, pads) = padded(cx, &w, "0")?;
    let (weight, bias) = (cx.tensor(1)?, cx.opt(2)?);
    call(cx, &w, &[&x, &weight, &bias], &pads).map(Made::from)
}

/// The call of a convolution of an image, a weight and a bias.
pub(super) fn call(cx: &Cx<'_>, w: &Window, operands: &[&str], pads: &[i64]) -> Said<String> {
    let (n, groups) = (w.kernel.len(), cx.attr_int("group")?);
    let (strides, pads, dilations) = (ints(&w.strides), ints(pads), ints(&w.dilations));
    match n {
        1..=3 => Ok(format!("torch.conv{n}d({}, {strides}, {pads}, {dilations}, {groups})", operands.join(", "))),
        _ => Err(format!("PyTorch has no convolution over {n} axes")),
    }
}

/// What a transposed convolution makes without pads is cut where they are not the same on both sides.
fn transposed(cx: &mut Cx<'_>) -> Said<Made> {
    let mut w = window(cx, kernel(cx, 1)?)?;
    let n = w.kernel.len();
    if !(1..=3).contains(&n) {
        return Err(format!("PyTorch has no transposed convolution over {n} axes"));
    }
    let extra = cx.attr_ints("output_padding")?.filter(|p| p.len() == n).unwrap_or_else(|| vec![0; n]);
    let auto = cx.attr_text("auto_pad")?;
    let sizes = cx.attr_ints("output_shape")?.filter(|s| s.len() >= n);
    if sizes.is_some() || auto.starts_with("SAME") {
        w.pads = wanted(cx, &w, &extra, sizes.as_deref(), &auto)?;
    }
    let (x, weight, bias) = (cx.tensor(0)?, cx.tensor(1)?, cx.opt(2)?);
    let (strides, dilations, groups) = (ints(&w.strides), ints(&w.dilations), cx.attr_int("group")?);
    let say = |pads: &[i64], extra: &[i64]| {
        let (pads, extra) = (ints(pads), ints(extra));
        format!("torch.conv_transpose{n}d({x}, {weight}, {bias}, {strides}, {pads}, {extra}, {groups}, {dilations})")
    };
    let allowed = extra.iter().zip(&w.strides).zip(&w.dilations).all(|((e, s), d)| e < s || e < d);
    if let Some(pads) = w.even().filter(|_| allowed) {
        return Ok(Made::from(say(&pads, &extra)));
    }
    // A negative pad adds zeros.
    let whole = cx.set("whole", say(&vec![0; n], &vec![0; n]));
    let texts = w.pads.iter().zip(&extra).map(|((a, b), e)| {
        let both = a.known().zip(b.known()).ok_or("the pads do not follow from known sizes")?;
        Ok((both.0.saturating_neg().to_string(), e.saturating_sub(both.1).to_string()))
    });
    let texts = texts.collect::<Said<Vec<_>>>()?;
    if !bias.starts_with("None") && texts.iter().any(|(a, b)| [a, b].iter().any(|t| !t.starts_with('-') && *t != "0")) {
        return Err("a transposed convolution with a bias that reaches beyond what it makes".to_owned());
    }
    let all = [vec![("0".to_owned(), "0".to_owned()); 2], texts].concat();
    Ok(Made::from(pad::constant(&whole, &all, "0")))
}

/// The pads that give the sizes that are asked for: those of `output_shape`, else the input's times the stride.
fn wanted(cx: &Cx<'_>, w: &Window, extra: &[i64], sizes: Option<&[i64]>, auto: &str) -> Said<Vec<(Dim, Dim)>> {
    let shape = cx.shape(0)?;
    let skip = sizes.map_or(0, |s| s.len().saturating_sub(w.kernel.len()));
    let mut out = Vec::new();
    for (i, k) in w.kernel.iter().enumerate() {
        let size = shape.get(i.saturating_add(2)).and_then(Dim::known).ok_or("the size of the image is not known")?;
        let at = |v: &[i64], or: i64| v.get(i).copied().unwrap_or(or);
        let stride = at(&w.strides, 1);
        let full = size.saturating_sub(1).saturating_mul(stride).saturating_add(at(extra, 0));
        let full = full.saturating_add(k.saturating_sub(1).saturating_mul(at(&w.dilations, 1))).saturating_add(1);
        let target = sizes.and_then(|s| s.get(skip.saturating_add(i)).copied());
        let all = full.saturating_sub(target.unwrap_or_else(|| size.saturating_mul(stride)));
        let half = all.div_euclid(2);
        let (half, rest) = (Dim::Known(half), Dim::Known(all.saturating_sub(half)));
        out.push(if auto == "SAME_UPPER" { (half, rest) } else { (rest, half) });
    }
    Ok(out)
}
