//! com.microsoft.Gelu: x times the probability that a standard normal variable lies below x.

use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The operator Gelu of ONNX Runtime.
pub static GELU: OpDef = OpDef {
    name: "Gelu",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer: elementwise::same_as_first,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    Ok(vec![fused::hub(cx, "Gelu", Attrs::new(), &[Some(cx.tensor(inputs, 0)?)])?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    Ok(vec![b.op("Gelu", &[x])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -4.0, 4.0);
}
