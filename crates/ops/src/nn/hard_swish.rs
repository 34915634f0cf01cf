//! HardSwish: `x * max(0, min(1, x / 6 + 0.5))`. <https://onnx.ai/onnx/operators/onnx__HardSwish.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator HardSwish.
pub static HARD_SWISH: OpDef = OpDef {
    name: "HardSwish",
    since: 22,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 14,
        schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::unary(inputs, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let attrs = Attrs::new().with("alpha", 1.0f32 / 6.0).with("beta", 0.5);
    let gate = b.op_with("HardSigmoid", &[x], attrs)?;
    Ok(vec![b.op("Mul", &[x, gate])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -5.0, 5.0);
}
