//! BitCast: the bits of each element read as another type of the same width.
//!
//! <https://onnx.ai/onnx/operators/onnx__BitCast.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::required("to", AttrKind::Int)],
    types: &[
        types_of(
            "T1",
            TypeSet::tensors(&[
                F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8,
                U16, U32, U64, I4, U4, I2, U2, Bool, Complex64, Complex128,
            ]),
        ),
        types_of(
            "T2",
            TypeSet::tensors(&[
                F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8,
                U16, U32, U64, I4, U4, I2, U2, Bool, Complex64, Complex128,
            ]),
        ),
    ],
};

/// The ONNX operator BitCast.
pub static BIT_CAST: OpDef = OpDef {
    name: "BitCast",
    since: 26,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn target(attrs: &AttrView, from: Option<DType>) -> OpResult<DType> {
    let to = attrs.opt_dtype("to")?.ok_or_else(|| OpError::invalid("attribute to is required"))?;
    match from {
        Some(from) if from.bits() != to.bits() || to.bits() == 0 => {
            Err(OpError::invalid(format!("{from} and {to} differ in width")))
        }
        _ => Ok(to),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let to = target(&cx.attrs, cx.dtype(0))?;
    cx.set_tensor(0, Some(to), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let to = target(&cx.attrs, Some(x.dtype()))?;
    Ok(vec![Tensor::from_bytes(to, x.shape(), x.bytes())?.into()])
}

fn samples(s: &mut Samples) {
    for from in ALL_IR13.dtypes().filter(|d| *d != DType::String) {
        for to in ALL_IR13.dtypes().filter(|d| d.bits() == from.bits() && *d != Bool) {
            let x = s.any(from, &[2, 2]);
            s.case().input(x).attr("to", to).add();
        }
    }
    let bits = s.ints(U8, &[4], 0, 1);
    s.case().input(bits).attr("to", Bool).add();
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).attr("to", I32).add();
    }
}
