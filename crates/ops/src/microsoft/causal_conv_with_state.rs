//! com.microsoft.CausalConvWithState: as the operator of that name, in one dimension, channels second and without
//! windows.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("weight", "T"),
        Param::opt("bias", "T"),
        Param::opt("past_state", "T"),
    ],
    outputs: &[Param::one("output", "T"), Param::one("present_state", "T")],
    attrs: &[AttrDef::string("activation", "none"), AttrDef::int("ndim", 1)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16, BF16]))],
};

/// The operator CausalConvWithState of ONNX Runtime.
pub static CAUSAL_CONV_WITH_STATE: OpDef = OpDef {
    name: "CausalConvWithState",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&CAUSAL_CONV_WITH_STATE, cx),
    eval: |cx, inputs| composite::eval(&CAUSAL_CONV_WITH_STATE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    if view.int("ndim")? != 1 {
        return Err(OpError::unsupported("more than one dimension"));
    }
    let attrs = fused::chosen(&view, &["activation"])?;
    let operands = (0..4).map(|i| b.opt_input(node, i)).collect::<Vec<_>>();
    b.node("", "CausalConvWithState", &operands, attrs, 2)
}

fn samples(s: &mut Samples) {
    (crate::nn::causal_conv_with_state::CAUSAL_CONV_WITH_STATE.samples)(s);
}
