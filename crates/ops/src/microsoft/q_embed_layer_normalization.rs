//! com.microsoft.QEmbedLayerNormalization: EmbedLayerNormalization whose tables, scale and shift are quantized.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input_ids", "T1"),
        Param::opt("segment_ids", "T1"),
        Param::one("word_embedding_quant", "T2"),
        Param::one("position_embedding_quant", "T2"),
        Param::opt("segment_embedding", "T2"),
        Param::one("gamma_quant", "T2"),
        Param::one("beta_quant", "T2"),
        Param::opt("mask", "T1"),
        Param::one("word_embedding_scale", "T"),
        Param::one("position_embedding_scale", "T"),
        Param::opt("segment_embedding_scale", "T"),
        Param::one("gamma_scale", "T"),
        Param::one("beta_scale", "T"),
        Param::one("word_embedding_zero_point", "T2"),
        Param::one("position_embedding_zero_point", "T2"),
        Param::opt("segment_embedding_zero_point", "T2"),
        Param::one("gamma_zero_point", "T2"),
        Param::one("beta_zero_point", "T2"),
    ],
    outputs: &[Param::one("layernorm_out", "T"), Param::one("mask_index_out", "T1")],
    attrs: &[AttrDef::float("epsilon", 1e-12)],
    types: &[types_of("T1", TypeSet::tensors(&[I32])), types_of("T2", BYTES), types_of("T", TypeSet::tensors(&[F32]))],
};

/// The operator QEmbedLayerNormalization of ONNX Runtime.
pub static Q_EMBED_LAYER_NORMALIZATION: OpDef = OpDef {
    name: "QEmbedLayerNormalization",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_EMBED_LAYER_NORMALIZATION, cx),
    eval: |cx, inputs| composite::eval(&Q_EMBED_LAYER_NORMALIZATION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let attrs = fused::chosen(&b.attrs(node)?, &["epsilon"])?;
    let mut real = |i: usize, parameters: usize| match b.opt_input(node, i) {
        None => Ok(None),
        Some(x) => {
            let parts = [Some(x), Some(b.input(node, parameters)?), Some(b.input(node, parameters + 5)?)];
            Ok::<_, OpError>(Some(b.node("", "DequantizeLinear", &parts, Attrs::new(), 1)?[0]))
        }
    };
    let (words, places, kinds) = (real(2, 8)?, real(3, 9)?, real(4, 10)?);
    let (gamma, beta) = (real(5, 11)?, real(6, 12)?);
    let (ids, segments, mask) = (b.opt_input(node, 0), b.opt_input(node, 1), b.opt_input(node, 7));
    let operands = [ids, segments, words, places, kinds, gamma, beta, mask];
    b.node(DOMAIN, "EmbedLayerNormalization", &operands, attrs, 2)
}

fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        for segments in [true, false] {
            let tables = [5usize, 6, 2].map(|n| s.any(dtype, &[n, 8]));
            let [words, places, kinds] = tables;
            let (gamma, beta, ids) = (s.any(dtype, &[8]), s.any(dtype, &[8]), s.ints(I32, &[2, 3], 0, 4));
            let case = s.case().input(ids);
            let case = match segments {
                true => case.input(Tensor::new(&[2, 3], vec![0i32, 1, 0, 1, 1, 0]).expect("six elements")),
                false => case.absent(),
            };
            let case = case.input(words).input(places);
            let case = if segments { case.input(kinds) } else { case.absent() };
            let case = case.input(gamma).input(beta);
            let case = match segments {
                true => case.input(Tensor::new(&[2, 3], vec![1i32, 1, 0, 1, 1, 1]).expect("six elements")),
                false => case.absent(),
            };
            let case = (0..5).fold(case, |c, i| match (i, segments) {
                (2, false) => c.absent(),
                _ => c.input(Tensor::scalar(0.1f32)),
            });
            let zero = Tensor::from_f64s(dtype, &[], &[1.0]).expect("one element");
            let case = (0..5).fold(case, |c, i| match (i, segments) {
                (2, false) => c.absent(),
                _ => c.input(zero.clone()),
            });
            case.attr("epsilon", 1e-5f32).outputs(2).add();
        }
    }
}
