//! com.microsoft.BiasGelu: Gelu of the sum of a tensor and a bias along its last dimension.

use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The operator BiasGelu of ONNX Runtime.
pub static BIAS_GELU: OpDef = OpDef {
    name: "BiasGelu",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: elementwise::same_as_first,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let sum = fused::hub(cx, "Add", Attrs::new(), &[Some(cx.tensor(inputs, 0)?), Some(cx.tensor(inputs, 1)?)])?;
    Ok(vec![fused::hub(cx, "Gelu", Attrs::new(), &[Some(&sum)])?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let operands = [b.input(node, 0)?, b.input(node, 1)?];
    let sum = b.op("Add", &operands)?;
    Ok(vec![b.op("Gelu", &[sum])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (a, b) = (s.any(dtype, &[2, 3]), s.any(dtype, &[3]));
        s.case().input(a).input(b).add();
    }
    for shape in [&[4][..], &[2, 3, 4], &[1, 2, 1, 4], &[1, 1, 2, 1, 4], &[0, 4]] {
        let (a, b) = (s.any(F32, shape), s.any(F32, &[4]));
        s.case().input(a).input(b).add();
    }
}
