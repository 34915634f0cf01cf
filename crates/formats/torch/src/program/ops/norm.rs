//! Normalization.

use crate::program::context::Cx;
use crate::program::number::narrow;
use crate::program::table::{Made, Row, Said, by};

pub(super) const ROWS: &[Row] = &[
    by("BatchNormalization", batch),
    by("GroupNormalization", group),
    by("InstanceNormalization", instance),
    by("LRN", local),
    by("LayerNormalization", layer),
    by("LpNormalization", lp),
];

fn batch(cx: &mut Cx<'_>) -> Said<Made> {
    if cx.attr_int("training_mode")? != 0 {
        return Err("batch normalization in training mode changes its statistics".to_owned());
    }
    let (x, w, b) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?);
    let (mean, var, eps) = (cx.tensor(3)?, cx.tensor(4)?, narrow(cx.attr_float("epsilon")?));
    Ok(Made::from(format!("torch.batch_norm({x}, {w}, {b}, {mean}, {var}, False, 0., {eps}, False)")))
}

fn instance(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, w, b, eps) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?, narrow(cx.attr_float("epsilon")?));
    Ok(Made::from(format!("torch.instance_norm({x}, {w}, {b}, None, None, True, 0., {eps}, False)")))
}

fn group(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, w, b, eps) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?, narrow(cx.attr_float("epsilon")?));
    Ok(Made::from(format!("torch.group_norm({x}, {}, {w}, {b}, {eps}, False)", cx.attr_int("num_groups")?)))
}

fn layer(cx: &mut Cx<'_>) -> Said<Made> {
    let shape = cx.shape(0)?;
    let axis = cx.axis(cx.attr_int("axis")?, shape.len())?;
    let inner = shape.get(axis..).unwrap_or_default().to_vec();
    let fits = |cx: &Cx<'_>, i: usize| !cx.has(i) || cx.shape(i).is_ok_and(|s| s == inner);
    if !fits(cx, 1) || !fits(cx, 2) {
        return Err("the scale does not have the shape of what is normalized".to_owned());
    }
    let sizes = cx.dims(&inner).ok_or("the sizes that are normalized are not known")?;
    let (x, w, b, eps) = (cx.tensor(0)?, cx.opt(1)?, cx.opt(2)?, narrow(cx.attr_float("epsilon")?));
    if cx.node.output(1).is_some() || cx.node.output(2).is_some() {
        if cx.node.outputs.len() != 3 {
            return Err("two of three results".to_owned());
        }
        return Ok(Made::Together(format!("torch.native_layer_norm({x}, {sizes}, {w}, {b}, {eps})")));
    }
    Ok(Made::from(format!("torch.layer_norm({x}, {sizes}, {w}, {b}, {eps}, False)")))
}

/// Squares summed over neighbouring channels, as an average over a window of channels.
fn local(cx: &mut Cx<'_>) -> Said<Made> {
    if cx.rank(0)? != 4 {
        return Err("local response normalization of other than images".to_owned());
    }
    let (x, size) = (cx.tensor(0)?, cx.attr_int("size")?);
    let (before, after) = (size.saturating_sub(1).div_euclid(2), size.div_euclid(2));
    let (alpha, beta, bias) = (cx.attr_float("alpha")?, cx.attr_float("beta")?, cx.attr_float("bias")?);
    let squares = cx.set("squares", format!("torch.unsqueeze(torch.mul({x}, {x}), 1)"));
    let padded = cx.set("padded", format!("torch.constant_pad_nd({squares}, [0, 0, 0, 0, {before}, {after}], 0)"));
    let mean = cx.set("mean", format!("torch.squeeze(torch.avg_pool3d({padded}, [{size}, 1, 1], [1, 1, 1]), 1)"));
    let base = format!("torch.add(torch.mul({mean}, {}), {})", narrow(alpha), narrow(bias));
    Ok(Made::from(format!("torch.div({x}, torch.pow({base}, {}))", narrow(beta))))
}

fn lp(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, axis) = (cx.tensor(0)?, cx.attr_int("axis")?);
    let norm = match cx.attr_int("p")? {
        1 => format!("torch.sum(torch.abs({x}), [{axis}], True)"),
        _ => format!("torch.sqrt(torch.sum(torch.mul({x}, {x}), [{axis}], True))"),
    };
    let norm = cx.set("norm", norm);
    Ok(Made::from(format!("torch.where(torch.eq({norm}, 0), torch.zeros_like({x}), torch.div({x}, {norm}))")))
}
