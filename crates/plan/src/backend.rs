use modelsmith_kop::KOp;
use modelsmith_tensor::Tensor;

/// What a planner asks of the hardware side.
pub trait Backend: Sync {
    /// Name of the instruction set level whose kernels are offered.
    fn level(&self) -> &str;

    /// All kernels of the operation's family that this level may use, best first, each with its figures or with the
    /// reason why it does not take the problem.
    fn candidates(&self, op: &KOp) -> Vec<Result<Candidate, Refusal>>;

    /// Told of each problem for which kernels are chosen.
    fn chosen(&self, _: &KOp) {}

    /// A constant weight in a format that a candidate named, as a vector.
    ///
    /// # Errors
    /// When the format is unknown or does not hold such a weight, or the weight has another type or size.
    fn pack(&self, format: &str, weight: WeightDims, logical: &Tensor) -> Result<Tensor, String>;
}

/// A kernel that takes a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Name.
    pub kernel: &'static str,
    /// Format in which it takes the constant weight, where there is one.
    pub pack_format: Option<&'static str>,
    /// Bytes of scratch memory.
    pub workspace: usize,
    /// Nanoseconds, estimated or measured.
    pub cost: f64,
    /// True where `cost` was measured.
    pub measured: bool,
}

/// A kernel that does not take a problem, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name.
    pub kernel: &'static str,
    /// Why.
    pub reason: String,
}

/// How a logical weight is read when it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightDims {
    /// The right-hand matrix of a product, stored `[k, n]`, or `[n, k]` where `transposed`.
    Matrix {
        /// Rows.
        k: usize,
        /// Columns.
        n: usize,
        /// Stored as `[n, k]`.
        transposed: bool,
    },
    /// A convolution kernel `[oc, ic, kh, kw]`, `ic` per group.
    Conv {
        /// Output channels of all groups.
        oc: usize,
        /// Input channels per group.
        ic: usize,
        /// Height.
        kh: usize,
        /// Width.
        kw: usize,
        /// Groups.
        groups: usize,
    },
    /// The kernel of a transposed convolution, `[c, oc, kh, kw]`, `oc` per group.
    ConvTransposed {
        /// Input channels of all groups.
        c: usize,
        /// Output channels per group.
        oc: usize,
        /// Height.
        kh: usize,
        /// Width.
        kw: usize,
        /// Groups.
        groups: usize,
    },
}

impl WeightDims {
    /// As numbers, for storage: the kind, then the sizes.
    pub fn to_numbers(self) -> Vec<usize> {
        match self {
            WeightDims::Matrix { k, n, transposed } => vec![0, k, n, usize::from(transposed)],
            WeightDims::Conv { oc, ic, kh, kw, groups } => vec![1, oc, ic, kh, kw, groups],
            WeightDims::ConvTransposed { c, oc, kh, kw, groups } => vec![2, c, oc, kh, kw, groups],
        }
    }

    /// Inverse of [`WeightDims::to_numbers`].
    pub fn from_numbers(numbers: &[usize]) -> Option<WeightDims> {
        Some(match *numbers {
            [0, k, n, t] => WeightDims::Matrix { k, n, transposed: t != 0 },
            [1, oc, ic, kh, kw, groups] => WeightDims::Conv { oc, ic, kh, kw, groups },
            [2, c, oc, kh, kw, groups] => WeightDims::ConvTransposed { c, oc, kh, kw, groups },
            _ => return None,
        })
    }
}
