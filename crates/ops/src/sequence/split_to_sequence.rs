//! SplitToSequence: a tensor cut along `axis` into a sequence: parts of the sizes `split`, or of one size, or single slices.
//!
//! <https://onnx.ai/onnx/operators/onnx__SplitToSequence.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::opt("split", "I")],
    outputs: &[Param::one("output_sequence", "S")],
    attrs: &[AttrDef::int("axis", 0), AttrDef::int("keepdims", 1)],
    types: &[types_of("T", ALL_IR4), types_of("I", INDEX), types_of("S", ALL_IR4.only_sequences())],
};

/// The ONNX operator SplitToSequence.
pub static SPLIT_TO_SEQUENCE: OpDef = OpDef {
    name: "SplitToSequence",
    since: 24,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 11,
        schema: Schema {
            types: &[types_of("T", ALL), types_of("I", INDEX), types_of("S", ALL.only_sequences())],
            ..SCHEMA
        },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(x) => {
            let mut out = x.to_vec();
            let axis = shapes::axis(cx.attrs.int("axis")?, x.len())?;
            out[axis] = Dim::Unknown;
            if !cx.has(1) && !cx.attrs.flag("keepdims")? {
                out.remove(axis);
            } else if !cx.has(1) {
                out[axis] = Dim::Known(1);
            }
            Some(out)
        }
        None => None,
    };
    let item = Type::Tensor(TensorType { dtype: cx.dtype(0), shape });
    cx.set(0, Type::Sequence(Box::new(item)));
    Ok(())
}

/// Sizes of the parts of a dimension of `d`.
fn sizes(d: usize, split: Option<&Tensor>) -> OpResult<Vec<usize>> {
    let Some(split) = split else { return Ok(vec![1; d]) };
    let given = moves::sizes(&split.to_i64s()?)?;
    match (split.rank(), given.as_slice()) {
        (0, &[n]) if n > 0 => Ok((0..d.div_ceil(n)).map(|i| n.min(d - i * n)).collect()),
        (1, list) if list.iter().sum::<usize>() == d => Ok(list.to_vec()),
        _ => Err(OpError::invalid(format!("parts {given:?} of a dimension of {d}"))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, split) = (cx.tensor(inputs, 0)?, cx.opt_tensor(inputs, 1)?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    if split.is_none() && !cx.attrs.flag("keepdims")? {
        let slices = (0..x.shape()[axis]).map(|i| moves::taken(x, axis, i).map(Value::from));
        return Ok(vec![Value::Sequence(slices.collect::<OpResult<_>>()?)]);
    }
    let strides = index::strides(x.shape());
    let signed = strides.iter().map(|&s| s as isize).collect::<Vec<_>>();
    let (mut out, mut start) = (Vec::new(), 0);
    for size in sizes(x.shape()[axis], split)? {
        let mut shape = x.shape().to_vec();
        shape[axis] = size;
        let from = index::Offsets::new(&shape, &signed, (start * strides[axis]) as isize);
        out.push(x.gathered(&shape, from)?.into());
        start += size;
    }
    Ok(vec![Value::Sequence(out)])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[3, 2]);
        s.case().input(x.clone()).add();
        s.case().input(x.clone()).attr("keepdims", 0).attr("axis", -1).add();
        s.case().input(x.clone()).input(Tensor::scalar(2i64)).add();
        s.case().input(x).input(Tensor::vector(&[1i32, 0, 2])).add();
    }
    for shape in Samples::shapes().into_iter().filter(|s| s.len() > 1) {
        let x = s.any(F32, shape);
        s.case().input(x).attr("axis", 1).add();
    }
}
