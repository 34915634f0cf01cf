//! LinearRegressor: for each target a weighted sum of the features and an intercept, through `post_transform`.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_LinearRegressor.html>

use crate::prelude::*;

use crate::ml::scores::{self, Post};
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(float)")],
    attrs: &[
        AttrDef::optional("coefficients", AttrKind::Floats),
        AttrDef::optional("intercepts", AttrKind::Floats),
        AttrDef::string("post_transform", "NONE"),
        AttrDef::int("targets", 1),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator LinearRegressor.
pub static LINEAR_REGRESSOR: OpDef = OpDef {
    name: "LinearRegressor",
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
    let n = scores::rows(cx.shape(0));
    cx.set_tensor(0, Some(F32), Some(vec![n, Dim::Known(cx.attrs.int("targets")?)]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let post = Post::of(cx.attrs.string("post_transform")?)?;
    let targets = moves::sizes(&[cx.attrs.int("targets")?])?[0];
    let intercepts = cx.attrs.opt_floats("intercepts")?.unwrap_or_default();
    let coefficients = cx.attrs.opt_floats("coefficients")?.unwrap_or_default();
    let (n, raw) = scores::linear(x, &coefficients, &intercepts, targets)?;
    let out = raw.chunks(targets.max(1)).flat_map(|row| post.row(row)).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(F32, &[n, targets], &out)?.into()])
}

fn samples(s: &mut Samples) {
    for post in ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"] {
        for dtype in [F32, F64, I32, I64] {
            let x = s.any(dtype, &[3, 2]);
            let case = s.case().input(x.clone()).attr("coefficients", vec![0.5f32, -1.0, 0.25, 2.0]).attr("targets", 2);
            case.attr("post_transform", post).add();
            let case = s.case().input(x).attr("coefficients", vec![0.5f32, -1.0]).attr("intercepts", vec![0.5f32]);
            case.attr("post_transform", post).add();
        }
    }
}
