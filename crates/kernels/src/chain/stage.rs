//! One problem of a chain: what it reads and makes by rows, and the same problem for some rows.

use crate::conv;
use crate::def::{Args, KernelDef, KernelError};
use crate::eltwise;
use crate::mem::{Dst, Src};
use crate::pooling;
use modelsmith_kop::{ConvProblem, EltwiseProblem, EpilogueStep, Inst, Lane, Layout, PoolProblem, Windows};
use modelsmith_pool::Pool;
use std::ops::Range;

/// A problem of a chain with its kernel.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Convolution. Operands: weights, the bias where there is one, the epilogue's operands.
    Conv(&'static KernelDef<ConvProblem>, ConvProblem),
    /// Pooling. No operands.
    Pool(&'static KernelDef<PoolProblem>, PoolProblem),
    /// An element-wise program whose first input is an image, for so many images of so many rows. Operands: its other
    /// inputs.
    Map(&'static KernelDef<EltwiseProblem>, EltwiseProblem, [usize; 2]),
}

/// The stages, where each element-wise program has the images and rows of the stage that reads its result; or why it cannot.
pub(super) fn placed(mut stages: Vec<Stage>) -> Result<Vec<Stage>, String> {
    for i in (0..stages.len()).rev() {
        let next = stages.get(i + 1).map(|s| [s.images(), s.input().0]);
        if let Stage::Map(_, p, rows) = &mut stages[i] {
            *rows = next.ok_or("an element-wise program comes last")?;
            if !by_rows(p, *rows) {
                return Err("an element-wise program does not go row by row".into());
            }
        }
    }
    Ok(stages)
}

/// Whether a program of singles makes a dense image of a dense image, and its outermost dimension is rows of images. A part
/// of a joined image is read from a page to each pixel, which takes as long in bands and makes the product after it slower.
fn by_rows(p: &EltwiseProblem, [images, rows]: [usize; 2]) -> bool {
    let ([y], Some(&outer)) = (&p.outputs[..], p.dims.first()) else { return false };
    let mut dense = 1;
    let is_dense = p.dims.iter().zip(&y.strides).rev().all(|(&len, &stride)| {
        let fits = stride == dense;
        dense = dense.saturating_mul(len);
        fits
    });
    let lines = images.saturating_mul(rows);
    let singles = p.inputs.iter().chain(&p.outputs).all(|o| o.lane == Lane::F32);
    is_dense
        && singles
        && lines > 0
        && outer.is_multiple_of(lines)
        && p.inputs.first().is_some_and(|x| x.strides == y.strides)
}

impl Stage {
    pub(super) fn windows(&self) -> Option<Windows> {
        match self {
            Stage::Conv(_, p) => p.windows(),
            Stage::Pool(_, p) => Some(p.windows()),
            Stage::Map(_, _, [_, rows]) => Some(Windows::of_rows(*rows)),
        }
    }

    /// An element-wise program as a stage, and which of its inputs is the image: the first that is read row by row.
    pub fn map(kernel: &'static KernelDef<EltwiseProblem>, p: &EltwiseProblem) -> Option<(Stage, usize)> {
        let image = p.inputs.iter().position(|x| x.strides.first().is_some_and(|&s| s > 0))?;
        let mut p = p.clone();
        p.inputs[..=image].rotate_right(1);
        for inst in &mut p.code {
            if let Inst::Load { input, .. } = inst {
                *input = match usize::from(*input) {
                    at if at == image => 0,
                    at if at < image => *input + 1,
                    _ => *input,
                };
            }
        }
        Some((Stage::Map(kernel, p, [0, 0]), image))
    }

    /// Lines of the outermost dimension of an element-wise program to a row of the image.
    fn lines(p: &EltwiseProblem, [images, rows]: [usize; 2]) -> usize {
        p.dims[0] / (images * rows).max(1)
    }

    /// The problem of rows `out` of one image, for the same kernel where it takes so few rows.
    pub(super) fn band(&self, out: &Range<usize>) -> Option<Stage> {
        Some(match self {
            Stage::Conv(k, p) => {
                let p = p.band(out)?;
                Stage::Conv(like(k, conv::KERNELS, &p)?, p)
            }
            Stage::Pool(k, p) => {
                let p = p.band(out)?;
                Stage::Pool(like(k, pooling::KERNELS, &p)?, p)
            }
            Stage::Map(k, p, of) => {
                let mut band = p.clone();
                band.dims[0] = out.len() * Stage::lines(p, *of);
                Stage::Map(like(k, eltwise::KERNELS, &band)?, band, [1, out.len()])
            }
        })
    }

    pub(super) fn same_problem(&self, other: &Stage) -> bool {
        match (self, other) {
            (Stage::Conv(_, a), Stage::Conv(_, b)) => a == b,
            (Stage::Pool(_, a), Stage::Pool(_, b)) => a == b,
            (Stage::Map(_, a, _), Stage::Map(_, b, _)) => a == b,
            _ => false,
        }
    }

    pub(super) fn images(&self) -> usize {
        match self {
            Stage::Conv(_, p) => p.n,
            Stage::Pool(_, p) => p.n,
            Stage::Map(_, _, [images, _]) => *images,
        }
    }

    /// Rows of the input and values in each, its layout, and whether values stand between its pixels.
    pub(super) fn input(&self) -> (usize, usize, Layout, bool) {
        match self {
            Stage::Conv(_, p) if p.x_layout == Layout::Plain => (p.h, p.w * p.c, p.x_layout, false),
            Stage::Conv(_, p) => (p.h, p.w * p.x_stride, p.x_layout, p.x_stride != p.c),
            Stage::Pool(_, p) => (p.h, p.w * p.c, p.layout, false),
            Stage::Map(..) => self.output(),
        }
    }

    /// The same of the result.
    pub(super) fn output(&self) -> (usize, usize, Layout, bool) {
        match self {
            Stage::Conv(_, p) => (p.oh, p.ow * p.y_stride, p.y_layout, p.y_stride != p.oc),
            Stage::Pool(_, p) => (p.oh, p.ow * p.c, p.layout, false),
            Stage::Map(_, p, of) => {
                (of[1], Stage::lines(p, *of) * p.outputs[0].strides[0], Layout::ChannelsLast, false)
            }
        }
    }

    /// Values behind the last pixel of the result that are not part of it.
    pub(super) fn gap(&self) -> usize {
        match self {
            Stage::Conv(_, p) => p.y_stride.saturating_sub(p.oc),
            Stage::Pool(..) | Stage::Map(..) => 0,
        }
    }

    /// Operands besides the image.
    pub(super) fn operands(&self) -> usize {
        match self {
            Stage::Conv(_, p) => 1 + usize::from(p.epilogue.bias) + p.epilogue.operand_count(),
            Stage::Pool(..) => 0,
            Stage::Map(_, p, _) => p.inputs.len() - 1,
        }
    }

    /// For each operand the values to a row of the result; 0 where all rows read the same. `None` where steps disagree.
    pub(super) fn operand_rows(&self) -> Option<Vec<usize>> {
        let p = match self {
            Stage::Conv(_, p) => p,
            Stage::Pool(..) => return Some(vec![]),
            Stage::Map(_, p, of) => {
                return p.inputs[1..].iter().map(|x| x.strides[0].checked_mul(Stage::lines(p, *of))).collect();
            }
        };
        let mut rows = vec![None; self.operands()];
        let skip = 1 + usize::from(p.epilogue.bias);
        rows[..skip].fill(Some(0));
        for step in &p.epilogue.steps {
            if let EpilogueStep::Add { operand, row_stride } | EpilogueStep::Mul { operand, row_stride } = step {
                let (slot, values) = (rows.get_mut(skip + *operand as usize)?, row_stride.checked_mul(p.ow)?);
                if slot.replace(values).is_some_and(|before| before != values) {
                    return None;
                }
            }
        }
        rows.into_iter().collect()
    }

    /// A measure of what one image takes.
    pub(super) fn work(&self) -> f64 {
        match self {
            Stage::Conv(_, p) => p.flops() / p.n.max(1) as f64,
            Stage::Pool(_, p) => (p.c * p.oh * p.ow * p.kernel[0] * p.kernel[1]) as f64,
            Stage::Map(_, p, [images, _]) => p.len() as f64 / (*images).max(1) as f64,
        }
    }

    pub(super) fn workspace(&self) -> usize {
        match self {
            Stage::Conv(k, p) => k.workspace(p, 1),
            Stage::Pool(k, p) => k.workspace(p, 1),
            Stage::Map(k, p, _) => k.workspace(p, 1),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Stage::Conv(k, _) => k.name,
            Stage::Pool(k, _) => k.name,
            Stage::Map(k, ..) => k.name,
        }
    }

    pub(super) fn run(
        &self,
        inputs: &[Src<'_>],
        y: Dst<'_>,
        workspace: &mut [u8],
        pool: &Pool,
    ) -> Result<(), KernelError> {
        let args = Args { inputs, outputs: &mut [y], workspace };
        match self {
            Stage::Conv(k, p) => k.run(p, args, pool),
            Stage::Pool(k, p) => k.run(p, args, pool),
            Stage::Map(k, p, _) => k.run(p, args, pool),
        }
    }
}

/// The kernel itself, or the first that takes the problem with the same packed weights and no other instruction sets.
fn like<P>(own: &'static KernelDef<P>, list: &'static [KernelDef<P>], p: &P) -> Option<&'static KernelDef<P>> {
    let serves =
        |k: &&KernelDef<P>| own.isa.contains(k.isa) && k.accepts(p).is_ok() && k.pack_format(p) == own.pack_format(p);
    Some(own).filter(serves).or_else(|| list.iter().find(serves))
}
