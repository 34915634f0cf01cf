//! Products summed over shared axes: the matrix product with batches, for MatMul, Gemm and Einsum. Floats go through
//! [`contract`], integers through plain wrapping loops.

use crate::prelude::*;

/// Numbers that a contraction adds and multiplies.
pub trait Number: Copy + PartialEq {
    /// What products are summed in.
    type Sum: Copy;
    /// Zero.
    const ZERO: Self::Sum;
    /// `a + b`; integers wrap.
    fn plus(self, other: Self) -> Self;
    /// `c[m,n] += a[m,k] * b[k,n]`, dense row-major.
    fn matmul(m: usize, k: usize, n: usize, a: &[Self], b: &[Self], c: &mut [Self::Sum]);
}

impl Number for f64 {
    type Sum = f64;
    const ZERO: f64 = 0.0;
    fn plus(self, other: f64) -> f64 {
        self + other
    }
    fn matmul(m: usize, k: usize, n: usize, a: &[f64], b: &[f64], c: &mut [f64]) {
        contract::matmul(m, k, n, a, b, c);
    }
}

/// Widened while it is packed, which spares a copy of the operand.
impl Number for f32 {
    type Sum = f64;
    const ZERO: f64 = 0.0;
    fn plus(self, other: f32) -> f32 {
        self + other
    }
    fn matmul(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], c: &mut [f64]) {
        contract::matmul(m, k, n, a, b, c);
    }
}

impl Number for i64 {
    type Sum = i64;
    const ZERO: i64 = 0;
    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
    fn matmul(m: usize, k: usize, n: usize, a: &[i64], b: &[i64], c: &mut [i64]) {
        if n == 0 || k == 0 {
            return;
        }
        for (row, to) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)).take(m) {
            for (&x, line) in row.iter().zip(b.chunks_exact(n)) {
                for (slot, &y) in to.iter_mut().zip(line) {
                    *slot = slot.wrapping_add(x.wrapping_mul(y));
                }
            }
        }
    }
}

/// Number of elements of `shape`.
///
/// # Errors
/// When a tensor of `dtype` of that shape would not fit into memory.
pub fn checked_len(dtype: DType, shape: &[usize]) -> OpResult<usize> {
    Ok(Tensor::zeros(dtype, shape)?.len())
}

/// Shapes of a batched matrix product (numpy's `matmul`).
pub struct Product {
    /// Batch dimensions of the result.
    pub batch: Vec<usize>,
    /// Rows.
    pub m: usize,
    /// Depth.
    pub k: usize,
    /// Columns.
    pub n: usize,
    /// Shape of the result: without `m` or `n` where that operand has rank 1.
    pub shape: Vec<usize>,
    a_batch: Vec<usize>,
    b_batch: Vec<usize>,
}

impl Product {
    /// The product of operands of these shapes.
    ///
    /// # Errors
    /// When one has rank 0, the depths differ, or the batches do not broadcast.
    pub fn of(a: &[usize], b: &[usize]) -> OpResult<Product> {
        let fail = || OpError::invalid(format!("matrices of shapes {a:?} and {b:?} do not multiply"));
        let (a_batch, m, k) = match a {
            [] => return Err(fail()),
            [k] => (&a[..0], 1, *k),
            [batch @ .., m, k] => (batch, *m, *k),
        };
        let (b_batch, depth, n) = match b {
            [] => return Err(fail()),
            [k] => (&b[..0], *k, 1),
            [batch @ .., k, n] => (batch, *k, *n),
        };
        if k != depth {
            return Err(fail());
        }
        let batch = index::broadcast(&[a_batch, b_batch])?;
        let mut shape = batch.clone();
        shape.extend((a.len() > 1).then_some(m));
        shape.extend((b.len() > 1).then_some(n));
        Ok(Product { batch, m, k, n, shape, a_batch: a_batch.to_vec(), b_batch: b_batch.to_vec() })
    }

    /// The product of `a` and `b`, dense row-major.
    ///
    /// # Errors
    /// Never for slices that fill the shapes.
    pub fn run<T: Number>(&self, a: &[T], b: &[T]) -> OpResult<Vec<T::Sum>> {
        let total = self.shape.iter().product::<usize>();
        let mut c = vec![T::ZERO; total];
        let (m, k, n) = (self.m, self.k, self.n);
        if self.b_batch.iter().all(|&d| d == 1) && self.a_batch.iter().product::<usize>() * m * n == total {
            // One right-hand side: all batches are rows of one product.
            T::matmul(total / n.max(1), k, n, a, b, &mut c);
            return Ok(c);
        }
        let at = |own: &[usize]| -> OpResult<_> {
            Ok(index::Offsets::unsigned(&self.batch, &index::broadcast_strides(own, &self.batch)?))
        };
        for (i, (x, y)) in at(&self.a_batch)?.zip(at(&self.b_batch)?).enumerate() {
            T::matmul(m, k, n, &a[x * m * k..][..m * k], &b[y * k * n..][..k * n], &mut c[i * m * n..][..m * n]);
        }
        Ok(c)
    }
}

/// Numpy's `matmul` of two tensors of one numeric type.
///
/// # Errors
/// When types or shapes do not fit.
pub fn matmul(a: &Tensor, b: &Tensor) -> OpResult<Tensor> {
    if a.dtype() != b.dtype() {
        return Err(OpError::invalid(format!("operands of types {} and {}", a.dtype(), b.dtype())));
    }
    let p = Product::of(a.shape(), b.shape())?;
    checked_len(F64, &p.shape)?;
    if let (Ok(x), Ok(y)) = (a.as_slice::<f32>(), b.as_slice::<f32>()) {
        Ok(Tensor::from_f64s(F32, &p.shape, &p.run(x, y)?)?)
    } else if a.dtype().is_float() {
        Ok(Tensor::from_f64s(a.dtype(), &p.shape, &p.run(&a.to_f64s()?, &b.to_f64s()?)?)?)
    } else {
        Ok(Tensor::from_i64s(a.dtype(), &p.shape, &p.run(&a.to_i64s()?, &b.to_i64s()?)?)?)
    }
}

/// Shape of numpy's `matmul` of operands 0 and 1.
///
/// # Errors
/// When one has rank 0, known depths differ, or the batches do not broadcast.
pub fn infer_matmul(a: &[Dim], b: &[Dim]) -> OpResult<Vec<Dim>> {
    if a.is_empty() || b.is_empty() {
        return Err(OpError::invalid("a scalar is no matrix"));
    }
    let split = |s: &[Dim]| s.len().saturating_sub(2);
    let (ka, kb) = (&a[a.len() - 1], &b[b.len().saturating_sub(2)]);
    if let (Dim::Known(x), Dim::Known(y)) = (ka, kb)
        && x != y
    {
        return Err(OpError::invalid(format!("matrices of depths {x} and {y} do not multiply")));
    }
    let mut out = shapes::broadcast(&[&a[..split(a)], &b[..split(b)]])?;
    out.extend((a.len() > 1).then(|| a[a.len() - 2].clone()));
    out.extend((b.len() > 1).then(|| b[b.len() - 1].clone()));
    Ok(out)
}
