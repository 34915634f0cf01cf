//! QuantizeLinear: `x / scale` rounded to the nearest, ties to even, plus the zero point, saturated to the quantized type. <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>

use super::scheme::{Granularity, quantized, zero_points};
use crate::nn::normalization::rounder;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T1"), Param::one("y_scale", "T2"), Param::opt("y_zero_point", "T3")],
    outputs: &[Param::one("y", "T3")],
    attrs: &[
        AttrDef::int("axis", 1),
        AttrDef::int("block_size", 0),
        AttrDef::int("output_dtype", 0),
        AttrDef::int("precision", 0),
        AttrDef::int("saturate", 1),
    ],
    types: &[
        types_of("T1", TypeSet::tensors(&[F32, F16, BF16, I32])),
        types_of("T2", TypeSet::tensors(&[F32, F16, BF16, F8E8M0, I32])),
        types_of(
            "T3",
            TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, U8, U16, I4, U4, I2, U2]),
        ),
    ],
};

/// The ONNX operator QuantizeLinear.
pub static QUANTIZE_LINEAR: OpDef = OpDef {
    name: "QuantizeLinear",
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
                    Param::one("x", "T1"),
                    Param::one("y_scale", "tensor(float)"),
                    Param::opt("y_zero_point", "T2"),
                ],
                outputs: &[Param::one("y", "T2")],
                attrs: &[],
                types: &[types_of("T1", TypeSet::tensors(&[F32, I32])), types_of("T2", BYTES)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                inputs: &[
                    Param::one("x", "T1"),
                    Param::one("y_scale", "tensor(float)"),
                    Param::opt("y_zero_point", "T2"),
                ],
                outputs: &[Param::one("y", "T2")],
                attrs: &[AttrDef::int("axis", 1)],
                types: &[types_of("T1", TypeSet::tensors(&[F32, I32])), types_of("T2", BYTES)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema {
                inputs: &[Param::one("x", "T1"), Param::one("y_scale", "T1"), Param::opt("y_zero_point", "T2")],
                outputs: &[Param::one("y", "T2")],
                attrs: &[AttrDef::int("axis", 1), AttrDef::int("saturate", 1)],
                types: &[
                    types_of("T1", TypeSet::tensors(&[F32, F16, BF16, I32])),
                    types_of("T2", TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, U8])),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(to_19),
        },
        Past {
            since: 21,
            schema: Schema {
                inputs: &[Param::one("x", "T1"), Param::one("y_scale", "T1"), Param::opt("y_zero_point", "T2")],
                outputs: &[Param::one("y", "T2")],
                attrs: &[
                    AttrDef::int("axis", 1),
                    AttrDef::int("block_size", 0),
                    AttrDef::int("output_dtype", 0),
                    AttrDef::int("saturate", 1),
                ],
                types: &[
                    types_of("T1", TypeSet::tensors(&[F32, F16, BF16, I32])),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, U8, U16, I4, U4]),
                    ),
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
                    types_of("T1", TypeSet::tensors(&[F32, F16, BF16, I32])),
                    types_of("T2", TypeSet::tensors(&[F32, F16, BF16, I32])),
                    types_of(
                        "T3",
                        TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, U8, U16, I4, U4]),
                    ),
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
                    types_of("T1", TypeSet::tensors(&[F32, F16, BF16, I32])),
                    types_of("T2", TypeSet::tensors(&[F32, F16, BF16, F8E8M0, I32])),
                    types_of(
                        "T3",
                        TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, U8, U16, I4, U4]),
                    ),
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

