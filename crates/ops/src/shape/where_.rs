//! Where: the element of `X` where `condition` holds and that of `Y` where not, with broadcasting.
//!
//! <https://onnx.ai/onnx/operators/onnx__Where.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("condition", "B"), Param::one("X", "T"), Param::one("Y", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("B", BOOL), types_of("T", ALL_IR4)],
};

/// The ONNX operator Where.
pub static WHERE: OpDef = OpDef {
    name: "Where",
    since: 16,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 9,
        schema: Schema { types: &[types_of("B", BOOL), types_of("T", ALL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let dtype = cx.dtype(1).or_else(|| cx.dtype(2));
    let shapes_of = (0..3).map(|i| cx.shape(i)).collect::<Option<Vec<_>>>();
    let shape = shapes_of.map(|s| shapes::broadcast(&s)).transpose()?;
    if let Some(dims) = chosen(cx) {
        let rank = shape.as_ref().map_or(1, Vec::len);
        cx.set_value(0, SymTensor { shape: if rank == 0 { vec![] } else { vec![dims.len()] }, dims });
    }
    cx.set_tensor(0, dtype, shape);
    Ok(())
}

/// Elements of the result of a choice between small vectors of integers.
fn chosen(cx: &InferCx) -> Option<Vec<Dim>> {
    let (x, y) = (cx.value(1)?, cx.value(2)?);
    let condition = cx.value(0).map(|v| v.dims.clone()).or_else(|| {
        let n = cx.shape(0)?.iter().map(Dim::size).product::<Option<usize>>()?;
        (cx.rank(0)? <= 1 && n <= 64).then(|| vec![Dim::Unknown; n])
    })?;
    if (0..3).any(|i| cx.rank(i).is_none_or(|r| r > 1)) {
        return None;
    }
    let n = [condition.len(), x.dims.len(), y.dims.len()].into_iter().find(|&n| n != 1).unwrap_or(1);
    let at = |v: &[Dim], i: usize| if v.len() == 1 { v[0].clone() } else { v.get(i).cloned().unwrap_or(Dim::Unknown) };
    let pick = |i: usize| match (at(&condition, i), at(&x.dims, i), at(&y.dims, i)) {
        (Dim::Known(0), _, y) => y,
        (Dim::Known(_), x, _) => x,
        (_, x, y) if x == y => x,
        _ => Dim::Unknown,
    };
    Some((0..n).map(pick).collect())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (c, x, y) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
    let shape = index::broadcast(&[c.shape(), x.shape(), y.shape()])?;
    moves::affordable(&shape)?;
    let at =
        |t: &Tensor| Ok::<_, OpError>(index::Offsets::unsigned(&shape, &index::broadcast_strides(t.shape(), &shape)?));
    let (flags, n) = (c.to_bools()?, x.len());
    let from = at(c)?.zip(at(x)?.zip(at(y)?)).map(|(c, (x, y))| if flags[c] { x } else { n + y });
    Ok(vec![moves::pool(&[x, y])?.gathered(&shape, from)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (c, x, y) = (s.any(Bool, &[2, 3]), s.any(dtype, &[2, 3]), s.any(dtype, &[3]));
        s.case().input(c).input(x).input(y).add();
    }
    let cases: [[&[usize]; 3]; 5] = [
        [&[], &[], &[]],
        [&[3], &[], &[2, 1]],
        [&[2, 1, 4], &[3, 1], &[1, 1, 4]],
        [&[1, 2, 1, 3, 2], &[2], &[1, 1, 1, 1]],
        [&[2, 0], &[1], &[2, 1]],
    ];
    for [a, b, c] in cases {
        let (a, b, c) = (s.any(Bool, a), s.any(F32, b), s.any(F32, c));
        s.case().input(a).input(b).input(c).add();
    }
    let (c, x, y) = (s.any(Bool, &[12]), s.special(F32, 12), s.any(F32, &[12]));
    s.case().input(c).input(x).input(y).add();
}
