//! MatMulInteger: matrix product of 8-bit integers minus their zero points, in 32-bit integers that wrap. <https://onnx.ai/onnx/operators/onnx__MatMulInteger.html>

use crate::math::contraction::{self, Product};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "T1"),
        Param::one("B", "T2"),
        Param::opt("a_zero_point", "T1"),
        Param::opt("b_zero_point", "T2"),
    ],
    outputs: &[Param::one("Y", "T3")],
    attrs: &[],
    types: &[types_of("T1", BYTES), types_of("T2", BYTES), types_of("T3", TypeSet::tensors(&[I32]))],
};

/// The ONNX operator MatMulInteger.
pub static MATMUL_INTEGER: OpDef = OpDef {
    name: "MatMulInteger",
    since: 10,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.shape(0), cx.shape(1)) {
        (Some(a), Some(b)) => Some(contraction::infer_matmul(a, b)?),
        _ => None,
    };
    cx.set_tensor(0, Some(I32), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (a, b) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let (left, right) = (centred(a, cx.opt_tensor(inputs, 2)?, true)?, centred(b, cx.opt_tensor(inputs, 3)?, false)?);
    let p = Product::of(a.shape(), b.shape())?;
    let out = p.run(&left, &right)?.into_iter().map(|x| x as i64).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(I32, &p.shape, &out)?.into()])
}

/// Whole numbers up to here are singles, and so are all sums on the way to them.
const EXACT: f64 = 16_777_216.0;

/// Products of singles over so many steps that every sum is exact, each cast and added.
fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, y) = (b.input(node, 0)?, b.input(node, 1)?);
    let (p, q) = (b.opt_input(node, 2), b.opt_input(node, 3));
    let ranks = (b.ty(x).rank(), b.ty(y).rank());
    let (Some(1..), Some(depth @ 2..)) = ranks else { return Err(OpError::unsupported("a matrix of unknown rank")) };
    let depth = b.ty(y).shape().and_then(|s| s[depth - 2].size());
    let depth = depth.ok_or_else(|| OpError::unsupported("a product of unknown depth"))?;
    if p.is_some_and(|p| b.ty(p).sizes().is_none_or(|s| s.iter().product::<usize>() != 1)) {
        return Err(OpError::unsupported("a zero point for each row"));
    }
    let (steps, zero) = (cuts(b, (x, p), (y, q), depth)?, b.constant(Tensor::scalar(0f32)));
    let (x, y) = (single_less(b, x, p)?, single_less(b, y, q)?);
    let mut sum: Option<ValueId> = None;
    for range in steps.windows(2) {
        let whole = steps.len() == 2;
        let (x, y) = if whole { (x, y) } else { (part(b, x, range, -1)?, part(b, y, range, -2)?) };
        let product = b.op("MatMul", &[x, y])?;
        let product = b.op_with("Cast", &[product], Attrs::new().with("to", I32))?;
        sum = Some(match sum {
            None => product,
            Some(sum) => b.op("Add", &[sum, product])?,
        });
    }
    match sum {
        Some(sum) => Ok(vec![sum]),
        None => {
            let none = b.op("MatMul", &[x, y])?;
            let none = b.op("Mul", &[none, zero])?;
            Ok(vec![b.op_with("Cast", &[none], Attrs::new().with("to", I32))?])
        }
    }
}

