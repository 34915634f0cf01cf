//! ReverseSequence: in each batch, the first `sequence_lens` steps along the time axis in reverse; the others stay.
//!
//! <https://onnx.ai/onnx/operators/onnx__ReverseSequence.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::one("sequence_lens", "tensor(int64)")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::int("batch_axis", 1), AttrDef::int("time_axis", 0)],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator ReverseSequence.
pub static REVERSE_SEQUENCE: OpDef = OpDef {
    name: "ReverseSequence",
    since: 28,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 10,
        schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, cx.dtype(0), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, lens) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?.to_i64s()?);
    let batch = shapes::axis(cx.attrs.int("batch_axis")?, x.rank())?;
    let time = shapes::axis(cx.attrs.int("time_axis")?, x.rank())?;
    if lens.len() != x.shape()[batch] || batch == time {
        return Err(OpError::invalid(format!("{} lengths for {} batches", lens.len(), x.shape()[batch])));
    }
    if let Some(bad) = lens.iter().find(|&&n| n < 0 || n > x.shape()[time] as i64) {
        return Err(OpError::invalid(format!("a length of {bad}, the time axis has {}", x.shape()[time])));
    }
    let strides = index::strides(x.shape());
    let from = (0..x.len()).map(|p| {
        let (b, t) = (p / strides[batch] % x.shape()[batch], p / strides[time] % x.shape()[time]);
        let n = lens[b] as usize;
        if t < n { p - t * strides[time] + (n - 1 - t) * strides[time] } else { p }
    });
    Ok(vec![x.gathered(x.shape(), from)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[4, 2]);
        s.case().input(x).input(Tensor::vector(&[3i64, 1])).add();
    }
    for shape in [&[2, 3][..], &[2, 3, 2], &[2, 1, 3, 1], &[2, 2, 0], &[2, 4, 1, 1, 2]] {
        let x = s.any(F32, shape);
        let len = shape[1] as i64;
        let case = s.case().input(x).input(Tensor::vector(&[len, len.min(1)]));
        case.attr("batch_axis", 0).attr("time_axis", 1).add();
    }
}
