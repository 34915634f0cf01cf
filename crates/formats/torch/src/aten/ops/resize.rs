//! Resampling of images.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};
use modelsmith_tensor::Tensor;

pub(crate) const ROWS: &[Row] = &[
    row(
        "upsample_nearest1d|upsample_nearest2d|upsample_nearest3d(T self, I[]? output_size, F? \
         scales_h=None, F? scales_w=None, F? scales_d=None)",
        nearest,
    ),
    row(
        "_upsample_nearest_exact1d|_upsample_nearest_exact2d(T self, I[]? output_size, F? scales_h=None, F? \
         scales_w=None)",
        nearest,
    ),
    row(
        "upsample_nearest1d.vec|upsample_nearest2d.vec|upsample_nearest3d.vec(T input, I[]? output_size, \
         F[]? scale_factors)",
        nearest_vec,
    ),
    row(
        "_upsample_nearest_exact1d.vec|_upsample_nearest_exact2d.vec(T input, I[]? output_size, F[]? \
         scale_factors)",
        nearest_vec,
    ),
    row(
        "upsample_linear1d|upsample_bilinear2d|upsample_trilinear3d|upsample_bicubic2d(T self, I[]? \
         output_size, B align_corners, F? scales_h=None, F? scales_w=None, F? scales_d=None)",
        linear,
    ),
    row(
        "upsample_linear1d.vec|upsample_bilinear2d.vec|upsample_trilinear3d.vec|upsample_bicubic2d.vec(T \
         input, I[]? output_size, B align_corners, F[]? scale_factors)",
        linear_vec,
    ),
    row(
        "_upsample_bilinear2d_aa|_upsample_bicubic2d_aa(T self, I[] output_size, B align_corners, F? \
         scales_h=None, F? scales_w=None)",
        linear,
    ),
    row("pixel_shuffle(T self, I upscale_factor)", pixel_shuffle),
    row("pixel_unshuffle(T self, I downscale_factor)", pixel_unshuffle),
    row("channel_shuffle(T self, I groups)", channel_shuffle),
    row("grid_sampler|grid_sampler_2d(T input, T grid, I interpolation_mode, I padding_mode, B align_corners)", grid),
    row("affine_grid_generator(T theta, I[] size, B align_corners)", affine_grid),
    row("im2col(T self, I[] kernel_size, I[] dilation, I[] padding, I[] stride)", unsaid),
    row("col2im(T self, I[] output_size, I[] kernel_size, I[] dilation, I[] padding, I[] stride)", col2im),
];

/// Scale factors, where they are given instead of a size.
fn factors(cx: &mut Context, a: &Args<'_>, at: usize) -> Outcome<Vec<f64>> {
    let mut out = Vec::new();
    for v in a.vals(cx, at)? {
        match v {
            Val::Float(x) => out.push(x),
            Val::Int(n) => out.push(f64::from(i32::try_from(n).unwrap_or(1))),
            _ => return unsupported("scale factors that are known by running only"),
        }
    }
    Ok(out)
}

struct Way<'a> {
    mode: &'a str,
    coordinates: &'a str,
    antialias: bool,
}

fn resize(cx: &mut Context, a: &Args<'_>, way: &Way<'_>, scales: &[f64]) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let rank = cx.rank_or(x, Some(rank(a.name)))?;
    let mut attrs = Attrs::new()
        .with("mode", way.mode)
        .with("coordinate_transformation_mode", way.coordinates)
        .with("cubic_coeff_a", -0.75f32)
        .with("nearest_mode", if a.name.contains("exact") { "round_prefer_ceil" } else { "floor" });
    if way.antialias {
        attrs.set("antialias", 1);
    }
    let made = if a.is_none(1) || a.vals(cx, 1)?.is_empty() {
        let all = [vec![1.0; rank.saturating_sub(scales.len())], scales.to_vec()].concat();
        let all = cx.constant(Tensor::from_f64s(DType::F32, &[all.len()], &all)?);
        cx.op_opt("Resize", &[Some(x), None, Some(all)], attrs)?
    } else {
        let mut sizes = vec![cx.size_val(x, 0)?, cx.size_val(x, 1)?];
        sizes.extend(a.vals(cx, 1)?);
        let sizes = cx.vector(&sizes)?;
        cx.op_opt("Resize", &[Some(x), None, None, Some(sizes)], attrs)?
    };
    Ok(cx.tensor(made))
}

fn rank(name: &str) -> usize {
    if name.contains("1d") {
        3
    } else if name.contains("3d") {
        5
    } else {
        4
    }
}

fn nearest_with(cx: &mut Context, a: &Args<'_>, scales: &[f64]) -> Outcome<Val> {
    let coordinates = if a.name.contains("exact") { "half_pixel" } else { "asymmetric" };
    resize(cx, a, &Way { mode: "nearest", coordinates, antialias: false }, scales)
}

