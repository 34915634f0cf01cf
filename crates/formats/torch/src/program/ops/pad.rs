//! Padding.

use super::index::taken;
use crate::program::context::Cx;
use crate::program::table::{Made, Row, Said, by};

pub(super) const ROWS: &[Row] = &[by("Pad", pad)];

fn pad(cx: &mut Cx<'_>) -> Said<Made> {
    let rank = cx.rank(0)?;
    let given = cx.ints(1)?;
    let axes = match cx.has(3) {
        true => cx.known(3).ok_or("the axes are computed at run time")?,
        false => (0..i64::try_from(rank).unwrap_or(0)).collect(),
    };
    if given.len() != axes.len().saturating_mul(2) {
        return Err("there are not two pads for each axis".to_owned());
    }
    let mut pads = vec![("0".to_owned(), "0".to_owned()); rank];
    let (before, after) = given.split_at(axes.len());
    for ((axis, before), after) in axes.iter().zip(before).zip(after) {
        let at = cx.axis(*axis, rank)?;
        if let Some(slot) = pads.get_mut(at) {
            *slot = (before.clone(), after.clone());
        }
    }
    let mode = cx.attr_text("mode")?;
    let x = cx.tensor(0)?;
    if mode == "constant" {
        let value = if cx.has(2) { cx.number(2)? } else { "0".to_owned() };
        return Ok(Made::from(constant(&x, &pads, &value)));
    }
    elsewhere(cx, x, &pads, &mode).map(Made::from)
}

/// PyTorch counts pads from the last axis.
pub(super) fn constant(x: &str, pads: &[(String, String)], value: &str) -> String {
    let outer = pads.iter().position(|(a, b)| a != "0" || b != "0").unwrap_or(pads.len());
    let kept = pads.get(outer..).unwrap_or_default();
    if kept.is_empty() {
        return x.to_owned();
    }
    let all = kept.iter().rev().map(|(a, b)| format!("{a}, {b}")).collect::<Vec<_>>().join(", ");
    format!("torch.constant_pad_nd({x}, [{all}], {value})")
}

/// Padding with elements of the tensor: each axis takes them by index.
fn elsewhere(cx: &mut Cx<'_>, x: String, pads: &[(String, String)], mode: &str) -> Said<String> {
    let mut made = x;
    for (axis, (before, after)) in pads.iter().enumerate().filter(|(_, (a, b))| a != "0" || b != "0") {
        let size = cx.size(0, axis)?;
        let places = cx.set("places", format!("torch.arange(-{before}, {size} + {after})").replace("--", ""));
        let places = match mode {
            "edge" => format!("torch.clamp({places}, 0, {size} - 1)"),
            "wrap" => format!("torch.remainder({places}, {size})"),
            "reflect" => {
                // 0, 1 .. n - 1, n - 2 .. 1, and again from 0.
                let period = format!("ops.prim.max(2 * {size} - 2, 1)");
                let folded = cx.set("folded", format!("torch.remainder({places}, {period})"));
                format!("torch.rsub(torch.abs(torch.sub({folded}, {size} - 1)), {size} - 1)")
            }
            other => return Err(format!("padding of the mode {other}")),
        };
        let places = cx.set("places", places);
        made = taken(&made, axis, &places);
    }
    Ok(made)
}
