//! DeformConv: convolution whose every tap is moved by an offset of its own and interpolated. <https://onnx.ai/onnx/operators/onnx__DeformConv.html>

use super::convolution::{ConvAttrs, Geometry, add_bias, zeros};
use super::window::Axis;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("W", "T"),
        Param::one("offset", "T"),
        Param::opt("B", "T"),
        Param::opt("mask", "T"),
    ],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::int("offset_group", 1),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator DeformConv.
pub static DEFORM_CONV: OpDef = OpDef {
    name: "DeformConv",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 19,
        schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

struct DeformAttrs {
    conv: ConvAttrs,
    offset_group: usize,
}

impl DeformAttrs {
    fn of(attrs: &AttrView) -> OpResult<DeformAttrs> {
        match usize::try_from(attrs.int("offset_group")?) {
            Ok(n) if n > 0 => Ok(DeformAttrs { conv: ConvAttrs::of(attrs)?, offset_group: n }),
            _ => Err(OpError::invalid("offset_group must be at least 1")),
        }
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    DeformAttrs::of(&cx.attrs)?.conv.infer(cx, 0, 1, cx.dtype(0))
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let attrs = DeformAttrs::of(&cx.attrs)?;
    let (x, w, offset) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
    let g = Geometry::of(&attrs.conv, x.shape(), w.shape())?;
    let (axes, groups) = (g.axes.len(), attrs.offset_group);
    let shape_of = |f: fn(&Axis) -> usize| g.axes.iter().map(f).collect::<Vec<_>>();
    let (kernel, input, output) = (shape_of(|a| a.kernel), shape_of(|a| a.input), shape_of(|a| a.output));
    let (taps, windows) = (kernel.iter().product::<usize>(), g.windows());
    let wanted = |channels: usize| [&[g.batch, channels], &output[..]].concat();
    if g.channels % groups != 0 || offset.shape() != wanted(groups * taps * axes) {
        return Err(OpError::invalid(format!("offsets of shape {:?} do not fit", offset.shape())));
    }
    let mask = match cx.opt_tensor(inputs, 4)? {
        Some(m) if m.shape() != wanted(groups * taps) => {
            return Err(OpError::invalid(format!("a mask of shape {:?} does not fit", m.shape())));
        }
        Some(m) => Some(m.to_f64s()?),
        None => None,
    };
    let (data, weights, offsets) = (x.to_f64s()?, w.to_f64s()?, offset.to_f64s()?);
    let plane = input.iter().product::<usize>();
    let (channels, filters) = (g.channels / g.group, g.filters / g.group);
    let depth = channels * taps;
    let mut out = zeros(&[g.batch, g.filters, windows])?;
    let mut columns = zeros(&[g.channels, taps, windows])?;
    for n in 0..g.batch {
        for og in 0..groups {
            for (k, o) in (0..taps).flat_map(|k| (0..windows).map(move |o| (k, o))) {
                let (tap, window) = (index::unravel(k, &kernel), index::unravel(o, &output));
                let place = (0..axes).map(|i| {
                    let (a, at) = (&g.axes[i], ((n * groups + og) * taps + k) * axes + i);
                    (window[i] * a.stride + tap[i] * a.dilation) as f64 - a.begin as f64 + offsets[at * windows + o]
                });
                let near = neighbours(&place.collect::<Vec<_>>(), &input);
                let factor = mask.as_ref().map_or(1.0, |m| m[((n * groups + og) * taps + k) * windows + o]);
                for c in og * (g.channels / groups)..(og + 1) * (g.channels / groups) {
                    let image = &data[(n * g.channels + c) * plane..][..plane];
                    let value = near.iter().map(|&(i, w)| image[i] * w).sum::<f64>();
                    columns[(c * taps + k) * windows + o] = value * factor;
                }
            }
        }
        for group in 0..g.group {
            let to = &mut out[(n * g.filters + group * filters) * windows..][..filters * windows];
            let rows = &weights[group * filters * depth..][..filters * depth];
            contract::matmul(filters, depth, windows, rows, &columns[group * depth * windows..], to);
        }
    }
    if let Some(b) = cx.opt_tensor(inputs, 3)? {
        add_bias(&mut out, &b.to_f64s()?, windows)?;
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &g.output_shape(), &out)?.into()])
}

/// Flat positions around a point and their weights; those outside of the image are left out.
fn neighbours(place: &[f64], shape: &[usize]) -> Vec<(usize, f64)> {
    let mut out = vec![(0usize, 1.0)];
    for (&at, &len) in place.iter().zip(shape) {
        let low = at.floor();
        let sides = [(low, 1.0 - (at - low)), (low + 1.0, at - low)];
        let inside = sides.into_iter().filter(|(i, w)| *i >= 0.0 && *i < len as f64 && *w > 0.0);
        let inside = inside.map(|(i, w)| (i as usize, w)).collect::<Vec<_>>();
        out = out.iter().flat_map(|&(p, v)| inside.iter().map(move |&(i, w)| (p * len + i, v * w))).collect();
    }
    out
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, w, offset) = (s.any(dtype, &[1, 2, 4, 4]), s.any(dtype, &[3, 2, 2, 2]), s.any(dtype, &[1, 8, 3, 3]));
        s.case().input(x).input(w).input(offset).add();
    }
    let (x, w) = (s.any(F32, &[2, 4, 5, 5]), s.any(F32, &[4, 2, 3, 2]));
    let (offset, b, mask) = (s.any(F32, &[2, 24, 3, 2]), s.any(F32, &[4]), s.any(F32, &[2, 12, 3, 2]));
    let case = s.case().input(x).input(w).input(offset).input(b).input(mask).attr("group", 2);
    let case = case.attr("offset_group", 2).attr("strides", [2, 3]).attr("pads", [1, 0, 1, 1]);
    case.attr("dilations", [1, 2]).attr("kernel_shape", [3, 2]).add();
    let (x, w, offset) = (s.any(F32, &[1, 1, 3, 3, 3]), s.any(F32, &[1, 1, 2, 2, 2]), s.any(F32, &[1, 24, 2, 2, 2]));
    s.case().input(x).input(w).input(offset).add();
}
