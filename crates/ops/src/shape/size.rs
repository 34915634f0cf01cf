//! Size: the number of elements of a tensor. <https://onnx.ai/onnx/operators/onnx__Size.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T")],
    outputs: &[Param::one("size", "T1")],
    attrs: &[],
    types: &[types_of("T", ALL_IR13), types_of("T1", I64_ONLY)],
};

/// The ONNX operator Size.
pub static SIZE: OpDef = OpDef {
    name: "Size",
    since: 25,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { types: &[types_of("T", ALL), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("T", ALL_IR4), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema { types: &[types_of("T", ALL_IR9), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema { types: &[types_of("T", ALL_IR10), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema { types: &[types_of("T", ALL_IR11), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema { types: &[types_of("T", ALL_IR12), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let Some(x) = cx.shape(0) {
        cx.set_value(0, SymTensor::scalar(shapes::product(x)));
    }
    cx.set_tensor(0, Some(I64), Some(vec![]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    Ok(vec![Tensor::scalar(cx.tensor(inputs, 0)?.len() as i64).into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
}
