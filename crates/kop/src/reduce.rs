//! Reductions.

/// How values become one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReduceOp {
    /// Sum.
    Sum,
    /// Sum divided by the count.
    Mean,
    /// Largest; NaN wins.
    Max,
    /// Smallest; NaN wins.
    Min,
    /// Product.
    Prod,
    /// Sum of magnitudes.
    L1,
    /// Square root of the sum of squares.
    L2,
    /// Sum of squares.
    SumSquare,
    /// Logarithm of the sum of exponentials, computed from the largest value.
    LogSumExp,
}

/// A reduction in f32 of a dense `[outer, reduced, inner]` view to `[outer, inner]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReduceProblem {
    /// What is computed.
    pub op: ReduceOp,
    /// Product of the dims before the reduced ones.
    pub outer: usize,
    /// Product of the reduced dims.
    pub reduced: usize,
    /// Product of the dims after the reduced ones.
    pub inner: usize,
}
