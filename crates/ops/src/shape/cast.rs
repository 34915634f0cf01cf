//! Cast: each element converted to the type `to`, in one step from the source type.
//! Floats become integers by truncation; what leaves the range of a narrow integer keeps its low bits, as the
//! specification leaves open and numpy and ONNX Runtime do. Floats print with the fewest digits that read back.
//!
//! <https://onnx.ai/onnx/operators/onnx__Cast.html>

use crate::prelude::*;
use modelsmith_ir::dtype_of_code;
use std::string::String;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::string("round_mode", "up"), AttrDef::int("saturate", 1), AttrDef::required("to", AttrKind::Int)],
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

/// The ONNX operator Cast.
pub static CAST: OpDef = OpDef {
    name: "Cast",
    since: 28,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::required("to", AttrKind::String)],
                types: &[
                    types_of("T1", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                    types_of("T2", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                ],
                ..SCHEMA
            },
            up: Adapt::Rewrite(type_from_name),
            down: Adapt::Rewrite(type_to_name),
        },
        Past {
            since: 6,
            schema: Schema {
                attrs: &[AttrDef::required("to", AttrKind::Int)],
                types: &[
                    types_of("T1", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                    types_of("T2", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema {
                attrs: &[AttrDef::required("to", AttrKind::Int)],
                types: &[
                    types_of(
                        "T1",
                        TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String]),
                    ),
                    types_of(
                        "T2",
                        TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String]),
                    ),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                attrs: &[AttrDef::required("to", AttrKind::Int)],
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
            down: Adapt::Rewrite(without_saturation),
        },
        Past {
            since: 19,
            schema: Schema {
                attrs: &[AttrDef::int("saturate", 1), AttrDef::required("to", AttrKind::Int)],
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
                attrs: &[AttrDef::int("saturate", 1), AttrDef::required("to", AttrKind::Int)],
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
                attrs: &[AttrDef::int("saturate", 1), AttrDef::required("to", AttrKind::Int)],
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
        Past { since: 25, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Compatible },
    ],
    samples,
    ..OpDef::BASE
};

/// Names that opset 1 wrote for types.
const NAMES: [(&str, DType); 13] = [
    ("FLOAT", F32),
    ("DOUBLE", F64),
    ("FLOAT16", F16),
    ("INT8", I8),
    ("INT16", I16),
    ("INT32", I32),
    ("INT64", I64),
    ("UINT8", U8),
    ("UINT16", U16),
    ("UINT32", U32),
    ("UINT64", U64),
    ("BOOL", Bool),
    ("STRING", DType::String),
];

fn type_from_name(cx: &mut AdaptCx) -> OpResult<()> {
    if let Some(Attr::String(name)) = cx.attrs().get("to").cloned() {
        let found = NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(&name));
        let (_, dtype) = found.ok_or_else(|| OpError::invalid(format!("{name:?} names no element type")))?;
        cx.attrs().set("to", *dtype);
    }
    Ok(())
}

fn type_to_name(cx: &mut AdaptCx) -> OpResult<()> {
    let to = cx.attrs().get("to").cloned();
    let dtype = match to {
        Some(Attr::Int(code)) => modelsmith_ir::dtype_of_code(code),
        _ => None,
    };
    match NAMES.iter().find(|(_, d)| Some(*d) == dtype) {
        Some((name, _)) => cx.attrs().set("to", *name),
        None => return Err(OpError::unsupported("this element type at opset 1")),
    }
    Ok(())
}

fn target(attrs: &AttrView) -> OpResult<DType> {
    attrs.opt_dtype("to")?.ok_or_else(|| OpError::invalid("attribute to is required"))
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let to = target(&cx.attrs)?;
    infer_as(cx, to)
}

/// Type and elements of input 0 as the type `to`.
///
/// # Errors
/// When a constant cannot be converted.
pub(crate) fn infer_as(cx: &mut InferCx, to: DType) -> OpResult<()> {
    if let Some(t) = cx.constant(0) {
        let modes = Modes::of(&cx.attrs)?;
        cx.set_fact(0, Fact::constant(convert(t, to, &modes)?));
        return Ok(());
    }
    if let Some(v) = cx.value(0).filter(|_| to.is_int() || to == Bool) {
        let wide = matches!(to, I32 | I64 | U32 | U64);
        let narrowed = |n: i64| Tensor::from_i64s(to, &[], &[n]).and_then(|t| t.to_i64s()).ok()?.first().copied();
        let cast = |d: &Dim| match d {
            Dim::Known(n) => narrowed(*n).map_or(Dim::Unknown, Dim::Known),
            d if wide => d.clone(),
            _ => Dim::Unknown,
        };
        let dims = v.dims.iter().map(cast).collect();
        cx.set_value(0, SymTensor { shape: v.shape.clone(), dims });
    }
    cx.set_tensor(0, Some(to), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

/// How conversions to narrow floats round and overflow.
pub(crate) struct Modes {
    saturate: bool,
    round: Round,
}

enum Round {
    Up,
    Down,
    Nearest,
}

impl Modes {
    /// The defaults of the attributes.
    pub(crate) const PLAIN: Modes = Modes { saturate: true, round: Round::Up };

    pub(crate) fn of(attrs: &AttrView) -> OpResult<Modes> {
        let round = match attrs.string("round_mode")? {
            "up" => Round::Up,
            "down" => Round::Down,
            "nearest" => Round::Nearest,
            other => return Err(OpError::invalid(format!("round_mode {other:?}"))),
        };
        Ok(Modes { saturate: attrs.flag("saturate")?, round })
    }
}

/// `x` as elements of type `to`.
///
/// # Errors
/// When a string is no number, or a type has no conversion.
pub(crate) fn convert(x: &Tensor, to: DType, modes: &Modes) -> OpResult<Tensor> {
    let from = x.dtype();
    if from == to {
        return Ok(x.clone());
    }
    if from.is_complex() || to.is_complex() {
        return Err(OpError::unsupported(format!("a cast from {from} to {to}")));
    }
    if to == DType::String {
        return Ok(Tensor::from_strings(x.shape(), texts(x)?)?);
    }
    if from == DType::String {
        return parsed(x, to, modes);
    }
    match to {
        F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ | F8E8M0 => from_floats(&x.to_f64s()?, x.shape(), to, modes),
        F32 if from == U64 => Ok(Tensor::new(x.shape(), x.to_u64s()?.iter().map(|&v| v as f32).collect())?),
        F32 if from.is_int() => Ok(Tensor::new(x.shape(), x.to_i64s()?.iter().map(|&v| v as f32).collect())?),
        _ if from.is_float() => from_floats(&x.to_f64s()?, x.shape(), to, modes),
        _ if from == U64 => Ok(Tensor::from_u64s(to, x.shape(), &x.to_u64s()?)?),
        _ => Ok(Tensor::from_i64s(to, x.shape(), &x.to_i64s()?)?),
    }
}

fn from_floats(values: &[f64], shape: &[usize], to: DType, modes: &Modes) -> OpResult<Tensor> {
    let bytes =
        |f: &dyn Fn(f64) -> u8| Tensor::from_bytes(to, shape, &values.iter().map(|&v| f(v)).collect::<Vec<_>>());
    Ok(match to {
        F8E8M0 => bytes(&|v| power_of_two(v, modes))?,
        F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ => {
            bytes(&|v| modelsmith_base::minifloat::encode(to, v, modes.saturate))?
        }
        // The specification's page on types of 4 bits: to the nearest, ties to even, then cut to the bits there are.
        I4 | U4 | I2 | U2 => {
            Tensor::from_i64s(to, shape, &values.iter().map(|&v| v.round_ties_even() as i64).collect::<Vec<_>>())?
        }
        _ if to.is_int() && to.bits() < 32 => {
            Tensor::from_i64s(to, shape, &values.iter().map(|&v| v as i64).collect::<Vec<_>>())?
        }
        _ => Tensor::from_f64s(to, shape, values)?,
    })
}

/// The pattern of the power of two that `value` rounds to.
fn power_of_two(value: f64, modes: &Modes) -> u8 {
    const NAN: u8 = 255;
    let limit = |bound: u8| if modes.saturate { bound } else { NAN };
    if value.is_nan() {
        return NAN;
    }
    if value <= 0.0 {
        return limit(0);
    }
    if value.is_infinite() {
        return limit(254);
    }
    let exponent = ((value.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    let mantissa = value.to_bits() << 12;
    let up = match modes.round {
        Round::Up => mantissa > 0,
        Round::Down => false,
        Round::Nearest => mantissa >= 1 << 63,
    };
    match exponent + i64::from(up) + 127 {
        e @ 0..=254 => e as u8,
        e if e < 0 => limit(0),
        _ => limit(254),
    }
}

fn texts(x: &Tensor) -> OpResult<Vec<String>> {
    Ok(match x.dtype() {
        Bool => x.to_bools()?.iter().map(|&b| if b { "True".to_owned() } else { "False".to_owned() }).collect(),
        U64 => x.to_u64s()?.iter().map(u64::to_string).collect(),
        d if d.is_int() => x.to_i64s()?.iter().map(i64::to_string).collect(),
        d => x.to_f64s()?.iter().map(|&v| float_text(v, d)).collect::<OpResult<Vec<_>>>()?,
    })
}

/// The shortest decimal that reads back as `v` in type `dtype`: plain, or with an exponent below 1e-4 and from 1e16.
fn float_text(v: f64, dtype: DType) -> OpResult<String> {
    if v.is_nan() {
        return Ok("NaN".into());
    }
    if v.is_infinite() {
        return Ok(if v > 0.0 { "INF".into() } else { "-INF".into() });
    }
    let mut text = format!("{v:e}");
    for digits in 0..17 {
        let short = format!("{v:.digits$e}");
        let back = short.parse::<f64>().unwrap_or(f64::NAN);
        let back = if dtype == F32 { short.parse::<f32>().map_or(f64::NAN, f64::from) } else { back };
        if Tensor::from_f64s(dtype, &[], &[back])?.to_f64s()? == [v] {
            text = short;
            break;
        }
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0);
    if v != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return Ok(format!("{mantissa}e{sign}{:02}", exponent.abs()));
    }
    let decimals = mantissa.split_once('.').map_or(0, |(_, d)| d.len() as i32);
    Ok(format!("{v:.*}", (decimals - exponent).max(1) as usize))
}

fn parsed(x: &Tensor, to: DType, modes: &Modes) -> OpResult<Tensor> {
    let bad = |s: &str| OpError::invalid(format!("the string {s:?} is no number of type {to}"));
    let float = |s: &String| s.trim().parse::<f64>().map_err(|_| bad(s));
    let strings = x.strings()?.iter();
    if to == F32 {
        let values = strings.map(|s| s.trim().parse::<f32>().map_err(|_| bad(s))).collect::<OpResult<Vec<_>>>()?;
        return Ok(Tensor::new(x.shape(), values)?);
    }
    if to.is_float() {
        return from_floats(&strings.map(float).collect::<OpResult<Vec<_>>>()?, x.shape(), to, modes);
    }
    let integer = |s: &String| match s.trim() {
        "True" | "true" => Ok(1),
        "False" | "false" => Ok(0),
        t => t.parse::<i64>().or_else(|_| t.parse::<u64>().map(|v| v as i64)).or_else(|_| float(s).map(|v| v as i64)),
    };
    Ok(Tensor::from_i64s(to, x.shape(), &strings.map(integer).collect::<OpResult<Vec<_>>>()?)?)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    Ok(vec![convert(cx.tensor(inputs, 0)?, target(&cx.attrs)?, &Modes::of(&cx.attrs)?)?.into()])
}

/// The types between which casts exist.
pub(crate) fn castable() -> impl Iterator<Item = DType> {
    ALL_IR13.dtypes().filter(|d| !d.is_complex())
}

/// `saturate` means something for floats of 8 bit only, which came with it.
fn without_saturation(cx: &mut AdaptCx) -> OpResult<()> {
    let to = match cx.attrs().get("to") {
        Some(Attr::Int(code)) => dtype_of_code(*code),
        _ => None,
    };
    if !to.is_some_and(|d| d == F8E8M0 || FLOATS8.has(d)) {
        cx.attrs().remove("saturate");
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    for from in castable().filter(|&d| d != DType::String) {
        for to in castable() {
            let x = s.any(from, &[2, 3]);
            s.case().input(x).attr("to", to).add();
        }
    }
    for to in castable() {
        let words = ["1", "-2.5", "1e3", "0"].map(str::to_owned).to_vec();
        if let Ok(x) = Tensor::from_strings(&[4], words) {
            s.case().input(x).attr("to", to).add();
        }
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).attr("to", I64).add();
    }
    for to in castable().filter(|d| d.is_float()) {
        let x = s.special(F32, 12);
        s.case().input(x.clone()).attr("to", to).add();
        s.case().input(x.clone()).attr("to", to).attr("saturate", 0).add();
        s.case().input(x.clone()).attr("to", to).attr("round_mode", "down").add();
        s.case().input(x).attr("to", to).attr("round_mode", "nearest").add();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_short_as_they_read_back() {
        let text = |v: f64, d| float_text(v, d).unwrap();
        assert_eq!(text(f64::from(0.1f32), F32), "0.1");
        assert_eq!(text(f64::from(314.15926f32), F32), "314.15927");
        assert_eq!(text(3.0, F32), "3.0");
        assert_eq!(text(1e20, F64), "1e+20");
        assert_eq!(text(1.5e-5, F64), "1.5e-05");
        assert_eq!(text(0.0999755859375, F16), "0.1");
        assert_eq!(text(-0.0, F32), "-0.0");
        assert_eq!(text(123456.0, F32), "123456.0");
    }
}
