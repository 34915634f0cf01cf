//! MaxRoiPool: regions of an image, each divided into a grid of which the largest elements are kept. <https://onnx.ai/onnx/operators/onnx__MaxRoiPool.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("rois", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::required("pooled_shape", AttrKind::Ints), AttrDef::float("spatial_scale", 1.0)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator MaxRoiPool.
pub static MAX_ROI_POOL: OpDef = OpDef {
    name: "MaxRoiPool",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 1,
        schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn sizes(attrs: &AttrView) -> OpResult<(usize, usize)> {
    match attrs.ints("pooled_shape")?.as_slice() {
        &[h, w] if (1..=1 << 20).contains(&h) && (1..=1 << 20).contains(&w) => Ok((h as usize, w as usize)),
        other => Err(OpError::invalid(format!("pooled_shape is {other:?}, height and width are wanted"))),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (h, w) = sizes(&cx.attrs)?;
    let regions = cx.shape(1).and_then(|s| s.first()).cloned().unwrap_or(Dim::Unknown);
    let channels = cx.shape(0).and_then(|s| s.get(1)).cloned().unwrap_or(Dim::Unknown);
    cx.set_tensor(0, cx.dtype(0), Some(vec![regions, channels, h.into(), w.into()]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, rois) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let (&[n, c, h, w], &[regions, 5]) = (x.shape(), rois.shape()) else {
        return Err(OpError::invalid(format!("input of shape {:?}, rois of shape {:?}", x.shape(), rois.shape())));
    };
    let (out_h, out_w) = sizes(&cx.attrs)?;
    let scale = f64::from(cx.attrs.float("spatial_scale")?);
    let shape = [regions, c, out_h, out_w];
    let mut out = Vec::with_capacity(Tensor::zeros(x.dtype(), &shape)?.len());
    let data = x.to_f64s()?;
    // The elements of each bin along one axis.
    let bins = |start: f64, end: f64, count: usize, len: usize| {
        let (start, end) = ((start * scale).round(), (end * scale).round());
        let bin = (end - start + 1.0).max(1.0) / count as f64;
        let clip = |v: f64| (v + start).clamp(0.0, len as f64) as usize;
        let bounds = |i: usize| clip((i as f64 * bin).floor())..clip(((i + 1) as f64 * bin).ceil());
        (0..count).map(bounds).collect::<Vec<_>>()
    };
    for roi in rois.to_f64s()?.chunks_exact(5) {
        let image = roi[0];
        if !(0.0..n as f64).contains(&image) {
            return Err(OpError::invalid(format!("a region of image {image}, there are {n}")));
        }
        let (rows, columns) = (bins(roi[2], roi[4], out_h, h), bins(roi[1], roi[3], out_w, w));
        for channel in 0..c {
            let plane = &data[(image as usize * c + channel) * h * w..][..h * w];
            for (ys, xs) in rows.iter().flat_map(|ys| columns.iter().map(move |xs| (ys, xs))) {
                let inside = ys.clone().flat_map(|y| xs.clone().map(move |x| plane[y * w + x]));
                out.push(inside.reduce(f64::max).unwrap_or(0.0));
            }
        }
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()])
}

fn samples(s: &mut Samples) {
    let rois = [0.0, 0.0, 0.0, 4.0, 3.0, 1.0, 1.0, 2.0, 9.0, 7.0, 1.0, 8.0, 8.0, 9.0, 9.0];
    for dtype in FLOATS_BF16.dtypes() {
        let x = s.any(dtype, &[2, 2, 5, 6]);
        let rois = Tensor::from_f64s(dtype, &[3, 5], &rois).expect("fifteen");
        s.case().input(x).input(rois).attr("pooled_shape", [2, 3]).attr("spatial_scale", 0.5).add();
    }
}
