//! Resize: by PyTorch's own where it means the same, else by index arithmetic along each axis.

use super::index::taken;
use crate::program::context::Cx;
use crate::program::number::{float, list, truth};
use crate::program::table::{Made, Row, Said, by};
use modelsmith_ir::Dim;

pub(super) const ROWS: &[Row] = &[by("Resize", resize)];

/// What happens along one axis.
struct Axis {
    axis: usize,
    /// Sizes before and after.
    from: String,
    to: String,
    /// How much larger it gets, where the node says so.
    scale: Option<f64>,
}

impl Axis {
    /// False where the scale is known to give a size that has to be rounded.
    fn whole(&self) -> bool {
        let both = self.from.parse::<f64>().ok().zip(self.to.parse::<f64>().ok());
        match (self.scale, both) {
            (Some(scale), Some((from, to))) => (scale * from - to).abs() < 1e-4,
            _ => true,
        }
    }

    fn scale(&self) -> String {
        self.scale.map_or_else(|| format!("torch.div({}, {})", self.to, self.from), float)
    }
}

fn resize(cx: &mut Cx<'_>) -> Said<Made> {
    if cx.attr_int("antialias")? != 0 {
        return Err("resizing with a filter against aliasing".to_owned());
    }
    if cx.has(3) && cx.attr_text("keep_aspect_ratio_policy")? != "stretch" {
        return Err("resizing that keeps the ratio of the sides".to_owned());
    }
    let (mode, place) = (cx.attr_text("mode")?, cx.attr_text("coordinate_transformation_mode")?);
    if place == "tf_crop_and_resize" {
        return Err("resizing of a part of the image".to_owned());
    }
    let rank = cx.rank(0)?;
    let changed = axes(cx, rank)?;
    let x = cx.tensor(0)?;
    if changed.is_empty() {
        return Ok(Made::from(x));
    }
    if let Some(made) = own(cx, &x, rank, &changed, (&mode, &place))? {
        return Ok(Made::from(made));
    }
    let mut made = x;
    for axis in &changed {
        let at = coordinates(cx, axis, &place)?;
        made = match mode.as_str() {
            "nearest" => nearest(cx, &made, axis, &at)?,
            "linear" => linear(cx, &made, axis, rank, &at)?,
            other => return Err(format!("resizing of the mode {other} with the coordinates {place}")),
        };
    }
    Ok(Made::from(made))
}

/// The axes whose size changes.
fn axes(cx: &mut Cx<'_>, rank: usize) -> Said<Vec<Axis>> {
    let axes = match cx.attr_ints("axes")? {
        Some(axes) => axes,
        None => (0..i64::try_from(rank).unwrap_or(0)).collect(),
    };
    let (before, after) = (cx.shape(0)?, cx.out_shape().unwrap_or_default());
    let scales = match cx.has(2) && !cx.has(3) {
        true => {
            let t = cx.constant(2).ok_or("the scales are computed at run time")?;
            Some(t.to_f64s().map_err(|e| e.to_string())?)
        }
        false => None,
    };
    let sizes = if scales.is_none() { Some(cx.ints(3)?) } else { None };
    let mut out = Vec::new();
    for (i, axis) in axes.into_iter().enumerate() {
        let axis = cx.axis(axis, rank)?;
        let scale = scales.as_ref().and_then(|s| s.get(i).copied());
        let same = before.get(axis) == after.get(axis) && before.get(axis) != Some(&Dim::Unknown);
        if scale.map_or(same, |s| (s - 1.0).abs() <= 0.0) {
            continue;
        }
        let from = cx.size(0, axis)?;
        let known = after.get(axis).cloned().filter(|d| cx.follows(d)).and_then(|d| cx.dim(&d));
        let to = match (known, scale, sizes.as_ref().and_then(|s| s.get(i).cloned())) {
            (Some(to), ..) | (None, None, Some(to)) => to,
            (None, Some(scale), _) => cx.set("size", format!("int(torch.mul({from}, {}))", float(scale))),
            _ => return Err("the sizes are not known".to_owned()),
        };
        out.push(Axis { axis, from, to, scale });
    }
    Ok(out)
}

