use super::*;
use crate::gemm::tests::{after, close, noise};
use crate::{Dst, Src};
use modelsmith_kop::{Activation, Epilogue, EpilogueStep};
use modelsmith_pool::Pool;

fn problem(
    n: usize,
    c: usize,
    hw: [usize; 2],
    oc: usize,
    k: [usize; 2],
    s: [usize; 2],
    d: [usize; 2],
    pad: [usize; 4],
    groups: usize,
) -> ConvProblem {
    let out = |i: usize| ConvProblem::out_len(hw[i], k[i], s[i], d[i], pad[i] + pad[i + 2]).unwrap();
    ConvProblem {
        n,
        c,
        depth: Depth::FLAT,
        h: hw[0],
        w: hw[1],
        oc,
        kernel: k,
        stride: s,
        dilation: d,
        pad,
        groups,
        oh: out(0),
        ow: out(1),
        transposed: false,
        x_layout: Layout::ChannelsLast,
        y_layout: Layout::ChannelsLast,
        x_stride: c,
        y_stride: oc,
        epilogue: Epilogue::default(),
    }
}

/// Index of (volume, channel, z, y, x).
fn at(layout: Layout, c: usize, [d, h, w]: [usize; 3], stride: usize, i: [usize; 5]) -> usize {
    match layout {
        Layout::Plain => (((i[0] * c + i[1]) * d + i[2]) * h + i[3]) * w + i[4],
        Layout::ChannelsLast => (((i[0] * d + i[2]) * h + i[3]) * w + i[4]) * stride + i[1],
    }
}

/// All coordinates below `sizes`.
fn places(sizes: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [d, h, w] = sizes;
    (0..d * h * w).map(move |i| [i / (h * w), i / w % h, i % w])
}

fn reference(p: &ConvProblem, x: &[f32], w: &[f32], extra: &[Vec<f32>], y: &mut [f32]) {
    let (icg, ocg, taps) = (p.c / p.groups, p.oc / p.groups, p.taps());
    let (of_x, of_y) = ([p.depth.len, p.h, p.w], [p.depth.out, p.oh, p.ow]);
    let kernel = [p.depth.kernel, p.kernel[0], p.kernel[1]];
    let stride = [p.depth.stride, p.stride[0], p.stride[1]];
    let dilation = [p.depth.dilation, p.dilation[0], p.dilation[1]];
    let pad = [p.depth.pad[0], p.pad[0], p.pad[1]];
    // A convolution gathers from far for each near place, a transposed one scatters.
    let (near, far) = if p.transposed { (of_x, of_y) } else { (of_y, of_x) };
    let mut sums = vec![0f64; p.n * p.oc * of_y.iter().product::<usize>()];
    let sum_at = |n, o, i: [usize; 3]| at(Layout::Plain, p.oc, of_y, 0, [n, o, i[0], i[1], i[2]]);
    for (n, o, c) in (0..p.n * p.oc * icg).map(|i| (i / icg / p.oc, i / icg % p.oc, i % icg)) {
        let ch = o / ocg * icg + c;
        let of_w = if p.transposed { (ch * ocg + o % ocg) * taps } else { (o * icg + c) * taps };
        for (tap, k) in places(kernel).enumerate() {
            for i in places(near) {
                let j = [0, 1, 2].map(|a| (i[a] * stride[a] + k[a] * dilation[a]).wrapping_sub(pad[a]));
                if (0..3).all(|a| j[a] < far[a]) {
                    let (from, to) = if p.transposed { (i, j) } else { (j, i) };
                    let v = x[at(p.x_layout, p.c, of_x, p.x_stride, [n, ch, from[0], from[1], from[2]])];
                    sums[sum_at(n, o, to)] += f64::from(v) * f64::from(w[of_w + tap]);
                }
            }
        }
    }
    for (n, o) in (0..p.n * p.oc).map(|i| (i / p.oc, i % p.oc)) {
        for (place, i) in places(of_y).enumerate() {
            let row = n * of_y.iter().product::<usize>() + place;
            y[at(p.y_layout, p.oc, of_y, p.y_stride, [n, o, i[0], i[1], i[2]])] =
                after(&p.epilogue, sums[sum_at(n, o, i)] as f32, row, o, extra);
        }
    }
}

