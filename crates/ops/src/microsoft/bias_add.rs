//! com.microsoft.BiasAdd: the sum of a tensor, a bias along its last dimension and a residual.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("bias", "T"), Param::one("skip", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16]))],
};

/// The operator BiasAdd of ONNX Runtime.
pub static BIAS_ADD: OpDef = OpDef {
    name: "BiasAdd",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&BIAS_ADD, cx),
    eval: |cx, inputs| composite::eval_wide(&BIAS_ADD, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, bias, skip) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let x = b.op("Add", &[x, bias])?;
    Ok(vec![b.op("Add", &[x, skip])?])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (x, bias, skip) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[4]), s.any(dtype, &[2, 3, 4]));
        s.case().input(x).input(bias).input(skip).add();
    }
}
