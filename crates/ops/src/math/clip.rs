//! Clip: elements limited to an interval, whose ends default to those of the type; where they cross, the upper one holds. <https://onnx.ai/onnx/operators/onnx__Clip.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::opt("min", "T"), Param::opt("max", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Clip.
pub static CLIP: OpDef = OpDef {
    name: "Clip",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("input", "T")],
                attrs: &[
                    AttrDef::optional("consumed_inputs", AttrKind::Ints),
                    AttrDef::optional("max", AttrKind::Float),
                    AttrDef::optional("min", AttrKind::Float),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema {
                inputs: &[Param::one("input", "T")],
                attrs: &[AttrDef::float("max", 3.4028235e+38), AttrDef::float("min", -3.4028235e+38)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(bounds_to_inputs),
            down: Adapt::Rewrite(bounds_to_attributes),
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 12,
            schema: Schema { types: &[types_of("T", NUMERIC)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

/// The largest finite number of a float type.
fn largest(dtype: DType) -> f64 {
    match dtype {
        F16 => 65504.0,
        BF16 => 3.3895313892515355e38,
        F32 => f32::MAX.into(),
        _ => f64::MAX,
    }
}

/// A bound, which holds one element.
fn bound<'a>(cx: &EvalCx, inputs: &[Option<&'a Value>], i: usize) -> OpResult<Option<&'a Tensor>> {
    match cx.opt_tensor(inputs, i)? {
        Some(t) if t.len() != 1 => {
            Err(OpError::invalid(format!("input {i} must be a scalar, its shape is {:?}", t.shape())))
        }
        Some(t) if t.dtype() != cx.tensor(inputs, 0)?.dtype() => {
            Err(OpError::invalid(format!("input {i} is of type {}, input 0 of another", t.dtype())))
        }
        other => Ok(other),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (lo, hi) = (bound(cx, inputs, 1)?, bound(cx, inputs, 2)?);
    let out = if x.dtype().is_float() {
        let one = |t: Option<&Tensor>, absent: f64| {
            Ok::<_, OpError>(t.map(Tensor::to_f64s).transpose()?.map_or(absent, |v| v[0]))
        };
        let end = largest(x.dtype());
        let (lo, hi) = (one(lo, -end)?, one(hi, end)?);
        let limit = |x: f64| if x.is_nan() { x } else { x.max(lo).min(hi) };
        Tensor::from_f64s(x.dtype(), x.shape(), &x.to_f64s()?.into_iter().map(limit).collect::<Vec<_>>())?
    } else if x.dtype() == U64 {
        let one = |t: Option<&Tensor>, absent: u64| {
            Ok::<_, OpError>(t.map(Tensor::to_u64s).transpose()?.map_or(absent, |v| v[0]))
        };
        let (lo, hi) = (one(lo, 0)?, one(hi, u64::MAX)?);
        Tensor::from_u64s(U64, x.shape(), &x.to_u64s()?.into_iter().map(|x| x.max(lo).min(hi)).collect::<Vec<_>>())?
    } else {
        let one = |t: Option<&Tensor>, absent: i64| {
            Ok::<_, OpError>(t.map(Tensor::to_i64s).transpose()?.map_or(absent, |v| v[0]))
        };
        let (lo, hi) = (one(lo, i64::MIN)?, one(hi, i64::MAX)?);
        Tensor::from_i64s(
            x.dtype(),
            x.shape(),
            &x.to_i64s()?.into_iter().map(|x| x.max(lo).min(hi)).collect::<Vec<_>>(),
        )?
    };
    Ok(vec![out.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let mut y = b.input(node, 0)?;
    let float = b.ty(y).dtype().filter(|d| d.is_float());
    for (i, name, sign) in [(1, "Max", -1.0), (2, "Min", 1.0)] {
        let bound = match (b.opt_input(node, i), float) {
            (Some(bound), _) => bound,
            (None, Some(dtype)) => b.scalar_like(y, sign * largest(dtype))?,
            (None, None) => continue,
        };
        y = b.op(name, &[y, bound])?;
    }
    match y == b.input(node, 0)? {
        true => Ok(vec![b.op("Identity", &[y])?]),
        false => Ok(vec![y]),
    }
}

/// Opset 10 and before hold the bounds in attributes.
fn bounds_to_inputs(cx: &mut AdaptCx) -> OpResult<()> {
    for (i, name) in [(1, "min"), (2, "max")] {
        let Some(Attr::Float(limit)) = cx.attrs().remove(name) else { continue };
        let x = cx.input(0).ok_or_else(|| OpError::invalid("input 0 is required"))?;
        let dtype = cx.model.ty(x).dtype();
        let mut before = cx.before();
        let value = match dtype {
            Some(dtype) => before.constant(Tensor::from_f64s(dtype, &[], &[limit.into()])?),
            None => {
                let plain = before.constant(Tensor::scalar(limit));
                before.op("CastLike", &[plain, x])?
            }
        };
        cx.set_input(i, Some(value));
    }
    Ok(())
}

fn bounds_to_attributes(cx: &mut AdaptCx) -> OpResult<()> {
    for (i, name) in [(2, "max"), (1, "min")] {
        let Some(v) = cx.input(i) else { continue };
        let t = cx.constant_of(v).ok_or_else(|| OpError::unsupported(format!("{name} is computed at run time")))?;
        let limit = t.to_f64s()?.first().copied().ok_or_else(|| OpError::invalid(format!("{name} is empty")))?;
        cx.attrs().set(name, limit as f32);
        cx.set_input(i, None);
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        let (lo, hi) = (s.ints(dtype, &[], 0, 1), s.ints(dtype, &[], 2, 3));
        s.case().input(x.clone()).input(lo.clone()).input(hi.clone()).add();
        s.case().input(x.clone()).absent().input(hi.clone()).add();
        s.case().input(x.clone()).input(lo.clone()).add();
        s.case().input(x).input(hi).input(lo).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x.clone()).input(Tensor::scalar(-1f32)).input(Tensor::scalar(0.5f32)).add();
        s.case().input(x).add();
    }
    let x = s.special(F32, 12);
    s.case().input(x).input(Tensor::scalar(-1f32)).input(Tensor::scalar(0.5f32)).add();
}
