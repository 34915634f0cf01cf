//! TreeEnsemble: for each row of features, the votes of the leaves that it reaches in every tree, aggregated by target.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html>

use crate::prelude::*;

use crate::ml::scores::{self, Post};
use crate::ml::trees::{self, Aggregate, Forest};
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::int("aggregate_function", 1),
        AttrDef::required("leaf_targetids", AttrKind::Ints),
        AttrDef::required("leaf_weights", AttrKind::Tensor),
        AttrDef::optional("membership_values", AttrKind::Tensor),
        AttrDef::optional("n_targets", AttrKind::Int),
        AttrDef::required("nodes_falseleafs", AttrKind::Ints),
        AttrDef::required("nodes_falsenodeids", AttrKind::Ints),
        AttrDef::required("nodes_featureids", AttrKind::Ints),
        AttrDef::optional("nodes_hitrates", AttrKind::Tensor),
        AttrDef::optional("nodes_missing_value_tracks_true", AttrKind::Ints),
        AttrDef::required("nodes_modes", AttrKind::Tensor),
        AttrDef::required("nodes_splits", AttrKind::Tensor),
        AttrDef::required("nodes_trueleafs", AttrKind::Ints),
        AttrDef::required("nodes_truenodeids", AttrKind::Ints),
        AttrDef::int("post_transform", 0),
        AttrDef::required("tree_roots", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS)],
};

/// The ONNX operator TreeEnsemble.
pub static TREE_ENSEMBLE: OpDef = OpDef {
    name: "TreeEnsemble",
    domain: "ai.onnx.ml",
    since: 5,
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
    let targets = cx.attrs.opt_int("n_targets")?.map_or(Dim::Unknown, Dim::Known);
    cx.set_tensor(0, cx.dtype(0), Some(vec![n, targets]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let forest = Forest::indexed(cx)?;
    let (how, post) =
        (Aggregate::numbered(cx.attrs.int("aggregate_function")?)?, Post::numbered(cx.attrs.int("post_transform")?)?);
    let seen = forest.targets().last().map_or(1, |t| t + 1);
    let targets = cx.attrs.opt_int("n_targets")?.map_or(Ok(seen), |n| moves::sizes(&[n]).map(|s| s[0]))?;
    let (n, rows) = trees::features(x)?;
    let mut out = Vec::new();
    for row in rows {
        out.extend(post.row(&forest.scores(&row, targets, how)?));
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &[n, targets], &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        for (how, post) in [(0i64, 0i64), (1, 2), (1, 0), (2, 1), (3, 3), (3, 0)] {
            let x = s.any(dtype, &[5, 2]);
            let float = |v: &[f64]| Tensor::from_f64s(dtype, &[v.len()], v).unwrap_or_else(|_| Tensor::scalar(0f32));
            let case = s.case().input(x).attr("aggregate_function", how).attr("post_transform", post);
            let case = case.attr("n_targets", 2).attr("tree_roots", [0, 2]);
            let case = case.attr("nodes_splits", float(&[0.5, 0.0, 0.25])).attr("nodes_featureids", [0, 1, 1]);
            let case = match how {
                0 | 2 => case.attr("nodes_modes", Tensor::vector(&[0u8, 6, 3])),
                _ => case.attr("nodes_modes", Tensor::vector(&[2u8, 1, 5])),
            };
            let case = match how {
                0 => case.attr("nodes_hitrates", float(&[1.0, 1.0, 1.0])),
                _ => case,
            };
            let case = match how {
                0 | 2 => case.attr("membership_values", float(&[1.0, -1.0, f64::NAN])),
                _ => case,
            };
            let case = case.attr("nodes_missing_value_tracks_true", [1, 0, 0]);
            let case = case.attr("nodes_truenodeids", [1, 0, 2]).attr("nodes_trueleafs", [0, 1, 1]);
            let case = case.attr("nodes_falsenodeids", [3, 1, 0]).attr("nodes_falseleafs", [1, 1, 1]);
            let case = case.attr("leaf_targetids", [0, 1, 0, 1]).attr("leaf_weights", float(&[0.5, -1.5, 2.0, 0.75]));
            case.add();
        }
    }
}
