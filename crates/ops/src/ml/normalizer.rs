//! Normalizer: each row divided by its largest element (`MAX`), the sum of magnitudes (`L1`) or its Euclidean length (`L2`); a row whose
//! divisor is 0 stays.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_Normalizer.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(float)")],
    attrs: &[AttrDef::string("norm", "MAX")],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator Normalizer.
pub static NORMALIZER: OpDef = OpDef {
    name: "Normalizer",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, Some(F32), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let norm = cx.attrs.string("norm")?;
    if !["MAX", "L1", "L2"].contains(&norm) || !(1..=2).contains(&x.rank()) {
        return Err(OpError::invalid(format!("norm {norm:?} of a tensor of rank {}", x.rank())));
    }
    let width = x.shape().last().copied().unwrap_or(1).max(1);
    let mut out = x.to_f64s()?;
    for row in out.chunks_mut(width) {
        let by = match norm {
            "MAX" => row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "L1" => row.iter().map(|v| v.abs()).sum(),
            _ => row.iter().map(|v| v * v).sum::<f64>().sqrt(),
        };
        if by != 0.0 {
            row.iter_mut().for_each(|v| *v /= by);
        }
    }
    Ok(vec![Tensor::from_f64s(F32, x.shape(), &out)?.into()])
}

fn samples(s: &mut Samples) {
    for norm in ["MAX", "L1", "L2"] {
        for dtype in [F32, F64, I32, I64] {
            let (x, y) = (s.any(dtype, &[3, 4]), s.any(dtype, &[4]));
            s.case().input(x).attr("norm", norm).add();
            s.case().input(y).attr("norm", norm).add();
        }
        let x = s.floats(F32, &[2, 2], 0.0, 0.0);
        s.case().input(x).attr("norm", norm).add();
    }
}
