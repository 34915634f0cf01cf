//! Operators of torchvision.

use super::activation::narrow;
use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::Attrs;

pub(crate) const ROWS: &[Row] = &[
    row("torchvision::nms(T dets, T scores, F iou_threshold)", nms),
    row(
        "torchvision::roi_align(T input, T rois, F spatial_scale, I pooled_height, I pooled_width, I sampling_ratio, \
         B aligned=False)",
        roi_align,
    ),
    row(
        "torchvision::deform_conv2d(T input, T weight, T offset, T mask, T bias, I stride_h, I stride_w, I pad_h, \
         I pad_w, I dilation_h, I dilation_w, I groups, I offset_groups, B use_mask)",
        deform_conv,
    ),
];

fn nms(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (boxes, scores, threshold) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.float(cx, 2)?);
    let (front, two) = (cx.ints(&[0]), cx.ints(&[0, 1]));
    let boxes = cx.op("Unsqueeze", &[boxes, front])?;
    let scores = cx.op("Unsqueeze", &[scores, two])?;
    let (boxes, scores) = (cx.cast(boxes, DType::F32)?, cx.cast(scores, DType::F32)?);
    let most = cx.int(i64::MAX);
    let threshold = cx.scalar(DType::F32, threshold)?;
    let found = cx.op("NonMaxSuppression", &[boxes, scores, most, threshold])?;
    let column = cx.int(2);
    let made = cx.op_with("Gather", &[found, column], Attrs::new().with("axis", 1))?;
    Ok(cx.tensor(made))
}

fn roi_align(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, rois) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    cx.rank_or(x, Some(4))?;
    let (zero, one, five) = (cx.int(0), cx.ints(&[1]), cx.ints(&[5]));
    let image = cx.op_with("Gather", &[rois, zero], Attrs::new().with("axis", 1))?;
    let image = cx.cast(image, DType::I64)?;
    let boxes = cx.op("Slice", &[rois, one, five, one])?;
    let mode = if a.flag(6)? { "half_pixel" } else { "output_half_pixel" };
    let attrs = Attrs::new()
        .with("mode", "avg")
        .with("coordinate_transformation_mode", mode)
        .with("output_height", a.int(cx, 3)?)
        .with("output_width", a.int(cx, 4)?)
        .with("sampling_ratio", a.int(cx, 5)?.max(0))
        .with("spatial_scale", narrow(a.float(cx, 2)?));
    let made = cx.op_with("RoiAlign", &[x, boxes, image], attrs)?;
    Ok(cx.tensor(made))
}

fn deform_conv(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, w, offset) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.tensor(cx, 2)?);
    let mask = if a.flag(13)? { Some(a.tensor(cx, 3)?) } else { None };
    let bias = a.tensor(cx, 4)?;
    let (ph, pw) = (a.int(cx, 7)?, a.int(cx, 8)?);
    let attrs = Attrs::new()
        .with("strides", vec![a.int(cx, 5)?, a.int(cx, 6)?])
        .with("pads", vec![ph, pw, ph, pw])
        .with("dilations", vec![a.int(cx, 9)?, a.int(cx, 10)?])
        .with("group", a.int(cx, 11)?)
        .with("offset_group", a.int(cx, 12)?);
    if cx.rank(w)? != 4 {
        return unsupported("a deformable convolution of other than images");
    }
    let made = cx.op_opt("DeformConv", &[Some(x), Some(w), Some(offset), Some(bias), mask], attrs)?;
    Ok(cx.tensor(made))
}
