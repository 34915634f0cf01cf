//! ConstantOfShape: a tensor of the given shape filled with the one element of `value`, by default the `f32` 0.
//!
//! <https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::optional("value", AttrKind::Tensor)],
    types: &[
        types_of("T1", I64_ONLY),
        types_of(
            "T2",
            TypeSet::tensors(&[
                F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8,
                U16, U32, U64, I4, U4, I2, U2, Bool,
            ]),
        ),
    ],
};

/// The ONNX operator ConstantOfShape.
pub static CONSTANT_OF_SHAPE: OpDef = OpDef {
    name: "ConstantOfShape",
    since: 25,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 9,
            schema: Schema {
                types: &[
                    types_of("T1", I64_ONLY),
                    types_of("T2", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 20,
            schema: Schema {
                types: &[
                    types_of("T1", I64_ONLY),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16,
                            U32, U64, Bool,
                        ]),
                    ),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema {
                types: &[
                    types_of("T1", I64_ONLY),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16,
                            U32, U64, I4, U4, Bool,
                        ]),
                    ),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema {
                types: &[
                    types_of("T1", I64_ONLY),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, I32, I64,
                            U8, U16, U32, U64, I4, U4, Bool,
                        ]),
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
                    types_of("T1", I64_ONLY),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16,
                            I32, I64, U8, U16, U32, U64, I4, U4, Bool,
                        ]),
                    ),
                ],
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
    let value = cx.attrs.opt_tensor("value")?;
    let dtype = value.map_or(F32, |w| w.dtype());
    let shape = moves::from_operand(cx, 0);
    let fill = value.and_then(|w| match w.as_ref() {
        _ if !dtype.is_int() && dtype != Bool => None,
        w if w.len() == 1 => moves::small_constant(w)?.to_i64s().ok()?.first().copied(),
        _ => None,
    });
    if let (Some(fill), Some([Dim::Known(n @ 0..=64)])) = (fill, shape.as_deref()) {
        cx.set_value(0, SymTensor::vector(vec![Dim::Known(fill); *n as usize]));
    }
    cx.set_tensor(0, Some(dtype), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let shape = moves::sizes(&cx.tensor(inputs, 0)?.to_i64s()?)?;
    let value = cx.tensor_attr("value")?.unwrap_or_else(|| Tensor::vector(&[0f32]));
    if value.len() != 1 {
        return Err(OpError::invalid(format!("attribute value has {} elements, one is wanted", value.len())));
    }
    let n = shape.iter().product::<usize>();
    Ok(vec![value.gathered(&shape, std::iter::repeat_n(0, n))?.into()])
}

fn samples(s: &mut Samples) {
    let set = ALL_IR13.dtypes().filter(|d| !d.is_complex() && *d != DType::String);
    for dtype in set {
        let value = s.any(dtype, &[1]);
        s.case().input(Tensor::vector(&[2i64, 3])).attr("value", value).add();
    }
    for shape in [&[][..] as &[i64], &[4], &[2, 0], &[1, 2, 1], &[1, 2, 1, 2], &[1, 1, 2, 1, 2]] {
        s.case().input(Tensor::vector(shape)).add();
        s.case().input(Tensor::vector(shape)).attr("value", Tensor::vector(&[f32::NAN])).add();
    }
}
