//! Elements put by index.

use super::index::{columns, forward_indices};
use crate::program::context::Cx;
use crate::program::table::{Made, Row, Said, by};

pub(super) const ROWS: &[Row] = &[by("ScatterElements", elements), by("ScatterND", nd)];

fn elements(cx: &mut Cx<'_>) -> Said<Made> {
    let axis = cx.axis(cx.attr_int("axis")?, cx.rank(0)?)?;
    let (x, index, new) = (cx.tensor(0)?, forward_indices(cx, 1, axis)?, cx.tensor(2)?);
    Ok(Made::from(match cx.attr_text("reduction")?.as_str() {
        "add" => format!("torch.scatter_add({x}, {axis}, {index}, {new})"),
        "mul" => format!("torch.scatter_reduce({x}, {axis}, {index}, {new}, \"prod\")"),
        "max" => format!("torch.scatter_reduce({x}, {axis}, {index}, {new}, \"amax\")"),
        "min" => format!("torch.scatter_reduce({x}, {axis}, {index}, {new}, \"amin\")"),
        _ => format!("torch.scatter({x}, {axis}, {index}, {new})"),
    }))
}

fn nd(cx: &mut Cx<'_>) -> Said<Made> {
    let add = match cx.attr_text("reduction")?.as_str() {
        "none" | "" => "False",
        "add" => "True",
        other => return Err(format!("PyTorch cannot put at places of several indices and take the {other}")),
    };
    let (x, new) = (cx.tensor(0)?, cx.tensor(2)?);
    let all = columns(cx, 1)?.join(", ");
    Ok(Made::from(format!("torch.index_put({x}, annotate(List[Optional[Tensor]], [{all}]), {new}, {add})")))
}
