//! What moves elements or changes shapes.

use crate::program::context::{Cx, said};
use crate::program::number::{code, ints, list};
use crate::program::table::{Made, Row, Said, by, text};
use modelsmith_ir::Dim;

pub(super) const ROWS: &[Row] = &[
    by("Cast", cast),
    by("CastLike", cast),
    by("Concat", |cx| Ok(Made::from(format!("torch.cat({}, {})", list(&cx.all()?), cx.attr_int("axis")?)))),
    by("DepthToSpace", depth_to_space),
    by("Expand", expand),
    by("Flatten", flatten),
    by("Reshape", reshape),
    by("Shape", shape),
    text("Size", "torch.tensor(torch.numel({0}))"),
    by("Slice", slice),
    by("SpaceToDepth", space_to_depth),
    by("Split", split),
    by("Squeeze", squeeze),
    by("Tile", |cx| Ok(Made::from(format!("torch.repeat({}, {})", cx.tensor(0)?, cx.list(1)?)))),
    by("Transpose", transpose),
    by("Trilu", trilu),
    by("Unsqueeze", unsqueeze),
];

fn cast(cx: &mut Cx<'_>) -> Said<Made> {
    Ok(Made::from(format!("torch.to({}, {})", cx.tensor(0)?, cx.out_code()?)))
}

/// `CRD` is the order of PyTorch; the other takes blocks from the front of the channels.
fn depth_to_space(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, block) = (cx.tensor(0)?, cx.attr_int("blocksize")?);
    if cx.attr_text("mode")? == "CRD" {
        return Ok(Made::from(format!("torch.pixel_shuffle({x}, {block})")));
    }
    let (n, h, w) = (cx.size(0, 0)?, cx.size(0, 2)?, cx.size(0, 3)?);
    let cut = cx.set("blocks", format!("torch.reshape({x}, [{n}, {block}, {block}, -1, {h}, {w}])"));
    let moved = format!("torch.permute({cut}, [0, 3, 4, 1, 5, 2])");
    Ok(Made::from(format!("torch.reshape({moved}, [{n}, -1, {h} * {block}, {w} * {block}])")))
}

fn space_to_depth(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, block) = (cx.tensor(0)?, cx.attr_int("blocksize")?);
    let (n, c, h, w) = (cx.size(0, 0)?, cx.size(0, 1)?, cx.size(0, 2)?, cx.size(0, 3)?);
    let cut =
        cx.set("blocks", format!("torch.reshape({x}, [{n}, {c}, {h} // {block}, {block}, {w} // {block}, {block}])"));
    let order = if cx.attr_text("mode")? == "CRD" { "[0, 1, 3, 5, 2, 4]" } else { "[0, 3, 5, 1, 2, 4]" };
    let moved = format!("torch.permute({cut}, {order})");
    Ok(Made::from(format!("torch.reshape({moved}, [{n}, -1, {h} // {block}, {w} // {block}])")))
}

/// Both sides broadcast: where the result does not follow from sizes, a tensor without elements of its own is the
/// other.
fn expand(cx: &mut Cx<'_>) -> Said<Made> {
    let x = cx.tensor(0)?;
    let sizes = cx.out_shape().filter(|s| s.iter().all(|d| cx.follows(d)));
    if let Some(sizes) = sizes.and_then(|s| cx.dims(&s)) {
        return Ok(Made::from(format!("torch.expand({x}, {sizes})")));
    }
    let target = cx.list(1)?;
    let both = cx.unpack(&["expanded", "_"], format!("torch.broadcast_tensors([{x}, torch.empty({target})])"));
    Ok(Made::Each(both))
}

