//! GroupNormalization: normalisation of each group of channels of each image, then scale and bias per channel. <https://onnx.ai/onnx/operators/onnx__GroupNormalization.html>

use super::normalization::{build, channel_wise, channels, known_rank, moments, per_channel, rounder, stash_type};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("scale", "T"), Param::one("bias", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::float("epsilon", 1e-05),
        AttrDef::required("num_groups", AttrKind::Int),
        AttrDef::int("stash_type", 1),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator GroupNormalization.
pub static GROUP_NORMALIZATION: OpDef = OpDef {
    name: "GroupNormalization",
    since: 21,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 18,
        schema: Schema {
            attrs: &[AttrDef::float("epsilon", 1e-05), AttrDef::required("num_groups", AttrKind::Int)],
            ..SCHEMA
        },
        up: Adapt::Rewrite(from_18),
        down: Adapt::Unsupported("before opset 21 scale and bias are per group, not per channel"),
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    stash_type(&cx.attrs)?;
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (n, c, plane) = channels(x)?;
    let groups = cx.attrs.int("num_groups")?;
    let groups = usize::try_from(groups).ok().filter(|&g| g > 0 && c % g == 0);
    let groups = groups.ok_or_else(|| OpError::invalid(format!("num_groups does not divide {c} channels")))?;
    let read = |i: usize, name: &str| per_channel(cx.tensor(inputs, i)?, c, name);
    let (scale, bias) = (read(1, "scale")?, read(2, "bias")?);
    let (round, last) = (rounder(stash_type(&cx.attrs)?), rounder(x.dtype()));
    let epsilon = f64::from(cx.attrs.float("epsilon")?);
    let mut data = x.to_f64s()?;
    data.iter_mut().for_each(|v| *v = round(*v));
    let len = c / groups * plane;
    for i in 0..n * groups {
        let row = &mut data[i * len..][..len];
        let (mean, inverse) = moments(row, epsilon, round);
        row.iter_mut().for_each(|v| *v = last(round(round(*v - mean) * inverse)));
    }
    for (i, v) in data.iter_mut().enumerate() {
        let k = i / plane % c;
        *v = last(last(*v * scale[k]) + bias[k]);
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &data)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let (x, scale, bias) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let rank = known_rank(b, x)?;
    let dtype = b.ty(x).dtype().ok_or_else(|| OpError::unsupported("an input of unknown type"))?;
    let stash = stash_type(&attrs)?;
    let shape = b.op("Shape", &[x])?;
    let wide = if dtype == stash { x } else { b.op_with("Cast", &[x], Attrs::new().with("to", stash))? };
    let grouped = b.ints(&[0, attrs.int("num_groups")?, -1]);
    let grouped = b.op("Reshape", &[wide, grouped])?;
    let [mut out, ..] = build(b, grouped, &[2], attrs.float("epsilon")?)?;
    if dtype != stash {
        out = b.op_with("Cast", &[out], Attrs::new().with("to", dtype))?;
    }
    let out = b.op("Reshape", &[out, shape])?;
    let (scale, bias) = (channel_wise(b, scale, rank)?, channel_wise(b, bias, rank)?);
    let out = b.op("Mul", &[out, scale])?;
    Ok(vec![b.op("Add", &[out, bias])?])
}

/// Opset 18 gave scale and bias per group: each is repeated for the channels of its group.
fn from_18(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(Attr::Int(groups)) = cx.attrs().get("num_groups").cloned() else { return Ok(()) };
    let Some(x) = cx.input(0) else { return Ok(()) };
    for i in [1, 2] {
        let Some(value) = cx.input(i) else { continue };
        let mut b = cx.before();
        let (column, flat, count) = (b.ints(&[-1, 1]), b.ints(&[-1]), b.ints(&[groups]));
        let channels = b.op_with("Shape", &[x], Attrs::new().with("start", 1).with("end", 2))?;
        let each = b.op("Div", &[channels, count])?;
        let shape = b.node("", "Concat", &[Some(count), Some(each)], Attrs::new().with("axis", 0), 1)?[0];
        let value = b.op("Reshape", &[value, column])?;
        let value = b.op("Expand", &[value, shape])?;
        let value = b.op("Reshape", &[value, flat])?;
        cx.set_input(i, Some(value));
    }
    // Opset 18 computed in the type of its input.
    if let Some(code) = cx.model.ty(x).dtype().map(modelsmith_ir::code_of_dtype) {
        cx.attrs().set("stash_type", code);
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, scale, bias) = (s.any(dtype, &[2, 4, 3]), s.any(dtype, &[4]), s.any(dtype, &[4]));
        s.case().input(x).input(scale).input(bias).attr("num_groups", 2).add();
    }
    for (shape, groups) in [(&[2, 4, 2, 2][..], 4), (&[1, 4, 2, 1, 2], 1), (&[2, 4], 2)] {
        let (x, scale, bias) = (s.any(F32, shape), s.any(F32, &[4]), s.any(F32, &[4]));
        let case = s.case().input(x).input(scale).input(bias).attr("num_groups", groups);
        case.attr("epsilon", 0.1).attr("stash_type", 11).add();
    }
}