fn nearest(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    nearest_with(cx, a, &[])
}

fn nearest_vec(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let scales = factors(cx, a, 2)?;
    nearest_with(cx, a, &scales)
}

fn linear_with(cx: &mut Context, a: &Args<'_>, scales: &[f64]) -> Outcome<Val> {
    let cubic = a.name.contains("bicubic");
    let coordinates = match (a.flag(2)?, cubic) {
        (true, _) => "align_corners",
        (false, true) => "half_pixel",
        (false, false) => "pytorch_half_pixel",
    };
    // With a size of 1 both spellings of half pixels take the first element, PyTorch clamps there too.
    let coordinates = if coordinates == "pytorch_half_pixel" { "half_pixel" } else { coordinates };
    let way = Way { mode: if cubic { "cubic" } else { "linear" }, coordinates, antialias: a.name.ends_with("_aa") };
    resize(cx, a, &way, scales)
}

fn linear(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    linear_with(cx, a, &[])
}

fn linear_vec(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let scales = factors(cx, a, 3)?;
    linear_with(cx, a, &scales)
}

fn pixel_shuffle(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, by) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    cx.rank_or(x, Some(4))?;
    let made = cx.op_with("DepthToSpace", &[x], Attrs::new().with("blocksize", by).with("mode", "CRD"))?;
    Ok(cx.tensor(made))
}

fn pixel_unshuffle(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, by) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    cx.rank_or(x, Some(4))?;
    let shape = cx.shape(x)?;
    let Some(&[_, c, h, w]) =
        shape.iter().map(|d| d.known()).collect::<Vec<_>>().get(..4).and_then(|s| <&[_; 4]>::try_from(s).ok())
    else {
        return unsupported("pixel_unshuffle of other than images");
    };
    let (Some(c), Some(h), Some(w)) = (c, h, w) else {
        return unsupported("pixel_unshuffle of images whose size is known by running only");
    };
    let (rows, columns) = (h.checked_div(by).unwrap_or(1), w.checked_div(by).unwrap_or(1));
    let apart = cx.ints(&[0, c, rows, by, columns, by]);
    let v = cx.op("Reshape", &[x, apart])?;
    let v = cx.permute(v, &[0, 1, 3, 5, 2, 4])?;
    let together = cx.ints(&[0, c.saturating_mul(by).saturating_mul(by), rows, columns]);
    let made = cx.op("Reshape", &[v, together])?;
    Ok(cx.tensor(made))
}

fn channel_shuffle(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, groups) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let rank = cx.rank_or(x, Some(4))?;
    let Some(channels) = cx.shape(x)?.get(1).and_then(modelsmith_ir::Dim::known) else {
        return unsupported("a shuffle of an unknown number of channels");
    };
    let each = channels.checked_div(groups).unwrap_or(1);
    let apart = cx.ints(&[0, groups, each, -1]);
    let v = cx.op("Reshape", &[x, apart])?;
    let v = cx.permute(v, &[0, 2, 1, 3])?;
    let made = match rank {
        0..=2 => unsupported("a shuffle of channels of no images")?,
        _ => cx.reshape_like(v, x)?,
    };
    Ok(cx.tensor(made))
}

fn grid(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, g) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    cx.rank_or(x, Some(4))?;
    let mode = match a.int(cx, 2)? {
        0 => "linear",
        1 => "nearest",
        _ => "cubic",
    };
    let padding = match a.int(cx, 3)? {
        0 => "zeros",
        1 => "border",
        _ => "reflection",
    };
    let attrs =
        Attrs::new().with("mode", mode).with("padding_mode", padding).with("align_corners", i64::from(a.flag(4)?));
    let made = cx.op_with("GridSample", &[x, g], attrs)?;
    Ok(cx.tensor(made))
}

fn affine_grid(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let theta = a.tensor(cx, 0)?;
    let size = a.vector(cx, 1)?;
    let attrs = Attrs::new().with("align_corners", i64::from(a.flag(2)?));
    let made = cx.op_with("AffineGrid", &[theta, size], attrs)?;
    Ok(cx.tensor(made))
}

fn unsaid(_: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    unsupported(format!("{} is not said in operators of the hub yet", a.name))
}

fn col2im(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x: ValueId = a.tensor(cx, 0)?;
    let (image, block) = (a.vector(cx, 1)?, a.vector(cx, 2)?);
    let pads = a.ints_of(cx, 4, 2)?;
    let attrs = Attrs::new()
        .with("dilations", a.ints_of(cx, 3, 2)?)
        .with("pads", [pads.clone(), pads].concat())
        .with("strides", a.ints_of(cx, 5, 2)?);
    let made = cx.op_with("Col2Im", &[x, image, block], attrs)?;
    Ok(cx.tensor(made))
}
