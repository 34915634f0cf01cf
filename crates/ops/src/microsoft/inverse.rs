//! com.microsoft.Inverse: inverses of square matrices.

use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS)],
};

/// The operator Inverse of ONNX Runtime.
pub static INVERSE: OpDef =
    OpDef { name: "Inverse", domain: DOMAIN, since: 1, schema: SCHEMA, infer, eval, samples, ..OpDef::BASE };

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set(0, cx.ty(0));
    Ok(())
}

/// The inverse of a matrix of `n` rows by elimination with the largest pivot; one that has none becomes infinite.
fn inverse(n: usize, matrix: &[f64]) -> Vec<f64> {
    let mut left = matrix.to_vec();
    let mut right = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect::<Vec<_>>();
    for at in 0..n {
        let size = |row: &usize| left[row * n + at].abs();
        let pivot = (at..n).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(at);
        for column in 0..n {
            left.swap(at * n + column, pivot * n + column);
            right.swap(at * n + column, pivot * n + column);
        }
        let factor = 1.0 / left[at * n + at];
        for column in 0..n {
            left[at * n + column] *= factor;
            right[at * n + column] *= factor;
        }
        for row in (0..n).filter(|&row| row != at) {
            let factor = left[row * n + at];
            for column in 0..n {
                left[row * n + column] -= factor * left[at * n + column];
                right[row * n + column] -= factor * right[at * n + column];
            }
        }
    }
    right
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let n = match x.shape() {
        [.., m, n] if m == n => *n,
        shape => return Err(OpError::invalid(format!("matrices of shape {shape:?} are not square"))),
    };
    let out = x.to_f64s()?.chunks_exact((n * n).max(1)).flat_map(|m| inverse(n, m)).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        for shape in [&[2usize, 2] as &[usize], &[2, 3, 3], &[1, 2, 4, 4], &[1, 1]] {
            let n = shape[shape.len() - 1];
            let count = shape.iter().product::<usize>();
            // A dominant diagonal keeps the matrices far from singular.
            let value = |i: usize, noise: f64| noise + if (i % (n * n)).is_multiple_of(n + 1) { 4.0 } else { 0.0 };
            let values = (0..count).map(|i| value(i, s.uniform(-1.0, 1.0))).collect::<Vec<_>>();
            s.case().input(Tensor::from_f64s(dtype, shape, &values).expect("as many as the shape holds")).add();
        }
    }
}
