//! Matrix products.

use super::{Call, Cx, Made, Operand, product};
use crate::recipe::{Gemm, Post};
use modelsmith_kop::{BatchDim, Epilogue, EpilogueStep, GemmB, GemmProblem, KOp};
use modelsmith_tensor::DType;

/// An operand seen through a permutation of its axes: sizes and strides.
struct Seen {
    dims: Vec<usize>,
    strides: Vec<usize>,
}

fn seen(o: &Operand, perm: &[usize], what: &str) -> Made<Seen> {
    o.want(DType::F32, what)?;
    o.plain(what)?;
    let strides = modelsmith_kop::Layout::Plain.strides(&o.shape);
    if perm.is_empty() {
        return Ok(Seen { dims: o.shape.clone(), strides });
    }
    check_perm(perm, o.shape.len())?;
    Ok(Seen { dims: perm.iter().map(|&p| o.shape[p]).collect(), strides: perm.iter().map(|&p| strides[p]).collect() })
}

pub(super) fn check_perm(perm: &[usize], rank: usize) -> Made<()> {
    let mut hit = vec![false; rank];
    let ok = perm.len() == rank && perm.iter().all(|&p| p < rank && !std::mem::replace(&mut hit[p], true));
    if ok { Ok(()) } else { Err(format!("{perm:?} is not a permutation of {rank} axes")) }
}

/// The output buffer's axes in the order of the product.
fn product_order(out: &Operand, perm: &[usize]) -> Made<Seen> {
    if perm.is_empty() {
        return seen(out, &[], "C");
    }
    check_perm(perm, out.shape.len())?;
    let mut inverse = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        inverse[p] = i;
    }
    seen(out, &inverse, "C")
}

pub(super) fn gemm(cx: &Cx, g: &Gemm) -> Made<Vec<Call>> {
    let a = seen(cx.input(0)?, &g.a_perm, "A")?;
    let c = product_order(cx.output(0)?, &g.c_perm)?;
    let b = match g.packed {
        Some([k, n]) => Seen { dims: vec![k, n], strides: vec![n, 1] },
        None => seen(cx.input(1)?, &g.b_perm, "B")?,
    };
    let rank = c.dims.len();
    if a.dims.len() < 2 || b.dims.len() < 2 || rank < 2 || a.dims.len() > rank || b.dims.len() > rank {
        return Err("ranks do not fit".into());
    }
    let last = |s: &Seen, back: usize| (s.dims[s.dims.len() - back], s.strides[s.strides.len() - back]);
    let ((m, a_row), (k, a_col)) = (last(&a, 2), last(&a, 1));
    let ((kb, b_row), (n, b_col)) = (last(&b, 2), last(&b, 1));
    let ((mc, c_row), (nc, c_col)) = (last(&c, 2), last(&c, 1));
    if k != kb || m != mc || n != nc || (c_col != 1 && n > 1) {
        return Err(format!("{m} x {k} times {kb} x {n} does not give {mc} x {nc}"));
    }
    let mut batch = Vec::new();
    for axis in 0..rank - 2 {
        let len = c.dims[axis];
        let of = |s: &Seen| -> Made<usize> {
            let back = rank - axis;
            if back > s.dims.len() {
                return Ok(0);
            }
            match last(s, back) {
                (1, _) => Ok(0),
                (d, stride) if d == len => Ok(stride),
                (d, _) => Err(format!("batch dimension {d} does not broadcast to {len}")),
            }
        };
        batch.push(BatchDim { len, a_stride: of(&a)?, b_stride: of(&b)?, c_stride: c.strides[axis] });
    }
    let steps = post(cx, &g.post, 2 + usize::from(g.bias), &c.dims, n, g.c_perm.is_empty())?;
    let strided = GemmB::Strided { row_stride: b_row, col_stride: b_col };
    let mut p = GemmProblem {
        m,
        n,
        k,
        batch,
        a_row_stride: a_row,
        a_col_stride: a_col,
        b: if g.packed.is_some() { GemmB::Packed } else { strided },
        c_row_stride: c_row,
        epilogue: Epilogue { bias: g.bias, steps },
    };
    merge_batch(&mut p);
    cx.one(KOp::Gemm(p))
}

/// Batch dimensions over which B repeats, and over which rows go on in step, are rows.
fn merge_batch(p: &mut GemmProblem) {
    p.batch.retain(|d| d.len != 1);
    while let Some(d) = p.batch.last().copied() {
        let one_row = p.m == 1;
        let steps = |inner: usize, outer: usize| one_row || inner.checked_mul(p.m) == Some(outer);
        if d.b_stride != 0 || !steps(p.a_row_stride, d.a_stride) || !steps(p.c_row_stride, d.c_stride) {
            break;
        }
        if one_row {
            (p.a_row_stride, p.c_row_stride) = (d.a_stride, d.c_stride);
        }
        let Some(m) = p.m.checked_mul(d.len) else { break };
        p.m = m;
        p.batch.pop();
    }
}

/// Epilogue steps; operands start at input `first`.
pub(super) fn post(
    cx: &Cx,
    list: &[Post],
    first: usize,
    result: &[usize],
    columns: usize,
    full_allowed: bool,
) -> Made<Vec<EpilogueStep>> {
    let mut operand = 0u32;
    let mut next = |cx: &Cx| -> Made<(u32, usize)> {
        let o = cx.input(first + operand as usize)?;
        o.want(DType::F32, "operand")?;
        operand += 1;
        let stride = if o.len()? == columns && (product(result)? != columns || o.shape.len() == 1) {
            0
        } else if full_allowed && o.len()? == product(result)? {
            columns
        } else {
            return Err("operand of an epilogue is neither a vector nor of the result's shape".into());
        };
        Ok((operand - 1, stride))
    };
    list.iter()
        .map(|p| {
            Ok(match *p {
                Post::Act(a) => EpilogueStep::Act(a),
                Post::AddScalar(x) => EpilogueStep::AddScalar(x),
                Post::MulScalar(x) => EpilogueStep::MulScalar(x),
                Post::Add => next(cx).map(|(operand, row_stride)| EpilogueStep::Add { operand, row_stride })?,
                Post::Mul => next(cx).map(|(operand, row_stride)| EpilogueStep::Mul { operand, row_stride })?,
            })
        })
        .collect()
}
