//! GridSample: values of an image at the positions of a grid, interpolated. <https://onnx.ai/onnx/operators/onnx__GridSample.html>

use super::pixels::{FEW, Pixels, transposed};
use super::sampling::Sampling;
use super::window::split;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1"), Param::one("grid", "T2")],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[
        AttrDef::int("align_corners", 0),
        AttrDef::string("mode", "linear"),
        AttrDef::string("padding_mode", "zeros"),
    ],
    types: &[types_of("T1", ALL_IR4), types_of("T2", FLOATS_BF16)],
};

/// The ONNX operator GridSample.
pub static GRID_SAMPLE: OpDef = OpDef {
    name: "GridSample",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 16,
            schema: Schema {
                attrs: &[
                    AttrDef::int("align_corners", 0),
                    AttrDef::string("mode", "bilinear"),
                    AttrDef::string("padding_mode", "zeros"),
                ],
                types: &[types_of("T1", ALL), types_of("T2", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_16),
            down: Adapt::Rewrite(to_16),
        },
        Past {
            since: 20,
            schema: Schema { types: &[types_of("T1", ALL), types_of("T2", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    Sampling::of(&cx.attrs)?;
    let shape = match (cx.shape(0), cx.shape(1)) {
        (Some(x), Some(grid)) if x.len() == grid.len() && x.len() > 2 => {
            let mut out = vec![x[0].clone(), x[1].clone()];
            out.extend_from_slice(&grid[1..grid.len() - 1]);
            Some(out)
        }
        (Some(_), Some(_)) => return Err(OpError::invalid("input and grid must have one rank, at least 3")),
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, grid) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let how = Sampling::of(&cx.attrs)?;
    let (n, c, spatial) = split(x)?;
    let (Some((&axes, places)), true) = (grid.shape().split_last(), grid.rank() == x.rank()) else {
        return Err(OpError::invalid(format!("a grid of shape {:?} for {:?}", grid.shape(), x.shape())));
    };
    if axes != spatial.len() || places[0] != n {
        return Err(OpError::invalid(format!("a grid of shape {:?} for {:?}", grid.shape(), x.shape())));
    }
    let shape = [&[n, c], &places[1..]].concat();
    let (plane, count) = (spatial.iter().product::<usize>(), places[1..].iter().product::<usize>());
    // An image without pixels has nothing to sample: all that lies outside is zero.
    if plane == 0 || Tensor::zeros(x.dtype(), &shape)?.is_empty() {
        return Ok(vec![Tensor::zeros(x.dtype(), &shape)?.into()]);
    }
    let positions = grid.to_f64s()?;
    // One list for all places, with the end of each: a list of its own for each would be met one by one in memory.
    let (mut taps, mut ends) = (Vec::new(), vec![0]);
    for p in positions.chunks_exact(axes) {
        how.taps(p, spatial, &mut taps);
        ends.push(taps.len());
    }
    let taps_of = |place: usize| &taps[ends[place]..ends[place + 1]];
    if x.dtype() == DType::String {
        let nearest = |i: usize| match taps_of(i / count / c * count + i % count) {
            [(at, _)] => Ok(i / count * plane + at),
            _ => Err(OpError::unsupported("strings that are mixed, or lie outside of the image")),
        };
        let source = (0..n * c * count).map(nearest).collect::<OpResult<Vec<_>>>()?;
        return Ok(vec![x.gathered(&shape, source.into_iter())?.into()]);
    }
    if x.dtype() == F32 && c >= FEW {
        return Ok(vec![Tensor::new(&shape, by_places(x.as_slice::<f32>()?, [n, c, plane, count], taps_of))?.into()]);
    }
    if x.dtype() == F32 {
        let images = x.as_slice::<f32>()?.chunks_exact(plane);
        let all = images.enumerate().map(|(i, image)| (image, i / c * count..(i / c + 1) * count));
        return Ok(vec![Tensor::new(&shape, singles(all, taps_of))?.into()]);
    }
    let sampled = |data: &[f64]| {
        let mut out = Vec::with_capacity(n * c * count);
        for (i, image) in data.chunks_exact(plane).enumerate() {
            let places = i / c * count..(i / c + 1) * count;
            out.extend(places.map(|p| taps_of(p).iter().map(|&(at, w)| image[at] * w).sum::<f64>()));
        }
        out
    };
    if x.dtype().is_complex() {
        let data = x.to_complex()?;
        let part = |k: usize| sampled(&data.iter().map(|v| v[k]).collect::<Vec<_>>());
        let out = part(0).into_iter().zip(part(1)).map(|(r, i)| [r, i]).collect::<Vec<_>>();
        return Ok(vec![Tensor::from_complex(x.dtype(), &shape, &out)?.into()]);
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &sampled(&x.to_f64s()?))?.into()])
}

/// Places of which the results are turned together.
const TURNED: usize = 32;

/// The values of `n` images of `c` channels and `plane` pixels at `count` places of each, all channels of a place at once.
fn by_places<'a>(
    x: &[f32],
    [n, c, plane, count]: [usize; 4],
    taps_of: impl Fn(usize) -> &'a [(usize, f64)],
) -> Vec<f32> {
    let mut out = vec![0f32; n * c * count];
    let (mut sums, mut turned) = (vec![0f64; c], vec![0f32; TURNED * c]);
    for ((i, image), out) in x.chunks_exact(plane * c).enumerate().zip(out.chunks_exact_mut((count * c).max(1))) {
        let pixels = Pixels::of(image, c);
        for first in (0..count).step_by(TURNED) {
            let places = TURNED.min(count - first);
            for (p, turned) in turned.chunks_exact_mut(c).enumerate().take(places) {
                pixels.sum(taps_of(i * count + first + p), &mut sums);
                turned.iter_mut().zip(&sums).for_each(|(to, &sum)| *to = sum as f32);
            }
            transposed(&turned[..places * c], &mut out[first..], [places, c], count);
        }
    }
    out
}

/// The values of images at ranges of places whose taps are known.
fn singles<'a>(
    images: impl Iterator<Item = (&'a [f32], std::ops::Range<usize>)>,
    taps_of: impl Fn(usize) -> &'a [(usize, f64)],
) -> Vec<f32> {
    let mut out = Vec::new();
    for (image, places) in images {
        let tap = |&(at, w): &(usize, f64)| f64::from(image[at]) * w;
        out.reserve(places.len());
        for place in places {
            // Four taps, those of a linear mode between pixels, are the usual number.
            let value = match taps_of(place) {
                [a, b, c, d] => tap(a) + tap(b) + tap(c) + tap(d),
                taps => taps.iter().map(tap).sum::<f64>(),
            };
            out.push(value as f32);
        }
    }
    out
}

/// Opset 20 renamed the modes when it left two dimensions behind.
fn from_16(cx: &mut AdaptCx) -> OpResult<()> {
    let mode = match cx.attrs().get("mode") {
        Some(Attr::String(s)) => s.clone(),
        _ => "bilinear".into(),
    };
    let renamed = mode.strip_prefix("bi").unwrap_or(&mode).to_owned();
    cx.attrs().set("mode", renamed.as_str());
    Ok(())
}

fn to_16(cx: &mut AdaptCx) -> OpResult<()> {
    if cx.rank(0) != Some(4) {
        return Err(OpError::unsupported("before opset 20 GridSample samples images of two dimensions only"));
    }
    let mode = match cx.attrs().get("mode") {
        Some(Attr::String(s)) => s.clone(),
        _ => "linear".into(),
    };
    let old = if mode == "nearest" { mode } else { format!("bi{mode}") };
    cx.attrs().set("mode", old.as_str());
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (x, grid) = (s.any(dtype, &[1, 2, 4, 3]), s.floats(F32, &[1, 2, 2, 2], -0.9, 0.9));
        s.case().input(x).input(grid).attr("mode", "nearest").add();
    }
    for mode in ["nearest", "linear", "cubic"] {
        for padding in ["zeros", "border", "reflection"] {
            for align in [0, 1] {
                let (x, grid) = (s.any(F32, &[2, 2, 4, 3]), s.floats(F32, &[2, 3, 2, 2], -2.0, 2.0));
                let case = s.case().input(x).input(grid).attr("mode", mode).attr("padding_mode", padding);
                case.attr("align_corners", align).add();
            }
        }
    }
    for padding in ["zeros", "border"] {
        let (x, grid) = (s.any(F32, &[2, 9, 4, 3]), s.floats(F32, &[2, 5, 8, 2], -1.5, 1.5));
        s.case().input(x).input(grid).attr("padding_mode", padding).add();
    }
    for dtype in FLOATS_BF16.dtypes() {
        let (x, grid) = (s.any(F32, &[1, 1, 2, 3, 4]), s.floats(dtype, &[1, 2, 1, 2, 3], -1.0, 1.0));
        s.case().input(x).input(grid).add();
    }
    let (x, grid) = (s.any(F32, &[1, 2, 0, 3]), s.floats(F32, &[1, 2, 2, 2], -1.0, 1.0));
    s.case().input(x).input(grid).add();
    let (x, grid) = (s.any(F32, &[1, 1, 3]), s.floats(F32, &[1, 0, 1], -1.0, 1.0));
    s.case().input(x).input(grid).add();
}
