//! Elements taken by index.

use crate::program::context::Cx;
use crate::program::number::truth;
use crate::program::table::{Made, Row, Said, by};
use modelsmith_base::DType;

pub(super) const ROWS: &[Row] = &[
    by("Compress", compress),
    by("Gather", gather),
    by("GatherElements", gather_elements),
    by("GatherND", gather_nd),
    by("GridSample", grid),
    by("AffineGrid", affine),
    by("NonZero", |cx| Ok(Made::from(format!("torch.t(torch.nonzero({}))", cx.tensor(0)?)))),
];

/// `x[:, :, index]`.
pub(super) fn taken(x: &str, axis: usize, index: &str) -> String {
    let mut items = vec!["None".to_owned(); axis];
    items.push(index.to_owned());
    format!("torch.index({x}, annotate(List[Optional[Tensor]], [{}]))", items.join(", "))
}

/// Operand `i`, a tensor of indices, as PyTorch wants it: of 64 bits.
pub(super) fn indices(cx: &mut Cx<'_>, i: usize) -> Said<String> {
    let index = cx.tensor(i)?;
    Ok(if cx.dtype(i)? == DType::I64 { index } else { cx.set("index", format!("torch.to({index}, 4)")) })
}

/// As [`indices`], counted from the front.
pub(super) fn forward_indices(cx: &mut Cx<'_>, i: usize, axis: usize) -> Said<String> {
    let index = indices(cx, i)?;
    if cx.known(i).is_some_and(|k| k.iter().all(|&n| n >= 0)) {
        return Ok(index);
    }
    let size = cx.size(0, axis)?;
    Ok(cx.set("index", format!("torch.where(torch.lt({index}, 0), torch.add({index}, {size}), {index})")))
}

fn gather(cx: &mut Cx<'_>) -> Said<Made> {
    let axis = cx.axis(cx.attr_int("axis")?, cx.rank(0)?)?;
    let x = cx.tensor(0)?;
    if cx.rank(1)? == 0 {
        let at = cx.number(1)?;
        return Ok(Made::from(format!("torch.select({x}, {axis}, {at})")));
    }
    let index = indices(cx, 1)?;
    Ok(Made::from(taken(&x, axis, &index)))
}

fn gather_elements(cx: &mut Cx<'_>) -> Said<Made> {
    let axis = cx.axis(cx.attr_int("axis")?, cx.rank(0)?)?;
    let (x, index) = (cx.tensor(0)?, forward_indices(cx, 1, axis)?);
    Ok(Made::from(format!("torch.gather({x}, {axis}, {index})")))
}

/// The columns of operand `i`, a tensor of places, as a list of indices.
pub(super) fn columns(cx: &mut Cx<'_>, i: usize) -> Said<Vec<String>> {
    let count = cx.shape(i)?.last().and_then(modelsmith_ir::Dim::size).ok_or("the number of indices is not known")?;
    let index = indices(cx, i)?;
    Ok((0..count).map(|k| cx.set("index", format!("torch.select({index}, -1, {k})"))).collect())
}

fn gather_nd(cx: &mut Cx<'_>) -> Said<Made> {
    let batch = usize::try_from(cx.attr_int("batch_dims")?).unwrap_or(0);
    let x = cx.tensor(0)?;
    let rank = cx.rank(1)?.saturating_sub(1);
    let mut all = Vec::new();
    for axis in 0..batch {
        let size = cx.size(0, axis)?;
        let shape = (0..rank).map(|i| if i == axis { "-1" } else { "1" }).collect::<Vec<_>>().join(", ");
        all.push(cx.set("row", format!("torch.reshape(torch.arange({size}), [{shape}])")));
    }
    all.extend(columns(cx, 1)?);
    Ok(Made::from(format!("torch.index({x}, annotate(List[Optional[Tensor]], [{}]))", all.join(", "))))
}

fn compress(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, mask) = (cx.tensor(0)?, cx.tensor(1)?);
    let places = cx.set("places", format!("torch.squeeze(torch.nonzero({mask}), 1)"));
    Ok(Made::from(match crate::program::context::said(cx.attrs()?.opt_int("axis"))? {
        Some(axis) => format!("torch.index_select({x}, {axis}, {places})"),
        None => format!("torch.index_select(torch.reshape({x}, [-1]), 0, {places})"),
    }))
}

fn grid(cx: &mut Cx<'_>) -> Said<Made> {
    let mode = match cx.attr_text("mode")?.as_str() {
        "linear" | "bilinear" => 0,
        "nearest" => 1,
        _ => 2,
    };
    let padding = match cx.attr_text("padding_mode")?.as_str() {
        "zeros" => 0,
        "border" => 1,
        _ => 2,
    };
    if mode == 2 && cx.rank(0)? != 4 {
        return Err("cubic interpolation of other than images".to_owned());
    }
    let (x, grid, corners) = (cx.tensor(0)?, cx.tensor(1)?, truth(cx.attr_int("align_corners")? != 0));
    Ok(Made::from(format!("torch.grid_sampler({x}, {grid}, {mode}, {padding}, {corners})")))
}

fn affine(cx: &mut Cx<'_>) -> Said<Made> {
    let (theta, sizes, corners) = (cx.tensor(0)?, cx.list(1)?, truth(cx.attr_int("align_corners")? != 0));
    Ok(Made::from(format!("torch.affine_grid_generator({theta}, {sizes}, {corners})")))
}
