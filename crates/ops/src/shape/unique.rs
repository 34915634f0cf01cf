//! Unique: the elements (or the slices along `axis`) without repetition, sorted or in the order of their first occurrence, with
//! first positions, the position of each input in the result, and counts.
//!
//! <https://onnx.ai/onnx/operators/onnx__Unique.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[
        Param::one("Y", "T"),
        Param::opt("indices", "tensor(int64)"),
        Param::opt("inverse_indices", "tensor(int64)"),
        Param::opt("counts", "tensor(int64)"),
    ],
    attrs: &[AttrDef::optional("axis", AttrKind::Int), AttrDef::int("sorted", 1)],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator Unique.
pub static UNIQUE: OpDef = OpDef {
    name: "Unique",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 11,
        schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

use std::cmp::Ordering;
use std::ops::Range;

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.attrs.opt_int("axis")?, cx.shape(0)) {
        (None, _) => Some(vec![Dim::Unknown]),
        (Some(axis), Some(x)) => {
            let mut out = x.to_vec();
            out[shapes::axis(axis, x.len())?] = Dim::Unknown;
            Some(out)
        }
        (Some(_), None) => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    (1..4).for_each(|i| cx.set_tensor(i, Some(I64), Some(vec![Dim::Unknown])));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let mut x = cx.tensor(inputs, 0)?.clone();
    let axis = match cx.attrs.opt_int("axis")? {
        Some(axis) => shapes::axis(axis, x.rank())?,
        None => {
            x = x.reshaped(&[x.len()])?;
            0
        }
    };
    let d = x.shape()[axis];
    let (outer, inner) = (x.shape()[..axis].iter().product::<usize>(), x.shape()[axis + 1..].iter().product::<usize>());
    let elements = |i: usize| (0..outer).flat_map(move |o| (0..inner).map(move |k| (o * d + i) * inner + k));
    let numbers = !x.dtype().is_complex() && x.dtype() != DType::String;
    let mut groups = if outer * inner == 1 && numbers {
        let mut ranked = moves::sort_keys(&x)?.into_iter().zip(0..d).collect::<Vec<_>>();
        ranked.sort_unstable();
        Groups::of(ranked, |a, b| a.0 == b.0, |r| r.1)
    } else {
        let single = moves::order_of(&x)?;
        let order = |a: usize, b: usize| {
            let pairs = elements(a).zip(elements(b)).map(|(p, q)| single(p, q));
            pairs.into_iter().find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
        };
        let mut ranked = (0..d).collect::<Vec<_>>();
        ranked.sort_by(|&a, &b| order(a, b).then(a.cmp(&b)));
        Groups::of(ranked, |&a, &b| order(a, b) == Ordering::Equal, |&i| i)
    };
    if !cx.attrs.flag("sorted")? {
        groups.ranges.sort_by_key(|g| groups.members[g.start]);
    }
    let Groups { members, ranges: groups } = groups;
    let mut inverse = vec![0i64; d];
    groups.iter().enumerate().for_each(|(n, g)| members[g.clone()].iter().for_each(|&i| inverse[i] = n as i64));
    let mut shape = x.shape().to_vec();
    shape[axis] = groups.len();
    let first = groups.iter().map(|g| members[g.start]).collect::<Vec<_>>();
    let from = (0..outer).flat_map(|o| {
        let row = |&i: &usize| (0..inner).map(move |k| (o * d + i) * inner + k);
        first.iter().flat_map(row).collect::<Vec<_>>()
    });
    let unique = x.gathered(&shape, from)?;
    let indices = first.iter().map(|&i| i as i64).collect::<Vec<_>>();
    let counts = groups.iter().map(|g| g.len() as i64).collect::<Vec<_>>();
    let vector = |v: &[i64]| Value::from(Tensor::vector(v));
    Ok(vec![unique.into(), vector(&indices), vector(&inverse), vector(&counts)])
}

/// Equal slices.
struct Groups {
    /// Slices in order, equal ones in the order of their occurrence.
    members: Vec<usize>,
    /// Which of them are equal.
    ranges: Vec<Range<usize>>,
}

impl Groups {
    /// Runs of `equal` ones of `ranked`, whose places `at` tells.
    fn of<T>(ranked: Vec<T>, equal: impl Fn(&T, &T) -> bool, at: impl Fn(&T) -> usize) -> Groups {
        let mut ranges = Vec::<Range<usize>>::new();
        for (i, item) in ranked.iter().enumerate() {
            match ranges.last_mut() {
                Some(g) if equal(&ranked[g.start], item) => g.end = i + 1,
                _ => ranges.push(i..i + 1),
            }
        }
        Groups { members: ranked.iter().map(at).collect(), ranges }
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[3, 2]);
        s.case().input(x.clone()).outputs(4).add();
        s.case().input(x).attr("sorted", 0).attr("axis", 0).outputs(4).add();
    }
    for shape in Samples::shapes() {
        let x = s.ints(I8, shape, 0, 1);
        s.case().input(x.clone()).outputs(4).add();
        if !shape.is_empty() {
            s.case().input(x).attr("axis", -1).outputs(2).add();
        }
    }
    let x = s.special(F32, 24);
    s.case().input(x).outputs(4).add();
}
