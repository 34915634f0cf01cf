//! com.microsoft.DecoderMaskedMultiHeadAttention: attention of one new position, to itself and its past or to an
//! encoder.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("query", "T"),
        Param::opt("key", "T"),
        Param::opt("value", "T"),
        Param::opt("mask_index", "M"),
        Param::opt("attention_bias", "T"),
        Param::opt("past_key", "T"),
        Param::opt("past_value", "T"),
        Param::opt("past_sequence_length", "M"),
        Param::opt("beam_width", "M"),
        Param::opt("cache_indirection", "M"),
        Param::opt("bias", "T"),
    ],
    outputs: &[
        Param::one("output", "T"),
        Param::opt("present_key", "T"),
        Param::opt("present_value", "T"),
        Param::opt("qk", "QK"),
    ],
    attrs: &[
        AttrDef::float("mask_filter_value", -10000.0),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::int("output_qk", 0),
        AttrDef::int("past_present_share_buffer", 0),
        AttrDef::optional("scale", AttrKind::Float),
    ],
    types: &[
        types_of("T", TypeSet::tensors(&[F32, F16])),
        types_of("QK", TypeSet::tensors(&[F32, F16])),
        types_of("M", TypeSet::tensors(&[I32])),
    ],
};

/// The operator DecoderMaskedMultiHeadAttention of ONNX Runtime.
pub static DECODER_MASKED_MULTI_HEAD_ATTENTION: OpDef = OpDef {
    name: "DecoderMaskedMultiHeadAttention",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&DECODER_MASKED_MULTI_HEAD_ATTENTION, cx),
    eval: |cx, inputs| composite::eval_wide(&DECODER_MASKED_MULTI_HEAD_ATTENTION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let beams = (7..10).any(|i| b.opt_input(node, i).is_some());
    if beams || view.flag("past_present_share_buffer")? || view.flag("output_qk")? {
        return Err(OpError::unsupported("beams, a cache shared with the results, or scores as a result"));
    }
    let attrs = fused::chosen(&view, &["mask_filter_value", "num_heads", "scale"])?;
    let mut operands = [0, 1, 2, 10, 3, 4, 5, 6].map(|i| b.opt_input(node, i));
    if operands[1].is_none() {
        let packed = b.input(node, 0)?;
        let attrs = Attrs::new().with("axis", -1).with("num_outputs", 3);
        let parts = b.node("", "Split", &[Some(packed)], attrs, 3)?;
        operands.iter_mut().zip(parts).for_each(|(o, part)| *o = Some(part));
    }
    b.node(DOMAIN, "MultiHeadAttention", &operands, attrs, 3)
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (q, k, v) = (s.any(dtype, &[2, 1, 8]), s.any(dtype, &[2, 1, 8]), s.any(dtype, &[2, 1, 8]));
        let (pk, pv) = (s.any(dtype, &[2, 2, 3, 4]), s.any(dtype, &[2, 2, 3, 4]));
        let case = s.case().input(q.clone()).input(k).input(v).absent().absent().input(pk).input(pv);
        case.attr("num_heads", 2).outputs(3).add();
        let (k, v) = (s.any(dtype, &[2, 2, 5, 4]), s.any(dtype, &[2, 2, 5, 4]));
        s.case().input(q).input(k).input(v).attr("num_heads", 2).attr("scale", 0.3f32).add();
    }
    let (packed, pk, pv) = (s.any(F32, &[2, 1, 24]), s.any(F32, &[2, 2, 3, 4]), s.any(F32, &[2, 2, 3, 4]));
    let case = s.case().input(packed).absent().absent().absent().absent().input(pk).input(pv);
    case.attr("num_heads", 2).outputs(3).add();
    let (q, k, v) = (s.any(F32, &[2, 1, 8]), s.any(F32, &[2, 1, 8]), s.any(F32, &[2, 1, 8]));
    let (pk, pv) = (s.any(F32, &[2, 2, 3, 4]), s.any(F32, &[2, 2, 3, 4]));
    let mask = Tensor::new(&[2, 4], vec![1i32, 1, 0, 1, 1, 1, 1, 1]).expect("eight elements");
    let (extra, bias) = (s.any(F32, &[1, 2, 1, 4]), s.any(F32, &[24]));
    let case = s.case().input(q).input(k).input(v).input(mask).input(extra).input(pk).input(pv);
    let case = case.absent().absent().absent().input(bias).attr("num_heads", 2);
    case.attr("mask_filter_value", -1000.0f32).outputs(3).add();
}
