//! ConvInteger: convolution of 8-bit integers minus their zero points, in 32-bit integers that wrap. <https://onnx.ai/onnx/operators/onnx__ConvInteger.html>

use crate::nn::convolution::{ConvAttrs, Geometry, sample_cases};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("x", "T1"),
        Param::one("w", "T2"),
        Param::opt("x_zero_point", "T1"),
        Param::opt("w_zero_point", "T2"),
    ],
    outputs: &[Param::one("y", "T3")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T1", BYTES), types_of("T2", BYTES), types_of("T3", TypeSet::tensors(&[I32]))],
};

/// The ONNX operator ConvInteger.
pub static CONV_INTEGER: OpDef = OpDef {
    name: "ConvInteger",
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
    ConvAttrs::of(&cx.attrs)?.infer(cx, 0, 1, Some(I32))
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, w) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let g = Geometry::of(&ConvAttrs::of(&cx.attrs)?, x.shape(), w.shape())?;
    let data = per_filter(x, cx.opt_tensor(inputs, 2)?)?;
    let weights = per_filter(w, cx.opt_tensor(inputs, 3)?)?;
    let out = g.convolve(&data, &weights)?.into_iter().map(|v| v as i64).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(I32, &g.output_shape(), &out)?.into()])
}

/// Elements minus zero points: one for all, or one for each index of the first dimension.
///
/// # Errors
/// When there is another number of them.
pub fn per_filter(x: &Tensor, zero: Option<&Tensor>) -> OpResult<Vec<f64>> {
    let mut data = x.to_f64s()?;
    let Some(zero) = zero else { return Ok(data) };
    let values = zero.to_f64s()?;
    let inner = x.shape()[1..].iter().product::<usize>().max(1);
    if values.len() != 1 && values.len() != x.shape()[0] {
        return Err(OpError::invalid(format!("{} zero points for a tensor of shape {:?}", values.len(), x.shape())));
    }
    data.iter_mut().enumerate().for_each(|(i, v)| *v -= values[if values.len() == 1 { 0 } else { i / inner }]);
    Ok(data)
}

fn samples(s: &mut Samples) {
    for (left, right) in [(I8, I8), (U8, I8), (U8, U8)] {
        let (x, w) = (s.any(left, &[1, 2, 4, 4]), s.any(right, &[3, 2, 3, 3]));
        let (p, q) = (s.any(left, &[]), s.any(right, &[3]));
        s.case().input(x).input(w).input(p).input(q).attr("pads", [1, 1, 1, 1]).add();
    }
    for (x, w, attrs) in sample_cases() {
        let (x, w) = (s.any(U8, &x), s.any(I8, &w));
        let mut case = s.case().input(x).input(w);
        for (name, value) in attrs.iter() {
            case = case.attr(name, value.clone());
        }
        case.add();
    }
}
