//! Gelu: `x` times the normal distribution function at `x`, or its `tanh` approximation. <https://onnx.ai/onnx/operators/onnx__Gelu.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::string("approximate", "none")],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Gelu.
pub static GELU: OpDef = OpDef {
    name: "Gelu",
    since: 20,
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
    match cx.attrs.string("approximate")? {
        "none" => {
            elementwise::unary(inputs, |x| 0.5 * x * (1.0 + crate::special::erf(x * std::f64::consts::FRAC_1_SQRT_2)))
        }
        "tanh" => {
            let c = (2.0 / std::f64::consts::PI).sqrt();
            elementwise::unary(inputs, |x| 0.5 * x * (1.0 + (c * (x + 0.044715 * x * x * x)).tanh()))
        }
        other => Err(OpError::invalid(format!("approximate is {other:?}, neither none nor tanh"))),
    }
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let tanh = b.attrs(node)?.string("approximate")? == "tanh";
    let (half, one) = (b.scalar_like(x, 0.5)?, b.scalar_like(x, 1.0)?);
    let curve = if tanh {
        let (c, k) = (b.scalar_like(x, (2.0 / std::f64::consts::PI).sqrt())?, b.scalar_like(x, 0.044715)?);
        let square = b.op("Mul", &[x, x])?;
        let cube = b.op("Mul", &[square, x])?;
        let cube = b.op("Mul", &[cube, k])?;
        let sum = b.op("Add", &[x, cube])?;
        let scaled = b.op("Mul", &[sum, c])?;
        b.op("Tanh", &[scaled])?
    } else {
        let c = b.scalar_like(x, std::f64::consts::FRAC_1_SQRT_2)?;
        let scaled = b.op("Mul", &[x, c])?;
        b.op("Erf", &[scaled])?
    };
    let gate = b.op("Add", &[curve, one])?;
    let product = b.op("Mul", &[x, gate])?;
    Ok(vec![b.op("Mul", &[product, half])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -3.0, 3.0);
    let x = s.floats(F32, &[2, 5], -3.0, 3.0);
    s.case().input(x).attr("approximate", "tanh").add();
}