fn check(p: &ConvProblem, extra: &[Vec<f32>]) {
    let e = extents(p).unwrap();
    let x = noise(e.x, 11);
    let shape = weight_shape(p);
    let w = noise(shape.len().unwrap(), 12);
    let mut want = vec![3.25; e.y];
    reference(p, &x, &w, extra, &mut want);
    let mut ran = 0;
    for kernel in FAST.iter().chain(KERNELS).filter(|k| crate::detect().contains(k.isa) && k.accepts(p).is_ok()) {
        let format = kernel.pack_format(p).unwrap();
        let mut packed = vec![0.0; format.packed_len(&shape).unwrap()];
        format.pack(&shape, &w, &mut packed).unwrap();
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            let mut y = vec![3.25; e.y];
            let mut ws = vec![0xffu8; kernel.workspace(p, threads)];
            let mut inputs = vec![Src::new(&x), Src::new(&packed)];
            inputs.extend(extra.iter().map(|x| Src::new(x)));
            let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut ws };
            kernel.run(p, args, &pool).unwrap();
            let terms = p.c / p.groups * p.taps();
            // Two parts lose 2^-15 of the sum of magnitudes at most, and as random values do a part of that.
            let terms = if FAST.iter().any(|f| f.name == kernel.name) { 64 * terms } else { terms };
            close(&y, &want, terms, &(kernel.name, threads, p));
            ran += 1;
        }
    }
    assert!(ran >= 2);
}

#[test]
fn volumes() {
    let p = |c, oc, groups| problem(2, c, [6, 7], oc, [3, 3], [1, 2], [1, 1], [1, 1, 1, 1], groups);
    let depth = |len, kernel, stride, dilation, pad: [usize; 2]| {
        let out = ConvProblem::out_len(len, kernel, stride, dilation, pad[0] + pad[1]).unwrap();
        Depth { len, out, kernel, stride, dilation, pad }
    };
    for (base, depth) in [
        (p(3, 20, 1), depth(5, 3, 1, 1, [1, 1])),
        (p(32, 40, 1), depth(4, 2, 2, 1, [0, 0])),
        (p(64, 33, 1), depth(6, 3, 1, 2, [2, 2])),
        (p(12, 8, 4), depth(5, 3, 2, 1, [2, 0])),
        (problem(1, 10, [9, 10], 20, [3, 3], [2, 1], [1, 1], [1, 1, 0, 1], 1), depth(5, 3, 1, 1, [1, 1])),
        (problem(2, 16, [4, 5], 40, [1, 3], [1, 1], [1, 1], [0, 1, 0, 1], 1), depth(6, 2, 2, 2, [0, 1])),
        (problem(1, 40, [5, 4], 24, [1, 1], [1, 1], [1, 1], [0; 4], 1), depth(3, 1, 1, 1, [0, 0])),
        (problem(1, 40, [5, 4], 24, [1, 1], [1, 1], [1, 1], [0; 4], 1), depth(3, 1, 1, 1, [1, 1])),
    ] {
        check(&ConvProblem { depth, ..base.clone() }, &[]);
        check(&ConvProblem { depth, x_layout: Layout::Plain, y_layout: Layout::Plain, ..base.clone() }, &[]);
        // The transposed convolution of the same windows makes the input's sizes of the output's.
        let turned = Depth { len: depth.out, out: depth.len, ..depth };
        let (h, w, oh, ow) = (base.oh, base.ow, base.h, base.w);
        check(&ConvProblem { transposed: true, depth: turned, h, w, oh, ow, ..base }, &[]);
    }
}

fn cases() -> Vec<ConvProblem> {
    let p = problem;
    vec![
        p(1, 20, [7, 9], 3, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], 1),
        p(2, 32, [6, 5], 1, [1, 1], [1, 1], [1, 1], [0, 0, 0, 0], 1),
        p(1, 9, [5, 6], 4, [5, 3], [2, 1], [1, 2], [2, 0, 1, 3], 1),
        p(1, 16, [4, 4], 2, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], 1),
        p(1, 3, [9, 11], 8, [3, 3], [2, 2], [1, 1], [1, 1, 1, 1], 1),
        p(2, 3, [17, 15], 20, [7, 7], [2, 2], [1, 1], [3, 3, 3, 3], 1),
        p(1, 16, [7, 7], 33, [1, 1], [1, 1], [1, 1], [0; 4], 1),
        p(2, 20, [8, 6], 24, [1, 1], [2, 2], [1, 1], [0; 4], 1),
        p(1, 18, [9, 8], 17, [3, 3], [1, 1], [1, 1], [1, 0, 2, 1], 1),
        p(1, 8, [12, 12], 12, [3, 3], [1, 2], [2, 3], [2, 3, 2, 3], 1),
        p(1, 12, [6, 9], 18, [3, 2], [1, 1], [1, 1], [1, 1, 1, 1], 3),
        p(1, 1, [1, 40], 6, [1, 5], [1, 3], [1, 2], [0, 2, 0, 4], 1),
        p(2, 400, [3, 3], 40, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], 1),
        p(1, 32, [9, 11], 40, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], 1),
        p(2, 64, [7, 9], 35, [3, 2], [2, 1], [1, 2], [1, 0, 1, 2], 1),
        p(1, 19, [13, 14], 19, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], 19),
        p(2, 40, [14, 11], 40, [5, 5], [2, 2], [1, 1], [2, 2, 2, 2], 40),
        p(1, 33, [9, 10], 33, [3, 3], [2, 2], [1, 1], [0, 0, 1, 1], 33),
        p(1, 5, [10, 10], 5, [3, 3], [1, 1], [2, 2], [2, 2, 2, 2], 5),
        p(1, 16, [2, 3], 16, [5, 5], [1, 1], [1, 1], [2, 2, 2, 2], 16),
        p(2, 40, [9, 19], 40, [5, 5], [1, 1], [2, 2], [4, 4, 4, 4], 40),
        p(1, 34, [8, 15], 34, [7, 7], [1, 1], [1, 1], [3, 2, 3, 4], 34),
        p(1, 16, [9, 26], 16, [3, 3], [2, 1], [1, 3], [0, 4, 1, 2], 16),
        p(1, 16, [3, 4], 16, [7, 7], [1, 1], [3, 2], [9, 6, 9, 6], 16),
        p(1, 17, [5, 12], 17, [1, 5], [1, 1], [1, 1], [0, 0, 0, 0], 17),
        p(1, 6, [8, 8], 12, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], 6),
    ]
}

