//! QuantizeLinear and DequantizeLinear of 8 bits, with a scale for all elements or for each index along an axis.

use super::elementwise::Program;
use super::{Lowered, Site};
use crate::lower::Lowering;
use crate::plan::BufferId;
use modelsmith_ir::{Dim, Type};
use modelsmith_kop::{BinaryOp, Lane, UnaryOp};
use modelsmith_tensor::DType;

/// The place of scales in a tensor of this rank: none for one scale, else the axis.
enum Over {
    All,
    Axis(usize),
}

fn over(site: &Site) -> Option<Over> {
    let (x, scale) = (site.shape(0)?, site.shape(1)?);
    if site.attrs.int("block_size").ok()? != 0 || site.dtype(1)? != DType::F32 {
        return None;
    }
    if site.input(2).is_some() && site.shape(2)? != scale {
        return None;
    }
    match scale {
        [] => Some(Over::All),
        [n] if *n == Dim::Known(1) => Some(Over::All),
        [n] => {
            let axis = site.axis(site.attrs.int("axis").ok()?, x.len())?;
            (x[axis] == *n).then_some(Over::Axis(axis))
        }
        _ => None,
    }
}

impl Lowering<'_> {
    /// Operand `i`, the scale or the zero point, so that it broadcasts to operand 0.
    fn along(&mut self, site: &Site, i: usize, over: &Over) -> crate::Result<Option<BufferId>> {
        let (Some(v), Some(shape), Some(rank), Some(dtype)) =
            (site.input(i), site.shape(i), site.rank(0), site.dtype(i))
        else {
            return Ok(None);
        };
        let dims = match over {
            Over::All => vec![],
            Over::Axis(axis) => {
                let mut dims = vec![Dim::Known(1); rank - axis];
                dims[0] = shape[0].clone();
                dims
            }
        };
        let of = self.buffer(v)?;
        Ok(Some(if dims == shape { of } else { self.view_of(of, Type::tensor(dtype, &dims)) }))
    }

    /// Loads the scale and, where there is one, the zero point as singles.
    fn grid(&mut self, site: &Site, over: &Over, p: &mut Program) -> crate::Result<Option<Grid>> {
        let Some(scale) = self.along(site, 1, over)? else { return Ok(None) };
        let mut buffers = vec![scale];
        let scale = p.load(Lane::F32);
        let mut zero = None;
        if let Some(lane) = site.dtype(2).and_then(Lane::of) {
            let Some(of) = self.along(site, 2, over)? else { return Ok(None) };
            buffers.push(of);
            let z = p.load(lane);
            zero = Some(p.cast(lane, Lane::F32, z));
        }
        Ok(Some(Grid { scale, zero, buffers }))
    }

    pub(super) fn quantize(&mut self, site: &Site) -> Lowered {
        let to = site.types[0].dtype().and_then(Lane::of).filter(|l| matches!(l, Lane::U8 | Lane::I8));
        let single = |d: Option<DType>| d.is_none_or(|d| d == DType::F32);
        let precise = site.attrs.opt_dtype("precision").is_ok_and(single);
        let (Some(over), Some(x), Some(to), true) = (over(site), site.input(0), to, precise) else { return Ok(None) };
        if site.dtype(0) != Some(DType::F32) {
            return Ok(None);
        }
        let mut p = Program::new();
        let a = p.load(Lane::F32);
        let unit =
            site.input(1).and_then(|v| self.tensor(v)).and_then(|t| Some(t.to_f64s().ok()?.iter().all(|s| *s == 1.0)));
        let Some(grid) = self.grid(site, &over, &mut p)? else { return Ok(None) };
        let ratio = match unit {
            Some(true) => a,
            _ => p.binary(BinaryOp::Div, Lane::F32, a, grid.scale),
        };
        let mut y = p.unary(UnaryOp::Round, Lane::F32, ratio);
        if let Some(zero) = grid.zero {
            y = p.binary(BinaryOp::Add, Lane::F32, y, zero);
        }
        // The cast saturates, as the operator does.
        let y = p.cast(Lane::F32, to, y);
        let inputs = [vec![self.buffer(x)?], grid.buffers].concat();
        self.emit(site, p.finish(y, to), inputs)
    }

    pub(super) fn dequantize(&mut self, site: &Site) -> Lowered {
        let from = site.dtype(0).and_then(Lane::of).filter(|l| matches!(l, Lane::U8 | Lane::I8));
        let (Some(over), Some(x), Some(from)) = (over(site), site.input(0), from) else { return Ok(None) };
        if site.types[0].dtype() != Some(DType::F32) {
            return Ok(None);
        }
        let mut p = Program::new();
        let a = p.load(from);
        let mut y = p.cast(from, Lane::F32, a);
        let Some(grid) = self.grid(site, &over, &mut p)? else { return Ok(None) };
        if let Some(zero) = grid.zero {
            y = p.binary(BinaryOp::Sub, Lane::F32, y, zero);
        }
        let y = p.binary(BinaryOp::Mul, Lane::F32, y, grid.scale);
        let inputs = [vec![self.buffer(x)?], grid.buffers].concat();
        self.emit(site, p.finish(y, Lane::F32), inputs)
    }
}

/// Registers of the scale and the zero point, and the buffers that they are loaded from, in this order.
struct Grid {
    scale: u8,
    zero: Option<u8>,
    buffers: Vec<BufferId>,
}
