//! Celu: `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`. <https://onnx.ai/onnx/operators/onnx__Celu.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 1.0)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Celu.
pub static CELU: OpDef = OpDef {
    name: "Celu",
    since: 28,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 12,
        schema: Schema { types: &[types_of("T", TypeSet::tensors(&[F32]))], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let alpha = f64::from(cx.attrs.float("alpha")?);
    elementwise::unary(inputs, |x| if x <= 0.0 { alpha * (x / alpha).exp_m1() } else { x })
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let alpha = b.attrs(node)?.float("alpha")?;
    let (zero, negative) = (b.scalar_like(x, 0.0)?, alpha < 0.0);
    let alpha = b.scalar_like(x, alpha.into())?;
    let ratio = b.op("Div", &[x, alpha])?;
    let (positive, power) = (b.op("Greater", &[x, zero])?, elu(b, ratio, negative)?);
    let low = b.op("Mul", &[alpha, power])?;
    Ok(vec![b.op("Where", &[positive, x, low])?])
}

/// `exp(x) - 1` where `x` is not positive, which Elu computes without loss; of a negative alpha `x` is positive.
fn elu(b: &mut Builder, x: ValueId, positive: bool) -> OpResult<ValueId> {
    if !positive {
        return b.op_with("Elu", &[x], Attrs::new());
    }
    let (power, one) = (b.op("Exp", &[x])?, b.scalar_like(x, 1.0)?);
    b.op("Sub", &[power, one])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, FLOATS_BF16, -3.0, 3.0);
    let x = s.floats(F32, &[2, 5], -3.0, 3.0);
    s.case().input(x.clone()).attr("alpha", 0.3).add();
    s.case().input(x).attr("alpha", -0.5).add();
}