#[test]
fn shapes_layouts_and_epilogues() {
    for base in cases() {
        check(&base, &[]);
        for (x_layout, y_layout) in [
            (Layout::Plain, Layout::ChannelsLast),
            (Layout::ChannelsLast, Layout::Plain),
            (Layout::Plain, Layout::Plain),
        ] {
            check(&ConvProblem { x_layout, y_layout, ..base.clone() }, &[]);
        }
        let mut wide = ConvProblem { x_stride: base.c + 5, y_stride: base.oc + 3, ..base.clone() };
        let rows = wide.n * wide.oh * wide.ow;
        let extra = [noise(wide.oc, 1), noise(rows * (wide.oc + 1), 2)];
        wide.epilogue = Epilogue {
            bias: true,
            steps: vec![
                EpilogueStep::Add { operand: 0, row_stride: wide.oc + 1 },
                EpilogueStep::Act(Activation::Relu),
                EpilogueStep::MulScalar(1.5),
            ],
        };
        check(&wide, &extra);
        wide.epilogue.steps = vec![EpilogueStep::Act(Activation::Silu)];
        check(&wide, &extra);
    }
}

/// A value that tiles cannot hold gives in every kernel what plain arithmetic gives: NaN where it is under a tap.
#[test]
fn values_that_do_not_split() {
    for c in [20, 64] {
        let p = problem(1, c, [12, 13], 40, [3, 3], [1, 1], [1, 1], [1; 4], 1);
        let shape = weight_shape(&p);
        let (mut x, w) = (noise(p.h * p.w * c, 11), noise(shape.len().unwrap(), 12));
        x[(5 * p.w + 6) * c + 17] = f32::NAN;
        for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa) && k.accepts(&p).is_ok()) {
            let format = kernel.pack_format(&p).unwrap();
            let mut packed = vec![0.0; format.packed_len(&shape).unwrap()];
            format.pack(&shape, &w, &mut packed).unwrap();
            let mut y = vec![0.0; p.oh * p.ow * p.oc];
            let mut ws = vec![0xffu8; kernel.workspace(&p, 1)];
            let inputs = [Src::new(&x), Src::new(&packed)];
            let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut ws };
            kernel.run(&p, args, &Pool::new(1)).unwrap();
            for (i, v) in y.iter().enumerate() {
                let (row, col) = (i / p.oc / p.ow, i / p.oc % p.ow);
                let under = row.abs_diff(5) <= 1 && col.abs_diff(6) <= 1;
                assert_eq!(v.is_nan(), under, "{}: row {row}, column {col}", kernel.name);
            }
        }
    }
}

#[test]
fn transposed() {
    for (s, d, pad, groups) in
        [([2, 2], [1, 1], [1, 1, 1, 1], 1), ([3, 1], [1, 2], [0, 2, 1, 0], 2), ([1, 1], [1, 1], [0; 4], 4)]
    {
        let mut p = problem(2, 8, [5, 6], 12, [3, 4], [1, 1], [1, 1], [2, 3, 2, 3], groups);
        (p.transposed, p.stride, p.dilation, p.pad) = (true, s, d, pad);
        p.oh = s[0] * (p.h - 1) + d[0] * (p.kernel[0] - 1) + 1 - pad[0] - pad[2];
        p.ow = s[1] * (p.w - 1) + d[1] * (p.kernel[1] - 1) + 1 - pad[1] - pad[3];
        check(&p, &[]);
    }
}

