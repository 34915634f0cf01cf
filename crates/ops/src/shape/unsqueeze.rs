//! Unsqueeze: dimensions of 1 inserted so that they stand at `axes` of the result.
//!
//! <https://onnx.ai/onnx/operators/onnx__Unsqueeze.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("axes", "tensor(int64)")],
    outputs: &[Param::one("expanded", "T")],
    attrs: &[],
    types: &[types_of("T", ALL_IR13)],
};

/// The ONNX operator Unsqueeze.
pub static UNSQUEEZE: OpDef = OpDef {
    name: "Unsqueeze",
    since: 25,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[AttrDef::required("axes", AttrKind::Ints)],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[AttrDef::required("axes", AttrKind::Ints)],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(|cx| cx.ints_to_input("axes", 1)),
            down: Adapt::Rewrite(|cx| cx.input_to_ints(1, "axes")),
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

fn widened<D: Clone>(shape: &[D], axes: &[i64], one: D) -> OpResult<Vec<D>> {
    let rank = shape.len() + axes.len();
    let axes = shapes::axes(axes, rank)?;
    let mut rest = shape.iter();
    Ok((0..rank).map(|i| if axes.contains(&i) { one.clone() } else { rest.next().unwrap_or(&one).clone() }).collect())
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.shape(0), cx.ints(1)) {
        (Some(x), Some(axes)) => Some(widened(x, &axes, Dim::Known(1))?),
        (Some(x), None) => moves::from_operand(cx, 1).map(|axes| vec![Dim::Unknown; x.len() + axes.len()]),
        _ => None,
    };
    shapes::reshaped_value(cx, shape.as_deref());
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axes = cx.tensor(inputs, 1)?.to_i64s()?;
    Ok(vec![x.reshaped(&widened(x.shape(), &axes, 1)?)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[3]);
        s.case().input(x).input(Tensor::vector(&[0i64])).add();
    }
    let cases: [(&[usize], &[i64]); 6] =
        [(&[], &[0]), (&[], &[-1, 0]), (&[2], &[]), (&[2, 3], &[-1, 1]), (&[2, 3, 4], &[3, 0]), (&[2, 0], &[1])];
    for (shape, axes) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::vector(axes)).add();
    }
}
