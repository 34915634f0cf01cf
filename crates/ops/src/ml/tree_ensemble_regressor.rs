//! TreeEnsembleRegressor: for each row of features, the votes of the leaves that it reaches in every tree, aggregated by target, and
//! `base_values`. Deprecated by the domain's opset 5 in favour of TreeEnsemble; kept, since files of all opsets hold it.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html>

use crate::prelude::*;

use crate::ml::scores::{self, Post};
use crate::ml::trees::{self, Aggregate, Forest};
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(float)")],
    attrs: &[
        AttrDef::string("aggregate_function", "SUM"),
        AttrDef::optional("base_values", AttrKind::Floats),
        AttrDef::optional("base_values_as_tensor", AttrKind::Tensor),
        AttrDef::optional("n_targets", AttrKind::Int),
        AttrDef::optional("nodes_falsenodeids", AttrKind::Ints),
        AttrDef::optional("nodes_featureids", AttrKind::Ints),
        AttrDef::optional("nodes_hitrates", AttrKind::Floats),
        AttrDef::optional("nodes_hitrates_as_tensor", AttrKind::Tensor),
        AttrDef::optional("nodes_missing_value_tracks_true", AttrKind::Ints),
        AttrDef::optional("nodes_modes", AttrKind::Strings),
        AttrDef::optional("nodes_nodeids", AttrKind::Ints),
        AttrDef::optional("nodes_treeids", AttrKind::Ints),
        AttrDef::optional("nodes_truenodeids", AttrKind::Ints),
        AttrDef::optional("nodes_values", AttrKind::Floats),
        AttrDef::optional("nodes_values_as_tensor", AttrKind::Tensor),
        AttrDef::string("post_transform", "NONE"),
        AttrDef::optional("target_ids", AttrKind::Ints),
        AttrDef::optional("target_nodeids", AttrKind::Ints),
        AttrDef::optional("target_treeids", AttrKind::Ints),
        AttrDef::optional("target_weights", AttrKind::Floats),
        AttrDef::optional("target_weights_as_tensor", AttrKind::Tensor),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator TreeEnsembleRegressor.
pub static TREE_ENSEMBLE_REGRESSOR: OpDef = OpDef {
    name: "TreeEnsembleRegressor",
    domain: "ai.onnx.ml",
    since: 3,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 1,
        schema: Schema {
            attrs: &[
                AttrDef::string("aggregate_function", "SUM"),
                AttrDef::optional("base_values", AttrKind::Floats),
                AttrDef::optional("n_targets", AttrKind::Int),
                AttrDef::optional("nodes_falsenodeids", AttrKind::Ints),
                AttrDef::optional("nodes_featureids", AttrKind::Ints),
                AttrDef::optional("nodes_hitrates", AttrKind::Floats),
                AttrDef::optional("nodes_missing_value_tracks_true", AttrKind::Ints),
                AttrDef::optional("nodes_modes", AttrKind::Strings),
                AttrDef::optional("nodes_nodeids", AttrKind::Ints),
                AttrDef::optional("nodes_treeids", AttrKind::Ints),
                AttrDef::optional("nodes_truenodeids", AttrKind::Ints),
                AttrDef::optional("nodes_values", AttrKind::Floats),
                AttrDef::string("post_transform", "NONE"),
                AttrDef::optional("target_ids", AttrKind::Ints),
                AttrDef::optional("target_nodeids", AttrKind::Ints),
                AttrDef::optional("target_treeids", AttrKind::Ints),
                AttrDef::optional("target_weights", AttrKind::Floats),
            ],
            ..SCHEMA
        },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let n = scores::rows(cx.shape(0));
    cx.set_tensor(0, Some(F32), Some(vec![n, Dim::Known(cx.attrs.opt_int("n_targets")?.unwrap_or(1))]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let forest = Forest::listed(cx, "target")?;
    let how = Aggregate::of(cx.attrs.string("aggregate_function")?)?;
    let post = Post::of(cx.attrs.string("post_transform")?)?;
    let targets = moves::sizes(&[cx.attrs.opt_int("n_targets")?.unwrap_or(1)])?[0];
    let base = trees::floats(cx, "base_values")?;
    let (n, rows) = trees::features(x)?;
    let mut out = Vec::new();
    for row in rows {
        let mut scores = forest.scores(&row, targets, how)?;
        scores.iter_mut().zip(&base).for_each(|(s, b)| *s += b);
        out.extend(post.row(&scores));
    }
    Ok(vec![Tensor::from_f64s(F32, &[n, targets], &out)?.into()])
}

fn samples(s: &mut Samples) {
    let modes = [("BRANCH_LEQ", "BRANCH_GT"), ("BRANCH_LT", "BRANCH_GTE"), ("BRANCH_EQ", "BRANCH_NEQ")];
    let hows = ["AVERAGE", "MIN", "MAX", "SUM"];
    for dtype in [F32, F64, I32, I64] {
        for ((a, b), how) in modes.into_iter().chain([modes[0]]).zip(hows) {
            let x = s.any(dtype, &[5, 2]);
            let doubles = |v: &[f32]| trees::sample_tensor(dtype, v);
            let weights = [0.5f32, -1.0, 2.0, 1.5, 0.25];
            for wide in [false, true] {
                let case = s.case().input(x.clone()).attr("aggregate_function", how).attr("n_targets", 2);
                let case = trees::SAMPLE_NODES.iter().fold(case, |c, (name, list)| c.attr(name, *list));
                let post = if how == "AVERAGE" { "LOGISTIC" } else { "NONE" };
                let case = case.attr("nodes_modes", trees::sample_modes(a, b)).attr("post_transform", post);
                let case = case.attr("target_treeids", [0, 0, 0, 1, 1]).attr("target_nodeids", [2, 3, 4, 1, 2]);
                let case = case.attr("target_ids", [0, 1, 0, 1, 1]);
                let case = match wide {
                    false => {
                        let case = case.attr("target_weights", weights.to_vec());
                        let case = case.attr("nodes_values", trees::SAMPLE_VALUES.to_vec());
                        let case = case.attr("nodes_hitrates", vec![1.0f32; 8]);
                        let case = case.attr("nodes_missing_value_tracks_true", vec![1i64; 8]);
                        if how == "SUM" { case } else { case.attr("base_values", vec![1.0f32, 2.0]) }
                    }
                    true => {
                        let case = case.attr("target_weights_as_tensor", doubles(&weights));
                        let case = case.attr("nodes_values_as_tensor", doubles(&trees::SAMPLE_VALUES));
                        let case = case.attr("nodes_hitrates_as_tensor", doubles(&[1.0; 8]));
                        case.attr("base_values_as_tensor", doubles(&[0.5, 0.0]))
                    }
                };
                case.add();
            }
        }
    }
}
