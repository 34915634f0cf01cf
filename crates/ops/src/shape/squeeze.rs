//! Squeeze: drops dimensions of 1: those named by `axes`, or all. <https://onnx.ai/onnx/operators/onnx__Squeeze.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::opt("axes", "tensor(int64)")],
    outputs: &[Param::one("squeezed", "T")],
    attrs: &[],
    types: &[types_of("T", ALL_IR13)],
};

/// The ONNX operator Squeeze.
pub static SQUEEZE: OpDef = OpDef {
    name: "Squeeze",
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
                attrs: &[AttrDef::optional("axes", AttrKind::Ints)],
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
                attrs: &[AttrDef::optional("axes", AttrKind::Ints)],
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

/// Axes to drop, sorted; `None` when they are not known.
fn dropped(shape: &[Dim], axes: Option<Vec<i64>>, given: bool) -> OpResult<Option<Vec<usize>>> {
    match (axes, given) {
        (Some(axes), _) => Ok(Some(shapes::axes(&axes, shape.len())?)),
        (None, true) => Ok(None),
        (None, false) if shape.iter().all(|d| d.known().is_some()) => {
            Ok(Some((0..shape.len()).filter(|&i| shape[i] == Dim::Known(1)).collect()))
        }
        (None, false) => Ok(None),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let axes = match cx.shape(0) {
        Some(shape) => dropped(shape, cx.ints(1), cx.has(1))?,
        None => None,
    };
    let shape = cx.shape(0).zip(axes).map(|(shape, axes)| {
        (0..shape.len()).filter(|i| !axes.contains(i)).map(|i| shape[i].clone()).collect::<Vec<_>>()
    });
    shapes::reshaped_value(cx, shape.as_deref());
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axes = match cx.opt_ints(inputs, 1)? {
        Some(axes) => shapes::axes(&axes, x.rank())?,
        None => (0..x.rank()).filter(|&i| x.shape()[i] == 1).collect(),
    };
    if let Some(a) = axes.iter().find(|&&a| x.shape()[a] != 1) {
        return Err(OpError::invalid(format!("axis {a} has {} elements, only 1 can be squeezed", x.shape()[*a])));
    }
    let shape = (0..x.rank()).filter(|i| !axes.contains(i)).map(|i| x.shape()[i]).collect::<Vec<_>>();
    Ok(vec![x.reshaped(&shape)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[1, 3, 1]);
        s.case().input(x).input(Tensor::vector(&[0i64])).add();
    }
    for (shape, axes) in [(&[1, 3, 1, 2, 1][..], &[0i64, -1][..]), (&[1], &[0]), (&[2, 1, 0], &[1]), (&[2], &[])] {
        let x = s.any(F32, shape);
        s.case().input(x.clone()).input(Tensor::vector(axes)).add();
        s.case().input(x).add();
    }
}
