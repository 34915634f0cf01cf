//! RoiAlign: regions of an image, each pooled to one size from interpolated points. <https://onnx.ai/onnx/operators/onnx__RoiAlign.html>

use super::normalization::rounder;
use super::pixels::{FEW, Pixels, transposed};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1"), Param::one("rois", "T1"), Param::one("batch_indices", "T2")],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[
        AttrDef::string("coordinate_transformation_mode", "half_pixel"),
        AttrDef::string("mode", "avg"),
        AttrDef::int("output_height", 1),
        AttrDef::int("output_width", 1),
        AttrDef::int("sampling_ratio", 0),
        AttrDef::float("spatial_scale", 1.0),
    ],
    types: &[types_of("T1", FLOATS_BF16), types_of("T2", I64_ONLY)],
};

/// The ONNX operator RoiAlign.
pub static ROI_ALIGN: OpDef = OpDef {
    name: "RoiAlign",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 10,
            schema: Schema {
                attrs: &[
                    AttrDef::string("mode", "avg"),
                    AttrDef::int("output_height", 1),
                    AttrDef::int("output_width", 1),
                    AttrDef::int("sampling_ratio", 0),
                    AttrDef::float("spatial_scale", 1.0),
                ],
                types: &[types_of("T1", FLOATS), types_of("T2", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_10),
            down: Adapt::Rewrite(to_10),
        },
        Past {
            since: 16,
            schema: Schema { types: &[types_of("T1", FLOATS), types_of("T2", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

/// Output height and width.
fn sizes(attrs: &AttrView) -> OpResult<(usize, usize)> {
    let read = |name: &str| match usize::try_from(attrs.int(name)?) {
        Ok(n) if n > 0 && n <= 1 << 20 => Ok(n),
        _ => Err(OpError::invalid(format!("{name} must be at least 1"))),
    };
    Ok((read("output_height")?, read("output_width")?))
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (h, w) = sizes(&cx.attrs)?;
    let counts = [cx.shape(1), cx.shape(2)].into_iter().flatten();
    let regions = counts.filter_map(<[Dim]>::first).next().cloned().unwrap_or(Dim::Unknown);
    let channels = match cx.shape(0) {
        Some([_, c, _, _]) => c.clone(),
        Some(shape) => return Err(OpError::invalid(format!("an input of rank {}, 4 is wanted", shape.len()))),
        None => Dim::Unknown,
    };
    cx.set_tensor(0, cx.dtype(0), Some(vec![regions, channels, h.into(), w.into()]));
    Ok(())
}

/// Four neighbours of a point with their weights; none outside of the image.
fn corners(y: f64, x: f64, h: usize, w: usize) -> [(usize, f64); 4] {
    if h == 0 || w == 0 || !(-1.0..=h as f64).contains(&y) || !(-1.0..=w as f64).contains(&x) {
        return [(0, 0.0); 4];
    }
    let along = |at: f64, len: usize| {
        let at = at.max(0.0);
        match at as usize {
            low if low + 1 >= len => (len - 1, len - 1, 0.0),
            low => (low, low + 1, at - low as f64),
        }
    };
    let ((top, bottom, dy), (left, right, dx)) = (along(y, h), along(x, w));
    [
        (top * w + left, (1.0 - dy) * (1.0 - dx)),
        (top * w + right, (1.0 - dy) * dx),
        (bottom * w + left, dy * (1.0 - dx)),
        (bottom * w + right, dy * dx),
    ]
}

/// Most points at which one region is sampled.
const MOST_POINTS: usize = 1 << 24;

/// Points sampled along one axis of a region: for each of `bins`, the coordinates.
fn points(
    start: f64,
    end: f64,
    bins: usize,
    ratio: i64,
    shifted: bool,
    round: fn(f64) -> f64,
) -> OpResult<Vec<Vec<f64>>> {
    let length = round(end - start);
    let length = if shifted { length } else { length.max(1.0) };
    let bin = round(length / bins as f64);
    let count = if ratio > 0 { ratio as f64 } else { bin.ceil().max(0.0) };
    if count.is_nan() || count >= 65536.0 {
        return Err(OpError::invalid(format!("a region of {length} elements is too large to sample")));
    }
    let at = |b: usize, i: usize| start + b as f64 * bin + (i as f64 + 0.5) * bin / count;
    Ok((0..bins).map(|b| (0..count as usize).map(|i| at(b, i)).collect()).collect())
}

/// Taps with one for each element: neighbouring points share most of theirs.
fn joined(mut taps: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    taps.retain(|t| t.1 != 0.0);
    taps.sort_by_key(|t| t.0);
    taps.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    taps
}

/// The weighted sum of elements, four by four so that no addition waits for the one before.
fn sum(taps: &[(usize, f64)], plane: &[f64]) -> f64 {
    let (fours, rest) = taps.as_chunks::<4>();
    let mut parts = [0.0; 4];
    for four in fours {
        parts.iter_mut().zip(four).for_each(|(sum, &(i, weight))| *sum += plane[i] * weight);
    }
    parts.iter().sum::<f64>() + rest.iter().map(|&(i, weight)| plane[i] * weight).sum::<f64>()
}

/// The means of bins, each given by its taps and the number of its points, for all channels of an image; channel by channel.
fn by_bins(pixels: &Pixels, bins: &[(Vec<(usize, f64)>, f64)], c: usize) -> Vec<f64> {
    let (mut sums, mut out) = (vec![0.0; bins.len() * c], vec![0.0; bins.len() * c]);
    for ((taps, count), sums) in bins.iter().zip(sums.chunks_exact_mut(c)) {
        pixels.sum(taps, sums);
        sums.iter_mut().for_each(|sum| *sum /= count);
    }
    transposed(&sums, &mut out, [bins.len(), c], bins.len());
    out
}

/// The images pixel by pixel, where a weight of a mean is that of many channels.
fn turned(x: &Tensor, largest: bool) -> OpResult<Option<Vec<Pixels>>> {
    let c = x.shape()[1];
    let size = x.shape()[1..].iter().product::<usize>();
    if x.dtype() != F32 || largest || c < FEW || size == 0 {
        return Ok(None);
    }
    Ok(Some(x.as_slice::<f32>()?.chunks_exact(size).map(|image| Pixels::of(image, c)).collect()))
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, rois) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let images = cx.tensor(inputs, 2)?.to_i64s()?;
    let (&[n, c, h, w], &[regions, 4]) = (x.shape(), rois.shape()) else {
        return Err(OpError::invalid(format!("input of shape {:?}, rois of shape {:?}", x.shape(), rois.shape())));
    };
    let images = images.iter().map(|&i| usize::try_from(i).ok().filter(|&i| i < n)).collect::<Option<Vec<_>>>();
    let images = images.filter(|l| l.len() == regions);
    let images = images.ok_or_else(|| OpError::invalid("batch_indices must name an image for each region"))?;
    let (out_h, out_w) = sizes(&cx.attrs)?;
    let shifted = match cx.attrs.string("coordinate_transformation_mode")? {
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => return Err(OpError::invalid(format!("coordinate_transformation_mode is {other:?}"))),
    };
    let largest = match cx.attrs.string("mode")? {
        "avg" => false,
        "max" => true,
        other => return Err(OpError::invalid(format!("mode is {other:?}"))),
    };
    let (ratio, scale) = (cx.attrs.int("sampling_ratio")?, f64::from(cx.attrs.float("spatial_scale")?));
    let round = rounder(x.dtype());
    let shape = [regions, c, out_h, out_w];
    let mut out = Vec::with_capacity(Tensor::zeros(x.dtype(), &shape)?.len());
    let (data, offset) = (x.to_f64s()?, if shifted { 0.5 } else { 0.0 });
    let pixels = turned(x, largest)?;
    for (&image, roi) in images.iter().zip(rois.to_f64s()?.chunks_exact(4)) {
        let at = |i: usize| round(round(roi[i] * scale) - offset);
        let columns = points(at(0), at(2), out_w, ratio, shifted, round)?;
        let rows = points(at(1), at(3), out_h, ratio, shifted, round)?;
        let points = |axis: &[Vec<f64>]| axis.iter().map(Vec::len).sum::<usize>();
        if points(&rows).saturating_mul(points(&columns)) > MOST_POINTS {
            return Err(OpError::invalid(format!("a region is sampled at more than {MOST_POINTS} points")));
        }
        let bins = rows.iter().flat_map(|ys| columns.iter().map(move |xs| (ys, xs)));
        let taps = |(ys, xs): (&Vec<f64>, &Vec<f64>)| {
            let all = ys.iter().flat_map(|&y| xs.iter().map(move |&x| corners(y, x, h, w))).flatten();
            let all = all.collect::<Vec<_>>();
            (if largest { all } else { joined(all) }, (ys.len() * xs.len()).max(1) as f64)
        };
        let bins = bins.map(taps).collect::<Vec<_>>();
        if let Some(images) = &pixels {
            out.extend(by_bins(&images[image], &bins, c));
            continue;
        }
        for plane in data[image * c * h * w..].chunks_exact((h * w).max(1)).take(c) {
            for (taps, count) in &bins {
                let product = |&(i, weight): &(usize, f64)| if weight == 0.0 { 0.0 } else { plane[i] * weight };
                out.push(match largest {
                    true => taps.iter().map(product).reduce(f64::max).unwrap_or(0.0),
                    false => sum(taps, plane) / count,
                });
            }
        }
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()])
}

/// Opset 10 did not shift coordinates by half an element.
fn from_10(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().set("coordinate_transformation_mode", "output_half_pixel");
    Ok(())
}

fn to_10(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.attrs().remove("coordinate_transformation_mode") {
        Some(Attr::String(s)) if s == "output_half_pixel" => Ok(()),
        _ => Err(OpError::unsupported("coordinates shifted by half an element before opset 16")),
    }
}

fn samples(s: &mut Samples) {
    let rois = Tensor::new(&[3, 4], vec![0f32, 0.0, 4.0, 3.0, 1.5, 0.5, 2.5, 6.0, 3.0, 3.0, 1.0, 9.0]).expect("12");
    for dtype in FLOATS_BF16.dtypes() {
        let (x, rois) = (s.any(dtype, &[2, 2, 5, 6]), s.floats(dtype, &[2, 4], 0.0, 6.0));
        s.case().input(x).input(rois).input(Tensor::vector(&[0i64, 1])).add();
    }
    for mode in ["avg", "max"] {
        for how in ["half_pixel", "output_half_pixel"] {
            let x = s.any(F32, &[2, 2, 5, 6]);
            let case = s.case().input(x).input(rois.clone()).input(Tensor::vector(&[1i64, 0, 1])).attr("mode", mode);
            let case = case.attr("coordinate_transformation_mode", how).attr("output_height", 2);
            case.attr("output_width", 3).attr("sampling_ratio", 2).attr("spatial_scale", 0.5).add();
        }
    }
    let x = s.any(F32, &[2, 9, 5, 6]);
    let case = s.case().input(x).input(rois.clone()).input(Tensor::vector(&[1i64, 0, 1])).attr("output_height", 2);
    case.attr("output_width", 3).attr("sampling_ratio", 3).add();
    let (x, none) = (s.any(F32, &[1, 1, 3, 3]), s.any(F32, &[0, 4]));
    s.case().input(x).input(none).input(Tensor::vector::<i64>(&[])).add();
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_ir::Type;

    #[test]
    fn taps_of_one_element_become_one() {
        let taps = vec![(3, 0.5), (1, 0.25), (3, 0.125), (2, 0.0), (0, 1.0), (7, 2.0), (5, 1.5)];
        let plane = [1.0, 2.0, f64::INFINITY, 4.0, 5.0, 6.0, 7.0, 8.0];
        let one = joined(taps);
        assert_eq!(one, [(0, 1.0), (1, 0.25), (3, 0.625), (5, 1.5), (7, 2.0)]);
        assert_eq!(sum(&one, &plane), 1.0 + 0.5 + 2.5 + 9.0 + 16.0);
    }

    #[test]
    fn regions_without_a_dimension_are_of_unknown_number() {
        let mut model = modelsmith_ir::Model::new();
        let main = model.main;
        let x = model.add_param(main, "x", Type::fixed(F32, &[1, 1, 3, 3]));
        let rois = model.add_param(main, "rois", Type::fixed(F32, &[]));
        let of = model.add_param(main, "of", Type::fixed(DType::I64, &[1]));
        let mut b = model.build(crate::all());
        let made = b.op("RoiAlign", &[x, rois, of]);
        assert_eq!(made.map(|y| b.ty(y).rank()).ok(), Some(Some(4)));
    }
}
