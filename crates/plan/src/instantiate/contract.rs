//! Matrix products.

use super::{Call, Cx, Made, Operand, product};
use crate::recipe::{Gemm, Post};
use modelsmith_kop::{BatchDim, Epilogue, EpilogueStep, GemmB, GemmProblem, IntegerGemmProblem, KOp, ZeroPoint};
use modelsmith_tensor::DType;

/// An operand seen through a permutation of its axes: sizes and strides.
struct Seen {
    dims: Vec<usize>,
    strides: Vec<usize>,
}

fn seen(o: &Operand, perm: &[usize], what: &str) -> Made<Seen> {
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
    for (o, what) in [(cx.input(0)?, "A"), (cx.output(0)?, "C")] {
        o.want(DType::F32, what)?;
    }
    let a = seen(cx.input(0)?, &g.a_perm, "A")?;
    let c = product_order(cx.output(0)?, &g.c_perm)?;
    let b = match g.packed {
        Some(sizes) => packed(sizes),
        None => {
            cx.input(1)?.want(DType::F32, "B")?;
            seen(cx.input(1)?, &g.b_perm, "B")?
        }
    };
    let mut p = Matrices::of(&a, &b, &c)?;
    let steps = post(cx, &g.post, 2 + usize::from(g.bias), &c.dims, p.n, g.c_perm.is_empty())?;
    p.merge_batch();
    cx.one(KOp::Gemm(GemmProblem {
        m: p.m,
        n: p.n,
        k: p.k,
        batch: p.batch,
        a_row_stride: p.a[0],
        a_col_stride: p.a[1],
        b: if g.packed.is_some() { GemmB::Packed } else { p.b },
        c_row_stride: p.c_row,
        epilogue: Epilogue { bias: g.bias, steps },
    }))
}

/// A product of 8-bit integers; `zeros` says which operands have zero points.
pub(super) fn integer(cx: &Cx, sizes: Option<[usize; 2]>, zeros: [bool; 2]) -> Made<Vec<Call>> {
    let (a, b, c) = (cx.input(0)?, cx.input(1)?, cx.output(0)?);
    c.want(DType::I32, "C")?;
    let signed = [a.signed("A")?, b.signed("B")?];
    let right = match sizes {
        Some(sizes) => packed(sizes),
        None => seen(b, &[], "B")?,
    };
    let mut p = Matrices::of(&seen(a, &[], "A")?, &right, &seen(c, &[], "C")?)?;
    let mut next = 2;
    let mut kind = |given: bool, of: &Operand, each: usize| -> Made<ZeroPoint> {
        if !given {
            return Ok(ZeroPoint::None);
        }
        next += 1;
        zero_point(cx.input(next - 1)?, of, each)
    };
    let zeros = [kind(zeros[0], a, p.m)?, kind(zeros[1], b, p.n)?];
    if zeros[0] != ZeroPoint::Each {
        p.merge_batch();
    }
    cx.one(KOp::IntegerGemm(IntegerGemmProblem {
        m: p.m,
        n: p.n,
        k: p.k,
        batch: p.batch,
        a_row_stride: p.a[0],
        a_col_stride: p.a[1],
        b: if sizes.is_some() { GemmB::Packed } else { p.b },
        c_row_stride: p.c_row,
        signed,
        zeros,
    }))
}

/// Zero points of an operand: one, or one for each of `each`.
pub(super) fn zero_point(o: &Operand, of: &Operand, each: usize) -> Made<ZeroPoint> {
    o.want(of.dtype, "a zero point")?;
    match o.shape[..] {
        [] | [1] => Ok(ZeroPoint::One),
        [n] if n == each => Ok(ZeroPoint::Each),
        _ => Err(format!("zero points of shape {:?} where one or {each} are wanted", o.shape)),
    }
}

/// A packed matrix, whose strides mean nothing.
fn packed([k, n]: [usize; 2]) -> Seen {
    Seen { dims: vec![k, n], strides: vec![n, 1] }
}

/// Sizes and strides of a product.
struct Matrices {
    m: usize,
    n: usize,
    k: usize,
    a: [usize; 2],
    b: GemmB,
    c_row: usize,
    batch: Vec<BatchDim>,
}

impl Matrices {
    fn of(a: &Seen, b: &Seen, c: &Seen) -> Made<Matrices> {
        let rank = c.dims.len();
        if a.dims.len() < 2 || b.dims.len() < 2 || rank < 2 || a.dims.len() > rank || b.dims.len() > rank {
            return Err("ranks do not fit".into());
        }
        let last = |s: &Seen, back: usize| (s.dims[s.dims.len() - back], s.strides[s.strides.len() - back]);
        let ((m, a_row), (k, a_col)) = (last(a, 2), last(a, 1));
        let ((kb, row_stride), (n, col_stride)) = (last(b, 2), last(b, 1));
        let ((mc, c_row), (nc, c_col)) = (last(c, 2), last(c, 1));
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
            batch.push(BatchDim { len, a_stride: of(a)?, b_stride: of(b)?, c_stride: c.strides[axis] });
        }
        batch.retain(|d| d.len != 1);
        let b = GemmB::Strided { row_stride, col_stride };
        Ok(Matrices { m, n, k, a: [a_row, a_col], b, c_row, batch })
    }

    /// Batch dimensions over which B repeats, and over which rows go on in step, are rows.
    fn merge_batch(&mut self) {
        while let Some(d) = self.batch.last().copied() {
            let one_row = self.m == 1;
            let steps = |inner: usize, outer: usize| one_row || inner.checked_mul(self.m) == Some(outer);
            if d.b_stride != 0 || !steps(self.a[0], d.a_stride) || !steps(self.c_row, d.c_stride) {
                break;
            }
            if one_row {
                (self.a[0], self.c_row) = (d.a_stride, d.c_stride);
            }
            let Some(m) = self.m.checked_mul(d.len) else { break };
            self.m = m;
            self.batch.pop();
        }
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
