//! IsInf: whether each element is an infinity of a sign that the attributes ask for. <https://onnx.ai/onnx/operators/onnx__IsInf.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[AttrDef::int("detect_negative", 1), AttrDef::int("detect_positive", 1)],
    types: &[
        types_of("T1", TypeSet::tensors(&[F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ])),
        types_of("T2", BOOL),
    ],
};

/// The ONNX operator IsInf.
pub static IS_INF: OpDef = OpDef {
    name: "IsInf",
    since: 20,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 10,
        schema: Schema { types: &[types_of("T1", TypeSet::tensors(&[F32, F64])), types_of("T2", BOOL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, Some(Bool), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (negative, positive) = (cx.attrs.flag("detect_negative")?, cx.attrs.flag("detect_positive")?);
    elementwise::predicate(inputs, |x| x.is_infinite() && if x > 0.0 { positive } else { negative })
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SCHEMA.types[0].set, -3.0, 3.0);
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.special(dtype, 12);
        s.case().attr("detect_negative", 0).input(x.clone()).add();
        s.case().attr("detect_positive", 0).input(x).add();
    }
}
