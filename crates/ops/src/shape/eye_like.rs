//! EyeLike: ones on the `k`-th diagonal of a matrix with the shape of the input, zeros elsewhere.
//!
//! <https://onnx.ai/onnx/operators/onnx__EyeLike.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::optional("dtype", AttrKind::Int), AttrDef::int("k", 0)],
    types: &[
        types_of("T1", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
        types_of("T2", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
    ],
};

/// The ONNX operator EyeLike.
pub static EYE_LIKE: OpDef = OpDef {
    name: "EyeLike",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 9,
        schema: Schema {
            types: &[
                types_of("T1", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                types_of("T2", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
            ],
            ..SCHEMA
        },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let dtype = cx.attrs.opt_dtype("dtype")?.or(cx.dtype(0));
    cx.set_tensor(0, dtype, cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let &[rows, columns] = x.shape() else {
        return Err(OpError::invalid(format!("a tensor of rank {}, a matrix is wanted", x.rank())));
    };
    let dtype = cx.attrs.opt_dtype("dtype")?.unwrap_or(x.dtype());
    let k = cx.attrs.int("k")?;
    let on = |p: usize| i64::from((p % columns) as i64 - (p / columns) as i64 == k);
    let out = (0..rows * columns).map(on).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(dtype, x.shape(), &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in NUMERIC_BF16.dtypes().chain([Bool]) {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x.clone()).add();
        s.case().input(x).attr("dtype", F16).attr("k", -1).add();
    }
    for shape in [[2, 2], [0, 3], [4, 1]] {
        let x = s.any(I32, &shape);
        s.case().input(x).attr("dtype", F64).attr("k", 1).add();
    }
}
