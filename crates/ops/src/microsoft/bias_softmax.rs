//! com.microsoft.BiasSoftmax: Softmax, over all dimensions from `axis`, of a tensor plus a bias.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("bias", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", 1), AttrDef::required("is_inner_broadcast", AttrKind::Int)],
    types: &[types_of("T", FLOATS)],
};

/// The operator BiasSoftmax of ONNX Runtime.
pub static BIAS_SOFTMAX: OpDef = OpDef {
    name: "BiasSoftmax",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&BIAS_SOFTMAX, cx),
    eval: |cx, inputs| composite::eval_wide(&BIAS_SOFTMAX, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let (x, mut bias) = (b.input(node, 0)?, b.input(node, 1)?);
    let sizes = |v: ValueId| b.ty(v).shape().map(<[Dim]>::to_vec);
    let (Some(shape), Some(own)) = (sizes(x), sizes(bias)) else {
        return Err(OpError::unsupported("an operand of unknown rank"));
    };
    let axis = shapes::axis(view.int("axis")?, shape.len())?;
    if view.flag("is_inner_broadcast")? && own.len() < shape.len() {
        // Its leading dimensions are those of the data, its last ones those of the softmax.
        let inner = shape.len() - axis;
        let from = own.len().checked_sub(inner).ok_or_else(|| OpError::invalid("a bias shorter than the softmax"))?;
        let axes = (from..from + shape.len() - own.len()).map(|a| a as i64).collect::<Vec<_>>();
        let axes = b.ints(&axes);
        bias = b.op("Unsqueeze", &[bias, axes])?;
    }
    let sum = b.op("Add", &[x, bias])?;
    let flat = b.op_with("Flatten", &[sum], Attrs::new().with("axis", axis as i64))?;
    let y = b.op_with("Softmax", &[flat], Attrs::new().with("axis", 1))?;
    let shape = b.op("Shape", &[x])?;
    Ok(vec![b.op("Reshape", &[y, shape])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        let (x, bias) = (s.any(dtype, &[2, 3, 4, 5]), s.any(dtype, &[2, 1, 1, 5]));
        s.case().input(x.clone()).input(bias).attr("axis", 3).attr("is_inner_broadcast", 1).add();
        let bias = s.any(dtype, &[4, 5]);
        s.case().input(x).input(bias).attr("axis", 2).attr("is_inner_broadcast", 0).add();
    }
}
