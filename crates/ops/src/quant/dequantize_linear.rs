//! DequantizeLinear: `(x - zero point) * scale`. <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>

use super::scheme::{Granularity, single, zero_points};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T1"), Param::one("x_scale", "T2"), Param::opt("x_zero_point", "T1")],
    outputs: &[Param::one("y", "T3")],
    attrs: &[AttrDef::int("axis", 1), AttrDef::int("block_size", 0), AttrDef::int("output_dtype", 0)],
    types: &[
        types_of(
            "T1",
            TypeSet::tensors(&[
                F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, I32, U8, U16, I4, U4, I2, U2,
            ]),
        ),
        types_of("T2", TypeSet::tensors(&[F32, F16, BF16, F8E8M0])),
        types_of("T3", TypeSet::tensors(&[F32, F16, BF16])),
    ],
};

/// The ONNX operator DequantizeLinear.
pub static DEQUANTIZE_LINEAR: OpDef = OpDef {
    name: "DequantizeLinear",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 10,
            schema: Schema {
                inputs: &[
                    Param::one("x", "T"),
                    Param::one("x_scale", "tensor(float)"),
                    Param::opt("x_zero_point", "T"),
                ],
                outputs: &[Param::one("y", "tensor(float)")],
                attrs: &[],
                types: &[types_of("T", TypeSet::tensors(&[I8, I32, U8]))],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                inputs: &[
                    Param::one("x", "T"),
                    Param::one("x_scale", "tensor(float)"),
                    Param::opt("x_zero_point", "T"),
                ],
                outputs: &[Param::one("y", "tensor(float)")],
                attrs: &[AttrDef::int("axis", 1)],
                types: &[types_of("T", TypeSet::tensors(&[I8, I32, U8]))],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema {
                outputs: &[Param::one("y", "T2")],
                attrs: &[AttrDef::int("axis", 1)],
                types: &[
                    types_of("T1", TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I32, U8])),
                    types_of("T2", TypeSet::tensors(&[F32, F16, BF16])),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema {
                outputs: &[Param::one("y", "T2")],
                attrs: &[AttrDef::int("axis", 1), AttrDef::int("block_size", 0)],
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, U8, U16, I4, U4]),
                    ),
                    types_of("T2", TypeSet::tensors(&[F32, F16, BF16])),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(to_21),
        },
        Past {
            since: 23,
            schema: Schema {
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[
                            F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, I32, U8, U16, I4, U4,
                        ]),
                    ),
                    types_of("T2", TypeSet::tensors(&[F32, F16, BF16])),
                    types_of("T3", TypeSet::tensors(&[F32, F16, BF16])),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema {
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[
                            F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, I32, U8, U16, I4, U4,
                        ]),
                    ),
                    types_of("T2", TypeSet::tensors(&[F32, F16, BF16, F8E8M0])),
                    types_of("T3", TypeSet::tensors(&[F32, F16, BF16])),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past { since: 25, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Compatible },
    ],
    samples,
    ..OpDef::BASE
};

fn output_type(attrs: &AttrView, scale: Option<DType>) -> OpResult<Option<DType>> {
    match (attrs.opt_dtype("output_dtype")?, scale) {
        (None, Some(F8E8M0)) => Err(OpError::invalid("a scale of type f8e8m0 needs output_dtype")),
        (given, scale) => Ok(given.or(scale)),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let dtype = output_type(&cx.attrs, cx.dtype(1))?;
    cx.set_tensor(0, dtype, cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, scale) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let dtype = output_type(&cx.attrs, Some(scale.dtype()))?.unwrap_or(F32);
    let over = Granularity::of(x.shape(), scale.shape(), cx.attrs.int("axis")?, cx.attrs.int("block_size")?)?;
    let scales = scale.to_f64s()?;
    let zeros = zero_points(cx, inputs, 2, scales.len())?;
    let at = over.indices(x.shape());
    let value = |(v, &i): (&f64, &usize)| single(single(v - zeros[i]) * scales[i]);
    let out = x.to_f64s()?.iter().zip(&at).map(value).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(dtype, x.shape(), &out)?.into()])
}

/// Before opset 23 the result had the type of the scale.
fn to_21(cx: &mut AdaptCx) -> OpResult<()> {
    let wanted = AttrView::new(&DEQUANTIZE_LINEAR, cx.attrs()).opt_dtype("output_dtype")?;
    cx.attrs().remove("output_dtype");
    let scale = cx.input(1).and_then(|v| cx.model.ty(v).dtype());
    match wanted {
        Some(dtype) if scale != Some(dtype) => {
            Err(OpError::unsupported("a result of another type than the scale before opset 23"))
        }
        _ => Ok(()),
    }
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (x, scale) = (s.any(dtype, &[2, 3, 4]), s.floats(F32, &[3], 0.1, 2.0));
        let zero = match dtype.is_int() && dtype != I32 {
            true => s.any(dtype, &[3]),
            false => Tensor::zeros(dtype, &[3]).expect("three elements"),
        };
        s.case().input(x.clone()).input(scale).input(zero).add();
        s.case().input(x).input(Tensor::scalar(0.25f32)).add();
    }
    for dtype in SCHEMA.types[1].set.dtypes() {
        let (x, scale) = (s.any(I8, &[3, 5]), s.floats(dtype, &[3, 3], 0.25, 2.0));
        let case = s.case().input(x).input(scale).attr("axis", -1).attr("block_size", 2);
        case.attr("output_dtype", 10).add();
    }
    let x = s.any(U8, &[2, 3]);
    s.case().input(x).input(Tensor::scalar(0.5f32)).attr("output_dtype", BF16).add();
    let (none, one) = (s.any(U8, &[0, 3]), s.any(U8, &[]));
    s.case().input(none).input(Tensor::scalar(0.5f32)).add();
    s.case().input(one).input(Tensor::scalar(0.5f32)).attr("axis", 0).add();
}
