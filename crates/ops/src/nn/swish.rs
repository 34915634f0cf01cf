//! Swish: `x * sigmoid(alpha * x)`. <https://onnx.ai/onnx/operators/onnx__Swish.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 1.0)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Swish.
pub static SWISH: OpDef = OpDef {
    name: "Swish",
    since: 24,
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
    let alpha = f64::from(cx.attrs.float("alpha")?);
    elementwise::unary(inputs, |x| x * super::sigmoid::sigmoid(alpha * x))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let alpha = b.attrs(node)?.float("alpha")?;
    let scaled = match alpha == 1.0 {
        true => x,
        false => {
            let alpha = b.scalar_like(x, alpha.into())?;
            b.op("Mul", &[x, alpha])?
        }
    };
    let gate = b.op("Sigmoid", &[scaled])?;
    Ok(vec![b.op("Mul", &[x, gate])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -3.0, 3.0);
    let x = s.floats(F32, &[2, 5], -3.0, 3.0);
    s.case().input(x).attr("alpha", 0.3).add();
}
