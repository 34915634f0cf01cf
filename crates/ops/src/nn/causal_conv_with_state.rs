//! CausalConvWithState: convolution of each channel over the past alone, which is handed on from call to call. <https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html>

use super::normalization::per_channel;
use super::sigmoid::sigmoid;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("weight", "T"),
        Param::opt("bias", "T"),
        Param::opt("past_state", "T"),
    ],
    outputs: &[Param::one("output", "T"), Param::one("present_state", "T")],
    attrs: &[AttrDef::string("activation", "none")],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16, BF16]))],
};

/// The ONNX operator CausalConvWithState.
pub static CAUSAL_CONV_WITH_STATE: OpDef = OpDef {
    name: "CausalConvWithState",
    since: 27,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (dtype, x) = (cx.dtype(0), cx.shape(0));
    let tail = cx.shape(1).and_then(|w| Some(w.get(2)?.clone() - Dim::Known(1))).unwrap_or(Dim::Unknown);
    let state = match x {
        Some([batch, channels, _]) => Some(vec![batch.clone(), channels.clone(), tail]),
        Some(shape) => return Err(OpError::invalid(format!("an input of rank {}, 3 is wanted", shape.len()))),
        None => None,
    };
    cx.set(0, cx.ty(0));
    cx.set_tensor(1, dtype, state);
    Ok(())
}

fn silu(attrs: &AttrView) -> OpResult<bool> {
    match attrs.string("activation")? {
        "none" => Ok(false),
        "silu" | "swish" => Ok(true),
        other => Err(OpError::invalid(format!("activation is {other:?}"))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, w) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let (&[n, c, len], &[filters, 1, k]) = (x.shape(), w.shape()) else {
        return Err(OpError::invalid(format!("input {:?} and weight {:?}", x.shape(), w.shape())));
    };
    if filters != c || k == 0 {
        return Err(OpError::invalid(format!("{filters} filters of {k} elements for {c} channels")));
    }
    let past = match cx.opt_tensor(inputs, 3)? {
        Some(t) if t.shape() != [n, c, k - 1] => {
            return Err(OpError::invalid(format!("past_state has shape {:?}", t.shape())));
        }
        Some(t) => t.to_f64s()?,
        None => vec![0.0; n * c * (k - 1)],
    };
    let bias = cx.opt_tensor(inputs, 2)?.map(|t| per_channel(t, c, "bias")).transpose()?;
    let (data, weights, silu) = (x.to_f64s()?, w.to_f64s()?, silu(&cx.attrs)?);
    let (mut out, mut state) = (Vec::new(), Vec::new());
    for i in 0..n * c {
        let row = [&past[i * (k - 1)..][..k - 1], &data[i * len..][..len]].concat();
        let weights = &weights[i % c * k..][..k];
        for window in row.windows(k) {
            let sum = window.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
            let sum = sum + bias.as_ref().map_or(0.0, |b| b[i % c]);
            out.push(if silu { sum * sigmoid(sum) } else { sum });
        }
        state.extend_from_slice(&row[len..]);
    }
    let state = Tensor::from_f64s(x.dtype(), &[n, c, k - 1], &state)?;
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into(), state.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, w, bias, past) = (b.input(node, 0)?, b.input(node, 1)?, b.opt_input(node, 2), b.opt_input(node, 3));
    let silu = silu(&b.attrs(node)?)?;
    let size = |v: ValueId, i: usize| b.ty(v).shape().and_then(|s| s.get(i)?.known());
    let (Some(channels), Some(k)) = (size(w, 0), size(w, 2)) else {
        return Err(OpError::unsupported("a weight of unknown shape"));
    };
    let tail = k - 1;
    let padded = match past {
        Some(past) => b.op_with("Concat", &[past, x], Attrs::new().with("axis", 2))?,
        None => {
            let (pads, zero) = (b.ints(&[0, 0, tail, 0, 0, 0]), b.scalar_like(x, 0.0)?);
            b.op("Pad", &[x, pads, zero])?
        }
    };
    let mut out = b.node("", "Conv", &[Some(padded), Some(w), bias], Attrs::new().with("group", channels), 1)?[0];
    if silu {
        let gate = b.op("Sigmoid", &[out])?;
        out = b.op("Mul", &[out, gate])?;
    }
    let (from, to, axis) = (b.ints(&[if tail == 0 { i64::MAX } else { -tail }]), b.ints(&[i64::MAX]), b.ints(&[2]));
    Ok(vec![out, b.op("Slice", &[padded, from, to, axis])?])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (x, w) = (s.any(dtype, &[2, 3, 5]), s.any(dtype, &[3, 1, 4]));
        let (b, past) = (s.any(dtype, &[3]), s.any(dtype, &[2, 3, 3]));
        s.case().input(x.clone()).input(w.clone()).outputs(2).add();
        s.case().input(x).input(w).input(b).input(past).attr("activation", "silu").outputs(2).add();
    }
    let (x, w, past) = (s.any(F32, &[1, 2, 1]), s.any(F32, &[2, 1, 3]), s.any(F32, &[1, 2, 2]));
    s.case().input(x.clone()).input(w).absent().input(past).attr("activation", "swish").outputs(2).add();
    let w = s.any(F32, &[2, 1, 1]);
    s.case().input(x).input(w).outputs(2).add();
}
