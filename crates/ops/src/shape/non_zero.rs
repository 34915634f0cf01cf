//! NonZero: positions of the elements that are not zero, one column each, in row-major order.
//!
//! <https://onnx.ai/onnx/operators/onnx__NonZero.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(int64)")],
    attrs: &[],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator NonZero.
pub static NON_ZERO: OpDef = OpDef {
    name: "NonZero",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 9,
        schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let rank = cx.rank(0).map_or(Dim::Unknown, Dim::from);
    cx.set_tensor(0, Some(I64), Some(vec![rank, Dim::Unknown]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let flags = match x.dtype() {
        DType::String => x.strings()?.iter().map(|s| !s.is_empty()).collect::<Vec<_>>(),
        _ => x.to_complex()?.iter().map(|&[r, i]| r != 0.0 || i != 0.0).collect(),
    };
    let at = (0..x.len()).filter(|&i| flags[i]).map(|i| index::unravel(i, x.shape())).collect::<Vec<_>>();
    let out = (0..x.rank()).flat_map(|d| at.iter().map(move |p| p[d] as i64)).collect::<Vec<_>>();
    Ok(vec![Tensor::new(&[x.rank(), at.len()], out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(Bool, shape);
        s.case().input(x).add();
    }
    let x = s.special(F32, 12);
    s.case().input(x).add();
}
