//! MatMul: matrix product with batches, as numpy multiplies: operands of rank 1 are a row or a column. <https://onnx.ai/onnx/operators/onnx__MatMul.html>

use super::contraction;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", WIDE_BF16)],
};

/// The ONNX operator MatMul.
pub static MATMUL: OpDef = OpDef {
    name: "MatMul",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema { types: &[types_of("T", WIDE)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.shape(0), cx.shape(1)) {
        (Some(a), Some(b)) => Some(contraction::infer_matmul(a, b)?),
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0).or(cx.dtype(1)), shape);
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (a, b) = elementwise::same_typed(inputs)?;
    Ok(vec![contraction::matmul(a, b)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (a, b) = (s.any(dtype, &[3, 4]), s.any(dtype, &[4, 5]));
        s.case().input(a).input(b).add();
    }
    let shapes: [(&[usize], &[usize]); 10] = [
        (&[4], &[4]),
        (&[4], &[4, 3]),
        (&[2, 4], &[4]),
        (&[2, 3, 4], &[4, 2]),
        (&[2, 3, 4], &[2, 4, 2]),
        (&[2, 1, 3, 4], &[5, 4, 2]),
        (&[1, 2, 1, 2, 3], &[2, 1, 2, 3, 2]),
        (&[0, 4], &[4, 2]),
        (&[2, 0], &[0, 3]),
        (&[4], &[2, 4, 3]),
    ];
    for (p, q) in shapes {
        let (a, b) = (s.any(F32, p), s.any(F32, q));
        s.case().input(a).input(b).add();
    }
    let (a, b) = (s.special(F32, 12), s.any(F32, &[12, 2]));
    s.case().input(a).input(b).add();
}
