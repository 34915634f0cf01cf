//! Windows over volumes: those of convolutions, and pooling, which is done along height and width and then along the depth.

use super::image::{Attrs, pool_kind};
use super::{Lowered, Site};
use crate::lower::Lowering;
use crate::recipe::{Depth, Padding, Pool, PoolOver, Recipe, Window};
use modelsmith_ir::Type;
use modelsmith_tensor::DType;

/// The window of an operator with a kernel of depth `kernel`: along the depth, and along the other two axes. `None` where the
/// padding is left to the sizes.
pub(super) fn window(site: &Site, kernel: usize) -> Option<(Depth, Attrs)> {
    let a = &site.attrs;
    let numbers = |name: &str, default: [i64; 3]| {
        let list = a.opt_ints(name).ok()?.unwrap_or_else(|| default.to_vec());
        list.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()
    };
    let (stride, dilation) = (numbers("strides", [1; 3])?, numbers("dilations", [1; 3])?);
    let pads = match a.opt_string("auto_pad").ok()?.unwrap_or("NOTSET") {
        "NOTSET" | "" if a.has("pads") => numbers("pads", [0; 3])?,
        "NOTSET" | "" | "VALID" => vec![0; 6],
        _ => return None,
    };
    let (&[front, top, left, back, bottom, right], 3, 3) = (&pads[..], stride.len(), dilation.len()) else {
        return None;
    };
    if stride.iter().chain(&dilation).any(|&n| n == 0) {
        return None;
    }
    let depth = Depth { kernel, stride: stride[0], dilation: dilation[0], pad: [front, back] };
    let pad = Padding::Fixed([top, left, bottom, right]);
    Some((depth, Attrs { stride: [stride[1], stride[2]], dilation: [dilation[1], dilation[2]], pad }))
}

impl Lowering<'_> {
    /// The largest value, or the mean, of a box is that of its planes'.
    pub(super) fn pool_volumes(&mut self, site: &Site) -> Lowered {
        let (Some((planes, depth)), Some(x)) = (pools(site), site.input(0)) else { return Ok(None) };
        let (Some(from), Some(to)) = (site.shape(0), site.out_shape()) else { return Ok(None) };
        if !site.all_f32() || !site.one_output() || to.len() != 5 {
            return Ok(None);
        }
        let mut between = to.to_vec();
        between[2] = from[2].clone();
        let x = self.buffer(x)?;
        let pooled = self.emit_inner(site, Recipe::Pool(planes), vec![x], Type::tensor(DType::F32, &between));
        self.emit(site, Recipe::Pool(depth), vec![pooled])
    }
}

/// Pooling of the planes of a volume, and of what that makes along the depth.
fn pools(site: &Site) -> Option<(Pool, Pool)> {
    let kind = pool_kind(site)?;
    let kernel = site.attrs.ints("kernel_shape").ok()?;
    let kernel = kernel.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?;
    let &[kd, kh, kw] = &kernel[..] else { return None };
    let (depth, Attrs { stride, dilation, pad }) = window(site, kd)?;
    let planes = Window { kernel: [kh, kw], stride, dilation, pad };
    let along = Window {
        kernel: [kd, 1],
        stride: [depth.stride, 1],
        dilation: [depth.dilation, 1],
        pad: Padding::Fixed([depth.pad[0], 0, depth.pad[1], 0]),
    };
    let of = |over, window| Pool { kind, over, window: Some(window) };
    Some((of(PoolOver::Planes, planes), of(PoolOver::Depth, along)))
}
