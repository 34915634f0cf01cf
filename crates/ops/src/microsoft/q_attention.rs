//! com.microsoft.QAttention: Attention whose projection is an integer product of quantized rows and weights.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{attention, composite, mat_mul_integer_to_float};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T1"),
        Param::one("weight", "T2"),
        Param::one("bias", "T3"),
        Param::one("input_scale", "T3"),
        Param::one("weight_scale", "T3"),
        Param::opt("mask_index", "T4"),
        Param::opt("input_zero_point", "T1"),
        Param::opt("weight_zero_point", "T2"),
        Param::opt("past", "T3"),
    ],
    outputs: &[Param::one("output", "T3"), Param::opt("present", "T3")],
    attrs: &[
        AttrDef::float("mask_filter_value", -10000.0),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::optional("scale", AttrKind::Float),
        AttrDef::int("unidirectional", 0),
    ],
    types: &[
        types_of("T1", BYTES),
        types_of("T2", BYTES),
        types_of("T3", TypeSet::tensors(&[F32])),
        types_of("T4", TypeSet::tensors(&[I32])),
    ],
};

/// The operator QAttention of ONNX Runtime.
pub static Q_ATTENTION: OpDef = OpDef {
    name: "QAttention",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_ATTENTION, cx),
    eval: |cx, inputs| composite::eval(&Q_ATTENTION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let operands = [Some(b.input(node, 0)?), Some(b.input(node, 1)?), b.opt_input(node, 6), b.opt_input(node, 7)];
    let (scales, bias) = ([b.input(node, 3)?, b.input(node, 4)?], b.input(node, 2)?);
    let projected = mat_mul_integer_to_float::scaled(b, &operands, scales, Some(bias))?;
    let operands = [b.opt_input(node, 5), b.opt_input(node, 8), None];
    attention::attend(b, node, projected, operands)
}

fn samples(s: &mut Samples) {
    for (left, right) in [(U8, I8), (U8, U8), (I8, I8)] {
        let (x, w, bias) = (s.any(left, &[2, 3, 4]), s.any(right, &[4, 24]), s.any(F32, &[24]));
        let mask = Tensor::new(&[2, 3], vec![1i32, 1, 0, 1, 1, 1]).expect("six elements");
        let (p, q) = (s.any(left, &[]), s.any(right, &[]));
        let scale = |v: f32| Tensor::scalar(v);
        let case = s.case().input(x.clone()).input(w.clone()).input(bias.clone()).input(scale(0.1)).input(scale(0.05));
        let case = case.input(mask).input(p.clone()).input(q.clone()).attr("num_heads", 2);
        case.attr("mask_filter_value", -1000.0f32).attr("scale", 0.25f32).add();
        let past = s.any(F32, &[2, 2, 2, 2, 4]);
        let case = s.case().input(x.clone()).input(w.clone()).input(bias.clone()).input(scale(0.1)).input(scale(0.05));
        let case = case.absent().input(p).input(q).input(past).attr("num_heads", 2);
        case.attr("unidirectional", 1).outputs(2).add();
        let case = s.case().input(x).input(w).input(bias).input(scale(0.1)).input(scale(0.05));
        case.attr("num_heads", 2).add();
    }
}
