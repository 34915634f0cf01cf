//! NegativeLogLikelihoodLoss: the negated log-probability of the right class, weighted and reduced. <https://onnx.ai/onnx/operators/onnx__NegativeLogLikelihoodLoss.html>

use super::loss;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::one("target", "Tind"), Param::opt("weight", "T")],
    outputs: &[Param::one("loss", "T")],
    attrs: &[AttrDef::optional("ignore_index", AttrKind::Int), AttrDef::string("reduction", "mean")],
    types: &[types_of("T", FLOATS_BF16), types_of("Tind", INDEX)],
};

/// The ONNX operator NegativeLogLikelihoodLoss.
pub static NEGATIVE_LOG_LIKELIHOOD_LOSS: OpDef = OpDef {
    name: "NegativeLogLikelihoodLoss",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 12,
            schema: Schema { types: &[types_of("T", FLOATS), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("T", FLOATS), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    loss::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    Ok(vec![loss::of(cx, inputs, x, &x.to_f64s()?)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    Ok(vec![loss::build(b, node, x)?])
}

fn samples(s: &mut Samples) {
    loss::samples(s, 1);
}
