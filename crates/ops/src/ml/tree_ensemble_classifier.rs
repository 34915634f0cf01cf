//! TreeEnsembleClassifier: the class with the most votes of the leaves that a row of features reaches in every tree, and the scores of
//! all. Where all votes are for one of two classes, the second wins above 0.5, or above 0 if some vote is negative; and where that
//! one is the first, its votes are those of the second, as converters of binary models write them.
//! Deprecated by the domain's opset 5 in favour of TreeEnsemble; kept, since files of all opsets hold it.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleClassifier.html>

use crate::prelude::*;

use crate::ml::scores::{self, Labels, Post};
use crate::ml::trees::{self, Aggregate, Forest};
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2"), Param::one("Z", "tensor(float)")],
    attrs: &[
        AttrDef::optional("base_values", AttrKind::Floats),
        AttrDef::optional("base_values_as_tensor", AttrKind::Tensor),
        AttrDef::optional("class_ids", AttrKind::Ints),
        AttrDef::optional("class_nodeids", AttrKind::Ints),
        AttrDef::optional("class_treeids", AttrKind::Ints),
        AttrDef::optional("class_weights", AttrKind::Floats),
        AttrDef::optional("class_weights_as_tensor", AttrKind::Tensor),
        AttrDef::optional("classlabels_int64s", AttrKind::Ints),
        AttrDef::optional("classlabels_strings", AttrKind::Strings),
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
    ],
    types: &[types_of("T1", TypeSet::tensors(&[F32, F64, I32, I64])), types_of("T2", TypeSet::tensors(&[I64, String]))],
};

/// The ONNX operator TreeEnsembleClassifier.
pub static TREE_ENSEMBLE_CLASSIFIER: OpDef = OpDef {
    name: "TreeEnsembleClassifier",
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
                AttrDef::optional("base_values", AttrKind::Floats),
                AttrDef::optional("class_ids", AttrKind::Ints),
                AttrDef::optional("class_nodeids", AttrKind::Ints),
                AttrDef::optional("class_treeids", AttrKind::Ints),
                AttrDef::optional("class_weights", AttrKind::Floats),
                AttrDef::optional("classlabels_int64s", AttrKind::Ints),
                AttrDef::optional("classlabels_strings", AttrKind::Strings),
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
    let labels = Labels::of(&cx.attrs, "classlabels_int64s", "classlabels_strings")?;
    let n = scores::rows(cx.shape(0));
    cx.set_tensor(0, Some(labels.dtype()), Some(vec![n.clone()]));
    cx.set_tensor(1, Some(F32), Some(vec![n, labels.len().into()]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let labels = Labels::of(&cx.attrs, "classlabels_int64s", "classlabels_strings")?;
    let forest = Forest::listed(cx, "class")?;
    let post = Post::of(cx.attrs.string("post_transform")?)?;
    let base = trees::floats(cx, "base_values")?;
    let voted = forest.targets().into_iter().collect::<Vec<_>>();
    let (positive, classes) = (forest.all_positive(), labels.len());
    let (n, rows) = trees::features(x)?;
    let (mut picked, mut out) = (Vec::new(), Vec::new());
    for row in rows {
        let mut scores = forest.scores(&row, classes, Aggregate::Sum)?;
        let above = |s: f64| s > if positive { 0.5 } else { 0.0 };
        match (voted.as_slice(), classes) {
            ([0], 1 | 2) => {
                let s = scores[0] + base.last().copied().unwrap_or(0.0);
                picked.push(labels.binary(above(s)));
                match classes {
                    2 => out.extend(post.pair(s, positive)),
                    _ => out.extend(post.row(&[s])),
                }
            }
            (voted, _) => {
                scores.iter_mut().zip(&base).for_each(|(s, b)| *s += b);
                picked.push(match (voted, classes) {
                    ([1], 2) => labels.binary(above(scores[1])),
                    _ => scores::largest(&scores),
                });
                out.extend(post.row(&scores));
            }
        }
    }
    Ok(vec![labels.tensor(&picked)?.into(), Tensor::from_f64s(F32, &[n, classes], &out)?.into()])
}

fn samples(s: &mut Samples) {
    let words = ["x", "y", "z"].map(str::to_owned).to_vec();
    let (mixed, votes) = ([0.5f32, -0.1, 0.2, -0.5, 0.25], [0.5f32, 0.1, 0.2, 0.5, 0.25]);
    for dtype in [F32, F64, I32, I64] {
        let tensor = |v: &[f32]| trees::sample_tensor(dtype, v);
        // The votes for one class of three, of two classes, and for one of two.
        for (post, ids) in [
            ("NONE", [0i64, 1, 2, 1, 0]),
            ("SOFTMAX", [2, 1, 0, 0, 1]),
            ("LOGISTIC", [0, 1, 1, 0, 1]),
            ("NONE", [0, 0, 0, 0, 0]),
            ("LOGISTIC", [0, 0, 0, 0, 0]),
            ("LOGISTIC", [1, 1, 1, 1, 1]),
        ] {
            let x = s.any(dtype, &[5, 2]);
            let three = ids.contains(&2);
            for wide in [false, true] {
                let case = s.case().input(x.clone()).attr("post_transform", post).attr("class_ids", ids).outputs(2);
                let case = trees::SAMPLE_NODES.iter().fold(case, |c, (name, list)| c.attr(name, *list));
                let case = case.attr("nodes_modes", trees::sample_modes("BRANCH_LEQ", "BRANCH_GT"));
                let case = case.attr("class_treeids", [0, 0, 0, 1, 1]).attr("class_nodeids", [2, 3, 4, 1, 2]);
                let case = match (wide, three) {
                    (_, false) => case.attr("classlabels_int64s", [7, 8]),
                    (false, _) => case.attr("classlabels_strings", words.clone()),
                    (true, _) => case.attr("classlabels_int64s", [7, 8, 9]),
                };
                let weights = if post == "LOGISTIC" { mixed } else { votes };
                let case = match wide {
                    false => {
                        let case = case.attr("class_weights", weights.to_vec());
                        let case = case.attr("nodes_values", trees::SAMPLE_VALUES.to_vec());
                        case.attr("nodes_hitrates", vec![1.0f32; 8])
                            .attr("nodes_missing_value_tracks_true", vec![1i64; 8])
                    }
                    true => {
                        let case = case.attr("class_weights_as_tensor", tensor(&weights));
                        let case = case.attr("nodes_values_as_tensor", tensor(&trees::SAMPLE_VALUES));
                        case.attr("nodes_hitrates_as_tensor", tensor(&[1.0; 8]))
                    }
                };
                // One number for each class, or for the only one that is voted for.
                let case = match (wide, ids == [0; 5], three) {
                    (false, true, _) => case.attr("base_values", vec![0.1f32]),
                    (false, false, true) => case.attr("base_values", vec![0.1f32, -0.2, 0.3]),
                    (true, _, true) => case.attr("base_values_as_tensor", tensor(&[0.25, 0.0, -0.5])),
                    _ => case,
                };
                case.add();
            }
        }
    }
}
