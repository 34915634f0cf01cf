//! Flatten: a matrix whose rows count the dimensions before `axis` and whose columns count the others.
//!
//! <https://onnx.ai/onnx/operators/onnx__Flatten.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", 1)],
    types: &[types_of("T", ALL_IR13)],
};

/// The ONNX operator Flatten.
pub static FLATTEN: OpDef = OpDef {
    name: "Flatten",
    since: 25,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(legacy::axis_from_front),
        },
        Past {
            since: 11,
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

/// `axis` in `-rank..=rank`.
fn split_at(attrs: &AttrView, rank: usize) -> OpResult<usize> {
    let axis = attrs.int("axis")?;
    if axis == rank as i64 { Ok(rank) } else { shapes::axis(axis, rank.max(1)).map(|a| a.min(rank)) }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(x) => {
            let (rows, columns) = x.split_at(split_at(&cx.attrs, x.len())?);
            vec![shapes::product(rows), shapes::product(columns)]
        }
        None => vec![Dim::Unknown; 2],
    };
    cx.set_tensor(0, cx.dtype(0), Some(shape));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (rows, columns) = x.shape().split_at(split_at(&cx.attrs, x.rank())?);
    Ok(vec![x.reshaped(&[rows.iter().product(), columns.iter().product()])?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2, 3, 1]);
        s.case().input(x).add();
    }
    let cases: [(&[usize], i64); 8] = [
        (&[], 0),
        (&[5], 0),
        (&[5], 1),
        (&[3, 4], 2),
        (&[2, 3, 4], -1),
        (&[2, 1, 3, 2], -4),
        (&[1, 2, 1, 3, 2], 3),
        (&[2, 0, 3], 1),
    ];
    for (shape, axis) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).attr("axis", axis).add();
    }
}