fn flatten(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, shape) = (cx.tensor(0)?, cx.shape(0)?);
    let rank = i64::try_from(shape.len()).unwrap_or(0);
    let axis = cx.attr_int("axis")?;
    let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if axis == 1 && rank > 1 {
        return Ok(Made::from(format!("torch.flatten({x}, 1)")));
    }
    let axis = usize::try_from(axis).unwrap_or(0);
    let product = |part: &[Dim]| part.iter().fold(Dim::Known(1), |a, b| a * b.clone());
    let (rows, columns) =
        (product(shape.get(..axis).unwrap_or_default()), product(shape.get(axis..).unwrap_or_default()));
    let sizes = cx.dims(&[rows, columns]).ok_or("the sizes are not known")?;
    Ok(Made::from(format!("torch.reshape({x}, {sizes})")))
}

fn reshape(cx: &mut Cx<'_>) -> Said<Made> {
    let x = cx.tensor(0)?;
    let copies = cx.attr_int("allowzero")? == 0;
    // A size that is only known by running may be the 0 that stands for that of the operand.
    let target = cx.node.input(1).and_then(|v| cx.facts.value(v)).map(|s| s.dims.clone());
    let unsure = target.is_none() && cx.known(1).is_none();
    let sizes = cx.out_shape().filter(|s| unsure && s.iter().all(|d| cx.follows(d)));
    if let Some(sizes) = sizes.and_then(|s| cx.dims(&s)) {
        return Ok(Made::from(format!("torch.reshape({x}, {sizes})")));
    }
    if unsure && cx.ty(cx.operand_id(1)?).sizes().is_none() {
        return Ok(Made::from(format!("torch.reshape({x}, {})", cx.list(1)?)));
    }
    let mut items = cx.ints(1)?;
    for (i, item) in items.iter_mut().enumerate() {
        if item == "0" && copies {
            *item = cx.size(0, i)?;
        }
    }
    // A tensor without elements does not say what -1 stands for.
    if let (Some(at), Some(shape)) = (items.iter().position(|t| t == "-1"), cx.out_shape())
        && let (true, Some(d)) = (items.iter().any(|t| t == "0"), shape.get(at))
        && let Some(d) = cx.dim(d)
        && let Some(slot) = items.get_mut(at)
    {
        *slot = d;
    }
    Ok(Made::from(format!("torch.reshape({x}, {})", list(&items))))
}

fn shape(cx: &mut Cx<'_>) -> Said<Made> {
    let x = cx.tensor(0)?;
    let (start, end) = (cx.attr_int("start")?, said(cx.attrs()?.opt_int("end"))?);
    let whole = format!("torch._shape_as_tensor({x})");
    if start == 0 && end.is_none() {
        return Ok(Made::from(whole));
    }
    let end = end.map_or("None".to_owned(), |e| e.to_string());
    Ok(Made::from(format!("torch.slice({whole}, 0, {start}, {end})")))
}

fn slice(cx: &mut Cx<'_>) -> Said<Made> {
    let (starts, ends) = (cx.ints(1)?, cx.ints(2)?);
    let rank = cx.rank(0)?;
    let axes = match cx.has(3) {
        true => cx.known(3).ok_or("the axes are computed at run time")?,
        false => (0..i64::try_from(starts.len()).unwrap_or(0)).collect(),
    };
    let steps = match cx.has(4) {
        true => cx.known(4).ok_or("the steps are computed at run time")?,
        false => vec![1; starts.len()],
    };
    let mut made = cx.tensor(0)?;
    for (((axis, step), start), end) in axes.iter().zip(steps).zip(starts).zip(ends) {
        let axis = cx.axis(*axis, rank)?;
        made = match step {
            1 => format!("torch.slice({made}, {axis}, {start}, {end})"),
            2.. => format!("torch.slice({made}, {axis}, {start}, {end}, {step})"),
            _ => backwards(cx, &made, axis, step, (&start, &end))?,
        };
    }
    Ok(Made::from(made))
}

