//! Selu: `gamma * x` where it is positive, `gamma * alpha * (exp(x) - 1)` elsewhere. <https://onnx.ai/onnx/operators/onnx__Selu.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 1.673_263_2), AttrDef::float("gamma", 1.050701)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Selu.
pub static SELU: OpDef = OpDef {
    name: "Selu",
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
                    AttrDef::float("alpha", 1.6732),
                    AttrDef::optional("consumed_inputs", AttrKind::Ints),
                    AttrDef::float("gamma", 1.0507),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_1),
            down: Adapt::Rewrite(to_1),
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
    let (alpha, gamma) = (f64::from(cx.attrs.float("alpha")?), f64::from(cx.attrs.float("gamma")?));
    elementwise::unary(inputs, |x| gamma * if x <= 0.0 { alpha * x.exp_m1() } else { x })
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let attrs = b.attrs(node)?;
    let (alpha, gamma) = (attrs.float("alpha")?, attrs.float("gamma")?);
    let (alpha, gamma) = (b.scalar_like(x, alpha.into())?, b.scalar_like(x, gamma.into())?);
    let (zero, one) = (b.scalar_like(x, 0.0)?, b.scalar_like(x, 1.0)?);
    let (below, power) = (b.op("LessOrEqual", &[x, zero])?, b.op("Exp", &[x])?);
    let low = b.op("Sub", &[power, one])?;
    let low = b.op("Mul", &[alpha, low])?;
    let joined = b.op("Where", &[below, low, x])?;
    Ok(vec![b.op("Mul", &[gamma, joined])?])
}

/// Opset 1 had shorter default constants.
fn from_1(cx: &mut AdaptCx) -> OpResult<()> {
    for (name, old) in [("alpha", 1.6732f32), ("gamma", 1.0507)] {
        if cx.attrs().get(name).is_none() {
            cx.attrs().set(name, old);
        }
    }
    legacy::drop_consumed_inputs(cx)
}

fn to_1(cx: &mut AdaptCx) -> OpResult<()> {
    for (name, new) in [("alpha", 1.673_263_2_f32), ("gamma", 1.050_701)] {
        if cx.attrs().get(name).is_none() {
            cx.attrs().set(name, new);
        }
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -3.0, 3.0);
    let x = s.floats(F32, &[2, 5], -3.0, 3.0);
    s.case().input(x).attr("alpha", 0.3).attr("gamma", 2.0).add();
}
