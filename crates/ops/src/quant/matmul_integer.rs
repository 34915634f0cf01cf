//! MatMulInteger: matrix product of 8-bit integers minus their zero points, in 32-bit integers that wrap. <https://onnx.ai/onnx/operators/onnx__MatMulInteger.html>

use crate::math::contraction::{self, Product};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "T1"),
        Param::one("B", "T2"),
        Param::opt("a_zero_point", "T1"),
        Param::opt("b_zero_point", "T2"),
    ],
    outputs: &[Param::one("Y", "T3")],
    attrs: &[],
    types: &[types_of("T1", BYTES), types_of("T2", BYTES), types_of("T3", TypeSet::tensors(&[I32]))],
};

/// The ONNX operator MatMulInteger.
pub static MATMUL_INTEGER: OpDef = OpDef {
    name: "MatMulInteger",
    since: 10,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.shape(0), cx.shape(1)) {
        (Some(a), Some(b)) => Some(contraction::infer_matmul(a, b)?),
        _ => None,
    };
    cx.set_tensor(0, Some(I32), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (a, b) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let (left, right) = (centred(a, cx.opt_tensor(inputs, 2)?, true)?, centred(b, cx.opt_tensor(inputs, 3)?, false)?);
    let p = Product::of(a.shape(), b.shape())?;
    let out = p.run(&left, &right)?.into_iter().map(|x| x as i64).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(I32, &p.shape, &out)?.into()])
}

/// Elements of a matrix minus zero points: one, one for each row (`rows`) or column, or any that broadcast.
///
/// # Errors
/// When they do not fit.
pub fn centred(x: &Tensor, zero: Option<&Tensor>, rows: bool) -> OpResult<Vec<f64>> {
    let mut data = x.to_f64s()?;
    if let Some(zero) = zero {
        let (values, at) = (zero.to_f64s()?, matched(x.shape(), zero.shape(), rows)?);
        data.iter_mut().zip(at).for_each(|(v, i)| *v -= values[i]);
    }
    Ok(data)
}

/// For each element of a matrix of shape `x`, the index of its parameter.
///
/// # Errors
/// When the parameters do not fit.
pub fn matched(x: &[usize], parameter: &[usize], rows: bool) -> OpResult<Vec<usize>> {
    let parameter = match parameter {
        [n] if rows && *n != 1 && x.len() > 1 => vec![*n, 1],
        [1] => vec![],
        other => other.to_vec(),
    };
    Ok(index::Offsets::unsigned(x, &index::broadcast_strides(&parameter, x)?).collect())
}

fn samples(s: &mut Samples) {
    for left in [I8, U8] {
        for right in [I8, U8] {
            let (a, b) = (s.any(left, &[2, 3, 4]), s.any(right, &[4, 5]));
            let (p, q) = (s.any(left, &[]), s.any(right, &[5]));
            s.case().input(a).input(b).input(p).input(q).add();
        }
    }
    let (a, b, p) = (s.any(U8, &[3, 4]), s.any(I8, &[4]), s.any(U8, &[3]));
    s.case().input(a.clone()).input(b.clone()).add();
    s.case().input(a).input(b).input(p).add();
    let (a, b) = (s.any(U8, &[0, 4]), s.any(I8, &[4, 2]));
    s.case().input(a).input(b).add();
}
