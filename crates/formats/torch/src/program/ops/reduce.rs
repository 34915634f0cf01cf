//! Reductions, running sums, order.

use crate::program::context::Cx;
use crate::program::number::{code, ints, truth};
use crate::program::table::{Made, Row, Said, by};

pub(super) const ROWS: &[Row] = &[
    by("ArgMax", |cx| arg(cx, "argmax")),
    by("ArgMin", |cx| arg(cx, "argmin")),
    by("CumProd", |cx| running(cx, "cumprod")),
    by("CumSum", |cx| running(cx, "cumsum")),
    by("Hardmax", hardmax),
    by("ReduceL1", |cx| reduce(cx, |x, over, typed| format!("torch.sum(torch.abs({x}), {over}{typed})"))),
    by("ReduceL2", |cx| {
        reduce(cx, |x, over, typed| format!("torch.sqrt(torch.sum(torch.mul({x}, {x}), {over}{typed}))"))
    }),
    by("ReduceLogSum", |cx| reduce(cx, |x, over, typed| format!("torch.log(torch.sum({x}, {over}{typed}))"))),
    by("ReduceLogSumExp", |cx| reduce(cx, |x, over, _| format!("torch.logsumexp({x}, {over})"))),
    by("ReduceMax", |cx| reduce(cx, |x, over, _| format!("torch.amax({x}, {over})"))),
    by("ReduceMean", |cx| reduce(cx, |x, over, _| format!("torch.mean({x}, {over})"))),
    by("ReduceMin", |cx| reduce(cx, |x, over, _| format!("torch.amin({x}, {over})"))),
    by("ReduceProd", product),
    by("ReduceSum", |cx| reduce(cx, |x, over, typed| format!("torch.sum({x}, {over}{typed})"))),
    by("ReduceSumSquare", |cx| reduce(cx, |x, over, typed| format!("torch.sum(torch.mul({x}, {x}), {over}{typed})"))),
    by("TopK", top),
];

/// The axes that a reduction runs over; `None` where it leaves its operand as it is.
fn axes(cx: &Cx<'_>) -> Said<Option<Vec<i64>>> {
    let given = match cx.has(1) {
        true => Some(cx.known(1).ok_or("the axes are computed at run time")?),
        false => None,
    };
    match given.filter(|a| !a.is_empty()) {
        Some(axes) => Ok(Some(axes)),
        None if cx.attr_int("noop_with_empty_axes")? != 0 => Ok(None),
        None => Ok(Some((0..i64::try_from(cx.rank(0)?).unwrap_or(0)).collect())),
    }
}

/// `say` is given the operand, `axes, keep`, and an argument that keeps integers in their type.
fn reduce(cx: &mut Cx<'_>, say: impl FnOnce(&str, &str, &str) -> String) -> Said<Made> {
    let dtype = cx.dtype(0)?;
    let op = cx.node.known().map_or("", |d| d.name);
    if dtype.is_int() && matches!(op, "ReduceMean" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp") {
        return Err(format!("PyTorch has no {op} of integers"));
    }
    let x = cx.tensor(0)?;
    if cx.rank(0).is_err() && !cx.has(1) && cx.attr_int("keepdims")? == 0 && cx.attr_int("noop_with_empty_axes")? == 0 {
        // Over whatever axes there are.
        let flat = cx.set("flat", format!("torch.reshape({x}, [-1])"));
        let typed = if dtype.is_int() { format!(", dtype={}", cx.out_code()?) } else { String::new() };
        return Ok(Made::from(say(&flat, "[0], False", &typed)));
    }
    let typed = if dtype.is_int() { format!(", dtype={}", cx.out_code()?) } else { String::new() };
    let Some(axes) = axes(cx)? else {
        // Each element is a sum of its own.
        return Ok(Made::from(match op {
            "ReduceL1" | "ReduceL2" => format!("torch.abs({x})"),
            "ReduceLogSum" => format!("torch.log({x})"),
            "ReduceSumSquare" => format!("torch.mul({x}, {x})"),
            _ => x,
        }));
    };
    if axes.is_empty() {
        return Err("a reduction of a scalar".to_owned());
    }
    if matches!(op, "ReduceMax" | "ReduceMin") && cx.shape(0)?.iter().any(|d| d.known() == Some(0)) {
        return Err("PyTorch has no extreme of no elements".to_owned());
    }
    let over = format!("{}, {}", ints(&axes), truth(cx.attr_int("keepdims")? != 0));
    Ok(Made::from(say(&x, &over, &typed)))
}

