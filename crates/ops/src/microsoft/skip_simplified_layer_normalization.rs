//! com.microsoft.SkipSimplifiedLayerNormalization: RMSNormalization over the last dimension of the sum of two tensors
//! and an optional bias; the sum itself is a further result.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::one("skip", "T"), Param::one("gamma", "T"), Param::opt("bias", "T")],
    outputs: &[
        Param::one("output", "T"),
        Param::opt("mean", "tensor(float)"),
        Param::opt("inv_std_var", "tensor(float)"),
        Param::opt("input_skip_bias_sum", "T"),
    ],
    attrs: &[AttrDef::float("epsilon", 1e-12)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16]))],
};

/// The operator SkipSimplifiedLayerNormalization of ONNX Runtime.
pub static SKIP_SIMPLIFIED_LAYER_NORMALIZATION: OpDef = OpDef {
    name: "SkipSimplifiedLayerNormalization",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&SKIP_SIMPLIFIED_LAYER_NORMALIZATION, cx),
    eval: |cx, inputs| composite::eval_wide(&SKIP_SIMPLIFIED_LAYER_NORMALIZATION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let wanted = |i: usize| b.model.nodes[node].output(i).is_some();
    if wanted(1) || wanted(2) {
        return Err(OpError::unsupported("the results mean and inv_std_var, which ONNX Runtime does not fill either"));
    }
    let (x, skip, gamma) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let epsilon = b.attrs(node)?.float("epsilon")?;
    let mut sum = b.op("Add", &[x, skip])?;
    if let Some(bias) = b.opt_input(node, 3) {
        sum = b.op("Add", &[sum, bias])?;
    }
    let attrs = Attrs::new().with("axis", -1).with("epsilon", epsilon);
    let y = b.op_with("RMSNormalization", &[sum, gamma], attrs)?;
    Ok(vec![y, sum, sum, sum])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (x, skip, gamma) = (s.any(dtype, &[2, 3, 8]), s.any(dtype, &[2, 3, 8]), s.any(dtype, &[8]));
        let bias = s.any(dtype, &[8]);
        s.case().input(x.clone()).input(skip.clone()).input(gamma.clone()).attr("epsilon", 1e-5f32).add();
        s.case().input(x).input(skip).input(gamma).input(bias).add();
    }
}
