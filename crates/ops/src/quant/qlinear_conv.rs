//! QLinearConv: convolution of quantized tensors, quantized again. <https://onnx.ai/onnx/operators/onnx__QLinearConv.html>

use super::conv_integer::per_filter;
use super::scheme::{quantized, single};
use crate::nn::convolution::{ConvAttrs, Geometry, add_bias, sample_cases};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("x", "T1"),
        Param::one("x_scale", "tensor(float)"),
        Param::one("x_zero_point", "T1"),
        Param::one("w", "T2"),
        Param::one("w_scale", "tensor(float)"),
        Param::one("w_zero_point", "T2"),
        Param::one("y_scale", "tensor(float)"),
        Param::one("y_zero_point", "T3"),
        Param::opt("B", "T4"),
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
    types: &[
        types_of("T1", BYTES),
        types_of("T2", BYTES),
        types_of("T3", BYTES),
        types_of("T4", TypeSet::tensors(&[I32])),
    ],
};

/// The ONNX operator QLinearConv.
pub static QLINEAR_CONV: OpDef = OpDef {
    name: "QLinearConv",
    since: 10,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    ConvAttrs::of(&cx.attrs)?.infer(cx, 0, 3, cx.dtype(7))
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, w) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 3)?);
    let g = Geometry::of(&ConvAttrs::of(&cx.attrs)?, x.shape(), w.shape())?;
    let one = |i: usize| match cx.tensor(inputs, i)? {
        t if t.len() == 1 => Ok(t.to_f64s()?[0]),
        t => Err(OpError::invalid(format!("input {i} has shape {:?}, one value is wanted", t.shape()))),
    };
    let (x_scale, y_scale, y_zero) = (one(1)?, one(6)?, one(7)?);
    let data = per_filter(x, Some(cx.tensor(inputs, 2)?))?;
    let weights = per_filter(w, Some(cx.tensor(inputs, 5)?))?;
    let w_scales = cx.tensor(inputs, 4)?.to_f64s()?;
    if w_scales.len() != 1 && w_scales.len() != g.filters {
        return Err(OpError::invalid(format!("{} weight scales for {} filters", w_scales.len(), g.filters)));
    }
    let mut out = g.convolve(&data, &weights)?;
    let windows = g.windows();
    if let Some(b) = cx.opt_tensor(inputs, 8)? {
        add_bias(&mut out, &b.to_f64s()?, windows)?;
    }
    for (i, v) in out.iter_mut().enumerate() {
        let filter = i / windows % g.filters;
        let w_scale = w_scales[if w_scales.len() == 1 { 0 } else { filter }];
        *v = single(single(*v) * single(single(x_scale * w_scale) / y_scale)).round_ties_even() + y_zero;
    }
    let dtype = cx.tensor(inputs, 7)?.dtype();
    Ok(vec![quantized(dtype, &g.output_shape(), &out, true)?.into()])
}

/// The convolution of integers, scaled and rounded once.
fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let [x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero] = {
        let all = (0..8).map(|i| b.input(node, i)).collect::<OpResult<Vec<_>>>()?;
        <[ValueId; 8]>::try_from(all).map_err(|_| OpError::invalid("eight operands are wanted"))?
    };
    let rank = b.ty(x).rank().filter(|r| *r > 2).ok_or_else(|| OpError::unsupported("an image of unknown rank"))?;
    let mut attrs = Attrs::new();
    for (name, value) in b.model.nodes[node].attrs.iter() {
        attrs = attrs.with(name, value.clone());
    }
    let operands = [x, w, x_zero, w_zero].map(Some);
    let mut sums = b.node("", "ConvInteger", &operands, attrs, 1)?[0];
    let by_channel = [vec![-1], vec![1; rank - 2]].concat();
    if let Some(bias) = b.opt_input(node, 8) {
        let shape = b.ints(&by_channel);
        let bias = b.op("Reshape", &[bias, shape])?;
        sums = b.op("Add", &[sums, bias])?;
    }
    let sums = b.op_with("Cast", &[sums], Attrs::new().with("to", F32))?;
    let ratio = b.op("Mul", &[x_scale, w_scale])?;
    let ratio = b.op("Div", &[ratio, y_scale])?;
    let shape = b.ints(&by_channel);
    let ratio = b.op("Reshape", &[ratio, shape])?;
    let scaled = b.op("Mul", &[sums, ratio])?;
    let none = b.ints(&[]);
    let unit = b.constant(Tensor::scalar(1f32));
    let zero = b.op("Reshape", &[y_zero, none])?;
    Ok(vec![b.op("QuantizeLinear", &[scaled, unit, zero])?])
}

fn samples(s: &mut Samples) {
    for (left, right, to) in [(I8, I8, I8), (U8, I8, U8), (U8, U8, U8)] {
        for (x, w, attrs) in sample_cases() {
            let (x, w, b) = (s.any(left, &x), s.any(right, &w), s.ints(I32, &w[..1], -9, 9));
            let (scales, zeros) = (s.floats(F32, &w.shape()[..1], 0.1, 0.5), s.any(right, &w.shape()[..1]));
            let (x_zero, y_zero) = (s.any(left, &[]), s.any(to, &[]));
            let mut case = s.case().input(x).input(Tensor::scalar(0.3f32)).input(x_zero).input(w).input(scales);
            for (name, value) in attrs.iter() {
                case = case.attr(name, value.clone());
            }
            case.input(zeros).input(Tensor::scalar(0.2f32)).input(y_zero).input(b).add();
        }
    }
    let (x, w, zero) = (s.any(U8, &[1, 2, 4, 4]), s.any(U8, &[3, 2, 2, 2]), s.any(U8, &[]));
    let case = s.case().input(x).input(Tensor::scalar(0.3f32)).input(zero.clone()).input(w);
    let case = case.input(Tensor::scalar(0.2f32)).input(zero.clone());
    case.input(Tensor::scalar(0.2f32)).input(zero).add();
}
