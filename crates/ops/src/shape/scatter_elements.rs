//! ScatterElements: a copy of `data` in which, for each position of `indices`, the element at that position with the index along
//! `axis` replaced is replaced by, or combined with, that of `updates`.
//!
//! <https://onnx.ai/onnx/operators/onnx__ScatterElements.html>

use crate::prelude::*;

use crate::shape::{gather_elements, scattering};
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("indices", "Tind"), Param::one("updates", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", 0), AttrDef::string("reduction", "none")],
    types: &[types_of("T", ALL_IR4), types_of("Tind", INDEX)],
};

/// The ONNX operator ScatterElements.
pub static SCATTER_ELEMENTS: OpDef = OpDef {
    name: "ScatterElements",
    since: 18,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 11,
            schema: Schema {
                attrs: &[AttrDef::int("axis", 0)],
                types: &[types_of("T", ALL), types_of("Tind", INDEX)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { attrs: &[AttrDef::int("axis", 0)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past { since: 16, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Compatible },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let Some(rank) = cx.rank(0) {
        shapes::axis(cx.attrs.int("axis")?, rank)?;
    }
    cx.set_tensor(0, cx.dtype(0), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, indices, updates) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    if updates.shape() != indices.shape() {
        let (u, i) = (updates.shape(), indices.shape());
        return Err(OpError::invalid(format!("updates of shape {u:?} and indices of shape {i:?}")));
    }
    let at = gather_elements::positions(x.shape(), indices, axis)?;
    Ok(vec![scattering::scattered(x, updates, &at, cx.attrs.string("reduction")?)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (x, u) = (s.any(dtype, &[3, 2]), s.any(dtype, &[2, 2]));
        s.case().input(x).input(repeated()).input(u).add();
    }
    for reduction in ["add", "mul", "min", "max"] {
        for dtype in NUMERIC_BF16.dtypes() {
            let (x, u) = (s.any(dtype, &[3, 2]), s.any(dtype, &[2, 2]));
            s.case().input(x).input(repeated()).input(u).attr("reduction", reduction).add();
        }
    }
    let cases: [(&[usize], &[usize], i64); 4] =
        [(&[4], &[3], -1), (&[2, 3, 4], &[1, 3, 2], 2), (&[1, 2, 1, 3, 2], &[1, 1, 1, 2, 2], 3), (&[2, 3], &[0, 3], 1)];
    for (shape, at, axis) in cases {
        let x = s.any(F32, shape);
        let u = s.special(F32, at.iter().product());
        let u = u.reshaped(at).unwrap_or(u);
        s.case()
            .input(x)
            .input(Tensor::zeros(I32, at).unwrap_or_else(|_| Tensor::scalar(0i32)))
            .input(u)
            .attr("axis", axis)
            .add();
    }
}

/// Indices of which two name one element.
fn repeated() -> Tensor {
    Tensor::new(&[2, 2], vec![2i64, 1, 0, -2]).unwrap_or_else(|_| Tensor::scalar(0i64))
}