/// PyTorch multiplies along one axis at a time.
fn product(cx: &mut Cx<'_>) -> Said<Made> {
    let (rank, keep) = (cx.rank(0)?, truth(cx.attr_int("keepdims")? != 0));
    let x = cx.tensor(0)?;
    let Some(axes) = axes(cx)? else { return Ok(Made::from(x)) };
    let mut axes = axes.into_iter().map(|a| cx.axis(a, rank)).collect::<Said<Vec<_>>>()?;
    axes.sort_unstable();
    let typed = if cx.dtype(0)?.is_int() { format!(", dtype={}", cx.out_code()?) } else { String::new() };
    Ok(Made::from(axes.iter().rev().fold(x, |x, a| format!("torch.prod({x}, {a}, {keep}{typed})"))))
}

fn arg(cx: &mut Cx<'_>, name: &str) -> Said<Made> {
    let (x, axis, keep) = (cx.tensor(0)?, cx.attr_int("axis")?, truth(cx.attr_int("keepdims")? != 0));
    if cx.attr_int("select_last_index")? == 0 {
        return Ok(Made::from(format!("torch.{name}({x}, {axis}, {keep})")));
    }
    let at = cx.axis(axis, cx.rank(0)?)?;
    let last = cx.size(0, at)?;
    let found = format!("torch.{name}(torch.flip({x}, [{axis}]), {axis}, {keep})");
    Ok(Made::from(format!("torch.rsub({found}, {last} - 1)")))
}

fn hardmax(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, axis) = (cx.tensor(0)?, cx.attr_int("axis")?);
    Ok(Made::from(format!("torch.scatter(torch.zeros_like({x}), {axis}, torch.argmax({x}, {axis}, True), 1)")))
}

fn running(cx: &mut Cx<'_>, name: &str) -> Said<Made> {
    let axis = cx.known(1).and_then(|k| k.first().copied()).ok_or("the axis is computed at run time")?;
    let (exclusive, reverse) = (cx.attr_int("exclusive")? != 0, cx.attr_int("reverse")? != 0);
    let mut x = cx.tensor(0)?;
    if reverse {
        x = cx.set("turned", format!("torch.flip({x}, [{axis}])"));
    }
    if exclusive {
        let first = cx.set("first", format!("torch.slice({x}, {axis}, 0, 1)"));
        let fill = if name == "cumsum" { "zeros_like" } else { "ones_like" };
        x = cx.set("moved", format!("torch.cat([torch.{fill}({first}), torch.slice({x}, {axis}, 0, -1)], {axis})"));
    }
    let dtype = cx.dtype(0)?;
    let typed = if dtype.is_int() { format!(", dtype={}", code(dtype).unwrap_or(4)) } else { String::new() };
    let made = format!("torch.{name}({x}, {axis}{typed})");
    Ok(Made::from(if reverse { format!("torch.flip({made}, [{axis}])") } else { made }))
}

/// Of equal elements the first ones: only a stable order promises that.
fn top(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, axis) = (cx.tensor(0)?, cx.attr_int("axis")?);
    let k = cx.ints(1)?.first().cloned().ok_or("the number of elements is missing")?;
    let largest = truth(cx.attr_int("largest")? != 0);
    let sorted = format!("torch.sort({x}, stable=True, dim={axis}, descending={largest})");
    let both = cx.unpack(&["sorted", "order"], sorted);
    Ok(Made::Each(both.iter().map(|v| format!("torch.slice({v}, {axis}, 0, {k})")).collect()))
}
