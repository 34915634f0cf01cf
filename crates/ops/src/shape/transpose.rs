//! Transpose: dimensions in the order `perm`, by default reversed.
//!
//! <https://onnx.ai/onnx/operators/onnx__Transpose.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T")],
    outputs: &[Param::one("transposed", "T")],
    attrs: &[AttrDef::optional("perm", AttrKind::Ints)],
    types: &[types_of("T", ALL_IR13)],
};

/// The ONNX operator Transpose.
pub static TRANSPOSE: OpDef = OpDef {
    name: "Transpose",
    since: 25,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("T", ALL_IR4)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema { types: &[types_of("T", ALL_IR10)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema { types: &[types_of("T", ALL_IR11)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema { types: &[types_of("T", ALL_IR12)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

/// `perm` as positions.
fn permutation(attrs: &AttrView, rank: usize) -> OpResult<Vec<usize>> {
    let Some(perm) = attrs.opt_ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let out = shapes::axes(&perm, rank)?;
    match out.len() == rank {
        true => Ok(out),
        false => Err(OpError::invalid(format!("perm {perm:?} for a tensor of rank {rank}"))),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(x) => Some(permutation(&cx.attrs, x.len())?.into_iter().map(|p| x[p].clone()).collect::<Vec<_>>()),
        None => cx.attrs.opt_ints("perm")?.map(|p| vec![Dim::Unknown; p.len()]),
    };
    shapes::reshaped_value(cx, shape.as_deref());
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let perm = permutation(&cx.attrs, x.rank())?;
    Ok(vec![modelsmith_tensor::permuted(x, &perm)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x.clone()).add();
        let rank = shape.len() as i64;
        s.case().input(x).attr("perm", (0..rank).map(|i| (i + 1) % rank).collect::<Vec<_>>()).add();
    }
}