/// The operator of PyTorch that does the same.
fn own(cx: &mut Cx<'_>, x: &str, rank: usize, changed: &[Axis], (mode, place): (&str, &str)) -> Said<Option<String>> {
    let n = rank.saturating_sub(2);
    if !(1..=3).contains(&n) || changed.iter().any(|a| a.axis < 2) || !cx.dtype(0)?.is_float() {
        return Ok(None);
    }
    let (mut to, mut scales) = (Vec::new(), String::new());
    for axis in 2..rank {
        let found = changed.iter().find(|a| a.axis == axis);
        match found {
            Some(a) => to.push(a.to.clone()),
            None => to.push(cx.size(0, axis)?),
        }
        let scale = found.map_or(Some(1.0), |a| a.scale);
        scales.push_str(&scale.map_or(", None".to_owned(), |s| format!(", {}", float(s))));
    }
    let to = list(&to);
    let corners = truth(place == "align_corners");
    let centres = matches!(place, "half_pixel" | "pytorch_half_pixel" | "align_corners");
    let centres = centres && (place != "align_corners" || changed.iter().all(Axis::whole));
    let single = place == "pytorch_half_pixel" && changed.iter().any(|a| a.to == "1");
    let name = match (mode, n) {
        ("linear", 1) => "linear1d",
        ("linear", 2) => "bilinear2d",
        ("linear", _) => "trilinear3d",
        ("cubic", 2) => "bicubic2d",
        ("nearest", 1) => "nearest1d",
        ("nearest", 2) => "nearest2d",
        ("nearest", _) => "nearest3d",
        _ => return Ok(None),
    };
    let plain = (cx.attr_float("cubic_coeff_a")? + 0.75).abs() < 1e-6 && cx.attr_int("exclude_outside")? == 0;
    let fits = match mode {
        "nearest" => place == "asymmetric" && cx.attr_text("nearest_mode")? == "floor",
        "cubic" => centres && !single && plain,
        _ => centres && !single,
    };
    let corners = if mode == "nearest" { String::new() } else { format!(", {corners}") };
    Ok(fits.then(|| format!("torch.upsample_{name}({x}, {to}{corners}{scales})")))
}

/// Where the elements of the result lie in the operand.
fn coordinates(cx: &mut Cx<'_>, a: &Axis, place: &str) -> Said<String> {
    let (from, to, scale) = (&a.from, &a.to, a.scale());
    let i = cx.set("i", format!("torch.arange({to}, dtype=7)"));
    let half = format!("torch.sub(torch.div(torch.add({i}, 0.5), {scale}), 0.5)");
    let text = match place {
        "half_pixel" => half,
        "pytorch_half_pixel" if to == "1" => format!("torch.zeros_like({i})"),
        "pytorch_half_pixel" => half,
        "asymmetric" => format!("torch.div({i}, {scale})"),
        "align_corners" if a.whole() => {
            format!("torch.mul({i}, torch.div({from} - 1, ops.prim.max({to} - 1, 1)))")
        }
        // The corner lies where the scale puts it, between elements.
        "align_corners" => format!("torch.mul({i}, torch.div({from} - 1, torch.mul({from}, {scale}) - 1))"),
        "half_pixel_symmetric" => {
            let all = format!("torch.mul({from}, {scale})");
            format!("torch.add({half}, torch.mul(torch.div({from}, 2), torch.sub(1, torch.div({to}, {all}))))")
        }
        other => return Err(format!("the coordinates {other}")),
    };
    Ok(cx.set("at", text))
}

fn nearest(cx: &mut Cx<'_>, x: &str, a: &Axis, at: &str) -> Said<String> {
    let rounded = match cx.attr_text("nearest_mode")?.as_str() {
        "floor" => format!("torch.floor({at})"),
        "ceil" => format!("torch.ceil({at})"),
        "round_prefer_ceil" => format!("torch.floor(torch.add({at}, 0.5))"),
        _ => format!("torch.ceil(torch.sub({at}, 0.5))"),
    };
    let index = cx.set("index", format!("torch.to(torch.clamp({rounded}, 0, {} - 1), 4)", a.from));
    Ok(cx.set("resized", taken(x, a.axis, &index)))
}

fn linear(cx: &mut Cx<'_>, x: &str, a: &Axis, rank: usize, at: &str) -> Said<String> {
    if cx.attr_int("exclude_outside")? != 0 {
        return Err("linear interpolation that leaves out what lies outside".to_owned());
    }
    let last = format!("{} - 1", a.from);
    let low = cx.set("low", format!("torch.floor({at})"));
    let shape = (0..rank).map(|i| if i == a.axis { "-1" } else { "1" }).collect::<Vec<_>>().join(", ");
    let part = format!("torch.to(torch.reshape(torch.sub({at}, {low}), [{shape}]), {})", cx.out_code()?);
    let part = cx.set("part", part);
    let first = cx.set("first", format!("torch.to(torch.clamp({low}, 0, {last}), 4)"));
    let second = cx.set("second", format!("torch.to(torch.clamp(torch.add({low}, 1), 0, {last}), 4)"));
    let (first, second) = (taken(x, a.axis, &first), taken(x, a.axis, &second));
    let first = cx.set("before", first);
    Ok(cx.set("resized", format!("torch.add({first}, torch.mul(torch.sub({second}, {first}), {part}))")))
}
