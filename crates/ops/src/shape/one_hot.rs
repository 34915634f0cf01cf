//! OneHot: for each index a vector of `depth` elements along `axis`, the second of `values` at the index and the first elsewhere.
//! Indices outside `-depth..depth` give the first everywhere.
//!
//! <https://onnx.ai/onnx/operators/onnx__OneHot.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("indices", "T1"), Param::one("depth", "T2"), Param::one("values", "T3")],
    outputs: &[Param::one("output", "T3")],
    attrs: &[AttrDef::int("axis", -1)],
    types: &[types_of("T1", NUMERIC), types_of("T2", NUMERIC), types_of("T3", ALL_IR4)],
};

/// The ONNX operator OneHot.
pub static ONE_HOT: OpDef = OpDef {
    name: "OneHot",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 9,
            schema: Schema {
                types: &[types_of("T1", NUMERIC), types_of("T2", NUMERIC), types_of("T3", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema {
                types: &[types_of("T1", NUMERIC), types_of("T2", NUMERIC), types_of("T3", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn insert_at(attrs: &AttrView, rank: usize) -> OpResult<usize> {
    shapes::axis(attrs.int("axis")?, rank + 1)
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(x) => {
            let at = insert_at(&cx.attrs, x.len())?;
            let float = || Some(Dim::Known(*cx.constant(1)?.to_f64s().ok()?.first()? as i64));
            let depth = cx.value(1).and_then(|v| v.dims.first().cloned()).or_else(float).unwrap_or(Dim::Unknown);
            Some([&x[..at], &[depth], &x[at..]].concat())
        }
        None => None,
    };
    cx.set_tensor(0, cx.dtype(2), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, depth, values) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
    let at = insert_at(&cx.attrs, x.rank())?;
    if depth.len() != 1 || values.len() != 2 {
        return Err(OpError::invalid("depth has one element and values two"));
    }
    let depth = depth.to_f64s()?[0];
    let depth = moves::sizes(&[depth as i64])?[0];
    let shape = [&x.shape()[..at], &[depth], &x.shape()[at..]].concat();
    moves::affordable(&shape)?;
    let inner = x.shape()[at..].iter().product::<usize>();
    let hot = x.to_f64s()?.into_iter().map(|i| {
        // Indices are cast to integers before they count from the back.
        let i = if i.trunc() < 0.0 { i.trunc() + depth as f64 } else { i };
        (i >= 0.0 && i < depth as f64).then_some(i as usize)
    });
    let hot = hot.collect::<Vec<_>>();
    let places = hot.iter().enumerate().filter_map(|(p, k)| Some((p / inner * depth + (*k)?) * inner + p % inner));
    let places = places.collect::<Vec<_>>();
    let cold = values.strided(&shape, &vec![0; shape.len()], 0)?;
    let on = values.strided(&[places.len()], &[0], 1)?;
    Ok(vec![cold.replaced(&places, &on)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (x, values) = (s.ints(I64, &[2, 2], -4, 3), s.any(dtype, &[2]));
        s.case().input(x).input(Tensor::scalar(3i64)).input(values).add();
    }
    for dtype in NUMERIC.dtypes() {
        let x = s.ints(dtype, &[3], 0, 3);
        let depth = Tensor::from_i64s(dtype, &[1], &[4]).unwrap_or_else(|_| Tensor::scalar(4i64));
        s.case().input(x).input(depth).input(Tensor::vector(&[0f32, 1.0])).attr("axis", 0).add();
    }
    let (x, values) = (Tensor::vector(&[-3.75f32, -1.5, -0.5, 2.5]), Tensor::vector(&[0f32, 1.0]));
    s.case().input(x).input(Tensor::scalar(4f32)).input(values).add();
    for (shape, axis) in [(&[][..], 0), (&[2, 3, 1], 1), (&[1, 2, 1, 2], -2), (&[2, 0], 2)] {
        let x = s.ints(I32, shape, -3, 3);
        let case = s.case().input(x).input(Tensor::scalar(3i32)).input(Tensor::vector(&[-1f32, f32::NAN]));
        case.attr("axis", axis).add();
    }
}
