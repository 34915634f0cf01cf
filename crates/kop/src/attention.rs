//! Scaled dot-product attention.

/// How an operand `[batch, heads, rows, columns]` lies in its buffer. Columns have stride 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct HeadView {
    /// Elements before the first.
    pub offset: usize,
    /// Elements between batches.
    pub batch: usize,
    /// Elements between heads.
    pub head: usize,
    /// Elements between rows.
    pub row: usize,
}

/// What a mask does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MaskKind {
    /// f32 values are added to the scores.
    Add,
    /// Bytes; a key whose byte is 0 is not seen.
    Keep,
}

/// A mask over `[batch, heads, queries, keys]`, whose keys have stride 1. A stride of 0 repeats it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AttentionMask {
    /// What it does.
    pub kind: MaskKind,
    /// Elements between batches.
    pub batch: usize,
    /// Elements between heads.
    pub head: usize,
    /// Elements between queries.
    pub row: usize,
}

/// `softmax(Q K^T * scale + mask) V` in f32 over batch and heads.
///
/// Heads of keys and values may be fewer: head `h` meets head `h / (heads / kv_heads)`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AttentionProblem {
    /// Batches.
    pub batch: usize,
    /// Heads of queries and of the result.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Rows of Q.
    pub queries: usize,
    /// Rows of K and V.
    pub keys: usize,
    /// Columns of Q and K.
    pub size: usize,
    /// Columns of V and of the result.
    pub values: usize,
    /// Factor of the scores.
    pub scale: f32,
    /// Query `i` sees keys `0..=i` only.
    pub causal: bool,
    /// A query that sees no key gives zeros; else it gives NaN, as softmax does.
    pub blind_zero: bool,
    /// A mask is given.
    pub mask: Option<AttentionMask>,
    /// Queries.
    pub q: HeadView,
    /// Keys.
    pub k: HeadView,
    /// Values.
    pub v: HeadView,
    /// The result.
    pub y: HeadView,
}

impl AttentionProblem {
    /// Multiplications and additions of both products, each counted as one.
    pub fn flops(&self) -> f64 {
        let scores = (self.batch * self.heads * self.queries) as f64 * self.keys as f64;
        2.0 * scores * (self.size + self.values) as f64
    }
}
