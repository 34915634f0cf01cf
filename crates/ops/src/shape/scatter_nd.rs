//! ScatterND: a copy of `data` in which the slices that the rows of `indices` name are replaced by, or combined with, `updates`.
//!
//! <https://onnx.ai/onnx/operators/onnx__ScatterND.html>

use crate::prelude::*;

use crate::shape::scattering;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("indices", "tensor(int64)"), Param::one("updates", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::string("reduction", "none")],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator ScatterND.
pub static SCATTER_ND: OpDef = OpDef {
    name: "ScatterND",
    since: 18,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 11,
            schema: Schema { attrs: &[], types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past { since: 13, schema: Schema { attrs: &[], ..SCHEMA }, up: Adapt::Compatible, down: Adapt::Compatible },
        Past { since: 16, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Compatible },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, cx.dtype(0), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, indices, updates) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
    let (starts, inner) = scattering::slices(x.shape(), indices, 0)?;
    let rows = &indices.shape()[..indices.rank().saturating_sub(1)];
    let depth = indices.shape().last().copied().unwrap_or(0);
    let wanted = [rows, &x.shape()[depth..]].concat();
    if updates.shape() != wanted {
        return Err(OpError::invalid(format!("updates of shape {:?}, {wanted:?} is wanted", updates.shape())));
    }
    let reduction = cx.attrs.string("reduction")?;
    if reduction == "none" && x.dtype() == updates.dtype() {
        return Ok(vec![x.replaced_runs(&starts, inner, updates)?.into()]);
    }
    let at = starts.iter().flat_map(|&s| s..s + inner).collect::<Vec<_>>();
    Ok(vec![scattering::scattered(x, updates, &at, reduction)?.into()])
}

fn samples(s: &mut Samples) {
    let rows = |n: usize, width: usize, values: &[i64]| {
        Tensor::new(&[n, width], values.to_vec()).unwrap_or_else(|_| Tensor::scalar(0i64))
    };
    for dtype in ALL_IR4.dtypes() {
        let (x, u) = (s.any(dtype, &[4, 3]), s.any(dtype, &[2, 3]));
        s.case().input(x).input(rows(2, 1, &[3, -3])).input(u).add();
    }
    for reduction in ["add", "mul", "min", "max"] {
        for dtype in NUMERIC_BF16.dtypes() {
            let (x, u) = (s.any(dtype, &[2, 2]), s.any(dtype, &[3]));
            let at = rows(3, 2, &[0, 1, 1, 1, 0, -1]);
            s.case().input(x).input(at).input(u).attr("reduction", reduction).add();
        }
    }
    let (x, u) = (s.any(F32, &[1, 2, 1, 3, 2]), s.any(F32, &[1, 1, 3, 2]));
    s.case().input(x.clone()).input(rows(1, 2, &[0, 1])).input(u).add();
    let u = s.any(F32, &[0, 2, 1, 3, 2]);
    s.case().input(x).input(rows(0, 1, &[])).input(u).add();
    let (x, u) = (s.any(F32, &[5]), s.special(F32, 2));
    s.case().input(x).input(rows(2, 1, &[0, 4])).input(u).add();
}
