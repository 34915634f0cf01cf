//! Det: determinant of each square matrix in the last two dimensions. <https://onnx.ai/onnx/operators/onnx__Det.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Det.
pub static DET: OpDef = OpDef {
    name: "Det",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 11,
        schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        None => None,
        Some([batch @ .., r, c]) => {
            if let (Dim::Known(r), Dim::Known(c)) = (r, c)
                && r != c
            {
                return Err(OpError::invalid(format!("a matrix of {r} by {c} has no determinant")));
            }
            Some(batch.to_vec())
        }
        Some(_) => return Err(OpError::invalid("at least two dimensions are wanted")),
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (batch, n) = match x.shape() {
        [batch @ .., r, c] if r == c => (batch, *r),
        other => return Err(OpError::invalid(format!("shape {other:?} holds no square matrices"))),
    };
    let count = batch.iter().product::<usize>();
    let values = x.to_f64s()?;
    let out = (0..count).map(|i| determinant(n, values[i * n * n..][..n * n].to_vec())).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), batch, &out)?.into()])
}

/// Gaussian elimination with the largest pivot of each column.
fn determinant(n: usize, mut a: Vec<f64>) -> f64 {
    let mut det = 1.0;
    for k in 0..n {
        let best = (k..n).max_by(|&i, &j| a[i * n + k].abs().total_cmp(&a[j * n + k].abs())).unwrap_or(k);
        if a[best * n + k] == 0.0 {
            return 0.0;
        }
        if best != k {
            (0..n).for_each(|j| a.swap(best * n + j, k * n + j));
            det = -det;
        }
        det *= a[k * n + k];
        for i in k + 1..n {
            let factor = a[i * n + k] / a[k * n + k];
            (k..n).for_each(|j| a[i * n + j] -= factor * a[k * n + j]);
        }
    }
    det
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[3, 3]);
        s.case().input(x).add();
    }
    for shape in [&[1, 1][..], &[2, 4, 4], &[2, 1, 2, 2], &[1, 2, 2, 3, 3], &[2, 0, 0], &[0, 2, 2]] {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
    let singular = Tensor::new(&[2, 2], vec![1f32, 2.0, 2.0, 4.0]).expect("four elements");
    s.case().input(singular).add();
}
