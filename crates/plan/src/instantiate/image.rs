//! Convolution, pooling and resizing.

use super::contract::{post, zero_point};
use super::{Call, Cx, Made, Operand};
use crate::recipe::{Conv, Depth, Padding, Pool, PoolOver, Window};
use modelsmith_kop::{
    self as kop, ConvProblem, CoordMode, Epilogue, IntegerConvProblem, KOp, Layout, PoolProblem, ResizeMode,
    ResizeProblem, ZeroPoint,
};
use modelsmith_tensor::DType;

/// Images, channels, height, width; one spatial axis is the width.
fn nchw(o: &Operand, what: &str) -> Made<[usize; 4]> {
    o.want(DType::F32, what)?;
    sizes(o, what)
}

/// Volumes, channels, depth, height, width; an image has a depth of 1.
fn ncdhw(o: &Operand, what: &str) -> Made<[usize; 5]> {
    if let [n, c, d, h, w] = o.shape[..] {
        o.want(DType::F32, what)?;
        return Ok([n, c, d, h, w]);
    }
    nchw(o, what).map(|[n, c, h, w]| [n, c, 1, h, w])
}

fn sizes(o: &Operand, what: &str) -> Made<[usize; 4]> {
    match o.shape[..] {
        [n, c, h, w] => Ok([n, c, h, w]),
        [n, c, w] => Ok([n, c, 1, w]),
        _ => Err(format!("{what} of rank {} is no image", o.shape.len())),
    }
}

struct Axis {
    len: usize,
    out: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
}

/// Padding before and after on one axis.
fn same(a: &Axis, upper: bool) -> Made<(usize, usize)> {
    let span = a.kernel.saturating_sub(1).checked_mul(a.dilation).and_then(|s| s.checked_add(1));
    let reach = a.out.saturating_sub(1).checked_mul(a.stride).zip(span).and_then(|(o, s)| o.checked_add(s));
    let total = reach.ok_or("sizes overflow")?.saturating_sub(a.len);
    let small = total / 2;
    Ok(if upper { (small, total - small) } else { (total - small, small) })
}

fn padding(pad: Padding, h: &Axis, w: &Axis) -> Made<[usize; 4]> {
    let upper = match pad {
        Padding::Fixed(p) => return Ok(p),
        Padding::SameUpper => true,
        Padding::SameLower => false,
    };
    let ((top, bottom), (left, right)) = (same(h, upper)?, same(w, upper)?);
    Ok([top, left, bottom, right])
}

pub(super) fn conv(cx: &Cx, c: &Conv) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let ([n, channels, d, h, w], [yn, oc, od, oh, ow]) = (ncdhw(x, "x")?, ncdhw(y, "y")?);
    if n != yn {
        return Err("batch sizes differ".into());
    }
    let depth = match c.depth {
        None if (d, od) == (1, 1) => kop::Depth::FLAT,
        None => return Err("a volume under the kernel of an image".into()),
        Some(Depth { kernel, stride, dilation, pad }) => kop::Depth { len: d, out: od, kernel, stride, dilation, pad },
    };
    let axis =
        |i: usize, len, out| Axis { len, out, kernel: c.kernel[i], stride: c.stride[i], dilation: c.dilation[i] };
    let pad = match c.transposed {
        // Padding of a transposed convolution is that of the convolution from y to x.
        true => padding(c.pad, &axis(0, oh, h), &axis(1, ow, w))?,
        false => padding(c.pad, &axis(0, h, oh), &axis(1, w, ow))?,
    };
    let steps = post(cx, &c.post, 2 + usize::from(c.bias), &y.shape, oc, true)?;
    cx.one(KOp::Conv(ConvProblem {
        n,
        c: channels,
        depth,
        h,
        w,
        oc,
        kernel: c.kernel,
        stride: c.stride,
        dilation: c.dilation,
        pad,
        groups: c.groups,
        oh,
        ow,
        transposed: c.transposed,
        x_layout: x.layout,
        y_layout: y.layout,
        x_stride: channels,
        y_stride: oc,
        epilogue: Epilogue { bias: c.bias, steps },
    }))
}

