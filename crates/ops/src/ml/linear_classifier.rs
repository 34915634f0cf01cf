//! LinearClassifier: per class a weighted sum of the features; the label of the largest, and the scores after `post_transform`.
//! With one score and two labels the second label wins where the score is above 0.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_LinearClassifier.html>

use crate::prelude::*;

use crate::ml::scores::{self, Labels, Post};
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2"), Param::one("Z", "tensor(float)")],
    attrs: &[
        AttrDef::optional("classlabels_ints", AttrKind::Ints),
        AttrDef::optional("classlabels_strings", AttrKind::Strings),
        AttrDef::required("coefficients", AttrKind::Floats),
        AttrDef::optional("intercepts", AttrKind::Floats),
        AttrDef::int("multi_class", 0),
        AttrDef::string("post_transform", "NONE"),
    ],
    types: &[types_of("T1", TypeSet::tensors(&[F32, F64, I32, I64])), types_of("T2", TypeSet::tensors(&[I64, String]))],
};

/// The ONNX operator LinearClassifier.
pub static LINEAR_CLASSIFIER: OpDef = OpDef {
    name: "LinearClassifier",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let labels = Labels::of(&cx.attrs, "classlabels_ints", "classlabels_strings")?;
    let n = scores::rows(cx.shape(0));
    let classes = scores::linear_width(cx.attrs.opt_floats("intercepts")?, labels.len());
    let columns = if classes == 1 && labels.len() == 2 { 2 } else { classes };
    cx.set_tensor(0, Some(labels.dtype()), Some(vec![n.clone()]));
    cx.set_tensor(1, Some(F32), Some(vec![n, columns.into()]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let labels = Labels::of(&cx.attrs, "classlabels_ints", "classlabels_strings")?;
    let post = Post::of(cx.attrs.string("post_transform")?)?;
    let intercepts = cx.attrs.opt_floats("intercepts")?;
    let classes = scores::linear_width(intercepts.clone(), labels.len());
    let (n, raw) = scores::linear(x, &cx.attrs.floats("coefficients")?, &intercepts.unwrap_or_default(), classes)?;
    let (mut picked, mut out) = (Vec::new(), Vec::new());
    for row in raw.chunks(classes.max(1)).take(n) {
        if let &[s] = row {
            picked.push(labels.binary(s > 0.0));
            match labels.len() {
                2 => out.extend(post.pair(s, true)),
                _ => out.push(s),
            }
        } else {
            picked.push(scores::largest(row));
            out.extend(post.row(row));
        }
    }
    let columns = out.len().checked_div(n).unwrap_or(classes);
    Ok(vec![labels.tensor(&picked)?.into(), Tensor::from_f64s(F32, &[n, columns], &out)?.into()])
}

fn samples(s: &mut Samples) {
    let words = vec!["a".to_owned(), "b".to_owned()];
    for post in Post::NAMES {
        for dtype in [F32, F64, I32, I64] {
            let x = s.any(dtype, &[3, 2]);
            let three = vec![0.5f32, -1.0, 0.25, 2.0, -0.5, 1.0];
            let case = s.case().input(x.clone()).attr("coefficients", three).attr("classlabels_ints", [4, 5, 6]);
            case.attr("intercepts", vec![0.1f32, 0.0, -0.2]).attr("post_transform", post).outputs(2).add();
            let case = s.case().input(x).attr("coefficients", vec![0.5f32, -1.0]).attr("intercepts", vec![0.25f32]);
            let case = case.attr("classlabels_strings", words.clone()).attr("post_transform", post);
            case.attr("multi_class", 1).outputs(2).add();
        }
    }
    let x = s.any(F32, &[2]);
    let case = s.case().input(x).attr("coefficients", vec![0.5f32, -1.0, 1.0, 1.0]);
    case.attr("classlabels_ints", [0, 1]).outputs(2).add();
}
