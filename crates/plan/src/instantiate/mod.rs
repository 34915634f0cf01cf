//! Kernel problems of a recipe for the sizes of a run.
//!
//! Plans may come from a file that somebody changed, so nothing here trusts a recipe to fit its operands: sizes are
//! computed with checks, and kernels check what they get once more.

mod attention;
mod contract;
mod image;
mod moves;
mod pointwise;
mod recurrent;

use crate::recipe::Recipe;
use modelsmith_kop::{GatherProblem, KOp, Layout};
use modelsmith_tensor::DType;

/// What is known of an operand when a step is about to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// Element type.
    pub dtype: DType,
    /// Sizes.
    pub shape: Vec<usize>,
    /// Order of its axes in memory.
    pub layout: Layout,
}

/// One kernel call of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The problem.
    pub op: KOp,
    /// Inputs, as indices of the step's inputs.
    pub inputs: Vec<usize>,
    /// Outputs, as indices of the step's outputs.
    pub outputs: Vec<usize>,
}

/// Sizes of symbols.
pub type Sizes<'a> = &'a dyn Fn(&str) -> Option<i64>;

/// The operands of a step.
pub(crate) struct Cx<'a> {
    pub inputs: &'a [Option<Operand>],
    pub outputs: &'a [Option<Operand>],
    pub sizes: Sizes<'a>,
}

pub(crate) type Made<T> = Result<T, String>;

/// The kernel calls of `recipe` on these operands, in order.
///
/// # Errors
/// Says why the recipe does not fit the operands.
pub fn instantiate(
    recipe: &Recipe,
    inputs: &[Option<Operand>],
    outputs: &[Option<Operand>],
    sizes: Sizes<'_>,
) -> Made<Vec<Call>> {
    let cx = Cx { inputs, outputs, sizes };
    match recipe {
        Recipe::Gemm(g) => contract::gemm(&cx, g),
        Recipe::IntegerGemm { packed, zeros } => contract::integer(&cx, *packed, *zeros),
        Recipe::Conv(c) => image::conv(&cx, c),
        Recipe::IntegerConv { window, groups, zeros } => image::integer_conv(&cx, window, *groups, *zeros),
        Recipe::Pool(p) => image::pool(&cx, p),
        Recipe::Resize { scale, mode, coord } => image::resize(&cx, *scale, *mode, *coord),
        Recipe::Eltwise(e) => pointwise::eltwise(&cx, e),
        Recipe::Reduce { op, axes } => pointwise::reduce(&cx, *op, axes),
        Recipe::Softmax { axis, log } => pointwise::softmax(&cx, *axis, *log),
        Recipe::Norm(n) => pointwise::norm(&cx, n),
        Recipe::Move(m) => moves::copies(&cx, m),
        Recipe::Gather { axis } => gather(&cx, *axis),
        Recipe::Attention(a) => attention::attention(&cx, a),
        Recipe::Lstm { reverse, hidden } => recurrent::lstm(&cx, *reverse, *hidden),
        Recipe::Gru { reverse, hidden, linear_before_reset, lengths } => {
            recurrent::gru(&cx, (*reverse, *linear_before_reset, *lengths), *hidden)
        }
    }
}

impl Cx<'_> {
    pub fn input(&self, i: usize) -> Made<&Operand> {
        self.inputs.get(i).and_then(Option::as_ref).ok_or_else(|| format!("input {i} is missing"))
    }

    pub fn output(&self, i: usize) -> Made<&Operand> {
        self.outputs.get(i).and_then(Option::as_ref).ok_or_else(|| format!("output {i} is missing"))
    }

    /// One call of `op` with all inputs and all outputs.
    pub fn one(&self, op: KOp) -> Made<Vec<Call>> {
        let given = |list: &[Option<Operand>]| (0..list.len()).filter(|&i| list[i].is_some()).collect();
        Ok(vec![Call { op, inputs: given(self.inputs), outputs: given(self.outputs) }])
    }
}

impl Operand {
    pub(crate) fn len(&self) -> Made<usize> {
        product(&self.shape)
    }

    /// Element strides of the logical axes.
    pub(crate) fn strides(&self) -> Vec<usize> {
        self.layout.strides(&self.shape)
    }

    /// Axes in the order in which they lie in memory, outermost first.
    pub(crate) fn memory_order(&self) -> Vec<usize> {
        memory_order(self.shape.len(), self.layout)
    }

    pub(crate) fn want(&self, dtype: DType, what: &str) -> Made<()> {
        match self.dtype == dtype {
            true => Ok(()),
            false => Err(format!("{what} is {}, {dtype} is wanted", self.dtype)),
        }
    }

    /// Whether the elements are i8 and not u8.
    pub(crate) fn signed(&self, what: &str) -> Made<bool> {
        match self.dtype {
            DType::I8 => Ok(true),
            DType::U8 => Ok(false),
            other => Err(format!("{what} is {other}, i8 or u8 is wanted")),
        }
    }

    pub(crate) fn plain(&self, what: &str) -> Made<()> {
        match self.layout == Layout::Plain || self.shape.len() < 3 || self.flat() {
            true => Ok(()),
            false => Err(format!("{what} is channels-last, the plain order is wanted")),
        }
    }

    /// True where both layouts are the same order of memory: one channel, or one pixel.
    pub(crate) fn flat(&self) -> bool {
        self.shape.len() < 3 || self.shape[1] == 1 || self.shape[2..].iter().all(|&d| d == 1)
    }
}

/// Axes in the order in which they lie in memory.
pub(crate) fn memory_order(rank: usize, layout: Layout) -> Vec<usize> {
    match layout {
        Layout::ChannelsLast if rank >= 3 => std::iter::once(0).chain(2..rank).chain([1]).collect(),
        _ => (0..rank).collect(),
    }
}

pub(crate) fn product(dims: &[usize]) -> Made<usize> {
    if dims.contains(&0) {
        return Ok(0);
    }
    let n = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= isize::MAX as usize / 16);
    n.ok_or_else(|| format!("sizes {dims:?} overflow"))
}

fn gather(cx: &Cx, axis: usize) -> Made<Vec<Call>> {
    let (data, index, out) = (cx.input(0)?, cx.input(1)?, cx.output(0)?);
    data.plain("data")?;
    index.plain("indices")?;
    out.plain("the result")?;
    if axis >= data.shape.len() || data.dtype != out.dtype || data.dtype.bits() % 8 != 0 {
        return Err("axis or element type does not fit".into());
    }
    let (outer, inner) = (product(&data.shape[..axis])?, product(&data.shape[axis + 1..])?);
    let inner_bytes = inner.checked_mul(data.dtype.bits() / 8).ok_or("sizes overflow")?;
    let count = index.len()?;
    if out.len()? != product(&[outer, count, inner])? {
        return Err("the result has another size".into());
    }
    cx.one(KOp::Gather(GatherProblem { outer, axis: data.shape[axis], inner_bytes, count, index: index.dtype }))
}
