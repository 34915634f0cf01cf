//! AveragePool: mean of each window, over the elements it covers, or over its padding too. <https://onnx.ai/onnx/operators/onnx__AveragePool.html>

use super::pooling;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::int("ceil_mode", 0),
        AttrDef::int("count_include_pad", 0),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator AveragePool.
pub static AVERAGE_POOL: OpDef = OpDef {
    name: "AveragePool",
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
                    AttrDef::required("kernel_shape", AttrKind::Ints),
                    AttrDef::optional("pads", AttrKind::Ints),
                    AttrDef::optional("strides", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(pooling::without_padding),
        },
        Past {
            since: 7,
            schema: Schema {
                attrs: &[
                    AttrDef::string("auto_pad", "NOTSET"),
                    AttrDef::int("count_include_pad", 0),
                    AttrDef::required("kernel_shape", AttrKind::Ints),
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
            since: 10,
            schema: Schema {
                attrs: &[
                    AttrDef::string("auto_pad", "NOTSET"),
                    AttrDef::int("ceil_mode", 0),
                    AttrDef::int("count_include_pad", 0),
                    AttrDef::required("kernel_shape", AttrKind::Ints),
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
                    AttrDef::int("ceil_mode", 0),
                    AttrDef::int("count_include_pad", 0),
                    AttrDef::required("kernel_shape", AttrKind::Ints),
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
            since: 19,
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
    let x = cx.tensor(inputs, 0)?;
    let (axes, _) = pooling::geometry(&cx.attrs, x)?;
    let with_padding = cx.attrs.flag("count_include_pad")?;
    let outputs = axes.iter().map(|a| a.output).collect::<Vec<_>>();
    pooling::reduce(cx, x, |window, o| {
        let count = match with_padding {
            true => index::unravel(o, &outputs).iter().zip(&axes).map(|(&i, a)| a.covered(i)).product::<usize>(),
            false => window.len(),
        };
        window.iter().sum::<f64>() / count as f64
    })
}

fn samples(s: &mut Samples) {
    pooling::samples(s, FLOATS_BF16);
    let x = s.any(F32, &[2, 2, 4, 5]);
    for ceil in [0, 1] {
        let case = s.case().input(x.clone()).attr("kernel_shape", [3, 2]).attr("strides", [2, 2]);
        case.attr("ceil_mode", ceil).attr("count_include_pad", 1).attr("pads", [1, 0, 1, 1]).add();
    }
}
