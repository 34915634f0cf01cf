//! com.microsoft.BiasSplitGelu: a tensor plus a bias, of whose two halves the left is multiplied by Gelu of the right.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("bias", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16]))],
};

/// The operator BiasSplitGelu of ONNX Runtime.
pub static BIAS_SPLIT_GELU: OpDef = OpDef {
    name: "BiasSplitGelu",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&BIAS_SPLIT_GELU, cx),
    eval: |cx, inputs| composite::eval_wide(&BIAS_SPLIT_GELU, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, bias) = (b.input(node, 0)?, b.input(node, 1)?);
    let x = b.op("Add", &[x, bias])?;
    let halves = b.node("", "Split", &[Some(x)], Attrs::new().with("axis", -1).with("num_outputs", 2), 2)?;
    let gate = b.op("Gelu", &[halves[1]])?;
    Ok(vec![b.op("Mul", &[halves[0], gate])?])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (x, bias) = (s.any(dtype, &[2, 3, 8]), s.any(dtype, &[8]));
        s.case().input(x).input(bias).add();
    }
}
