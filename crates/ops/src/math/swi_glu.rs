//! SwiGLU: `Swish(A) * B`, the gated activation: `A * sigmoid(alpha * A) * B`, both of one shape. <https://onnx.ai/onnx/operators/onnx__SwiGLU.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 1.0)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator SwiGLU.
pub static SWI_GLU: OpDef = OpDef {
    name: "SwiGLU",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let (Some(a), Some(b)) = (cx.shape(0), cx.shape(1)) {
        let differ = |(a, b): (&Dim, &Dim)| matches!((a, b), (Dim::Known(a), Dim::Known(b)) if a != b);
        if a.len() != b.len() || a.iter().zip(b).any(differ) {
            return Err(OpError::invalid("both operands must have one shape"));
        }
    }
    let ty = cx.ty(0).meet(&cx.ty(1));
    cx.set(0, ty);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (a, b) = elementwise::same_typed(inputs)?;
    if a.shape() != b.shape() {
        return Err(OpError::invalid(format!("shapes {:?} and {:?} must be the same", a.shape(), b.shape())));
    }
    let alpha = f64::from(cx.attrs.float("alpha")?);
    elementwise::binary(inputs, |a, b| a / (1.0 + (-alpha * a).exp()) * b, i64::wrapping_mul, u64::wrapping_mul)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (gate, value) = (b.input(node, 0)?, b.input(node, 1)?);
    let alpha = b.attrs(node)?.float("alpha")?;
    let gate = b.op_with("Swish", &[gate], Attrs::new().with("alpha", alpha))?;
    Ok(vec![b.op("Mul", &[gate, value])?])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (a, b) = (s.any(dtype, &[3, 4]), s.any(dtype, &[3, 4]));
        s.case().attr("alpha", 1.5f32).input(a).input(b).add();
    }
    for shape in Samples::shapes() {
        let (a, b) = (s.any(F32, shape), s.any(F32, shape));
        s.case().input(a).input(b).add();
    }
}
