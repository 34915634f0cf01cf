//! Matrix products.

use crate::epilogue::Epilogue;

/// One batch dimension: how far each matrix moves when its index grows by one. 0 repeats the matrix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BatchDim {
    /// Length of the dimension.
    pub len: usize,
    /// Elements between matrices of A.
    pub a_stride: usize,
    /// Elements between matrices of B. Must be 0 where B is packed.
    pub b_stride: usize,
    /// Elements between matrices of C.
    pub c_stride: usize,
}

/// Where the right-hand matrix (k × n) comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GemmB {
    /// A constant, packed at build time in the kernel's pack format.
    Packed,
    /// A buffer read at run time: element (k, n) lies at `k * row_stride + n * col_stride`.
    Strided {
        /// Elements from (k, n) to (k + 1, n).
        row_stride: usize,
        /// Elements from (k, n) to (k, n + 1).
        col_stride: usize,
    },
}

/// `C[m, n] = epilogue(sum over k of A[m, k] * B[k, n])` in f32, for each index of the batch.
///
/// A transposed operand is one with its strides exchanged. Rows of C have column stride 1.
#[derive(Clone, PartialEq, Debug)]
pub struct GemmProblem {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B. 0 gives a sum of zero.
    pub k: usize,
    /// Batch dimensions, outermost first; empty is one product.
    pub batch: Vec<BatchDim>,
    /// Elements from A(m, k) to A(m + 1, k).
    pub a_row_stride: usize,
    /// Elements from A(m, k) to A(m, k + 1).
    pub a_col_stride: usize,
    /// The right-hand matrix.
    pub b: GemmB,
    /// Elements between rows of C; at least `n` where `m > 1`.
    pub c_row_stride: usize,
    /// What follows the sum.
    pub epilogue: Epilogue,
}

impl GemmProblem {
    /// A product of dense row-major matrices without batch.
    pub fn dense(m: usize, n: usize, k: usize, b: GemmB) -> GemmProblem {
        GemmProblem {
            m,
            n,
            k,
            batch: Vec::new(),
            a_row_stride: k,
            a_col_stride: 1,
            b,
            c_row_stride: n,
            epilogue: Epilogue::default(),
        }
    }

    /// Number of products: the batch lengths multiplied.
    pub fn batch_count(&self) -> usize {
        self.batch.iter().map(|d| d.len).product()
    }

    /// Multiplications and additions, each counted as one.
    pub fn flops(&self) -> f64 {
        2.0 * self.batch_count() as f64 * self.m as f64 * self.n as f64 * self.k as f64
    }
}
