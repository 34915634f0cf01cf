//! Operators that move elements, or only change a shape.

use super::{Lowered, Site};
use crate::lower::Lowering;
use crate::plan::Home;
use crate::recipe::{Border, Move, Recipe};
use modelsmith_ir::{Dim, Type};
use modelsmith_tensor::{DType, Tensor};

/// Kernels copy elements of whole bytes.
fn copyable(d: Option<DType>) -> bool {
    d.is_some_and(|d| d.bits() >= 8)
}

impl Lowering<'_> {
    /// Another shape over the same bytes.
    pub(super) fn view(&mut self, site: &Site) -> Lowered {
        let (Some(x), Some(v), true) = (site.input(0), site.outputs[0], site.one_output()) else { return Ok(None) };
        let training = site.name == "Dropout" && site.inputs.len() > 2 && {
            let flag = site.input(2).and_then(|v| self.tensor(v));
            flag.is_none_or(|t| t.to_bools().map_or(true, |b| b != [false]))
        };
        if training || site.dtype(0) != site.types[0].dtype() || !copyable(site.dtype(0)) {
            return Ok(None);
        }
        let of = self.buffer(x)?;
        self.new_buffer(Some(v), Home::View(of));
        Ok(Some(()))
    }

    pub(super) fn movement(&mut self, site: &Site) -> Lowered {
        if !copyable(site.dtype(0)) || site.dtype(0) != site.types[0].dtype() {
            return Ok(None);
        }
        let host = site.dtype(0).is_some_and(DType::is_int) && {
            let sizes = site.out_shape().and_then(|s| s.iter().map(Dim::size).collect::<Option<Vec<_>>>());
            sizes.is_some_and(|s| s.iter().product::<usize>() <= 64)
        };
        if site.name == "Gather"
            && !host
            && let Some(done) = self.row(site)?
        {
            return Ok(Some(done));
        }
        let Some((recipe, which)) = (if host { None } else { recipe(site) }) else { return Ok(None) };
        let mut inputs = Vec::new();
        for i in which {
            let Some(v) = site.input(i) else { return Ok(None) };
            inputs.push(self.buffer(v)?);
        }
        if let Recipe::Move(Move::Pad { .. }) = recipe
            && inputs.len() == 1
        {
            let Ok(zero) = Tensor::zeros(site.dtype(0).unwrap_or(DType::F32), &[1]) else { return Ok(None) };
            inputs.push(self.literal(zero));
        }
        self.emit(site, recipe, inputs)
    }
}

impl Lowering<'_> {
    /// One index along an axis is a slice, which what follows may read in place.
    fn row(&mut self, site: &Site) -> Lowered {
        let index = site.ints(1).filter(|i| i.len() == 1 && site.rank(1) == Some(0));
        let (Some(shape), Some(index)) = (site.shape(0), index) else { return Ok(None) };
        let Some(axis) = site.attrs.int("axis").ok().and_then(|a| site.axis(a, shape.len())) else { return Ok(None) };
        let Some(at) = shape[axis].size().and_then(|n| site.axis(index[0], n)) else { return Ok(None) };
        let (mut start, mut dims) = (vec![Dim::Known(0); shape.len()], shape.to_vec());
        (start[axis], dims[axis]) = (Dim::from(at), Dim::Known(1));
        let (Some(x), Some(v), Some(dtype)) = (site.input(0), site.outputs[0], site.dtype(0)) else { return Ok(None) };
        let (x, step) = (self.buffer(x)?, vec![1; shape.len()]);
        let part =
            self.emit_inner(site, Recipe::Move(Move::Slice { start, step }), vec![x], Type::tensor(dtype, &dims));
        self.new_buffer(Some(v), Home::View(part));
        Ok(Some(()))
    }
}

