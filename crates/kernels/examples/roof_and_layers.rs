//! Times every kernel on the layers of well-known models beside the roof measured in the same run.
//!
//! `roof_and_layers [THREADS] [FILTER] [KERNELS]`: layers whose name contains FILTER; with `all`, every kernel that accepts a
//! layer, with another word those whose name contains it, else the first. `chain MODEL` in place of FILTER runs all layers of a model one after another with weights of
//! their own, as an engine does, so that weights come from memory.

use modelsmith_kernels::{Args, Dst, Facts, KernelDef, PackFormat, Src, WeightShape, choose, conv, detect, gemm, roof};
use modelsmith_kop::{Activation, ConvProblem, Epilogue, EpilogueStep, GemmB, GemmProblem, Isa, Layout};
use modelsmith_pool::Pool;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

/// A layer: name, repetitions in its model, problem.
enum Layer {
    Conv(&'static str, usize, ConvProblem),
    Gemm(&'static str, usize, GemmProblem),
}

fn conv(c: usize, hw: usize, oc: usize, k: usize, s: usize, groups: usize) -> ConvProblem {
    let pad = k / 2;
    let o = (hw + 2 * pad - k) / s + 1;
    let first = c == 3;
    ConvProblem {
        n: 1,
        c,
        depth: modelsmith_kop::Depth::FLAT,
        h: hw,
        w: hw,
        oc,
        kernel: [k, k],
        stride: [s, s],
        dilation: [1, 1],
        pad: [pad; 4],
        groups,
        oh: o,
        ow: o,
        transposed: false,
        x_layout: if first { Layout::Plain } else { Layout::ChannelsLast },
        y_layout: Layout::ChannelsLast,
        x_stride: c,
        y_stride: oc,
        epilogue: Epilogue { bias: true, steps: vec![EpilogueStep::Act(Activation::Relu)] },
    }
}

fn layers() -> Vec<Layer> {
    let mut all = Vec::new();
    let mut add = |model, count, c, hw, oc, k, s, g| all.push(Layer::Conv(model, count, conv(c, hw, oc, k, s, g)));
    add("resnet50", 1, 3, 224, 64, 7, 2, 1);
    let mut c = 64;
    for (width, hw, blocks) in [(64, 56, 3), (128, 28, 4), (256, 14, 6), (512, 7, 3)] {
        let out = width * 4;
        let (s, before) = if width == 64 { (1, hw) } else { (2, hw * 2) };
        add("resnet50", 1, c, before, width, 1, 1, 1);
        add("resnet50", 1, width, before, width, 3, s, 1);
        add("resnet50", 1, c, before, out, 1, s, 1);
        add("resnet50", blocks, width, hw, out, 1, 1, 1);
        add("resnet50", blocks - 1, out, hw, width, 1, 1, 1);
        add("resnet50", blocks - 1, width, hw, width, 3, 1, 1);
        c = out;
    }
    add("mobilenet_v2", 1, 3, 224, 32, 3, 2, 1);
    add("mobilenet_v2", 1, 32, 112, 32, 3, 1, 32);
    add("mobilenet_v2", 1, 32, 112, 16, 1, 1, 1);
    let (mut c, mut hw) = (16, 112);
    for (t, out, n, s) in [(6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)] {
        for i in 0..n {
            let s = if i == 0 { s } else { 1 };
            add("mobilenet_v2", 1, c, hw, c * t, 1, 1, 1);
            add("mobilenet_v2", 1, c * t, hw, c * t, 3, s, c * t);
            hw /= s;
            add("mobilenet_v2", 1, c * t, hw, out, 1, 1, 1);
            c = out;
        }
    }
    add("mobilenet_v2", 1, 320, 7, 1280, 1, 1, 1);
    for (c, hw, oc, k, st, g) in [
        (3, 48, 32, 3, 2, 1),
        (3, 48, 64, 7, 2, 1),
        (3, 48, 64, 3, 2, 1),
        (16, 24, 96, 1, 1, 1),
        (32, 24, 16, 1, 1, 1),
        (96, 24, 24, 1, 1, 1),
        (24, 24, 144, 1, 1, 1),
        (144, 24, 24, 1, 1, 1),
        (144, 24, 32, 1, 1, 1),
        (32, 24, 192, 1, 1, 1),
        (32, 24, 32, 3, 1, 32),
        (96, 24, 96, 3, 2, 96),
        (144, 24, 144, 3, 1, 144),
        (144, 24, 144, 5, 1, 144),
        (144, 24, 144, 5, 2, 144),
        (672, 14, 672, 3, 1, 672),
        (672, 14, 672, 5, 1, 672),
        (120, 28, 120, 5, 1, 120),
        (384, 14, 384, 7, 1, 384),
        (16, 24, 64, 3, 1, 1),
        (32, 24, 128, 3, 1, 1),
        (64, 24, 64, 3, 1, 1),
    ] {
        add("small", 1, c, hw, oc, k, st, g);
    }
    for c in [4, 8, 16, 32, 64, 128, 256] {
        add("tiny", 1, c, 14, 32, 1, 1, 1);
    }
    for c in [4, 8, 16, 32, 64] {
        add("tiny", 1, c, 14, 32, 3, 1, 1);
    }
    add("squeezenet1_1", 1, 3, 224, 64, 3, 2, 1);
    for (c, hw, s, e) in [
        (64, 55, 16, 64),
        (128, 55, 16, 64),
        (128, 27, 32, 128),
        (256, 27, 32, 128),
        (256, 13, 48, 192),
        (384, 13, 48, 192),
        (384, 13, 64, 256),
        (512, 13, 64, 256),
    ] {
        add("squeezenet1_1", 1, c, hw, s, 1, 1, 1);
        add("squeezenet1_1", 1, s, hw, e, 1, 1, 1);
        add("squeezenet1_1", 1, s, hw, e, 3, 1, 1);
    }
    add("squeezenet1_1", 1, 512, 13, 1000, 1, 1, 1);
    let mut mat = |model, count, m, n, k| {
        let mut p = GemmProblem::dense(m, n, k, GemmB::Packed);
        p.epilogue.bias = true;
        all.push(Layer::Gemm(model, count, p));
    };
    mat("bert_base", 48, 128, 768, 768);
    mat("bert_base", 12, 128, 3072, 768);
    mat("bert_base", 12, 128, 768, 3072);
    mat("large", 1, 1024, 1024, 1024);
    mat("gemv", 1, 1, 4096, 4096);
    mat("gemv", 1, 8, 4096, 4096);
    for (m, n, k, bt) in [(128, 128, 64, true), (128, 64, 128, false)] {
        let mut p = GemmProblem::dense(m, n, k, GemmB::Packed);
        p.batch = vec![modelsmith_kop::BatchDim { len: 12, a_stride: m * k, b_stride: n * k, c_stride: m * n }];
        let (row_stride, col_stride) = if bt { (1, k) } else { (n, 1) };
        p.b = GemmB::Strided { row_stride, col_stride };
        all.push(Layer::Gemm("bert_base", 12, p));
    }
    all
}

fn noise(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect()
}

/// Values that begin at a cache line, as those of an engine do.
struct Aligned {
    memory: Vec<f32>,
    start: usize,
}

impl Aligned {
    fn of(values: &[f32]) -> Aligned {
        let mut memory = vec![0.0; values.len() + 16];
        let start = memory.as_ptr().align_offset(64).min(16);
        memory[start..start + values.len()].copy_from_slice(values);
        Aligned { memory, start }
    }
}

/// Shortest of the times of many calls, in seconds.
fn time<P>(kernel: &KernelDef<P>, p: &P, inputs: &[&[f32]], out: &mut [f32], pool: &Pool) -> f64 {
    let inputs: Vec<Aligned> = inputs.iter().map(|s| Aligned::of(s)).collect();
    let mut result = Aligned::of(out);
    let out = &mut result.memory[result.start..];
    let mut ws = vec![0u8; kernel.workspace(p, pool.threads())];
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 5 || (begin.elapsed().as_secs_f64() < 0.06 && times.len() < 1000) {
        let views: Vec<Src<'_>> = inputs.iter().map(|s| Src::new(&s.memory[s.start..])).collect();
        let start = Instant::now();
        let args = Args { inputs: &views, outputs: &mut [Dst::new(out)], workspace: &mut ws };
        if let Err(e) = kernel.run(p, args, pool) {
            eprintln!("{}: {e}", kernel.name);
            return f64::NAN;
        }
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[0]
}

fn packed(format: PackFormat, shape: &WeightShape) -> Vec<f32> {
    let mut to = vec![0.0; format.packed_len(shape).unwrap_or(0)];
    if let Err(e) = format.pack(shape, &noise(shape.len().unwrap_or(0)), &mut to) {
        eprintln!("{e}");
    }
    to
}

fn label_of(p: &ConvProblem) -> String {
    format!("{}x{}x{} {}x{}/{} -> {} g{}", p.h, p.w, p.c, p.kernel[0], p.kernel[1], p.stride[0], p.oc, p.groups)
}

/// Runs the layers of a model in turn.
fn chain(wanted: &str, pool: &Pool) {
    let mut calls: Vec<Box<dyn FnMut() + '_>> = Vec::new();
    let mut flops = 0.0;
    let facts = Facts::guess(detect(), pool.threads());
    let images = Rc::new(RefCell::new([Vec::new(), Vec::new()]));
    for layer in layers() {
        match layer {
            Layer::Conv(model, count, p) if model == wanted => {
                let Some(k) = choose(conv::KERNELS, &p, &facts) else { continue };
                let sizes = (p.n * p.h * p.w * p.x_stride, p.n * p.oh * p.ow * p.y_stride);
                let bias = noise(p.oc);
                for _ in 0..count {
                    let w = packed(k.pack_format(&p).unwrap_or(PackFormat::F32Panel16), &conv::weight_shape(&p));
                    flops += p.flops();
                    calls.push(call(k, p.clone(), vec![w, bias.clone()], sizes, images.clone(), pool));
                }
            }
            Layer::Gemm(model, count, p) if model == wanted => {
                let Some(k) = choose(gemm::KERNELS, &p, &facts) else { continue };
                let batch = p.batch_count();
                let shape = WeightShape::Matrix { k: p.k, n: p.n, transposed: false };
                for _ in 0..count {
                    let w = match p.b {
                        GemmB::Packed => packed(PackFormat::F32Panel16, &shape),
                        _ => noise(batch * p.n * p.k),
                    };
                    let sizes = (batch * p.m * p.k, batch * p.m * p.n);
                    flops += p.flops();
                    calls.push(call(k, p.clone(), vec![w, noise(p.n)], sizes, images.clone(), pool));
                }
            }
            _ => {}
        }
    }
    calls.iter_mut().for_each(|c| c());
    let begin = Instant::now();
    let (start, mut best, mut rounds) = (thread_seconds(begin), f64::INFINITY, 0);
    while rounds < 5 || begin.elapsed().as_secs_f64() < 1.0 {
        let wall = Instant::now();
        calls.iter_mut().for_each(|c| c());
        best = best.min(wall.elapsed().as_secs_f64());
        rounds += 1;
    }
    let mean = (thread_seconds(begin) - start) / f64::from(rounds);
    let peak = roof::fma_gflops(Isa::AMX, &Pool::new(1), 0.2) * pool.threads() as f64;
    let share = 100.0 * flops / best / 1e9 / peak;
    println!(
        "{wanted}: best {:.2} ms, {share:.1} % of {peak:.0} GFLOP/s, mean on cpu {:.2} ms",
        best * 1e3,
        mean * 1e3
    );
}

fn call<'a, P: 'static>(
    kernel: &'static KernelDef<P>,
    p: P,
    weights: Vec<Vec<f32>>,
    (x, y): (usize, usize),
    images: Rc<RefCell<[Vec<f32>; 2]>>,
    pool: &'a Pool,
) -> Box<dyn FnMut() + 'a> {
    let mut ws = vec![0u8; kernel.workspace(&p, pool.threads())];
    {
        let mut images = images.borrow_mut();
        for image in images.iter_mut() {
            let len = image.len().max(x).max(y);
            image.resize(len, 0.25);
        }
    }
    Box::new(move || {
        let mut images = images.borrow_mut();
        images.reverse();
        let [from, to] = &mut *images;
        let mut views = vec![Src::new(&from[..])];
        views.extend(weights.iter().map(|s| Src::new(s)));
        let args = Args { inputs: &views, outputs: &mut [Dst::new(&mut to[..])], workspace: &mut ws };
        if let Err(e) = kernel.run(&p, args, pool) {
            eprintln!("{e}");
        }
    })
}

/// Seconds that this thread has run, as far as the system tells; wall time elsewhere. Other programs on the machine
/// disturb it less than wall time.
fn thread_seconds(begin: Instant) -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|s| s.split(' ').next().and_then(|n| n.parse::<f64>().ok()))
        .map_or(begin.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let threads = args.first().and_then(|a| a.parse().ok()).unwrap_or(1);
    let filter = args.get(1).map_or("", |s| s.as_str());
    if filter == "chain" {
        chain(args.get(2).map_or("", |s| s.as_str()), &Pool::new(threads));
        return;
    }
    let (most, part) = match args.get(2).map(String::as_str) {
        None => (1, ""),
        Some("all") => (usize::MAX, ""),
        Some(part) => (usize::MAX, part),
    };
    let pool = Pool::new(threads);
    let peak = roof::fma_gflops(Isa::AMX, &pool, 0.2);
    println!("{} on {threads} threads: {peak:.0} GFLOP/s", detect());
    println!(
        "read {:.1} GB/s, copy {:.1} GB/s",
        roof::read_gbytes(1 << 28, &pool, 0.3),
        roof::copy_gbytes(1 << 28, &pool, 0.3)
    );
    let mut totals: Vec<(&str, f64, f64)> = Vec::new();
    for layer in layers() {
        let (model, count, flops, label, results) = match &layer {
            Layer::Conv(model, count, p) => {
                let label = label_of(p);
                if !model.contains(filter) && !label.contains(filter) {
                    continue;
                }
                let x = noise(p.n * p.h * p.w * p.x_stride);
                let mut y = vec![0.0; p.n * p.oh * p.ow * p.y_stride];
                let bias = noise(p.oc);
                let kernels = conv::KERNELS.iter().filter(|k| detect().contains(k.isa) && k.accepts(p).is_ok());
                let mut results = Vec::new();
                for k in kernels.filter(|k| k.name.contains(part)).take(most) {
                    let w = packed(k.pack_format(p).unwrap_or(PackFormat::F32Panel16), &conv::weight_shape(p));
                    results.push((k.name, time(k, p, &[&x, &w, &bias], &mut y, &pool)));
                }
                (*model, *count, p.flops(), label, results)
            }
            Layer::Gemm(model, count, p) => {
                let batch = p.batch_count();
                let label = format!("{batch} x {} x {} x {}", p.m, p.n, p.k);
                if !model.contains(filter) && !label.contains(filter) {
                    continue;
                }
                let x = noise(batch * p.m * p.k);
                let mut y = vec![0.0; batch * p.m * p.n];
                let bias = noise(p.n);
                let shape = WeightShape::Matrix { k: p.k, n: p.n, transposed: false };
                let w = if p.b == GemmB::Packed {
                    packed(PackFormat::F32Panel16, &shape)
                } else {
                    noise(batch * p.n * p.k)
                };
                let kernels = gemm::KERNELS.iter().filter(|k| detect().contains(k.isa) && k.accepts(p).is_ok());
                let mut results = Vec::new();
                for k in kernels.filter(|k| k.name.contains(part)).take(most) {
                    results.push((k.name, time(k, p, &[&x, &w, &bias], &mut y, &pool)));
                }
                (*model, *count, p.flops(), label, results)
            }
        };
        for (i, (name, t)) in results.iter().enumerate() {
            let rate = flops / t / 1e9;
            println!(
                "{model:14} {label:32} x{count:<2} {:9.1} us {rate:7.1} GFLOP/s {:5.1} %  {name}",
                t * 1e6,
                100.0 * rate / peak
            );
            if i == 0 {
                match totals.iter_mut().find(|m| m.0 == model) {
                    Some(m) => (m.1, m.2) = (m.1 + t * count as f64, m.2 + flops * count as f64),
                    None => totals.push((model, t * count as f64, flops * count as f64)),
                }
            }
        }
    }
    for (model, t, flops) in totals {
        println!("{model}: {:.2} ms, {:.1} % of the roof", t * 1e3, 100.0 * flops / t / 1e9 / peak);
    }
}
