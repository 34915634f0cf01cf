//! QLinearMatMul: matrix product of quantized tensors, quantized again. <https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html>

use super::matmul_integer::{centred, matched};
use super::scheme::{quantized, single};
use crate::math::contraction::{self, Product};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("a", "T1"),
        Param::one("a_scale", "TS"),
        Param::one("a_zero_point", "T1"),
        Param::one("b", "T2"),
        Param::one("b_scale", "TS"),
        Param::one("b_zero_point", "T2"),
        Param::one("y_scale", "TS"),
        Param::one("y_zero_point", "T3"),
    ],
    outputs: &[Param::one("y", "T3")],
    attrs: &[],
    types: &[
        types_of("TS", TypeSet::tensors(&[F32, F16, BF16])),
        types_of("T1", TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, U8])),
        types_of("T2", TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, U8])),
        types_of("T3", TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, U8])),
    ],
};

/// The ONNX operator QLinearMatMul.
pub static QLINEAR_MATMUL: OpDef = OpDef {
    name: "QLinearMatMul",
    since: 21,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 10,
        schema: Schema {
            inputs: &[
                Param::one("a", "T1"),
                Param::one("a_scale", "tensor(float)"),
                Param::one("a_zero_point", "T1"),
                Param::one("b", "T2"),
                Param::one("b_scale", "tensor(float)"),
                Param::one("b_zero_point", "T2"),
                Param::one("y_scale", "tensor(float)"),
                Param::one("y_zero_point", "T3"),
            ],
            types: &[types_of("T1", BYTES), types_of("T2", BYTES), types_of("T3", BYTES)],
            ..SCHEMA
        },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.shape(0), cx.shape(3)) {
        (Some(a), Some(b)) => Some(contraction::infer_matmul(a, b)?),
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(7), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (a, b) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 3)?);
    let (a_scale, b_scale) = (cx.tensor(inputs, 1)?, cx.tensor(inputs, 4)?);
    let (y_scale, y_zero) = (cx.tensor(inputs, 6)?, cx.tensor(inputs, 7)?);
    let p = Product::of(a.shape(), b.shape())?;
    let left = centred(a, Some(cx.tensor(inputs, 2)?), true)?;
    let right = centred(b, Some(cx.tensor(inputs, 5)?), false)?;
    let sums = p.run(&left, &right)?;
    let fit = |t: &Tensor, rows: bool| Ok::<_, OpError>((t.to_f64s()?, matched(&p.shape, t.shape(), rows)?));
    let (row_scales, row) = fit(a_scale, true)?;
    let (column_scales, column) = fit(b_scale, false)?;
    let (out_scales, out_scale) = fit(y_scale, true)?;
    let (zeros, zero) = fit(y_zero, true)?;
    let value = |(i, sum): (usize, &f64)| {
        let scale = single(single(row_scales[row[i]] * column_scales[column[i]]) / out_scales[out_scale[i]]);
        let scaled = single(single(*sum) * scale);
        (if y_zero.dtype().is_int() { scaled.round_ties_even() } else { scaled }) + zeros[zero[i]]
    };
    let out = sums.iter().enumerate().map(value).collect::<Vec<_>>();
    Ok(vec![quantized(y_zero.dtype(), &p.shape, &out, true)?.into()])
}

/// The product in integers, scaled and rounded once.
fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let input = |b: &Builder, i: usize| b.input(node, i);
    let [x, row, p, y, column, q, scale, zero] = {
        let mut all = Vec::new();
        for i in 0..8 {
            all.push(input(b, i)?);
        }
        <[ValueId; 8]>::try_from(all).map_err(|_| OpError::invalid("eight operands are wanted"))?
    };
    let one = |b: &Builder, v: ValueId| b.ty(v).sizes().is_some_and(|s| s.iter().product::<usize>() == 1);
    let bytes = |b: &Builder, v: ValueId| matches!(b.ty(v).dtype(), Some(I8 | U8));
    let single = |b: &Builder, v: ValueId| b.ty(v).dtype() == Some(F32);
    if ![row, p, scale, zero].iter().all(|&v| one(b, v)) || ![x, y, zero].iter().all(|&v| bytes(b, v)) {
        return Err(OpError::unsupported("scales for each row, or a type of other than 8 bits"));
    }
    if ![row, column, scale].iter().all(|&v| single(b, v)) {
        return Err(OpError::unsupported("scales that are no singles"));
    }
    let operands = [x, y, p, q].map(Some);
    let sums = b.node("", "MatMulInteger", &operands, Attrs::new(), 1)?[0];
    let sums = b.op_with("Cast", &[sums], Attrs::new().with("to", F32))?;
    let ratio = b.op("Mul", &[row, column])?;
    let ratio = b.op("Div", &[ratio, scale])?;
    let (scaled, unit, none) = (b.op("Mul", &[sums, ratio])?, b.constant(Tensor::scalar(1f32)), b.ints(&[]));
    let zero = b.op("Reshape", &[zero, none])?;
    Ok(vec![b.op("QuantizeLinear", &[scaled, unit, zero])?])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[1].set.dtypes() {
        let (a, b, zero) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[4, 5]), s.any(dtype, &[]));
        let zero = if dtype.is_int() { zero } else { Tensor::zeros(dtype, &[]).expect("one element") };
        let scale = |x: f32| Tensor::scalar(x);
        let case = s.case().input(a).input(scale(0.1)).input(zero.clone()).input(b).input(scale(0.2));
        case.input(zero.clone()).input(scale(0.3)).input(zero).add();
    }
    for dtype in [F32, F16, BF16] {
        let (a, b) = (s.any(U8, &[3, 4]), s.any(I8, &[4, 5]));
        let (row, column) = (s.floats(dtype, &[3], 0.1, 0.5), s.floats(dtype, &[5], 0.1, 0.5));
        let (p, q, y) = (s.any(U8, &[3]), s.any(I8, &[5]), s.any(I8, &[1]));
        let scale = s.floats(dtype, &[1], 0.1, 0.5);
        let case = s.case().input(a).input(row).input(p).input(b).input(column).input(q);
        case.input(scale).input(y).add();
    }
}
