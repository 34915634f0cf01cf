//! CastLike: each element converted to the element type of `target_type`.
//!
//! <https://onnx.ai/onnx/operators/onnx__CastLike.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1"), Param::one("target_type", "T2")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::string("round_mode", "up"), AttrDef::int("saturate", 1)],
    types: &[
        types_of(
            "T1",
            TypeSet::tensors(&[
                F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8,
                U16, U32, U64, I4, U4, I2, U2, Bool, String,
            ]),
        ),
        types_of(
            "T2",
            TypeSet::tensors(&[
                F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8,
                U16, U32, U64, I4, U4, I2, U2, Bool, String,
            ]),
        ),
    ],
};

/// The ONNX operator CastLike.
pub static CAST_LIKE: OpDef = OpDef {
    name: "CastLike",
    since: 25,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 15,
            schema: Schema {
                attrs: &[],
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String]),
                    ),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String]),
                    ),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema {
                attrs: &[AttrDef::int("saturate", 1)],
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16,
                            U32, U64, Bool, String,
                        ]),
                    ),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16,
                            U32, U64, Bool, String,
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
                attrs: &[AttrDef::int("saturate", 1)],
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16,
                            U32, U64, I4, U4, Bool, String,
                        ]),
                    ),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16,
                            U32, U64, I4, U4, Bool, String,
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
                attrs: &[AttrDef::int("saturate", 1)],
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, I32, I64,
                            U8, U16, U32, U64, I4, U4, Bool, String,
                        ]),
                    ),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, I32, I64,
                            U8, U16, U32, U64, I4, U4, Bool, String,
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
                    types_of(
                        "T1",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16,
                            I32, I64, U8, U16, U32, U64, I4, U4, Bool, String,
                        ]),
                    ),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[
                            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16,
                            I32, I64, U8, U16, U32, U64, I4, U4, Bool, String,
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

use crate::shape::cast;

fn infer(cx: &mut InferCx) -> OpResult<()> {
    match cx.dtype(1) {
        Some(to) => cast::infer_as(cx, to)?,
        None => cx.set_tensor(0, None, cx.shape(0).map(<[Dim]>::to_vec)),
    }
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let to = cx.tensor(inputs, 1)?.dtype();
    Ok(vec![cast::convert(cx.tensor(inputs, 0)?, to, &cast::Modes::of(&cx.attrs)?)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, like) = (b.input(node, 0)?, b.input(node, 1)?);
    let to = b.ty(like).dtype().ok_or_else(|| OpError::unsupported("a target of unknown element type"))?;
    let attrs = b.attrs(node)?;
    let attrs = Attrs::new()
        .with("to", to)
        .with("saturate", attrs.int("saturate")?)
        .with("round_mode", attrs.string("round_mode")?);
    Ok(vec![b.op_with("Cast", &[x], attrs)?])
}

fn samples(s: &mut Samples) {
    for from in cast::castable() {
        for to in [F32, F16, I8, U4, F8E4M3FN, F8E8M0, Bool] {
            let words = vec!["3".to_owned(), "-1.5".to_owned()];
            let x = match Tensor::from_strings(&[2], words) {
                Ok(t) if from == DType::String => t,
                _ => s.any(from, &[2]),
            };
            let like = s.any(to, &[1, 2]);
            s.case().input(x.clone()).input(like.clone()).add();
            s.case().input(x).input(like).attr("saturate", 0).attr("round_mode", "down").add();
        }
    }
    for to in cast::castable() {
        let (x, like) = (s.any(F32, &[2]), s.any(to, &[]));
        s.case().input(x).input(like).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::scalar(1i32)).add();
    }
}
