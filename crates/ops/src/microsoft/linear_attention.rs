//! com.microsoft.LinearAttention: as the operator of that name, with a window of states that is not read here.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("query", "T"),
        Param::one("key", "T"),
        Param::one("value", "T"),
        Param::opt("past_state", "S"),
        Param::opt("decay", "T"),
        Param::opt("beta", "T"),
    ],
    outputs: &[Param::one("output", "T"), Param::one("present_state", "S")],
    attrs: &[
        AttrDef::int("chunk_size", 64),
        AttrDef::required("kv_num_heads", AttrKind::Int),
        AttrDef::required("q_num_heads", AttrKind::Int),
        AttrDef::float("scale", 0.0),
        AttrDef::string("update_rule", "gated_delta"),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16, BF16])), types_of("S", TypeSet::tensors(&[F32, F16, BF16]))],
};

/// The operator LinearAttention of ONNX Runtime.
pub static LINEAR_ATTENTION: OpDef = OpDef {
    name: "LinearAttention",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&LINEAR_ATTENTION, cx),
    eval: |cx, inputs| composite::eval(&LINEAR_ATTENTION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let names = ["chunk_size", "kv_num_heads", "q_num_heads", "scale", "update_rule"];
    let attrs = fused::chosen(&b.attrs(node)?, &names)?;
    let operands = (0..6).map(|i| b.opt_input(node, i)).collect::<Vec<_>>();
    b.node("", "LinearAttention", &operands, attrs, 2)
}

fn samples(s: &mut Samples) {
    (crate::nn::linear_attention::LINEAR_ATTENTION.samples)(s);
}
