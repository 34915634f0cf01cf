//! Compress: the slices along `axis` (the elements, without one) where `condition` holds; a short condition ends them.
//!
//! <https://onnx.ai/onnx/operators/onnx__Compress.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::one("condition", "T1")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::optional("axis", AttrKind::Int)],
    types: &[types_of("T", ALL_IR4), types_of("T1", BOOL)],
};

/// The ONNX operator Compress.
pub static COMPRESS: OpDef = OpDef {
    name: "Compress",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 9,
            schema: Schema { types: &[types_of("T", ALL), types_of("T1", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", ALL), types_of("T1", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

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
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let flags = cx.tensor(inputs, 1)?.to_bools()?;
    let mut x = cx.tensor(inputs, 0)?.clone();
    let axis = match cx.attrs.opt_int("axis")? {
        Some(axis) => shapes::axis(axis, x.rank())?,
        None => {
            x = x.reshaped(&[x.len()])?;
            0
        }
    };
    let d = x.shape()[axis];
    let kept = flags.iter().take(d).enumerate().filter(|(_, f)| **f).map(|(i, _)| i).collect::<Vec<_>>();
    let (outer, inner) = (x.shape()[..axis].iter().product::<usize>(), x.shape()[axis + 1..].iter().product::<usize>());
    let kept = &kept;
    let from =
        (0..outer).flat_map(|o| kept.iter().flat_map(move |&i| (0..inner).map(move |k| (o * d + i) * inner + k)));
    let mut shape = x.shape().to_vec();
    shape[axis] = kept.len();
    Ok(vec![x.gathered(&shape, from)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (x, c) = (s.any(dtype, &[3, 2]), s.any(Bool, &[3]));
        s.case().input(x.clone()).input(c.clone()).attr("axis", 0).add();
        s.case().input(x).input(c).add();
    }
    for shape in Samples::shapes().into_iter().filter(|s| !s.is_empty()) {
        let (x, c) = (s.any(F32, shape), s.any(Bool, &[2]));
        s.case().input(x).input(c).attr("axis", -1).add();
    }
}
