//! TopK: the `K` largest (or smallest) elements along `axis` and their indices, in order; of equal ones the earlier comes first.
//! NaN counts as the largest.
//!
//! <https://onnx.ai/onnx/operators/onnx__TopK.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("K", "tensor(int64)")],
    outputs: &[Param::one("Values", "T"), Param::one("Indices", "I")],
    attrs: &[AttrDef::int("axis", -1), AttrDef::int("largest", 1), AttrDef::int("sorted", 1)],
    types: &[types_of("T", NUMERIC_BF16), types_of("I", I64_ONLY)],
};

/// The ONNX operator TopK.
pub static TOPK: OpDef = OpDef {
    name: "TopK",
    since: 24,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("X", "T")],
                attrs: &[AttrDef::int("axis", -1), AttrDef::required("k", AttrKind::Int)],
                types: &[types_of("T", FLOATS), types_of("I", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(|cx| cx.ints_to_input("k", 1)),
            down: Adapt::Rewrite(to_attribute),
        },
        Past {
            since: 10,
            schema: Schema {
                attrs: &[AttrDef::int("axis", -1)],
                types: &[types_of("T", FLOATS), types_of("I", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", NUMERIC), types_of("I", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn to_attribute(cx: &mut AdaptCx) -> OpResult<()> {
    cx.input_to_ints(1, "k")?;
    if let Some(Attr::Ints(k)) = cx.attrs().remove("k") {
        cx.attrs().set("k", k.first().copied().unwrap_or(0));
    }
    Ok(())
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(x) => {
            let axis = shapes::axis(cx.attrs.int("axis")?, x.len())?;
            let mut out = x.to_vec();
            out[axis] = cx.value(1).and_then(|v| v.dims.first().cloned()).unwrap_or(Dim::Unknown);
            Some(out)
        }
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape.clone());
    cx.set_tensor(1, Some(I64), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, k) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?.to_i64s()?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let d = x.shape()[axis];
    let k = match k.as_slice() {
        &[k] if (0..=d as i64).contains(&k) => k as usize,
        _ => return Err(OpError::invalid(format!("K is {k:?}, axis {axis} has {d} elements"))),
    };
    let largest = cx.attrs.flag("largest")?;
    let keys = moves::sort_keys(x)?;
    let (outer, inner) = (x.shape()[..axis].iter().product::<usize>(), x.shape()[axis + 1..].iter().product::<usize>());
    let mut from = vec![0; outer * k * inner];
    let mut indices = vec![0i64; from.len()];
    for row in 0..outer * inner {
        let (o, i) = (row / inner, row % inner);
        let at = |j: usize| (o * d + j) * inner + i;
        let key = |j: usize| if largest { !keys[at(j)] } else { keys[at(j)] };
        let mut ranked = (0..d).map(|j| (key(j), j)).collect::<Vec<_>>();
        if k > 0 && k < d {
            ranked.select_nth_unstable(k - 1);
        }
        ranked.truncate(k);
        ranked.sort_unstable();
        for (j, &(_, source)) in ranked.iter().enumerate() {
            let to = (o * k + j) * inner + i;
            from[to] = at(source);
            indices[to] = source as i64;
        }
    }
    let mut shape = x.shape().to_vec();
    shape[axis] = k;
    Ok(vec![x.gathered(&shape, from.into_iter())?.into(), Tensor::new(&shape, indices)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in NUMERIC_BF16.dtypes() {
        let x = s.any(dtype, &[3, 5]);
        s.case().input(x.clone()).input(Tensor::vector(&[2i64])).outputs(2).add();
        s.case().input(x).input(Tensor::vector(&[3i64])).attr("largest", 0).attr("axis", 0).outputs(2).add();
    }
    let cases: [(&[usize], i64, i64); 5] =
        [(&[6], 0, 6), (&[2, 3, 4], 1, 2), (&[2, 1, 3, 2], -2, 1), (&[1, 2, 1, 3, 2], 3, 2), (&[2, 0], 1, 0)];
    for (shape, axis, k) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::vector(&[k])).attr("axis", axis).attr("sorted", 0).outputs(2).add();
    }
    let x = s.special(F32, 12);
    s.case().input(x).input(Tensor::vector(&[12i64])).outputs(2).add();
}
