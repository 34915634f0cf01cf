//! HardSigmoid: `alpha * x + beta`, clipped to 0..1. <https://onnx.ai/onnx/operators/onnx__HardSigmoid.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 0.2), AttrDef::float("beta", 0.5)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator HardSigmoid.
pub static HARD_SIGMOID: OpDef = OpDef {
    name: "HardSigmoid",
    since: 22,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[
                    AttrDef::float("alpha", 0.2),
                    AttrDef::float("beta", 0.5),
                    AttrDef::optional("consumed_inputs", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (alpha, beta) = (f64::from(cx.attrs.float("alpha")?), f64::from(cx.attrs.float("beta")?));
    elementwise::unary(inputs, |x| (alpha * x + beta).clamp(0.0, 1.0))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let attrs = b.attrs(node)?;
    let (alpha, beta) = (attrs.float("alpha")?, attrs.float("beta")?);
    let (alpha, beta) = (b.scalar_like(x, alpha.into())?, b.scalar_like(x, beta.into())?);
    let (zero, one) = (b.scalar_like(x, 0.0)?, b.scalar_like(x, 1.0)?);
    let scaled = b.op("Mul", &[x, alpha])?;
    let moved = b.op("Add", &[scaled, beta])?;
    Ok(vec![b.op("Clip", &[moved, zero, one])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -6.0, 6.0);
    let x = s.floats(F32, &[2, 5], -6.0, 6.0);
    s.case().input(x).attr("alpha", 0.5).attr("beta", 0.1).add();
}
