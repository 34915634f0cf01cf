//! MaxPool: largest element of each window, and where it lies; padding is never chosen. <https://onnx.ai/onnx/operators/onnx__MaxPool.html>

use super::pooling;
use super::window::positions;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T"), Param::opt("Indices", "I")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::int("ceil_mode", 0),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::int("storage_order", 0),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I8, U8])), types_of("I", I64_ONLY)],
};

/// The ONNX operator MaxPool.
pub static MAX_POOL: OpDef = OpDef {
    name: "MaxPool",
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
                outputs: &[Param::one("Y", "T")],
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
            down: Adapt::Compatible,
        },
        Past {
            since: 8,
            schema: Schema {
                attrs: &[
                    AttrDef::string("auto_pad", "NOTSET"),
                    AttrDef::required("kernel_shape", AttrKind::Ints),
                    AttrDef::optional("pads", AttrKind::Ints),
                    AttrDef::int("storage_order", 0),
                    AttrDef::optional("strides", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS), types_of("I", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 10,
            schema: Schema { types: &[types_of("T", FLOATS), types_of("I", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", FLOATS), types_of("I", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 12,
            schema: Schema {
                types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, I8, U8])), types_of("I", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    pooling::infer(cx)?;
    let shape = cx.shape(0).is_some().then(|| pooling::output_dims(cx)).transpose()?.flatten();
    cx.set_tensor(1, Some(I64), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (axes, shape) = pooling::geometry(&cx.attrs, x)?;
    let data = x.to_f64s()?;
    let plane = x.shape()[2..].iter().product::<usize>();
    let column_major = cx.attrs.flag("storage_order")?;
    let windows = positions(&axes);
    let (mut values, mut indices) = (Vec::new(), Vec::new());
    if !data.is_empty() {
        for (c, channel) in data.chunks_exact(plane).enumerate() {
            for window in &windows {
                let best = largest(channel, window);
                values.push(best.map_or(f64::NEG_INFINITY, |i| channel[i]));
                let order = |i: usize| if column_major { transposed(i, &x.shape()[2..]) } else { i };
                indices.push(best.map_or(-1, |i| (c * plane + order(i)) as i64));
            }
        }
    }
    let values = Tensor::from_f64s(x.dtype(), &shape, &values)?;
    Ok(vec![values.into(), Tensor::new(&shape, indices)?.into()])
}

/// Position of the first largest element; NaN only where there is nothing else.
fn largest(channel: &[f64], window: &[usize]) -> Option<usize> {
    let mut best = *window.first()?;
    for &i in window {
        if channel[i] > channel[best] || (channel[best].is_nan() && !channel[i].is_nan()) {
            best = i;
        }
    }
    Some(best)
}

/// The flat position in column-major order of flat position `i` in row-major order.
fn transposed(i: usize, spatial: &[usize]) -> usize {
    index::unravel(i, spatial).iter().zip(spatial).rev().fold(0, |n, (p, d)| n * d + p)
}

fn samples(s: &mut Samples) {
    pooling::samples(s, SCHEMA.types[0].set);
    let x = s.any(F32, &[2, 2, 4, 5]);
    for order in [0, 1] {
        let case = s.case().input(x.clone()).outputs(2).attr("kernel_shape", [2, 3]);
        case.attr("storage_order", order).add();
    }
}
