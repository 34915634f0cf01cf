//! com.microsoft.FusedGemm: Gemm and an activation on its result.

use crate::microsoft::fused::{self, ACTIVATION, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T"), Param::opt("C", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        ACTIVATION[0],
        ACTIVATION[1],
        ACTIVATION[2],
        ACTIVATION[3],
        AttrDef::float("alpha", 1.0),
        AttrDef::float("beta", 1.0),
        AttrDef::int("transA", 0),
        AttrDef::int("transB", 0),
    ],
    types: &[types_of("T", WIDE)],
};

/// The operator FusedGemm of ONNX Runtime.
pub static FUSED_GEMM: OpDef = OpDef {
    name: "FusedGemm",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn gemm(view: &AttrView) -> OpResult<Attrs> {
    fused::chosen(view, &["alpha", "beta", "transA", "transB"])
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    fused::activation(&cx.attrs)?;
    let attrs = gemm(&cx.attrs)?;
    fused::infer_as(cx, "Gemm", attrs, &[0, 1, 2])
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let operands = [Some(cx.tensor(inputs, 0)?), Some(cx.tensor(inputs, 1)?), cx.opt_tensor(inputs, 2)?];
    let product = fused::hub(cx, "Gemm", gemm(&cx.attrs)?, &operands)?;
    Ok(vec![fused::activated(cx, product)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let inputs = (0..3).map(|i| b.opt_input(node, i)).collect::<Vec<_>>();
    let attrs = gemm(&b.attrs(node)?)?;
    let product = b.node("", "Gemm", &inputs, attrs, 1)?[0];
    Ok(vec![fused::activate(b, node, product)?])
}

fn samples(s: &mut Samples) {
    for dtype in WIDE.dtypes() {
        let (a, b, c) = (s.any(dtype, &[2, 3]), s.any(dtype, &[3, 4]), s.any(dtype, &[4]));
        s.case().input(a.clone()).input(b.clone()).input(c).attr("alpha", 2.0f32).attr("beta", 0.5f32).add();
        s.case().input(a).input(b).add();
    }
    for name in ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid"] {
        let (a, b, c) = (s.any(F32, &[3, 2]), s.any(F32, &[4, 3]), s.any(F32, &[2, 4]));
        let case = s.case().input(a).input(b).input(c).attr("transA", 1).attr("transB", 1).attr("activation", name);
        let case = case.attr("activation_alpha", 0.2f32).attr("activation_beta", 0.4f32);
        case.attr("activation_gamma", 1.0f32).add();
    }
}