/// The recipe and the operands that it takes.
fn recipe(site: &Site) -> Option<(Recipe, Vec<usize>)> {
    let rank = site.rank(0)?;
    let axis = || site.axis(site.attrs.int("axis").ok()?, rank);
    let (m, inputs) = match site.name {
        "Transpose" => {
            let perm = match site.attrs.opt_ints("perm").ok()? {
                Some(p) => p.iter().map(|&a| site.axis(a, rank)).collect::<Option<Vec<_>>>()?,
                None => (0..rank).rev().collect(),
            };
            (perm.len() == rank).then_some((Move::Transpose(perm), vec![0]))?
        }
        "Concat" => {
            let same = site.facts.iter().flatten().all(|f| f.ty.dtype() == site.dtype(0) && f.ty.rank() == Some(rank));
            (same && site.inputs.len() <= 512).then_some((Move::Concat(axis()?), (0..site.inputs.len()).collect()))?
        }
        "Split" if site.outputs.iter().all(Option::is_some) => (Move::Split(axis()?), vec![0]),
        "Expand" => (Move::Expand, vec![0]),
        "Slice" => (slice(site)?, vec![0]),
        "Pad" => pad(site)?,
        "Gather" => {
            let index = matches!(site.dtype(1)?, DType::I32 | DType::I64);
            return index.then_some((Recipe::Gather { axis: axis()? }, vec![0, 1]));
        }
        _ => return None,
    };
    Some((Recipe::Move(m), inputs))
}

fn slice(site: &Site) -> Option<Move> {
    let shape = site.shape(0)?;
    let rank = shape.len();
    let starts = &site.fact(1)?.value.as_ref()?.dims;
    let axes = match site.input(3) {
        Some(_) => site.ints(3)?,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match site.input(4) {
        Some(_) => site.ints(4)?,
        None => vec![1; starts.len()],
    };
    if axes.len() != starts.len() || steps.len() != starts.len() {
        return None;
    }
    let (mut start, mut step) = (vec![Dim::Known(0); rank], vec![1; rank]);
    for ((from, &axis), &by) in starts.iter().zip(&axes).zip(&steps) {
        let axis = site.axis(axis, rank)?;
        let len = &shape[axis];
        let last = len.clone() - Dim::Known(1);
        // The sign of an expression is not known before the run.
        let from = from.known()?;
        let at = match from {
            _ if by == 0 || by == i64::MIN => return None,
            0 if by > 0 => Dim::Known(0),
            f if f >= 0 => Dim::Known(f),
            f if f < -(1 << 40) => Dim::Known(0),
            f => (len.clone() + Dim::Known(f)).larger(&Dim::Known(0)),
        };
        // Steps that leave the numbers take one element; any step does that.
        start[axis] = at.smaller(if by > 0 { len } else { &last });
        step[axis] = by.clamp(-(1 << 40), 1 << 40);
    }
    Some(Move::Slice { start, step })
}

/// Padding with elements of the input itself, where their number is known to suffice.
fn extend(site: &Site, before: &[i64], after: &[i64], border: Border) -> Option<Move> {
    let number = |n: &i64| usize::try_from(*n).ok();
    let before = before.iter().map(number).collect::<Option<Vec<_>>>()?;
    let after = after.iter().map(number).collect::<Option<Vec<_>>>()?;
    let mut padded = 0;
    for (dim, most) in site.shape(0)?.iter().zip(before.iter().zip(&after).map(|(b, a)| *b.max(a))) {
        if most == 0 {
            continue;
        }
        padded += 1;
        if !border.fits(dim.size()?, most) {
            return None;
        }
    }
    // Each padded axis makes three times as many copies.
    (padded <= 3).then_some(Move::Extend { before, border })
}

fn pad(site: &Site) -> Option<(Move, Vec<usize>)> {
    let rank = site.rank(0)?;
    let border = match site.attrs.string("mode").ok()? {
        "constant" => None,
        "reflect" => Some(Border::Reflect),
        "edge" => Some(Border::Edge),
        "wrap" => Some(Border::Wrap),
        _ => return None,
    };
    let pads = site.ints(1)?;
    let axes = match site.input(3) {
        Some(_) => site.ints(3)?.iter().map(|&a| site.axis(a, rank)).collect::<Option<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let mut before = vec![0; rank];
    if pads.len() != 2 * axes.len() || pads.iter().any(|p| p.unsigned_abs() > 1 << 40) {
        return None;
    }
    let mut after = before.clone();
    for (i, &a) in axes.iter().enumerate() {
        (before[a], after[a]) = (pads[i], pads[axes.len() + i]);
    }
    if let Some(border) = border {
        return Some((extend(site, &before, &after, border)?, vec![0]));
    }
    let inputs = if site.input(2).is_some() { vec![0, 2] } else { vec![0] };
    Some((Move::Pad { before }, inputs))
}
