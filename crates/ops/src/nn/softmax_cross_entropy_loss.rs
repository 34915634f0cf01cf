//! SoftmaxCrossEntropyLoss: the negated log-softmax of the scores at the right class, weighted and reduced. <https://onnx.ai/onnx/operators/onnx__SoftmaxCrossEntropyLoss.html>

use super::lanes;
use super::log_softmax::log_softmax;
use super::loss;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("scores", "T"), Param::one("labels", "Tind"), Param::opt("weights", "T")],
    outputs: &[Param::one("output", "T"), Param::opt("log_prob", "T")],
    attrs: &[AttrDef::optional("ignore_index", AttrKind::Int), AttrDef::string("reduction", "mean")],
    types: &[types_of("T", FLOATS_BF16), types_of("Tind", INDEX)],
};

/// The ONNX operator SoftmaxCrossEntropyLoss.
pub static SOFTMAX_CROSS_ENTROPY_LOSS: OpDef = OpDef {
    name: "SoftmaxCrossEntropyLoss",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 12,
        schema: Schema { types: &[types_of("T", FLOATS), types_of("Tind", INDEX)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    loss::infer(cx)?;
    cx.set(1, cx.ty(0));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let mut log = x.to_f64s()?;
    if x.rank() > 1 {
        lanes::each(&mut log, x.shape(), 1, log_softmax);
    }
    let loss = loss::of(cx, inputs, x, &log)?;
    Ok(vec![loss.into(), Tensor::from_f64s(x.dtype(), x.shape(), &log)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let log = b.op_with("LogSoftmax", &[x], Attrs::new().with("axis", 1))?;
    Ok(vec![loss::build(b, node, log)?, log])
}

fn samples(s: &mut Samples) {
    loss::samples(s, 2);
}
