//! com.microsoft.EmbedLayerNormalization: embeddings of words, positions and segments, added and normalised; the number
//! of keys that the mask shows and the sum itself are further results.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input_ids", "T1"),
        Param::opt("segment_ids", "T1"),
        Param::one("word_embedding", "T"),
        Param::one("position_embedding", "T"),
        Param::opt("segment_embedding", "T"),
        Param::one("gamma", "T"),
        Param::one("beta", "T"),
        Param::opt("mask", "T1"),
        Param::opt("position_ids", "T1"),
    ],
    outputs: &[Param::one("output", "T"), Param::opt("mask_index", "T1"), Param::opt("embedding_sum", "T")],
    attrs: &[AttrDef::float("epsilon", 1e-12)],
    types: &[types_of("T1", TypeSet::tensors(&[I32])), types_of("T", TypeSet::tensors(&[F32, F16]))],
};

/// The operator EmbedLayerNormalization of ONNX Runtime.
pub static EMBED_LAYER_NORMALIZATION: OpDef = OpDef {
    name: "EmbedLayerNormalization",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&EMBED_LAYER_NORMALIZATION, cx),
    eval: |cx, inputs| composite::eval(&EMBED_LAYER_NORMALIZATION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let (ids, words, places) = (b.input(node, 0)?, b.input(node, 2)?, b.input(node, 3)?);
    let epsilon = b.attrs(node)?.float("epsilon")?;
    let gather = |b: &mut Builder, table: ValueId, ids: ValueId| {
        b.op_with("Gather", &[table, ids], Attrs::new().with("axis", 0))
    };
    let word = gather(b, words, ids)?;
    let place = match b.opt_input(node, 8) {
        Some(positions) => gather(b, places, positions)?,
        None => {
            let (zero, axis) = (b.ints(&[0]), b.ints(&[0]));
            let length = b.op_with("Shape", &[ids], Attrs::new().with("start", 1).with("end", 2))?;
            b.op("Slice", &[places, zero, length, axis])?
        }
    };
    let mut sum = b.op("Add", &[word, place])?;
    if let Some(table) = b.opt_input(node, 4) {
        // Without segments all belongs to the first.
        let segments = b.opt_input(node, 1).map_or_else(|| Ok(b.ints(&[0])), Ok::<_, OpError>)?;
        let segment = gather(b, table, segments)?;
        sum = b.op("Add", &[sum, segment])?;
    }
    let attrs = Attrs::new().with("axis", -1).with("epsilon", epsilon);
    let norm = [sum, b.input(node, 5)?, b.input(node, 6)?];
    let y = b.op_with("LayerNormalization", &norm, attrs)?;
    let axis = b.ints(&[1]);
    let alone = Attrs::new().with("keepdims", 0);
    let seen = match b.opt_input(node, 7) {
        Some(mask) => b.op_with("ReduceSum", &[mask, axis], alone)?,
        None => {
            let nothing = b.op("Sub", &[ids, ids])?;
            b.op_with("ReduceSum", &[nothing, axis], alone)?
        }
    };
    Ok(vec![y, seen, sum])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (ids, segments) = (s.ints(I32, &[2, 3], 0, 4), s.ints(I32, &[2, 3], 0, 1));
        let (words, places, kinds) = (s.any(dtype, &[5, 8]), s.any(dtype, &[6, 8]), s.any(dtype, &[2, 8]));
        let (gamma, beta) = (s.any(dtype, &[8]), s.any(dtype, &[8]));
        let mask = Tensor::new(&[2, 3], vec![1i32, 1, 0, 1, 1, 1]).expect("six elements");
        let at = Tensor::new(&[2, 3], vec![1i32, 2, 3, 5, 4, 0]).expect("six elements");
        let case =
            s.case().input(ids.clone()).input(segments).input(words.clone()).input(places.clone()).input(kinds.clone());
        let case = case.input(gamma.clone()).input(beta.clone()).input(mask).input(at);
        case.attr("epsilon", 1e-5f32).outputs(3).add();
        let case = s.case().input(ids.clone()).absent().input(words.clone()).input(places.clone()).input(kinds.clone());
        case.input(gamma.clone()).input(beta.clone()).outputs(2).add();
        let case = s.case().input(ids).absent().input(words).input(places).absent().input(gamma).input(beta);
        case.outputs(2).add();
    }
}
