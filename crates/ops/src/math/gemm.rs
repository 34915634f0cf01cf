//! Gemm: `alpha * A * B + beta * C` of matrices, either transposed, C broadcast to the result. <https://onnx.ai/onnx/operators/onnx__Gemm.html>

use super::contraction::{self, Number};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T"), Param::opt("C", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::float("alpha", 1.0),
        AttrDef::float("beta", 1.0),
        AttrDef::int("transA", 0),
        AttrDef::int("transB", 0),
    ],
    types: &[types_of("T", WIDE_BF16)],
};

/// The ONNX operator Gemm.
pub static GEMM: OpDef = OpDef {
    name: "Gemm",
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
                inputs: &[Param::one("A", "T"), Param::one("B", "T"), Param::one("C", "T")],
                attrs: &[
                    AttrDef::float("alpha", 1.0),
                    AttrDef::float("beta", 1.0),
                    AttrDef::int("broadcast", 0),
                    AttrDef::int("transA", 0),
                    AttrDef::int("transB", 0),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema {
                inputs: &[Param::one("A", "T"), Param::one("B", "T"), Param::one("C", "T")],
                attrs: &[
                    AttrDef::float("alpha", 1.0),
                    AttrDef::float("beta", 1.0),
                    AttrDef::int("broadcast", 0),
                    AttrDef::int("transA", 0),
                    AttrDef::int("transB", 0),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(drop_broadcast),
            down: Adapt::Rewrite(say_broadcast),
        },
        Past {
            since: 7,
            schema: Schema {
                inputs: &[Param::one("A", "T"), Param::one("B", "T"), Param::one("C", "T")],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema {
                inputs: &[Param::one("A", "T"), Param::one("B", "T"), Param::one("C", "T")],
                types: &[types_of("T", WIDE)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(fill_c),
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", WIDE)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (ta, tb) = (cx.attrs.flag("transA")?, cx.attrs.flag("transB")?);
    let side = |shape: Option<&[Dim]>, transposed: bool| match shape {
        None => Ok(None),
        Some([r, c]) => Ok(Some(if transposed { [c.clone(), r.clone()] } else { [r.clone(), c.clone()] })),
        Some(other) => Err(OpError::invalid(format!("an operand of rank {} is no matrix", other.len()))),
    };
    let (a, b) = (side(cx.shape(0), ta)?, side(cx.shape(1), tb)?);
    if let (Some([_, Dim::Known(x)]), Some([Dim::Known(y), _])) = (&a, &b)
        && x != y
    {
        return Err(OpError::invalid(format!("matrices of depths {x} and {y} do not multiply")));
    }
    let m = a.map_or(Dim::Unknown, |[m, _]| m);
    let n = b.map_or(Dim::Unknown, |[_, n]| n);
    cx.set_tensor(0, cx.dtype(0).or(cx.dtype(1)), Some(vec![m, n]));
    Ok(())
}

/// Rows, columns and the strides with which a matrix is read, transposed or not.
fn side(t: &Tensor, transposed: bool) -> OpResult<(usize, usize, usize, usize)> {
    match (t.shape(), transposed) {
        (&[r, c], false) => Ok((r, c, c, 1)),
        (&[r, c], true) => Ok((c, r, 1, c)),
        (other, _) => Err(OpError::invalid(format!("an operand of shape {other:?} is no matrix"))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (a, b) = elementwise::same_typed(inputs)?;
    let (m, k, a_row, a_col) = side(a, cx.attrs.flag("transA")?)?;
    let (depth, n, b_row, b_col) = side(b, cx.attrs.flag("transB")?)?;
    if k != depth {
        return Err(OpError::invalid(format!("matrices of depths {k} and {depth} do not multiply")));
    }
    let (alpha, beta) = (f64::from(cx.attrs.float("alpha")?), f64::from(cx.attrs.float("beta")?));
    contraction::checked_len(F64, &[m, n])?;
    let c = cx.opt_tensor(inputs, 2)?;
    let at = c.map(|c| index::broadcast_strides(c.shape(), &[m, n])).transpose()?;
    let at = at.map(|strides| index::Offsets::unsigned(&[m, n], &strides));
    if !a.dtype().is_float() && alpha.fract() == 0.0 && beta.fract() == 0.0 {
        let dense = |t: &Tensor, r: usize, c: usize, (row, col): (usize, usize)| -> OpResult<Vec<i64>> {
            let x = t.to_i64s()?;
            Ok((0..r * c).map(|i| x[i / c * row + i % c * col]).collect())
        };
        let mut y = vec![0; m * n];
        <i64 as Number>::matmul(m, k, n, &dense(a, m, k, (a_row, a_col))?, &dense(b, k, n, (b_row, b_col))?, &mut y);
        y.iter_mut().for_each(|y| *y = y.wrapping_mul(alpha as i64));
        if let (Some(c), Some(at)) = (c, at) {
            let c = c.to_i64s()?;
            y.iter_mut().zip(at).for_each(|(y, i)| *y = y.wrapping_add(c[i].wrapping_mul(beta as i64)));
        }
        return Ok(vec![Tensor::from_i64s(a.dtype(), &[m, n], &y)?.into()]);
    }
    let mut y = vec![0.0; m * n];
    if let (Ok(a), Ok(b)) = (a.as_slice::<f32>(), b.as_slice::<f32>()) {
        contract::strided(m, k, n, (a, a_row, a_col), (b, b_row, b_col), &mut y);
    } else {
        contract::strided(m, k, n, (&a.to_f64s()?, a_row, a_col), (&b.to_f64s()?, b_row, b_col), &mut y);
    }
    y.iter_mut().for_each(|y| *y *= alpha);
    if let (Some(c), Some(at)) = (c, at) {
        let c = c.to_f64s()?;
        y.iter_mut().zip(at).for_each(|(y, i)| *y += beta * c[i]);
    }
    Ok(vec![Tensor::from_f64s(a.dtype(), &[m, n], &y)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let mut sides = [b.input(node, 0)?, b.input(node, 1)?];
    for (side, attr) in sides.iter_mut().zip(["transA", "transB"]) {
        if view.flag(attr)? {
            *side = b.op_with("Transpose", &[*side], Attrs::new().with("perm", [1, 0]))?;
        }
    }
    let mut y = b.op("MatMul", &sides)?;
    let (alpha, beta) = (view.float("alpha")?, view.float("beta")?);
    if alpha != 1.0 {
        let factor = b.scalar_like(sides[0], alpha.into())?;
        y = b.op("Mul", &[y, factor])?;
    }
    if let Some(mut c) = b.opt_input(node, 2) {
        if beta != 1.0 {
            let factor = b.scalar_like(c, beta.into())?;
            c = b.op("Mul", &[c, factor])?;
        }
        y = b.op("Add", &[y, c])?;
    }
    Ok(vec![y])
}

/// Opset 6 and before broadcast C only when told to, which the hub always does.
fn drop_broadcast(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().remove("broadcast");
    Ok(())
}

fn say_broadcast(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().set("broadcast", 1);
    Ok(())
}

/// Opset 10 and before require C: a zero stands in for an absent one.
fn fill_c(cx: &mut AdaptCx) -> OpResult<()> {
    if cx.input(2).is_none() {
        let a = cx.input(0).ok_or_else(|| OpError::invalid("input 0 is required"))?;
        let zero = cx.before().scalar_like(a, 0.0)?;
        cx.set_input(2, Some(zero));
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (a, b, c) = (s.any(dtype, &[3, 4]), s.any(dtype, &[4, 5]), s.any(dtype, &[5]));
        s.case().input(a.clone()).input(b.clone()).input(c).add();
        s.case().attr("alpha", 2.0f32).input(a).input(b).add();
    }
    let (a, b) = (s.any(F32, &[4, 3]), s.any(F32, &[5, 4]));
    for shape in [&[3, 5][..], &[5], &[3, 1], &[1], &[]] {
        let c = s.any(F32, shape);
        let case = s.case().attr("transA", 1).attr("transB", 1).attr("alpha", 0.5f32).attr("beta", -1.5f32);
        case.input(a.clone()).input(b.clone()).input(c).add();
    }
    let (a, b, c) = (s.any(F32, &[0, 3]), s.any(F32, &[3, 5]), s.any(F32, &[5]));
    s.case().input(a).input(b).input(c).add();
    let (a, b, c) = (s.any(F32, &[2, 0]), s.any(F32, &[0, 5]), s.special(F32, 5));
    s.case().input(a).input(b).input(c).add();
}
