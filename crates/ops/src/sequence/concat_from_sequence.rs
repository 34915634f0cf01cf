//! ConcatFromSequence: the elements of a sequence joined along `axis`, which is a new one where `new_axis` says so.
//!
//! <https://onnx.ai/onnx/operators/onnx__ConcatFromSequence.html>

use crate::prelude::*;

use crate::sequence::positions;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input_sequence", "S")],
    outputs: &[Param::one("concat_result", "T")],
    attrs: &[AttrDef::required("axis", AttrKind::Int), AttrDef::int("new_axis", 0)],
    types: &[types_of("S", ALL.only_sequences()), types_of("T", ALL)],
};

/// The ONNX operator ConcatFromSequence.
pub static CONCAT_FROM_SEQUENCE: OpDef = OpDef {
    name: "ConcatFromSequence",
    since: 11,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let item = positions::item(&cx.ty(0));
    let shape = match item.shape() {
        Some(x) if cx.attrs.flag("new_axis")? => {
            let mut out = x.to_vec();
            out.insert(shapes::axis(cx.attrs.int("axis")?, x.len() + 1)?, Dim::Unknown);
            Some(out)
        }
        Some(x) => {
            let mut out = x.to_vec();
            out[shapes::axis(cx.attrs.int("axis")?, x.len())?] = Dim::Unknown;
            Some(out)
        }
        None => None,
    };
    cx.set_tensor(0, item.dtype(), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let parts = positions::items(inputs, 0)?.iter().map(|v| Ok(v.tensor()?.clone())).collect::<OpResult<Vec<_>>>()?;
    let axis = cx.attrs.int("axis")?;
    if cx.attrs.flag("new_axis")? {
        return Ok(vec![moves::stacked(&parts, axis)?.into()]);
    }
    let axis = shapes::axis(axis, parts.first().map_or(0, Tensor::rank))?;
    Ok(vec![modelsmith_tensor::concat(&parts, axis)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let items = Value::Sequence(vec![s.any(dtype, &[1, 2]).into(), s.any(dtype, &[3, 2]).into()]);
        s.case().input(items).attr("axis", -2).add();
        let items = Value::Sequence(vec![s.any(dtype, &[2]).into(), s.any(dtype, &[2]).into()]);
        s.case().input(items).attr("axis", -1).attr("new_axis", 1).add();
    }
}
