//! CausalConvWithState: convolution of each channel over the present and past positions, which carries the last `k - 1` positions from call to call. <https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html>

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
    activation(&cx.attrs)?;
    cx.set(0, cx.ty(0));
    let carried = match (cx.shape(0), cx.shape(1)) {
        (Some([batch, channels, _]), Some([_, _, k])) => {
            Some(vec![batch.clone(), channels.clone(), k.clone() - Dim::Known(1)])
        }
        (Some(s), _) if s.len() != 3 => return Err(OpError::invalid(format!("rank 3 is wanted, not {}", s.len()))),
        _ => None,
    };
    cx.set_tensor(1, cx.dtype(0), carried);
    Ok(())
}

/// True when the result goes through SiLU, which is also called Swish.
fn activation(attrs: &AttrView) -> OpResult<bool> {
    match attrs.string("activation")? {
        "none" => Ok(false),
        "silu" | "swish" => Ok(true),
        other => Err(OpError::invalid(format!("activation is none, silu or swish, not {other:?}"))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, w) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let silu = activation(&cx.attrs)?;
    let (&[batch, channels, length], &[kernels, 1, k]) = (x.shape(), w.shape()) else {
        return Err(OpError::invalid(format!("input {:?} and weight {:?} do not fit", x.shape(), w.shape())));
    };
    let (bias, past) = (cx.opt_tensor(inputs, 2)?, cx.opt_tensor(inputs, 3)?);
    let fits = kernels == channels
        && k > 0
        && bias.is_none_or(|b| b.shape() == [channels])
        && past.is_none_or(|p| *p.shape() == [batch, channels, k - 1]);
    if !fits {
        return Err(OpError::invalid(format!("weight, bias or past state do not fit an input of {:?}", x.shape())));
    }
    let (values, weights) = (x.to_f64s()?, w.to_f64s()?);
    let bias = bias.map_or(Ok(vec![0.0; channels]), |b| b.to_f64s())?;
    let rows = batch * channels;
    let past = past.map_or(Ok(vec![0.0; rows * (k - 1)]), |p| p.to_f64s())?;
    let (mut y, mut state) = (Vec::with_capacity(values.len()), Vec::with_capacity(past.len()));
    for row in 0..rows {
        let c = row % channels;
        let line = [&past[row * (k - 1)..][..k - 1], &values[row * length..][..length]].concat();
        y.extend((0..length).map(|i| {
            let sum = bias[c] + (0..k).map(|j| line[i + j] * weights[c * k + j]).sum::<f64>();
            if silu { sum / (1.0 + (-sum).exp()) } else { sum }
        }));
        state.extend_from_slice(&line[length..]);
    }
    let state = Tensor::from_f64s(x.dtype(), &[batch, channels, k - 1], &state)?;
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &y)?.into(), state.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, w) = (b.input(node, 0)?, b.input(node, 1)?);
    let silu = activation(&b.attrs(node)?)?;
    let unknown = || OpError::unsupported("the shapes of input and weight are not known");
    let (shape, dtype) = (b.ty(x).sizes().ok_or_else(unknown)?, b.ty(x).dtype().ok_or_else(unknown)?);
    let k = b.ty(w).sizes().and_then(|s| s.get(2).copied()).filter(|_| shape.len() == 3).ok_or_else(unknown)?;
    let past = match b.opt_input(node, 3) {
        Some(past) => past,
        None => b.constant(Tensor::zeros(dtype, &[shape[0], shape[1], k.saturating_sub(1)])?),
    };
    let padded = b.op_with("Concat", &[past, x], Attrs::new().with("axis", 2))?;
    let inputs = [Some(padded), Some(w), b.opt_input(node, 2)];
    let given = if inputs[2].is_some() { 3 } else { 2 };
    let mut y = match shape[2] {
        // No step, no window: the state alone is shorter than one.
        0 => b.op("Identity", &[x])?,
        _ => b.node("", "Conv", &inputs[..given], Attrs::new().with("group", shape[1] as i64), 1)?[0],
    };
    if silu {
        y = b.op("Swish", &[y])?;
    }
    let (start, end, axis) = (b.ints(&[shape[2] as i64]), b.ints(&[i64::MAX]), b.ints(&[2]));
    let state = b.op("Slice", &[padded, start, end, axis])?;
    Ok(vec![y, state])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        for activation in ["none", "silu", "swish"] {
            let (x, w) = (s.any(dtype, &[2, 3, 5]), s.any(dtype, &[3, 1, 3]));
            let (bias, past) = (s.any(dtype, &[3]), s.any(dtype, &[2, 3, 2]));
            let case = s.case().attr("activation", activation).outputs(2).input(x.clone()).input(w.clone());
            case.input(bias).input(past.clone()).add();
            s.case().outputs(2).input(x.clone()).input(w.clone()).absent().input(past).add();
            s.case().outputs(2).input(x).input(w).add();
        }
    }
    for (x, w) in [([1, 1, 1], [1, 1, 4]), ([1, 2, 3], [2, 1, 1]), ([0, 2, 3], [2, 1, 2]), ([2, 3, 0], [3, 1, 3])] {
        let (x, w) = (s.any(F32, &x), s.any(F32, &w));
        s.case().outputs(2).input(x).input(w).add();
    }
}
