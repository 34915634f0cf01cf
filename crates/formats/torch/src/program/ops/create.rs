//! Tensors that are made of sizes and constants.

use crate::program::context::Cx;
use crate::program::number::elements;
use crate::program::table::{Made, Row, Said, by};
use modelsmith_ir::Attr;

pub(super) const ROWS: &[Row] = &[
    by("Constant", constant),
    by("ConstantOfShape", filled),
    by("EyeLike", eye),
    by("OneHot", one_hot),
    by("Range", range),
];

/// A constant that is too large to be written into the code.
fn constant(cx: &mut Cx<'_>) -> Said<Made> {
    let v = cx.node.output(0).ok_or("the node has no result")?;
    match cx.node.attrs.get("value") {
        Some(Attr::Tensor(weight)) => {
            let (label, weight) = (cx.label(v), weight.clone());
            Ok(Made::from(cx.attributes.add(&label, &weight)))
        }
        _ => Err("a constant of this kind".to_owned()),
    }
}

fn filled(cx: &mut Cx<'_>) -> Said<Made> {
    let value = match cx.node.attrs.get("value") {
        Some(Attr::Tensor(weight)) => {
            let t = modelsmith_tensor::materialize(
                weight,
                &modelsmith_ops::interp::Operators,
                &modelsmith_base::Budget::new(64),
            );
            let t = t.map_err(|e| e.to_string())?;
            elements(&t).filter(|e| e.len() == 1).map(|e| e.concat()).ok_or("a fill value of this kind")?
        }
        _ => "0".to_owned(),
    };
    let sizes = cx.list(0)?;
    Ok(Made::from(format!("torch.full({sizes}, {value}, dtype={})", cx.out_code()?)))
}

fn eye(cx: &mut Cx<'_>) -> Said<Made> {
    let (rows, columns, k) = (cx.size(0, 0)?, cx.size(0, 1)?, cx.attr_int("k")?);
    let ones = format!("torch.ones([{rows}, {columns}], dtype={})", cx.out_code()?);
    Ok(Made::from(format!("torch.tril(torch.triu({ones}, {k}), {k})")))
}

/// Indices count from either end; those outside of both leave their place off.
fn one_hot(cx: &mut Cx<'_>) -> Said<Made> {
    let rank = cx.rank(0)?;
    let axis = cx.axis(cx.attr_int("axis")?, rank.saturating_add(1))?;
    let (index, values) = (cx.tensor(0)?, cx.tensor(2)?);
    let depth = match cx.known(1).and_then(|k| k.first().copied()) {
        Some(n) => n.to_string(),
        None => format!("int({})", cx.number(1)?),
    };
    let index = cx.set("index", format!("torch.to({index}, 4)"));
    let index = cx.set("index", format!("torch.where(torch.lt({index}, 0), torch.add({index}, {depth}), {index})"));
    let places = cx.set("places", format!("torch.arange({depth})"));
    let shape = (0..=rank).map(|i| if i == axis { "-1" } else { "1" }).collect::<Vec<_>>().join(", ");
    let hot = format!("torch.eq(torch.unsqueeze({index}, {axis}), torch.reshape({places}, [{shape}]))");
    Ok(Made::from(format!("torch.where({hot}, torch.select({values}, 0, 1), torch.select({values}, 0, 0))")))
}

fn range(cx: &mut Cx<'_>) -> Said<Made> {
    let (start, end, step) = (cx.number(0)?, cx.number(1)?, cx.number(2)?);
    Ok(Made::from(format!("torch.arange({start}, {end}, {step}, dtype={})", cx.out_code()?)))
}
