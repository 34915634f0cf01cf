//! NonMaxSuppression: the boxes of highest score that do not overlap one of higher score too much. <https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("boxes", "tensor(float)"),
        Param::one("scores", "tensor(float)"),
        Param::opt("max_output_boxes_per_class", "tensor(int64)"),
        Param::opt("iou_threshold", "tensor(float)"),
        Param::opt("score_threshold", "tensor(float)"),
    ],
    outputs: &[Param::one("selected_indices", "tensor(int64)")],
    attrs: &[AttrDef::int("center_point_box", 0)],
    types: &[],
};

/// The ONNX operator NonMaxSuppression.
pub static NON_MAX_SUPPRESSION: OpDef = OpDef {
    name: "NonMaxSuppression",
    since: 11,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past { since: 10, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Compatible }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, Some(I64), Some(vec![Dim::Unknown, Dim::Known(3)]));
    Ok(())
}

/// Corners of a box: smallest and largest coordinate along both axes.
fn corners(b: &[f32], centred: bool) -> [f32; 4] {
    match centred {
        true => [b[0] - b[2] / 2.0, b[0] + b[2] / 2.0, b[1] - b[3] / 2.0, b[1] + b[3] / 2.0],
        false => [b[0].min(b[2]), b[0].max(b[2]), b[1].min(b[3]), b[1].max(b[3])],
    }
}

/// True when the boxes' intersection over union exceeds `threshold`.
fn overlap(a: &[f32; 4], b: &[f32; 4], threshold: f32) -> bool {
    let side = |i: usize| a[i + 1].min(b[i + 1]) - a[i].max(b[i]);
    let area = |c: &[f32; 4]| (c[1] - c[0]) * (c[3] - c[2]);
    if side(0) <= 0.0 || side(2) <= 0.0 {
        return false;
    }
    let common = side(0) * side(2);
    let union = area(a) + area(b) - common;
    common > 0.0 && area(a) > 0.0 && area(b) > 0.0 && union > 0.0 && common / union > threshold
}

/// A number that is the smaller the higher a score is, of equal scores by the index of the box.
fn rank(score: f32, index: usize) -> u64 {
    let bits = score.to_bits();
    let rising = bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000);
    (u64::from(!rising) << 32) | index as u64
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (boxes, scores) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let fits = match (boxes.shape(), scores.shape()) {
        (&[n, count, 4], &[m, classes, c]) if n == m && count == c => Some((n, classes, count)),
        _ => None,
    };
    let (batch, classes, count) = fits.ok_or_else(|| {
        OpError::invalid(format!("boxes of shape {:?} and scores of shape {:?}", boxes.shape(), scores.shape()))
    })?;
    let number = |i: usize| {
        Ok::<_, OpError>(cx.opt_tensor(inputs, i)?.map(Tensor::to_f64s).transpose()?.and_then(|v| v.first().copied()))
    };
    let most = number(2)?.unwrap_or(0.0).max(0.0) as usize;
    let (overlapping, least) = (number(3)?.unwrap_or(0.0) as f32, number(4)?.map(|v| v as f32));
    let centred = cx.attrs.flag("center_point_box")?;
    if u32::try_from(count).is_err() {
        return Err(OpError::unsupported(format!("{count} boxes")));
    }
    let boxes = boxes.as_slice::<f32>()?.chunks_exact(4).map(|b| corners(b, centred)).collect::<Vec<_>>();
    let scores = scores.as_slice::<f32>()?;
    let mut out = Vec::new();
    for (i, scores) in scores.chunks_exact(count.max(1)).enumerate().take(batch * classes) {
        let boxes = &boxes[i / classes * count..][..count];
        let passes = |s: f32| least.is_none_or(|least| s > least);
        let ranked = scores.iter().enumerate().filter(|&(_, &s)| passes(s)).map(|(k, &s)| rank(s, k));
        let (mut ranked, mut done) = (ranked.collect::<Vec<_>>(), 0);
        let mut kept = Vec::<[f32; 4]>::new();
        // Few of the candidates are looked at where many boxes are kept soon: each turn puts as many more in order.
        while done < ranked.len() && kept.len() < most {
            let end = ranked.len().min(4 * done + 2 * most.min(count) + 64);
            if end < ranked.len() {
                ranked[done..].select_nth_unstable(end - done - 1);
            }
            ranked[done..end].sort_unstable();
            for k in ranked[done..end].iter().map(|r| (r & u64::from(u32::MAX)) as usize) {
                if kept.len() >= most {
                    break;
                }
                if !kept.iter().any(|b| overlap(&boxes[k], b, overlapping)) {
                    kept.push(boxes[k]);
                    out.extend([(i / classes) as i64, (i % classes) as i64, k as i64]);
                }
            }
            done = end;
        }
    }
    Ok(vec![Tensor::new(&[out.len() / 3, 3], out)?.into()])
}

fn samples(s: &mut Samples) {
    for centred in [0, 1] {
        let (boxes, scores) = (s.floats(F32, &[2, 6, 4], 0.0, 1.0), s.floats(F32, &[2, 3, 6], 0.0, 1.0));
        let case = s.case().input(boxes.clone()).input(scores.clone()).input(Tensor::vector(&[3i64]));
        let case = case.input(Tensor::vector(&[0.4f32])).input(Tensor::vector(&[0.2f32]));
        case.attr("center_point_box", centred).add();
        s.case().input(boxes.clone()).input(scores.clone()).add();
        s.case().input(boxes).input(scores).input(Tensor::scalar(9i64)).add();
    }
    let (boxes, scores) = (s.any(F32, &[1, 0, 4]), s.any(F32, &[1, 2, 0]));
    s.case().input(boxes).input(scores).input(Tensor::scalar(2i64)).add();
}
