//! Shrink: `x + bias` below `-lambd`, `x - bias` above `lambd`, 0 between. <https://onnx.ai/onnx/operators/onnx__Shrink.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::float("bias", 0.0), AttrDef::float("lambd", 0.5)],
    types: &[types_of("T", NUMERIC)],
};

/// The ONNX operator Shrink.
pub static SHRINK: OpDef = OpDef {
    name: "Shrink",
    since: 9,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (bias, lambd) = (f64::from(cx.attrs.float("bias")?), f64::from(cx.attrs.float("lambd")?));
    elementwise::unary(inputs, |x| match x {
        x if x < -lambd => x + bias,
        x if x > lambd => x - bias,
        _ => 0.0,
    })
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let attrs = b.attrs(node)?;
    if !b.ty(x).dtype().is_some_and(DType::is_float) {
        return Err(OpError::unsupported("Shrink of integers in simpler operators"));
    }
    let (bias, lambd) = (attrs.float("bias")?, attrs.float("lambd")?);
    let (low, high) = (b.scalar_like(x, -f64::from(lambd))?, b.scalar_like(x, lambd.into())?);
    let (bias, zero) = (b.scalar_like(x, bias.into())?, b.scalar_like(x, 0.0)?);
    let (below, above) = (b.op("Less", &[x, low])?, b.op("Greater", &[x, high])?);
    let (raised, lowered) = (b.op("Add", &[x, bias])?, b.op("Sub", &[x, bias])?);
    let rest = b.op("Where", &[above, lowered, zero])?;
    Ok(vec![b.op("Where", &[below, raised, rest])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, NUMERIC, -3.0, 3.0);
    let x = s.floats(F32, &[2, 5], -3.0, 3.0);
    s.case().input(x).attr("bias", 0.25).attr("lambd", 1.0).add();
}