/// Type of the output: that of the zero point, else `output_dtype`, else unsigned 8 bit.
fn output_type(attrs: &AttrView, zero_point: Option<DType>) -> OpResult<DType> {
    match (attrs.opt_dtype("output_dtype")?, zero_point) {
        (Some(a), Some(b)) if a != b => {
            Err(OpError::invalid(format!("output_dtype is {a}, the zero point is of type {b}")))
        }
        (a, b) => Ok(b.or(a).unwrap_or(U8)),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let dtype = match (cx.has(2), cx.dtype(2)) {
        (true, None) => None,
        (_, zero_point) => Some(output_type(&cx.attrs, zero_point)?),
    };
    cx.set_tensor(0, dtype, cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, scale) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let dtype = output_type(&cx.attrs, cx.opt_tensor(inputs, 2)?.map(Tensor::dtype))?;
    let over = Granularity::of(x.shape(), scale.shape(), cx.attrs.int("axis")?, cx.attrs.int("block_size")?)?;
    let precision = match (cx.attrs.opt_dtype("precision")?, scale.dtype()) {
        (Some(d), _) | (None, d @ (F16 | BF16)) => d,
        _ => F32,
    };
    let round = rounder(precision);
    let scales = scale.to_f64s()?;
    let zeros = zero_points(cx, inputs, 2, scales.len())?;
    let at = over.indices(x.shape());
    let ratio = |(v, &i): (&f64, &usize)| {
        let quotient = round(round(*v) / round(scales[i]));
        (if dtype.is_int() { quotient.round_ties_even() } else { quotient }) + zeros[i]
    };
    let out = x.to_f64s()?.iter().zip(&at).map(ratio).collect::<Vec<_>>();
    Ok(vec![quantized(dtype, x.shape(), &out, cx.attrs.flag("saturate")?)?.into()])
}

/// The output's type needs a zero point where the target has no `output_dtype`.
fn to_19(cx: &mut AdaptCx) -> OpResult<()> {
    let dtype = AttrView::new(&QUANTIZE_LINEAR, cx.attrs()).opt_dtype("output_dtype")?;
    cx.attrs().remove("output_dtype");
    match (dtype, cx.input(2), cx.input(1)) {
        (Some(dtype), None, Some(scale)) if dtype != U8 => {
            let sizes = cx.model.ty(scale).sizes();
            let sizes = sizes.ok_or_else(|| OpError::unsupported("output_dtype with scales of unknown shape"))?;
            let zero = cx.constant(Tensor::zeros(dtype, &sizes)?);
            cx.set_input(2, Some(zero));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Before opset 23 the scale had the type of the data (before 19, `f32`).
fn to_21(cx: &mut AdaptCx) -> OpResult<()> {
    let ty = |i: usize| cx.input(i).and_then(|v| cx.model.ty(v).dtype());
    match ty(0) == ty(1) || (ty(0) == Some(I32) && ty(1) == Some(F32)) {
        true => Ok(()),
        false => Err(OpError::unsupported("a scale of another type than the data before opset 23")),
    }
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[2].set.dtypes() {
        let x = s.floats(F32, &[2, 6], -20.0, 20.0);
        let zero = if dtype.is_int() { s.any(dtype, &[]) } else { Tensor::zeros(dtype, &[]).expect("one element") };
        s.case().input(x.clone()).input(Tensor::scalar(2f32)).input(zero).add();
        s.case().input(x).input(Tensor::scalar(0.5f32)).attr("output_dtype", dtype).add();
    }
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[2, 3, 2]);
        let scale = s.floats(if dtype == I32 { F32 } else { dtype }, &[3], 0.1, 2.0);
        let zero = s.any(U8, &[3]);
        s.case().input(x).input(scale).input(zero).add();
    }
    for dtype in SCHEMA.types[1].set.dtypes() {
        let scale = Tensor::from_f64s(dtype, &[], &[2.0]).expect("one number");
        let x = s.floats(F32, &[2, 3], -20.0, 20.0);
        s.case().input(x).input(scale).add();
    }
    let x = s.floats(F16, &[3, 5], -9.0, 9.0);
    let (scale, zero) = (s.floats(F16, &[3, 3], 0.1, 2.0), s.any(I8, &[3, 3]));
    let case = s.case().input(x.clone()).input(scale).input(zero).attr("axis", -1).attr("block_size", 2);
    case.attr("precision", 1).add();
    let special = s.special(F32, 12);
    s.case().input(special.clone()).input(Tensor::scalar(0.5f32)).add();
    s.case().input(special).input(Tensor::scalar(0.5f32)).attr("output_dtype", 17).attr("saturate", 0).add();
    let (none, one) = (s.any(F32, &[0, 3]), s.any(F32, &[]));
    s.case().input(none).input(Tensor::scalar(0.5f32)).add();
    s.case().input(one).input(Tensor::scalar(0.5f32)).add();
}
