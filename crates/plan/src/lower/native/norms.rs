//! Softmax, normalisations, reductions.

use super::elementwise::Program;
use super::{Lowered, Site};
use crate::lower::Lowering;
use crate::recipe::{Norm, NormOver, Recipe};
use modelsmith_ir::{Dim, ValueId};
use modelsmith_kop::{BinaryOp, Lane, ReduceOp};
use modelsmith_tensor::Tensor;

impl Lowering<'_> {
    pub(super) fn softmax(&mut self, site: &Site) -> Lowered {
        let axis = site.attrs.int("axis").ok().zip(site.rank(0)).and_then(|(a, r)| site.axis(a, r));
        let (Some(axis), Some(x), true) = (axis, site.input(0), site.all_f32()) else { return Ok(None) };
        let x = self.buffer(x)?;
        self.emit(site, Recipe::Softmax { axis, log: site.name == "LogSoftmax" }, vec![x])
    }

    pub(super) fn norm(&mut self, site: &Site) -> Lowered {
        let (Some(norm), true, true) = (norm_recipe(site), site.all_f32(), site.one_output()) else { return Ok(None) };
        let inputs = site.inputs.iter().flatten().map(|&v| self.buffer(v)).collect::<crate::Result<Vec<_>>>()?;
        self.emit(site, Recipe::Norm(norm), inputs)
    }

    /// A batch normalisation that no convolution before it took up: one multiplication and one addition per element.
    pub(super) fn batch_norm(&mut self, site: &Site) -> Lowered {
        let Some((scale, shift)) = self.scale_and_shift(site) else { return Ok(None) };
        let Some(x) = site.input(0) else { return Ok(None) };
        let mut p = Program::new();
        let (a, b, c) = (p.load(Lane::F32), p.load(Lane::F32), p.load(Lane::F32));
        let product = p.binary(BinaryOp::Mul, Lane::F32, a, b);
        let sum = p.binary(BinaryOp::Add, Lane::F32, product, c);
        let inputs = vec![self.buffer(x)?, self.literal(scale), self.literal(shift)];
        self.emit(site, p.finish(sum, Lane::F32), inputs)
    }

    fn scale_and_shift(&self, site: &Site) -> Option<(Tensor, Tensor)> {
        let rank = site.rank(0).filter(|&r| r >= 2 && site.all_f32() && site.one_output())?;
        if site.attrs.int("training_mode").ok()? != 0 {
            return None;
        }
        let all = |i: usize| -> Option<Vec<f64>> { self.tensor(site.input(i)?)?.to_f64s().ok() };
        let (scale, bias, mean, var) = (all(1)?, all(2)?, all(3)?, all(4)?);
        let eps = f64::from(site.attrs.float("epsilon").ok()?);
        let n = scale.len();
        if bias.len() != n || mean.len() != n || var.len() != n {
            return None;
        }
        let a = (0..n).map(|i| scale[i] / (var[i] + eps).sqrt()).collect::<Vec<_>>();
        let b = (0..n).map(|i| bias[i] - mean[i] * a[i]).collect::<Vec<_>>();
        let mut shape = vec![1; rank - 1];
        shape[0] = n;
        let tensor = |v: &[f64]| Tensor::from_f64s(modelsmith_tensor::DType::F32, &shape, v).ok();
        Some((tensor(&a)?, tensor(&b)?))
    }

    pub(super) fn reduce(&mut self, site: &Site) -> Lowered {
        let Some((op, axes)) = self.reduction(site) else { return Ok(None) };
        let Some(x) = site.input(0) else { return Ok(None) };
        let x = self.buffer(x)?;
        self.emit(site, Recipe::Reduce { op, axes }, vec![x])
    }

    fn reduction(&self, site: &Site) -> Option<(ReduceOp, Vec<usize>)> {
        let op = match site.name {
            "ReduceSum" => ReduceOp::Sum,
            "ReduceMean" => ReduceOp::Mean,
            "ReduceMax" => ReduceOp::Max,
            "ReduceMin" => ReduceOp::Min,
            "ReduceProd" => ReduceOp::Prod,
            "ReduceL1" => ReduceOp::L1,
            "ReduceL2" => ReduceOp::L2,
            "ReduceSumSquare" => ReduceOp::SumSquare,
            "ReduceLogSumExp" => ReduceOp::LogSumExp,
            _ => return None,
        };
        if site.fact(0)?.ty.dtype()? != modelsmith_tensor::DType::F32 {
            return None;
        }
        let rank = site.rank(0)?;
        let list = match site.input(1) {
            Some(_) => site.ints(1)?,
            None => vec![],
        };
        let mut axes = match list.is_empty() {
            true if site.attrs.int("noop_with_empty_axes").unwrap_or(0) != 0 => return None,
            true => (0..rank).collect(),
            false => list.iter().map(|&a| site.axis(a, rank)).collect::<Option<Vec<_>>>()?,
        };
        axes.sort_unstable();
        axes.dedup();
        let neighbours = axes.windows(2).all(|w| w[1] == w[0] + 1);
        (neighbours && rank > 0).then_some((op, axes))
    }
}

/// True when `v` has one value for each element of `dims`.
fn vector_of(site: &Site, i: usize, dims: &[Dim]) -> bool {
    let Some(shape) = site.shape(i) else { return true };
    let lead = shape.len().saturating_sub(dims.len());
    shape[..lead].iter().all(|d| *d == Dim::Known(1)) && shape[lead..] == *dims
}

fn norm_recipe(site: &Site) -> Option<Norm> {
    let shape = site.shape(0)?;
    let eps = site.attrs.float("epsilon").ok()?;
    if site.attrs.opt_int("stash_type").ok()?.is_some_and(|t| t != 1) {
        return None;
    }
    let given = |i: usize| -> Option<ValueId> { site.input(i) };
    let (scale, bias) = (given(1).is_some(), given(2).is_some());
    let over = match site.name {
        "GroupNormalization" | "InstanceNormalization" => {
            let channels = shape.get(1..2)?;
            let groups = match site.name {
                "GroupNormalization" => usize::try_from(site.attrs.int("num_groups").ok()?).ok()?,
                _ => channels[0].size()?,
            };
            if shape.len() < 3 || !vector_of(site, 1, channels) || !vector_of(site, 2, channels) {
                return None;
            }
            NormOver::Group(groups)
        }
        name => {
            let axis = site.axis(site.attrs.int("axis").ok()?, shape.len())?;
            if !vector_of(site, 1, &shape[axis..]) || !vector_of(site, 2, &shape[axis..]) {
                return None;
            }
            if name == "RMSNormalization" { NormOver::Rms(axis) } else { NormOver::Layer(axis) }
        }
    };
    Some(Norm { over, eps, scale, bias, residual: false })
}
