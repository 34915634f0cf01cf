//! Imputer: elements that equal the replaced value (NaN equals NaN) become the imputed one of their column.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_Imputer.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::optional("imputed_value_floats", AttrKind::Floats),
        AttrDef::optional("imputed_value_int64s", AttrKind::Ints),
        AttrDef::float("replaced_value_float", 0.0),
        AttrDef::int("replaced_value_int64", 0),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator Imputer.
pub static IMPUTER: OpDef = OpDef {
    name: "Imputer",
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
    cx.set_tensor(0, cx.dtype(0), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let width = x.shape().last().copied().unwrap_or(1);
    let fits = |n: usize| match n == 1 || (n == width && n > 0) {
        true => Ok(()),
        false => Err(OpError::invalid(format!("{n} imputed values for {width} columns"))),
    };
    if x.dtype().is_float() {
        let by = cx.attrs.floats("imputed_value_floats")?;
        fits(by.len())?;
        let hole = f64::from(cx.attrs.float("replaced_value_float")?);
        let replaced = |v: f64| v == hole || (v.is_nan() && hole.is_nan());
        let value = |(i, v)| if replaced(v) { f64::from(by[i % by.len()]) } else { v };
        let out = x.to_f64s()?.into_iter().enumerate().map(value).collect::<Vec<_>>();
        return Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into()]);
    }
    let by = cx.attrs.ints("imputed_value_int64s")?;
    fits(by.len())?;
    let hole = cx.attrs.int("replaced_value_int64")?;
    let out = x.to_i64s()?.into_iter().enumerate().map(|(i, v)| if v == hole { by[i % by.len()] } else { v });
    Ok(vec![Tensor::from_i64s(x.dtype(), x.shape(), &out.collect::<Vec<_>>())?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F64] {
        let x =
            Tensor::from_f64s(dtype, &[2, 2], &[f64::NAN, 1.0, 0.0, f64::NAN]).unwrap_or_else(|_| Tensor::scalar(0f32));
        let case = s.case().input(x.clone()).attr("imputed_value_floats", vec![5.0f32, 6.0]);
        case.attr("replaced_value_float", f32::NAN).add();
        s.case().input(x).attr("imputed_value_floats", vec![7.0f32]).add();
    }
    for dtype in [I32, I64] {
        let x = s.ints(dtype, &[3, 2], -1, 1);
        s.case().input(x.clone()).attr("imputed_value_int64s", [9]).add();
        s.case().input(x).attr("imputed_value_int64s", [8, 9]).attr("replaced_value_int64", -1).add();
    }
}
