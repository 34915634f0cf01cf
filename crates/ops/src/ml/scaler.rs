//! Scaler: (x - offset) * scale, with one number or one for each column.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_Scaler.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(float)")],
    attrs: &[AttrDef::optional("offset", AttrKind::Floats), AttrDef::optional("scale", AttrKind::Floats)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator Scaler.
pub static SCALER: OpDef = OpDef {
    name: "Scaler",
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
    let width = x.shape().last().copied().unwrap_or(1);
    let list = |name: &str, default: f32| {
        let v = cx.attrs.opt_floats(name)?.filter(|v| !v.is_empty()).unwrap_or_else(|| vec![default]);
        match v.len() {
            n if n == 1 || n == width => Ok(v),
            n => Err(OpError::invalid(format!("{name} of {n} elements for {width} columns"))),
        }
    };
    let (offset, scale) = (list("offset", 0.0)?, list("scale", 1.0)?);
    let at = |v: &[f32], i: usize| f64::from(v[if v.len() == 1 { 0 } else { i % width }]);
    let out = x.to_f64s()?.into_iter().enumerate().map(|(i, v)| (v - at(&offset, i)) * at(&scale, i));
    Ok(vec![Tensor::from_f64s(F32, x.shape(), &out.collect::<Vec<_>>())?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F64, I32, I64] {
        let x = s.any(dtype, &[3, 2]);
        s.case().input(x.clone()).attr("offset", vec![1.0f32]).attr("scale", vec![2.0f32, -1.0]).add();
        s.case().input(x.clone()).attr("offset", vec![1.0f32, 0.5]).add();
        s.case().input(x).attr("offset", vec![1.0f32, 0.5]).attr("scale", vec![2.0f32, -1.0]).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x.clone()).attr("scale", vec![0.5f32]).add();
        s.case().input(x).attr("scale", vec![0.5f32]).attr("offset", vec![-1.0f32]).add();
    }
}
