//! Convolutions, pooling and resizing.

use super::elementwise::Program;
use super::{Lowered, Site, volume};
use crate::backend::WeightDims;
use crate::lower::Lowering;
use crate::plan::{BufferId, Home};
use crate::recipe::{Conv, Padding, Pool, PoolOver, Recipe, Window};
use modelsmith_ir::{Dim, Type};
use modelsmith_kop::{CoordMode, Lane, NearestMode, PoolKind, ResizeMode};
use modelsmith_tensor::DType;

/// Window attributes of one or two axes, as two: the missing one is 1 wide.
pub(super) struct Attrs {
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub pad: Padding,
}

fn pair(list: Option<Vec<i64>>, axes: usize) -> Option<[usize; 2]> {
    let list = list.unwrap_or_else(|| vec![1; axes]);
    let list = list.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?;
    match list[..] {
        [w] if axes == 1 => Some([1, w]),
        [h, w] if axes == 2 => Some([h, w]),
        _ => None,
    }
}

pub(super) fn window(site: &Site, axes: usize) -> Option<Attrs> {
    let a = &site.attrs;
    let pads = a.opt_ints("pads").ok()?.unwrap_or_else(|| vec![0; 2 * axes]);
    let pads = pads.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?;
    let fixed = match pads[..] {
        [l, r] if axes == 1 => [0, l, 0, r],
        [t, l, b, r] if axes == 2 => [t, l, b, r],
        _ => return None,
    };
    let pad = match a.opt_string("auto_pad").ok()?.unwrap_or("NOTSET") {
        "NOTSET" | "" => Padding::Fixed(fixed),
        "VALID" => Padding::Fixed([0; 4]),
        "SAME_UPPER" => Padding::SameUpper,
        "SAME_LOWER" => Padding::SameLower,
        _ => return None,
    };
    let stride = pair(a.opt_ints("strides").ok()?, axes)?;
    let dilation = pair(a.opt_ints("dilations").ok()?, axes)?;
    (stride.iter().chain(&dilation).all(|&n| n > 0)).then_some(Attrs { stride, dilation, pad })
}

impl Lowering<'_> {
    pub(super) fn conv(&mut self, site: &Site) -> Lowered {
        let Some((recipe, dims)) = conv_recipe(site) else { return Ok(None) };
        let (Some(x), Some(w)) = (site.input(0), site.input(1)) else { return Ok(None) };
        let Some((_, weight)) = self.weight_of(w)? else { return Ok(None) };
        let Some(packed) = self.pack_for(site, &Recipe::Conv(recipe.clone()), weight, dims) else { return Ok(None) };
        let mut inputs = vec![self.buffer(x)?, packed];
        if let Some(b) = site.input(2) {
            inputs.push(self.buffer(b)?);
        }
        self.emit(site, Recipe::Conv(recipe), inputs)
    }

    pub(super) fn pool(&mut self, site: &Site) -> Lowered {
        if site.rank(0) == Some(5) && !site.name.starts_with("Global") {
            return self.pool_volumes(site);
        }
        let Some(recipe) = pool_recipe(site) else { return Ok(None) };
        let Some(x) = site.input(0) else { return Ok(None) };
        let x = self.buffer(x)?;
        match site.dtype(0).and_then(Lane::of) {
            Some(Lane::F32) => self.emit(site, Recipe::Pool(recipe), vec![x]),
            Some(lane) if recipe.kind == PoolKind::Max => self.pool_of_singles(site, recipe, x, lane),
            _ => Ok(None),
        }
    }

    /// The largest of bytes and halves, which are all singles.
    fn pool_of_singles(&mut self, site: &Site, recipe: Pool, x: BufferId, lane: Lane) -> Lowered {
        let single = |shape: Option<&[Dim]>| shape.map(|s| Type::tensor(DType::F32, s));
        let (Some(wide), Some(pooled)) = (single(site.shape(0)), single(site.out_shape())) else { return Ok(None) };
        let pool = Recipe::Pool(recipe);
        let cast = |from: Lane, to: Lane| {
            let mut p = Program::new();
            let a = p.load(from);
            let b = p.cast(from, to, a);
            p.finish(b, to)
        };
        let input = self.new_typed(wide.clone(), Home::Host);
        let narrow = matches!(lane, Lane::U8 | Lane::I8 | Lane::F16 | Lane::BF16);
        if !narrow || !self.accepted(&pool, &[input], std::slice::from_ref(&pooled)) {
            return Ok(None);
        }
        let wide = self.emit_inner(site, cast(lane, Lane::F32), vec![x], wide);
        let found = self.emit_inner(site, pool, vec![wide], pooled);
        self.emit(site, cast(Lane::F32, lane), vec![found])
    }

    pub(super) fn resize(&mut self, site: &Site) -> Lowered {
        let Some(recipe) = self.resize_recipe(site) else { return Ok(None) };
        let Some(x) = site.input(0) else { return Ok(None) };
        let x = self.buffer(x)?;
        self.emit(site, recipe, vec![x])
    }

    /// True where the scales of a resize are known to give whole sizes.
    fn whole_sizes(&self, site: &Site) -> bool {
        let scales = site.input(2).and_then(|v| self.tensor(v)).and_then(|t| t.to_f64s().ok());
        let (Some(scales), Some(shape)) = (scales, site.shape(0)) else { return false };
        let whole = |(scale, dim): (&f64, &Dim)| {
            scale.fract() == 0.0 || dim.size().is_some_and(|n| (scale * n as f64).fract() == 0.0)
        };
        scales.len() == shape.len() && scales.iter().zip(shape).all(whole)
    }

    fn resize_recipe(&self, site: &Site) -> Option<Recipe> {
        let (x, y) = (site.shape(0)?, site.out_shape()?);
        let plain = site.attrs.int("antialias").ok()? == 0
            && site.attrs.int("exclude_outside").ok()? == 0
            && site.attrs.opt_ints("axes").ok()?.is_none()
            && site.attrs.string("keep_aspect_ratio_policy").ok()? == "stretch";
        let images = x.len() == 4 && y.len() == 4 && x[..2] == y[..2] && site.dtype(0) == Some(DType::F32);
        if !plain || !images {
            return None;
        }
        let coord = match site.attrs.string("coordinate_transformation_mode").ok()? {
            "half_pixel" => CoordMode::HalfPixel,
            "pytorch_half_pixel" => CoordMode::PytorchHalfPixel,
            // Scales that do not give whole sizes: the specification aligns the corner of the size before it is rounded.
            "align_corners" if site.input(3).is_none() && !self.whole_sizes(site) => return None,
            "align_corners" => CoordMode::AlignCorners,
            "asymmetric" => CoordMode::Asymmetric,
            _ => return None,
        };
        let nearest = match site.attrs.string("nearest_mode").ok()? {
            "round_prefer_floor" | "" => NearestMode::RoundPreferFloor,
            "round_prefer_ceil" => NearestMode::RoundPreferCeil,
            "floor" => NearestMode::Floor,
            "ceil" => NearestMode::Ceil,
            _ => return None,
        };
        let mode = match site.attrs.string("mode").ok()? {
            "nearest" => ResizeMode::Nearest(nearest),
            "linear" => ResizeMode::Linear,
            _ => return None,
        };
        let scales = site.input(2).and_then(|v| self.tensor(v)).filter(|t| t.len() == 4);
        let scale = match (scales, site.input(3)) {
            (Some(t), None) => {
                let s = t.to_f64s().ok()?;
                Some([s[2] as f32, s[3] as f32])
            }
            (None, Some(_)) => None,
            _ => return None,
        };
        Some(Recipe::Resize { scale, mode, coord })
    }
}

