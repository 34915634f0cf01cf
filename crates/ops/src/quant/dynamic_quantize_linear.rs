//! DynamicQuantizeLinear: quantization to unsigned 8 bit by the range of the input, widened to hold 0; all steps in `f32`. <https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html>

use super::scheme::quantized;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T1")],
    outputs: &[Param::one("y", "T2"), Param::one("y_scale", "tensor(float)"), Param::one("y_zero_point", "T2")],
    attrs: &[],
    types: &[types_of("T1", TypeSet::tensors(&[F32])), types_of("T2", TypeSet::tensors(&[U8]))],
};

/// The ONNX operator DynamicQuantizeLinear.
pub static DYNAMIC_QUANTIZE_LINEAR: OpDef = OpDef {
    name: "DynamicQuantizeLinear",
    since: 11,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, Some(U8), cx.shape(0).map(<[Dim]>::to_vec));
    cx.set_tensor(1, Some(F32), Some(vec![]));
    cx.set_tensor(2, Some(U8), Some(vec![]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    cx.expect_dtype(x, F32)?;
    let data = x.as_slice::<f32>()?;
    // As the operator's function body has it, where ReduceMin and ReduceMax of NaN are NaN.
    let nan = data.iter().any(|v| v.is_nan()).then_some(f32::NAN);
    let low = nan.unwrap_or_else(|| data.iter().copied().fold(0f32, f32::min));
    let high = nan.unwrap_or_else(|| data.iter().copied().fold(0f32, f32::max));
    // Zeros alone leave the scale open; 1 keeps them zeros.
    let scale = if low == high { 1.0 } else { (high - low) / 255.0 };
    let zero = (0.0 - low / scale).clamp(0.0, 255.0).round_ties_even();
    let out = data.iter().map(|v| f64::from((v / scale).round_ties_even() + zero)).collect::<Vec<_>>();
    let zero = quantized(U8, &[], &[zero.into()], true)?;
    Ok(vec![quantized(U8, x.shape(), &out, true)?.into(), Tensor::scalar(scale).into(), zero.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let (zero, top) = (b.scalar_like(x, 0.0)?, b.scalar_like(x, 255.0)?);
    let whole = || Attrs::new().with("keepdims", 0);
    let (low, high) = (b.op_with("ReduceMin", &[x], whole())?, b.op_with("ReduceMax", &[x], whole())?);
    let (low, high) = (b.op("Min", &[low, zero])?, b.op("Max", &[high, zero])?);
    let range = b.op("Sub", &[high, low])?;
    let (flat, one) = (b.op("Equal", &[range, zero])?, b.scalar_like(x, 1.0)?);
    let scale = b.op("Div", &[range, top])?;
    let scale = b.op("Where", &[flat, one, scale])?;
    let steps = b.op("Div", &[low, scale])?;
    let point = b.op("Sub", &[zero, steps])?;
    let point = b.op("Clip", &[point, zero, top])?;
    let point = b.op("Round", &[point])?;
    let point = b.op_with("Cast", &[point], Attrs::new().with("to", U8))?;
    Ok(vec![b.op("QuantizeLinear", &[x, scale, point])?, scale, point])
}

fn samples(s: &mut Samples) {
    s.case().input(Tensor::vector(&[1.0f32, f32::NAN, -3.0])).outputs(3).add();
    for (shape, lo, hi) in [(&[][..], 1.0, 2.0), (&[6], -3.0, 5.0), (&[3, 4], 2.0, 3.0), (&[2, 3, 4], -4.0, -1.0)] {
        let x = s.floats(F32, shape, lo, hi);
        s.case().input(x).outputs(3).add();
    }
}
