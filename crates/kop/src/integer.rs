//! Products and convolutions of 8-bit integers.

use crate::gemm::{BatchDim, GemmB};

/// What is subtracted from the elements of an operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ZeroPoint {
    /// Nothing.
    None,
    /// One value.
    One,
    /// One value for each row of the left operand, or for each column of the right.
    Each,
}

/// `C[m, n] = sum over k of (A[m, k] - a_zero) * (B[k, n] - b_zero)` in i32 that wraps, for each index of the batch.
///
/// Operands are i8 where `signed`, else u8; a zero point has the type of its operand. Rows of C have column stride 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntegerGemmProblem {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B. 0 gives sums of zero.
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
    /// Whether A and B are i8.
    pub signed: [bool; 2],
    /// The zero points of A, by row, and of B, by column. All products of the batch share them.
    pub zeros: [ZeroPoint; 2],
}

impl IntegerGemmProblem {
    /// Number of products: the batch lengths multiplied.
    pub fn batch_count(&self) -> usize {
        self.batch.iter().map(|d| d.len).product()
    }

    /// Multiplications and additions, each counted as one.
    pub fn flops(&self) -> f64 {
        2.0 * self.batch_count() as f64 * self.m as f64 * self.n as f64 * self.k as f64
    }
}

/// A 2-D convolution of 8-bit integers minus their zero points into i32 that wraps. Shapes, all dense:
/// x `[n, c, h, w]`, weights `[oc, c / groups, kh, kw]`, y `[n, oc, oh, ow]`. Padding adds nothing to a sum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntegerConvProblem {
    /// Images.
    pub n: usize,
    /// Input channels.
    pub c: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Output channels.
    pub oc: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step in height and width; at least 1.
    pub stride: [usize; 2],
    /// Spacing of kernel taps in height and width; at least 1.
    pub dilation: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [usize; 4],
    /// Groups; divides `c` and `oc`.
    pub groups: usize,
    /// Output height.
    pub oh: usize,
    /// Output width.
    pub ow: usize,
    /// Whether x and the weights are i8.
    pub signed: [bool; 2],
    /// The zero point of x, none or one.
    pub x_zero: ZeroPoint,
    /// The zero point of the weights, by output channel where there are several.
    pub w_zero: ZeroPoint,
}

impl IntegerConvProblem {
    /// Multiplications and additions, each counted as one; padding counts.
    pub fn flops(&self) -> f64 {
        let taps = (self.kernel[0] * self.kernel[1]) as f64;
        2.0 * (self.n * self.oh * self.ow) as f64 * self.oc as f64 * (self.c / self.groups.max(1)) as f64 * taps
    }
}