fn conv_recipe(site: &Site) -> Option<(Conv, WeightDims)> {
    let transposed = site.name == "ConvTranspose";
    let rank = site.rank(0)?;
    if !site.all_f32() || !site.one_output() || !(3..=5).contains(&rank) || site.rank(1)? != rank {
        return None;
    }
    let w = site.shape(1)?.iter().map(Dim::size).collect::<Option<Vec<_>>>()?;
    let (depth, a) = match rank {
        5 => volume::window(site, w[2]).map(|(depth, a)| (Some(depth), a))?,
        _ => (None, window(site, rank - 2)?),
    };
    let kernel = if rank == 3 { [1, w[2]] } else { [w[rank - 2], w[rank - 1]] };
    let groups = usize::try_from(site.attrs.int("group").ok()?).ok().filter(|&g| g > 0)?;
    if w.contains(&0) {
        return None;
    }
    // What pads a transposed convolution with an output shape is decided by the reference.
    if transposed && (site.attrs.has("output_shape") || !matches!(a.pad, Padding::Fixed(_))) {
        return None;
    }
    // Planes of a kernel follow each other as its rows do.
    let (kh, kw) = (depth.map_or(1, |d| d.kernel).checked_mul(kernel[0])?, kernel[1]);
    let dims = if transposed {
        WeightDims::ConvTransposed { c: w[0], oc: w[1], kh, kw, groups }
    } else {
        WeightDims::Conv { oc: w[0], ic: w[1], kh, kw, groups }
    };
    let bias = site.input(2).is_some();
    let Attrs { stride, dilation, pad } = a;
    Some((Conv { depth, kernel, stride, dilation, pad, groups, transposed, bias, post: vec![] }, dims))
}

fn pool_recipe(site: &Site) -> Option<Pool> {
    let rank = site.rank(0)?;
    if !site.one_output() || !(3..=5).contains(&rank) {
        return None;
    }
    let (kind, over) = (pool_kind(site)?, PoolOver::Image);
    if site.name.starts_with("Global") {
        return Some(Pool { kind, over, window: None });
    }
    let Attrs { stride, dilation, pad } = window(site, rank - 2)?;
    let kernel = pair(Some(site.attrs.ints("kernel_shape").ok()?), rank - 2)?;
    Some(Pool { kind, over, window: Some(Window { kernel, stride, dilation, pad }) })
}

pub(super) fn pool_kind(site: &Site) -> Option<PoolKind> {
    Some(match site.name {
        "MaxPool" | "GlobalMaxPool" => PoolKind::Max,
        "AveragePool" => PoolKind::Avg { count_include_pad: site.attrs.flag("count_include_pad").ok()? },
        _ => PoolKind::Avg { count_include_pad: false },
    })
}
