//! com.microsoft.QuickGelu: x times the logistic function of alpha x.

use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 1.702)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The operator QuickGelu of ONNX Runtime.
pub static QUICK_GELU: OpDef = OpDef {
    name: "QuickGelu",
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
    let alpha = f64::from(cx.attrs.float("alpha")?);
    elementwise::unary(inputs, |x| x / (1.0 + (-alpha * x).exp()))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let alpha = b.attrs(node)?.float("alpha")?;
    let alpha = b.scalar_like(x, alpha.into())?;
    let scaled = b.op("Mul", &[x, alpha])?;
    let gate = b.op("Sigmoid", &[scaled])?;
    Ok(vec![b.op("Mul", &[x, gate])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -4.0, 4.0);
    let x = s.any(F32, &[3]);
    s.case().input(x).attr("alpha", 1.0f32).add();
}