#[test]
fn nothing_to_compute() {
    for p in [problem(0, 16, [9, 11], 40, [3, 3], [1, 1], [1, 1], [1; 4], 1), {
        let p = problem(1, 16, [9, 11], 40, [3, 3], [1, 1], [1, 1], [1; 4], 1);
        ConvProblem { oh: 0, ow: 0, ..p }
    }] {
        for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa) && k.accepts(&p).is_ok()) {
            for threads in [1, 3] {
                assert!(kernel.cost(&p, &Facts::guess(kernel.isa, threads)).is_finite(), "{}", kernel.name);
                assert!(of_noise(kernel, &p, threads).is_empty(), "{}", kernel.name);
            }
        }
    }
}

#[test]
fn impossible_problems_are_refused() {
    let good = problem(1, 4, [5, 5], 4, [3, 3], [1, 1], [1, 1], [1; 4], 1);
    let last = KERNELS.last().unwrap();
    assert!(last.accepts(&good).is_ok());
    for bad in [
        ConvProblem { groups: 3, ..good.clone() },
        ConvProblem { stride: [0, 1], ..good.clone() },
        ConvProblem { oh: usize::MAX, ..good.clone() },
        ConvProblem { kernel: [1 << 30, 1 << 30], ..good.clone() },
        ConvProblem { x_stride: 3, ..good.clone() },
        ConvProblem { pad: [usize::MAX; 4], ..good.clone() },
    ] {
        assert!(last.accepts(&bad).is_err(), "{bad:?}");
    }
}

/// A kernel's result for noise, on so many threads.
fn of_noise(kernel: &KernelDef<ConvProblem>, p: &ConvProblem, threads: usize) -> Vec<f32> {
    let (x, w) = (noise(extents(p).unwrap().x, 11), noise(weight_shape(p).len().unwrap(), 12));
    let format = kernel.pack_format(p).unwrap();
    let mut packed = vec![0.0; format.packed_len(&weight_shape(p)).unwrap()];
    format.pack(&weight_shape(p), &w, &mut packed).unwrap();
    let mut y = vec![0.0; extents(p).unwrap().y];
    let mut ws = vec![0xffu8; kernel.workspace(p, threads)];
    let inputs = [Src::new(&x), Src::new(&packed)];
    let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut ws };
    kernel.run(p, args, &Pool::new(threads)).unwrap();
    y
}

/// Fewer products cost at most three times the error of the plain sum, and no bit depends on the threads.
#[test]
fn minimal_filtering_is_as_exact_as_stated() {
    let p = problem(1, 96, [12, 22], 40, [3, 3], [1, 1], [1, 1], [1; 4], 1);
    let (x, w) = (noise(extents(&p).unwrap().x, 11), noise(weight_shape(&p).len().unwrap(), 12));
    let exact = |oy: usize, ox: usize, o: usize| -> f64 {
        let taps = (0..p.c).flat_map(|c| (0..9).map(move |tap| (c, tap)));
        let product = |(c, tap): (usize, usize)| {
            let (iy, ix) = ((oy + tap / 3).checked_sub(1)?, (ox + tap % 3).checked_sub(1)?);
            let inside = iy < p.h && ix < p.w;
            inside.then(|| f64::from(x[(iy * p.w + ix) * p.c + c]) * f64::from(w[(o * p.c + c) * 9 + tap]))
        };
        taps.filter_map(product).sum()
    };
    let mean_square = |y: &[f32]| {
        let squares = y.iter().enumerate().map(|(i, v)| {
            let (pixel, o) = (i / p.oc, i % p.oc);
            (f64::from(*v) - exact(pixel / p.ow, pixel % p.ow, o)).powi(2)
        });
        squares.sum::<f64>() / y.len() as f64
    };
    let named =
        |part: &'static str| KERNELS.iter().filter(move |k| k.name.contains(part) && crate::detect().contains(k.isa));
    let plain = named("pixels_4x16__portable").map(|k| mean_square(&of_noise(k, &p, 1))).sum::<f64>();
    for kernel in named("winograd") {
        let y = of_noise(kernel, &p, 1);
        let error = mean_square(&y);
        assert!(error < 9.0 * plain, "{}: mean square {error:e}, plainly {plain:e}", kernel.name);
        for threads in [2, 3, 5] {
            assert!(of_noise(kernel, &p, threads) == y, "{} on {threads} threads", kernel.name);
        }
    }
}
