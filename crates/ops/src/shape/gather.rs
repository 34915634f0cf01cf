//! Gather: the slices of `data` along `axis` that `indices` name, counted from the end when negative.
//!
//! <https://onnx.ai/onnx/operators/onnx__Gather.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("indices", "Tind")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", 0)],
    types: &[types_of("T", ALL_IR4), types_of("Tind", INDEX)],
};

/// The ONNX operator Gather.
pub static GATHER: OpDef = OpDef {
    name: "Gather",
    since: 13,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { types: &[types_of("T", ALL), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", ALL), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (Some(x), Some(i)) = (cx.shape(0), cx.shape(1)) else {
        cx.set_tensor(0, cx.dtype(0), None);
        return Ok(());
    };
    let axis = shapes::axis(cx.attrs.int("axis")?, x.len())?;
    let shape = [&x[..axis], i, &x[axis + 1..]].concat();
    if let (Some(v), Some(at), 1, 0..=1) = (cx.value(0), cx.ints(1), x.len(), i.len()) {
        let n = v.dims.len();
        let dims = at.iter().map(|&p| Ok(v.dims[shapes::axis(p, n)?].clone())).collect::<OpResult<Vec<_>>>()?;
        let shape = if i.is_empty() { vec![] } else { vec![dims.len()] };
        cx.set_value(0, SymTensor { shape, dims });
    }
    cx.set_tensor(0, cx.dtype(0), Some(shape));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, indices) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let d = x.shape()[axis];
    let outside = |i: i64| OpError::invalid(format!("index {i} is outside dimension {axis} of {d} elements"));
    let at = indices.to_i64s()?.into_iter().map(|i| index::axis(i, d).map_err(|_| outside(i)));
    let at = at.collect::<OpResult<Vec<_>>>()?;
    let shape = [&x.shape()[..axis], indices.shape(), &x.shape()[axis + 1..]].concat();
    moves::affordable(&shape)?;
    let (outer, inner) = (x.shape()[..axis].iter().product::<usize>(), x.shape()[axis + 1..].iter().product::<usize>());
    let at = &at;
    let runs = (0..outer).flat_map(|o| at.iter().map(move |&i| (o * d + i) * inner..(o * d + i + 1) * inner));
    Ok(vec![x.gathered_runs(&shape, runs)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[3, 2]);
        s.case().input(x).input(Tensor::vector(&[2i64, -3])).add();
    }
    let cases: [(&[usize], &[usize], i64); 6] = [
        (&[4], &[], 0),
        (&[3, 4], &[2, 2], 1),
        (&[2, 3, 4], &[1], -2),
        (&[2, 1, 3, 2], &[2, 1], 2),
        (&[1, 2, 1, 3, 2], &[3], 3),
        (&[2, 0, 3], &[2], 2),
    ];
    for (shape, at, axis) in cases {
        let d = shape[if axis < 0 { (axis + shape.len() as i64) as usize } else { axis as usize }] as i64;
        let (x, i) = (s.any(F32, shape), s.ints(I32, at, -d, d - 1));
        s.case().input(x).input(i).attr("axis", axis).add();
    }
    let x = s.any(F32, &[3, 2]);
    s.case().input(x).input(Tensor::zeros(I64, &[0]).unwrap_or_else(|_| Tensor::scalar(0i64))).add();
}
