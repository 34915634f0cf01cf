//! Concat: tensors of one type joined along `axis`.
//!
//! <https://onnx.ai/onnx/operators/onnx__Concat.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("inputs", "T", 1)],
    outputs: &[Param::one("concat_result", "T")],
    attrs: &[AttrDef::required("axis", AttrKind::Int)],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator Concat.
pub static CONCAT: OpDef = OpDef {
    name: "Concat",
    since: 13,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::optional("axis", AttrKind::Int)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(default_axis),
            down: Adapt::Compatible,
        },
        Past {
            since: 4,
            schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

/// Opset 1 joined along axis 1 when `axis` was absent.
fn default_axis(cx: &mut AdaptCx) -> OpResult<()> {
    if cx.attrs().get("axis").is_none() {
        cx.attrs().set("axis", 1);
    }
    Ok(())
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let n = cx.input_count();
    let dtype = (0..n).find_map(|i| cx.dtype(i));
    let Some(rank) = (0..n).find_map(|i| cx.rank(i)) else {
        cx.set_tensor(0, dtype, None);
        return Ok(());
    };
    let axis = shapes::axis(cx.attrs.int("axis")?, rank)?;
    let mut out = vec![Dim::Unknown; rank];
    out[axis] = Dim::Known(0);
    for i in 0..n {
        let Some(shape) = cx.shape(i) else {
            out[axis] = Dim::Unknown;
            continue;
        };
        if shape.len() != rank {
            return Err(OpError::invalid(format!("operands of rank {rank} and {}", shape.len())));
        }
        for (j, (o, d)) in out.iter_mut().zip(shape).enumerate() {
            *o = if j == axis { o.clone() + d.clone() } else { moves::agreed(o, d)? };
        }
    }
    if let Some(dims) = joined_values(cx, rank) {
        cx.set_value(0, SymTensor::vector(dims));
    }
    cx.set_tensor(0, dtype, Some(out));
    Ok(())
}

/// Elements of the result when it is a small vector of integers; those of an operand without known ones are unknown.
fn joined_values(cx: &InferCx, rank: usize) -> Option<Vec<Dim>> {
    let mut out = Vec::new();
    for i in 0..cx.input_count() {
        match cx.value(i) {
            Some(v) => out.extend(v.dims.iter().cloned()),
            None => out.extend(vec![Dim::Unknown; cx.shape(i)?.first()?.size().filter(|&n| n <= 64)?]),
        }
    }
    (rank == 1 && cx.dtype(0).is_some_and(DType::is_int) && out.len() <= 1024).then_some(out)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let parts = (0..inputs.len()).map(|i| cx.tensor(inputs, i).cloned()).collect::<OpResult<Vec<_>>>()?;
    let rank = parts.first().map_or(0, Tensor::rank);
    let axis = shapes::axis(cx.attrs.int("axis")?, rank)?;
    Ok(vec![modelsmith_tensor::concat(&parts, axis)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (a, b) = (s.any(dtype, &[2, 3]), s.any(dtype, &[2, 1]));
        s.case().input(a).input(b).attr("axis", 1).add();
    }
    let cases: [(&[&[usize]], i64); 5] = [
        (&[&[3]], 0),
        (&[&[2], &[0], &[3]], -1),
        (&[&[2, 1, 3], &[2, 2, 3], &[2, 1, 3]], 1),
        (&[&[1, 2, 3, 1], &[2, 2, 3, 1]], -4),
        (&[&[1, 2, 0, 1, 1], &[1, 2, 0, 1, 1]], 4),
    ];
    for (parts, axis) in cases {
        let parts = parts.iter().map(|p| s.any(F32, p)).collect::<Vec<_>>();
        parts.into_iter().fold(s.case().attr("axis", axis), |c, p| c.input(p)).add();
    }
}
