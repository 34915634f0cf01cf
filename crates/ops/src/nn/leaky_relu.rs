//! LeakyRelu: `x` where it is not negative, `alpha * x` elsewhere. <https://onnx.ai/onnx/operators/onnx__LeakyRelu.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 0.01)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator LeakyRelu.
pub static LEAKY_RELU: OpDef = OpDef {
    name: "LeakyRelu",
    since: 16,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::float("alpha", 0.01), AttrDef::optional("consumed_inputs", AttrKind::Ints)],
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
    let alpha = f64::from(cx.attrs.float("alpha")?);
    elementwise::unary(inputs, |x| if x < 0.0 { alpha * x } else { x })
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let alpha = b.attrs(node)?.float("alpha")?;
    let (zero, alpha) = (b.scalar_like(x, 0.0)?, b.scalar_like(x, alpha.into())?);
    let (negative, scaled) = (b.op("Less", &[x, zero])?, b.op("Mul", &[x, alpha])?);
    Ok(vec![b.op("Where", &[negative, scaled, x])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -3.0, 3.0);
    let x = s.floats(F32, &[2, 5], -3.0, 3.0);
    s.case().input(x).attr("alpha", 0.3).add();
}