/// A convolution of 8-bit integers; `zeros` says whether x and the weights have zero points.
pub(super) fn integer_conv(cx: &Cx, win: &Window, groups: usize, zeros: [bool; 2]) -> Made<Vec<Call>> {
    let (x, w, y) = (cx.input(0)?, cx.input(1)?, cx.output(0)?);
    y.want(DType::I32, "y")?;
    [(x, "x"), (w, "weights"), (y, "y")].into_iter().try_for_each(|(o, what)| o.plain(what))?;
    let ([n, c, h, width], [yn, oc, oh, ow]) = (sizes(x, "x")?, sizes(y, "y")?);
    let [kh, kw] = win.kernel;
    if n != yn || groups == 0 || sizes(w, "weights")? != [oc, c / groups, kh, kw] {
        return Err("x, weights and y do not fit".into());
    }
    let axis =
        |i: usize, len, out| Axis { len, out, kernel: win.kernel[i], stride: win.stride[i], dilation: win.dilation[i] };
    let pad = padding(win.pad, &axis(0, h, oh), &axis(1, width, ow))?;
    let x_zero = if zeros[0] { zero_point(cx.input(2)?, x, 1)? } else { ZeroPoint::None };
    let at = 2 + usize::from(zeros[0]);
    let w_zero = if zeros[1] { zero_point(cx.input(at)?, w, oc)? } else { ZeroPoint::None };
    cx.one(KOp::IntegerConv(IntegerConvProblem {
        n,
        c,
        h,
        w: width,
        oc,
        kernel: win.kernel,
        stride: win.stride,
        dilation: win.dilation,
        pad,
        groups,
        oh,
        ow,
        signed: [x.signed("x")?, w.signed("weights")?],
        x_zero,
        w_zero,
    }))
}

/// Images, channels, height and width of what is pooled: planes are images of their own, or channels where those lie plain.
fn pooled(p: &Pool, o: &Operand, layout: Layout, what: &str) -> Made<[usize; 4]> {
    let [n, c, d, h, w] = ncdhw(o, what)?;
    let times = |a: usize, b: usize| a.checked_mul(b).ok_or("sizes overflow");
    Ok(match p.over {
        PoolOver::Image if p.window.is_some() && d != 1 => return Err("a volume under the window of an image".into()),
        PoolOver::Image => [n, c, times(d, h)?, w],
        PoolOver::Planes if layout == Layout::Plain => [n, times(c, d)?, h, w],
        PoolOver::Planes => [times(n, d)?, c, h, w],
        PoolOver::Depth => [n, c, d, times(h, w)?],
    })
}

pub(super) fn pool(cx: &Cx, p: &Pool) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let ([n, c, h, w], [yn, yc, oh, ow]) = (pooled(p, x, x.layout, "x")?, pooled(p, y, x.layout, "y")?);
    if n != yn || c != yc || (x.layout != y.layout && !y.flat()) {
        return Err("input and output do not fit".into());
    }
    let (kernel, stride, dilation, pad) = match &p.window {
        None => ([h, w], [1, 1], [1, 1], [0; 4]),
        Some(win) => {
            let axis = |i: usize, len, out| Axis {
                len,
                out,
                kernel: win.kernel[i],
                stride: win.stride[i],
                dilation: win.dilation[i],
            };
            (win.kernel, win.stride, win.dilation, padding(win.pad, &axis(0, h, oh), &axis(1, w, ow))?)
        }
    };
    cx.one(KOp::Pool(PoolProblem { kind: p.kind, n, c, h, w, kernel, stride, dilation, pad, oh, ow, layout: x.layout }))
}

pub(super) fn resize(cx: &Cx, scale: Option<[f32; 2]>, mode: ResizeMode, coord: CoordMode) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let ([n, c, h, w], [yn, yc, oh, ow]) = (nchw(x, "x")?, nchw(y, "y")?);
    if n != yn || c != yc || x.layout != y.layout {
        return Err("input and output do not fit".into());
    }
    let ratio = |out: usize, len: usize| out as f32 / len.max(1) as f32;
    let scale = scale.unwrap_or([ratio(oh, h), ratio(ow, w)]);
    cx.one(KOp::Resize(ResizeProblem { n, c, h, w, oh, ow, scale, mode, coord, layout: x.layout }))
}
