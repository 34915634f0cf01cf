//! Resizing of images, nearest and linear. Input: x. Output: y; they may not share memory.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack, no_workspace};
use crate::mem::{self, Shared};
use crate::span::product;
use modelsmith_kop::{CoordMode, Isa, Layout, NearestMode, ResizeMode, ResizeProblem};
use modelsmith_pool::Pool;

/// Kernels for resizing. The compiler vectorises the loops over channels.
pub static KERNELS: &[KernelDef<ResizeProblem>] = &[KernelDef {
    name: "f32_resize_2d__portable",
    isa: Isa::PORTABLE,
    accepts,
    cost: |p, facts: &Facts| 1000.0 + 8.0 * (p.n * p.c * p.oh * p.ow) as f64 / facts.gbytes,
    pack_format: no_pack,
    workspace: no_workspace,
    run,
}];

fn accepts(p: &ResizeProblem) -> Result<(), Reject> {
    if product(&[p.n, p.c, p.h, p.w]).is_none() || product(&[p.n, p.c, p.oh, p.ow]).is_none() {
        return Reject::because("sizes overflow");
    }
    if (p.h == 0 || p.w == 0) && p.oh > 0 && p.ow > 0 {
        return Reject::because("nothing to resize");
    }
    if !p.scale.iter().all(|s| *s > 0.0 && s.is_finite()) {
        return Reject::because("a scale is not positive and finite");
    }
    Ok(())
}

/// Two neighbours and the weight of the second.
#[derive(Clone, Copy)]
struct Tap {
    a: usize,
    b: usize,
    t: f32,
}

/// Where output coordinate `i` of an axis lies.
fn tap(p: &ResizeProblem, axis: usize, i: usize) -> Tap {
    let (len, out) = if axis == 0 { (p.h, p.oh) } else { (p.w, p.ow) };
    let (scale, x) = (p.scale[axis], i as f32);
    let at = match p.coord {
        CoordMode::PytorchHalfPixel if out <= 1 => 0.0,
        CoordMode::HalfPixel | CoordMode::PytorchHalfPixel => (x + 0.5) / scale - 0.5,
        CoordMode::AlignCorners if out <= 1 => 0.0,
        CoordMode::AlignCorners => x * (len as f32 - 1.0) / (out as f32 - 1.0),
        CoordMode::Asymmetric => x / scale,
    };
    let last = len - 1;
    match p.mode {
        ResizeMode::Nearest(mode) => {
            let rounded = match mode {
                NearestMode::RoundPreferFloor => (at - 0.5).ceil(),
                NearestMode::RoundPreferCeil => (at + 0.5).floor(),
                NearestMode::Floor => at.floor(),
                NearestMode::Ceil => at.ceil(),
            };
            let a = (rounded.max(0.0) as usize).min(last);
            Tap { a, b: a, t: 0.0 }
        }
        ResizeMode::Linear => {
            let at = at.clamp(0.0, last as f32);
            let a = (at.floor() as usize).min(last);
            Tap { a, b: (a + 1).min(last), t: at - a as f32 }
        }
    }
}

fn run(p: &ResizeProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let (x_len, y_len) = (p.n * p.c * p.h * p.w, p.n * p.c * p.oh * p.ow);
    let y = mem::output(args.outputs, "y")?.elements::<f32>(y_len, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(x_len, "x")?;
    mem::apart((x, x_len), (y, y_len), "x")?;
    if y_len == 0 {
        return Ok(());
    }
    // A plain image is n * c images of one channel.
    let (images, c) = if p.layout == Layout::Plain { (p.n * p.c, 1) } else { (p.n, p.c) };
    let cols: Vec<Tap> = (0..p.ow).map(|i| tap(p, 1, i)).collect();
    let (from, to) = (Shared(x.cast_mut()), Shared(y));
    pool.for_ranges(images * p.oh, (8192 / (p.ow * c).max(1)).max(1), |rows, _| {
        for row in rows {
            let (image, oy) = (row / p.oh, row % p.oh);
            let v = tap(p, 0, oy);
            // SAFETY: taps are clamped to the image; each output row is written by one task.
            unsafe {
                let line = |iy: usize| from.get().cast_const().add((image * p.h + iy) * p.w * c);
                let (top, bottom) = (line(v.a), line(v.b));
                let out = to.get().add(row * p.ow * c);
                for (ox, h) in cols.iter().enumerate() {
                    let out = std::slice::from_raw_parts_mut(out.add(ox * c), c);
                    let pixel = |line: *const f32, ix: usize| std::slice::from_raw_parts(line.add(ix * c), c);
                    let (tl, tr, bl, br) = (pixel(top, h.a), pixel(top, h.b), pixel(bottom, h.a), pixel(bottom, h.b));
                    if v.t == 0.0 && h.t == 0.0 {
                        out.copy_from_slice(tl);
                        continue;
                    }
                    let weights = [(1.0 - v.t) * (1.0 - h.t), (1.0 - v.t) * h.t, v.t * (1.0 - h.t), v.t * h.t];
                    for i in 0..c {
                        out[i] = tl[i] * weights[0] + tr[i] * weights[1] + bl[i] * weights[2] + br[i] * weights[3];
                    }
                }
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dst, Src};

    fn resize(p: &ResizeProblem, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; p.n * p.c * p.oh * p.ow];
        let args = Args { inputs: &[Src::new(x)], outputs: &mut [Dst::new(&mut y)], workspace: &mut [] };
        KERNELS[0].run(p, args, &Pool::new(2)).unwrap();
        y
    }

    #[test]
    fn known_values() {
        let mut p = ResizeProblem {
            n: 1,
            c: 1,
            h: 2,
            w: 2,
            oh: 4,
            ow: 4,
            scale: [2.0, 2.0],
            mode: ResizeMode::Linear,
            coord: CoordMode::HalfPixel,
            layout: Layout::Plain,
        };
        let y = resize(&p, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(y[..8], [1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5]);
        p.coord = CoordMode::AlignCorners;
        assert!((resize(&p, &[1.0, 2.0, 3.0, 4.0])[5] - 2.0).abs() < 1e-6);
        (p.coord, p.mode) = (CoordMode::Asymmetric, ResizeMode::Nearest(NearestMode::Floor));
        assert_eq!(resize(&p, &[1.0, 2.0, 3.0, 4.0])[..8], [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn layouts_agree() {
        let plain = ResizeProblem {
            n: 2,
            c: 3,
            h: 5,
            w: 4,
            oh: 7,
            ow: 9,
            scale: [1.4, 2.25],
            mode: ResizeMode::Linear,
            coord: CoordMode::PytorchHalfPixel,
            layout: Layout::Plain,
        };
        let x = crate::gemm::tests::noise(120, 1);
        let mut last = vec![0.0; 120];
        for i in 0..120 {
            let (n, c, s) = (i / 60, i / 20 % 3, i % 20);
            last[n * 60 + s * 3 + c] = x[i];
        }
        let a = resize(&plain, &x);
        let b = resize(&ResizeProblem { layout: Layout::ChannelsLast, ..plain }, &last);
        for i in 0..a.len() {
            let (n, c, s) = (i / 189, i / 63 % 3, i % 63);
            assert_eq!(a[i], b[n * 189 + s * 3 + c]);
        }
    }
}