/// A slice with a negative step is one of the turned tensor.
fn backwards(cx: &mut Cx<'_>, x: &str, axis: usize, step: i64, (start, end): (&str, &str)) -> Said<String> {
    let size = cx.size(0, axis)?;
    // Place `i` lies at `size - 1 - i` of the turned tensor, place `i - size` at `-1 - i`.
    let mirrored = |text: &str| match text.parse::<i64>() {
        Ok(n) if n < 0 => Ok(n.saturating_add(1).saturating_neg().to_string()),
        Ok(n) if n > i64::from(i32::MAX) => Ok("0".to_owned()),
        Ok(n) => Ok(match size.parse::<i64>() {
            Ok(size) => size.saturating_sub(1).saturating_sub(n).max(0).to_string(),
            Err(_) => format!("ops.prim.max({size} - {}, 0)", n.saturating_add(1)),
        }),
        Err(_) => Err("a slice backwards between places that are computed at run time".to_owned()),
    };
    let turned = format!("torch.flip({x}, [{axis}])");
    Ok(format!("torch.slice({turned}, {axis}, {}, {}, {})", mirrored(start)?, mirrored(end)?, step.saturating_neg()))
}

fn split(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, axis) = (cx.tensor(0)?, cx.attr_int("axis")?);
    let parts = cx.node.outputs.len();
    if parts == 1 {
        return Ok(Made::from(x));
    }
    if cx.has(1) {
        return Ok(Made::Together(format!("torch.split_with_sizes({x}, {}, {axis})", cx.list(1)?)));
    }
    let count = i64::try_from(parts).unwrap_or(1);
    let part = match cx.rank(0) {
        Ok(rank) => {
            let at = cx.axis(axis, rank)?;
            let part = cx.shape(0)?.get(at).map(|d| d.ceil_div(&Dim::Known(count)));
            part.and_then(|d| cx.dim(&d)).ok_or("the size that is split is not known")?
        }
        Err(_) => format!("(torch.size({x}, {axis}) + {}) // {count}", count.saturating_sub(1)),
    };
    Ok(Made::Together(format!("torch.split({x}, {part}, {axis})")))
}

fn squeeze(cx: &mut Cx<'_>) -> Said<Made> {
    let x = cx.tensor(0)?;
    if !cx.has(1) {
        return Ok(Made::from(format!("torch.squeeze({x})")));
    }
    let axes = cx.known(1).ok_or("the axes are computed at run time")?;
    Ok(Made::from(match axes.as_slice() {
        [] => format!("torch.squeeze({x})"),
        [axis] => format!("torch.squeeze({x}, {axis})"),
        axes => format!("torch.squeeze({x}, {})", ints(axes)),
    }))
}

fn unsqueeze(cx: &mut Cx<'_>) -> Said<Made> {
    let axes = cx.known(1).ok_or("the axes are computed at run time")?;
    let x = cx.tensor(0)?;
    if let [axis] = axes.as_slice() {
        return Ok(Made::from(format!("torch.unsqueeze({x}, {axis})")));
    }
    let rank = cx.rank(0)?.saturating_add(axes.len());
    let mut axes = axes.into_iter().map(|a| cx.axis(a, rank)).collect::<Said<Vec<_>>>()?;
    axes.sort_unstable();
    Ok(Made::from(axes.iter().fold(x, |x, a| format!("torch.unsqueeze({x}, {a})"))))
}

fn transpose(cx: &mut Cx<'_>) -> Said<Made> {
    let x = cx.tensor(0)?;
    let perm = match cx.attr_ints("perm")? {
        Some(perm) => perm,
        None => (0..i64::try_from(cx.rank(0)?).unwrap_or(0)).rev().collect(),
    };
    Ok(Made::from(format!("torch.permute({x}, {})", ints(&perm))))
}

fn trilu(cx: &mut Cx<'_>) -> Said<Made> {
    let name = if cx.attr_int("upper")? != 0 { "triu" } else { "tril" };
    let k = if cx.has(1) { cx.number(1)? } else { "0".to_owned() };
    let x = cx.tensor(0)?;
    let bool = cx.dtype(0).ok().and_then(code) == Some(11);
    Ok(Made::from(match bool {
        true => format!("torch.to(torch.{name}(torch.to({x}, 0), {k}), 11)"),
        false => format!("torch.{name}({x}, {k})"),
    }))
}
