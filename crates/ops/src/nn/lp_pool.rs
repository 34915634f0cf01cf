//! LpPool: p-norm of each window. <https://onnx.ai/onnx/operators/onnx__LpPool.html>

use super::pooling;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::int("ceil_mode", 0),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::int("p", 2),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator LpPool.
pub static LP_POOL: OpDef = OpDef {
    name: "LpPool",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[
                    AttrDef::string("auto_pad", "NOTSET"),
                    AttrDef::optional("kernel_shape", AttrKind::Ints),
                    AttrDef::float("p", 2.0),
                    AttrDef::optional("pads", AttrKind::Ints),
                    AttrDef::optional("strides", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(pooling::whole_p),
            down: Adapt::Rewrite(pooling::float_p),
        },
        Past {
            since: 2,
            schema: Schema {
                attrs: &[
                    AttrDef::string("auto_pad", "NOTSET"),
                    AttrDef::required("kernel_shape", AttrKind::Ints),
                    AttrDef::int("p", 2),
                    AttrDef::optional("pads", AttrKind::Ints),
                    AttrDef::optional("strides", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema {
                attrs: &[
                    AttrDef::string("auto_pad", "NOTSET"),
                    AttrDef::required("kernel_shape", AttrKind::Ints),
                    AttrDef::int("p", 2),
                    AttrDef::optional("pads", AttrKind::Ints),
                    AttrDef::optional("strides", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 18,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    pooling::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let p = cx.attrs.int("p")? as f64;
    pooling::reduce(cx, cx.tensor(inputs, 0)?, |window, _| pooling::norm(window, p))
}

fn samples(s: &mut Samples) {
    pooling::samples(s, FLOATS_BF16);
    let x = s.any(F32, &[2, 2, 4, 5]);
    for p in [1, 3] {
        s.case().input(x.clone()).attr("kernel_shape", [3, 2]).attr("p", p).attr("ceil_mode", 1).add();
    }
}