/// Bounds of the ranges of depths whose sums stay exact whatever the left operand holds.
fn cuts(
    b: &Builder,
    (x, p): (ValueId, Option<ValueId>),
    (y, q): (ValueId, Option<ValueId>),
    depth: usize,
) -> OpResult<Vec<usize>> {
    let tensor = |v: ValueId| b.model.constant(v);
    let largest = |v: ValueId, zero: Option<ValueId>| -> f64 {
        let (low, high) = if b.ty(v).dtype() == Some(U8) { (0.0, 255.0) } else { (-128.0, 127.0) };
        let zeros = zero.map(|z| tensor(z).and_then(|t| t.to_f64s().ok()));
        match zeros {
            None => 128f64.max(high),
            Some(Some(z)) => z.iter().map(|z| (z - low).abs().max((high - z).abs())).fold(0.0, f64::max),
            Some(None) => 255.0,
        }
    };
    let left = largest(x, p);
    let matrix = tensor(y).filter(|t| t.rank() == 2);
    let right = match (matrix, q.map(tensor)) {
        (Some(m), None) => Some(centred(&m, None, false)?),
        (Some(m), Some(Some(z))) => Some(centred(&m, Some(&z), false)?),
        _ => None,
    };
    let mut out = vec![0];
    let Some(right) = right.filter(|r| !r.is_empty() && depth > 0) else {
        let step = ((EXACT / (left * largest(y, q)).max(1.0)) as usize).max(1);
        out.extend((1..=depth.div_ceil(step)).map(|i| (i * step).min(depth)));
        return Ok(out);
    };
    let mut sums = vec![0.0; right.len() / depth];
    for (k, row) in right.chunks_exact(sums.len()).enumerate() {
        if sums.iter().zip(row).any(|(s, w)| (s + w.abs()) * left > EXACT) {
            out.push(k);
            sums.fill(0.0);
        }
        sums.iter_mut().zip(row).for_each(|(s, w)| *s += w.abs());
    }
    out.push(depth);
    Ok(out)
}

/// `x` less its zero point, in singles.
fn single_less(b: &mut Builder, x: ValueId, zero: Option<ValueId>) -> OpResult<ValueId> {
    let single = || Attrs::new().with("to", F32);
    let x = b.op_with("Cast", &[x], single())?;
    let Some(zero) = zero else { return Ok(x) };
    let zero = b.op_with("Cast", &[zero], single())?;
    b.op("Sub", &[x, zero])
}

/// The range of `x` along an axis.
fn part(b: &mut Builder, x: ValueId, range: &[usize], axis: i64) -> OpResult<ValueId> {
    let [start, end, axis] = [range[0] as i64, range[1] as i64, axis].map(|v| b.ints(&[v]));
    b.op("Slice", &[x, start, end, axis])
}

/// Elements of a matrix minus zero points: one, one for each row (`rows`) or column, or any that broadcast.
///
/// # Errors
/// When they do not fit.
pub fn centred(x: &Tensor, zero: Option<&Tensor>, rows: bool) -> OpResult<Vec<f64>> {
    let mut data = x.to_f64s()?;
    if let Some(zero) = zero {
        let (values, at) = (zero.to_f64s()?, matched(x.shape(), zero.shape(), rows)?);
        data.iter_mut().zip(at).for_each(|(v, i)| *v -= values[i]);
    }
    Ok(data)
}

/// For each element of a matrix of shape `x`, the index of its parameter.
///
/// # Errors
/// When the parameters do not fit.
pub fn matched(x: &[usize], parameter: &[usize], rows: bool) -> OpResult<Vec<usize>> {
    let parameter = match parameter {
        [n] if rows && *n != 1 && x.len() > 1 => vec![*n, 1],
        [1] => vec![],
        other => other.to_vec(),
    };
    Ok(index::Offsets::unsigned(x, &index::broadcast_strides(&parameter, x)?).collect())
}

fn samples(s: &mut Samples) {
    for left in [I8, U8] {
        for right in [I8, U8] {
            let (a, b) = (s.any(left, &[2, 3, 4]), s.any(right, &[4, 5]));
            let (p, q) = (s.any(left, &[]), s.any(right, &[5]));
            s.case().input(a).input(b).input(p).input(q).add();
        }
    }
    let (a, b, p) = (s.any(U8, &[3, 4]), s.any(I8, &[4]), s.any(U8, &[3]));
    s.case().input(a.clone()).input(b.clone()).add();
    s.case().input(a).input(b).input(p).add();
    let (a, b) = (s.any(U8, &[0, 4]), s.any(I8, &[4, 2]));
    s.case().input(a).input(b).add();
}
