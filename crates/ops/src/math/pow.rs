//! Pow: power, with broadcasting, in the type of the base; integers wrap, and a negative power of one is truncated. <https://onnx.ai/onnx/operators/onnx__Pow.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("Y", "T1")],
    outputs: &[Param::one("Z", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I32, I64])), types_of("T1", NUMERIC_BF16)],
};

/// The ONNX operator Pow.
pub static POW: OpDef = OpDef {
    name: "Pow",
    since: 15,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("X", "T"), Param::one("Y", "T")],
                attrs: &[AttrDef::optional("axis", AttrKind::Int), AttrDef::int("broadcast", 0)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::broadcast_from_axis),
            down: Adapt::Rewrite(legacy::broadcast_to_axis),
        },
        Past {
            since: 7,
            schema: Schema {
                inputs: &[Param::one("X", "T"), Param::one("Y", "T")],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(unite_types),
        },
        Past {
            since: 12,
            schema: Schema {
                types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, I32, I64])), types_of("T1", NUMERIC)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I32, I64])), types_of("T1", NUMERIC)],
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
    let shape = match (cx.shape(0), cx.shape(1)) {
        (Some(a), Some(b)) => Some(shapes::broadcast(&[a, b])?),
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, y) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let (shape, at) = elementwise::pairs(x, y)?;
    let dtype = x.dtype();
    let out = if dtype.is_int() && y.dtype() == U64 {
        let (x, y) = (x.to_i64s()?, y.to_u64s()?);
        Tensor::from_i64s(dtype, &shape, &at.iter().map(|&(i, j)| power(x[i], y[j])).collect::<Vec<_>>())?
    } else if dtype.is_int() && y.dtype().is_int() {
        let (x, y) = (x.to_i64s()?, y.to_i64s()?);
        Tensor::from_i64s(dtype, &shape, &at.iter().map(|&(i, j)| signed_power(x[i], y[j])).collect::<Vec<_>>())?
    } else {
        let (x, y) = (x.to_f64s()?, y.to_f64s()?);
        Tensor::from_f64s(dtype, &shape, &at.iter().map(|&(i, j)| x[i].powf(y[j])).collect::<Vec<_>>())?
    };
    Ok(vec![out.into()])
}

/// `x^n` by squaring, wrapping.
fn power(mut x: i64, mut n: u64) -> i64 {
    let mut out = 1i64;
    while n > 0 {
        if n & 1 == 1 {
            out = out.wrapping_mul(x);
        }
        x = x.wrapping_mul(x);
        n >>= 1;
    }
    out
}

/// As [`power`]; a negative exponent gives the truncated inverse, and zero then stays zero.
fn signed_power(x: i64, n: i64) -> i64 {
    match (x, n) {
        (x, 0..) => power(x, n as u64),
        (1, _) => 1,
        (-1, n) => 1 - 2 * (n & 1),
        _ => 0,
    }
}

/// Before opset 12 both operands have one type: the exponent is cast where that changes none of its values.
fn unite_types(cx: &mut AdaptCx) -> OpResult<()> {
    let types = [0, 1].map(|i| cx.input(i).and_then(|v| cx.model.ty(v).dtype()));
    let ([Some(x), Some(y)], Some(power)) = (types, cx.input(1)) else {
        return Err(OpError::unsupported("operands whose types are not known to be the same"));
    };
    if x == y {
        return Ok(());
    }
    let exact = match cx.constant_of(power) {
        Some(t) => {
            let values = t.to_f64s()?;
            Tensor::from_f64s(x, t.shape(), &values)?.to_f64s()? == values
        }
        None => match x {
            F64 => y.is_float() || y.bits() < 64,
            F32 => matches!(y, F16 | BF16) || (y.is_int() && y.bits() < 32),
            _ => y.is_int() && y.bits() <= 8,
        },
    };
    if !exact {
        return Err(OpError::unsupported(format!("an exponent of type {y}, which {x} cannot hold")));
    }
    let cast = cx.before().op_with("Cast", &[power], Attrs::new().with("to", x))?;
    cx.set_input(1, Some(cast));
    Ok(())
}

fn samples(s: &mut Samples) {
    for base in SCHEMA.types[0].set.dtypes() {
        for exponent in SCHEMA.types[1].set.dtypes() {
            let x = if base.is_float() { s.floats(base, &[2, 3], 0.2, 2.0) } else { s.ints(base, &[2, 3], -3, 3) };
            let y = if exponent.is_float() { s.floats(exponent, &[3], 0.0, 3.0) } else { s.ints(exponent, &[3], 0, 3) };
            s.case().input(x).input(y).add();
        }
    }
    let shapes: [(&[usize], &[usize]); 5] =
        [(&[], &[]), (&[5], &[]), (&[2, 1, 4], &[3, 1]), (&[1, 2, 1, 3], &[2, 2, 2, 1]), (&[2, 0, 3], &[1, 3])];
    for (p, q) in shapes {
        let (x, y) = (s.floats(F32, p, 0.2, 2.0), s.floats(F32, q, -2.0, 2.0));
        s.case().input(x).input(y).add();
    }
    let (x, y) = (s.special(F32, 12), s.floats(F32, &[12], -2.0, 2.0));
    s.case().input(x.clone()).input(y.clone()).add();
    s.case().input(y).input(x).add();
    let (x, y) = (s.ints(I64, &[6], -2, 2), s.ints(I64, &[6], -3, 3));
    s.case().input(x).input(y).add();
}
