//! Times the kernels that are bound by memory: element-wise programs, softmax, normalisation, pooling, copies.
//!
//! `rows_and_elements [THREADS]` prints microseconds and bytes moved per nanosecond for each kernel this machine has.

use modelsmith_kernels::{Args, Dst, KernelDef, Src, detect, eltwise, movement, norm, pooling, softmax};
use modelsmith_kop::{
    Activation, BinaryOp, CopyProblem, EltwiseProblem, Inst, Lane, Layout, NormKind, NormProblem, Operand, PoolKind,
    PoolProblem, SoftmaxProblem, UnaryOp,
};
use modelsmith_pool::Pool;
use std::time::Instant;

fn time<P>(what: &str, list: &[KernelDef<P>], p: &P, inputs: &[&[f32]], out: usize, pool: &Pool) {
    for kernel in list.iter().filter(|k| detect().contains(k.isa)) {
        let mut y = vec![0f32; out];
        let mut ws = vec![0u8; kernel.workspace(p, pool.threads())];
        let views: Vec<Src<'_>> = inputs.iter().map(|s| Src::new(s)).collect();
        let mut best = f64::INFINITY;
        let begin = Instant::now();
        while begin.elapsed().as_secs_f64() < 0.05 {
            let start = Instant::now();
            let args = Args { inputs: &views, outputs: &mut [Dst::new(&mut y)], workspace: &mut ws };
            if let Err(e) = kernel.run(p, args, pool) {
                println!("{what}: {e}");
                return;
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        let bytes = 4 * (out + inputs.iter().map(|i| i.len()).sum::<usize>());
        println!("{what:32} {:9.1} us {:7.1} GB/s  {}", best * 1e6, bytes as f64 / best / 1e9, kernel.name);
    }
}

fn unary(n: usize, op: UnaryOp) -> EltwiseProblem {
    let flat = || Operand { lane: Lane::F32, strides: vec![1] };
    EltwiseProblem {
        dims: vec![n],
        inputs: vec![flat()],
        outputs: vec![flat()],
        registers: 2,
        code: vec![
            Inst::Load { dst: 0, input: 0 },
            Inst::Unary { op, lane: Lane::F32, dst: 1, a: 0 },
            Inst::Store { output: 0, a: 1 },
        ],
    }
}

fn add(dims: &[usize], strides: &[usize]) -> EltwiseProblem {
    let of = |strides: &[usize]| Operand { lane: Lane::F32, strides: strides.to_vec() };
    let dense = Layout::Plain.strides(dims);
    EltwiseProblem {
        dims: dims.to_vec(),
        inputs: vec![of(&dense), of(strides)],
        outputs: vec![of(&dense)],
        registers: 3,
        code: vec![
            Inst::Load { dst: 0, input: 0 },
            Inst::Load { dst: 1, input: 1 },
            Inst::Binary { op: BinaryOp::Add, lane: Lane::F32, dst: 2, a: 0, b: 1 },
            Inst::Store { output: 0, a: 2 },
        ],
    }
}

fn copy(dims: &[usize], src: &[isize]) -> CopyProblem {
    CopyProblem {
        elem_bytes: 4,
        dims: dims.to_vec(),
        src_offset: 0,
        src_strides: src.to_vec(),
        dst_offset: 0,
        dst_strides: Layout::Plain.strides(dims),
    }
}

fn main() {
    let pool = Pool::new(std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1));
    let x: Vec<f32> = (0..1 << 20).map(|i| (i % 1000) as f32 / 250.0 - 2.0).collect();
    let n = 128 * 768;
    for (name, act) in [
        ("relu", Activation::Relu),
        ("sigmoid", Activation::Sigmoid),
        ("gelu", Activation::Gelu),
        ("tanh", Activation::Tanh),
    ] {
        time(&format!("{name} {n}"), eltwise::KERNELS, &unary(n, UnaryOp::Act(act)), &[&x[..n]], n, &pool);
    }
    time("exp", eltwise::KERNELS, &unary(n, UnaryOp::Exp), &[&x[..n]], n, &pool);
    let full = add(&[n], &[1]);
    time("add full", eltwise::KERNELS, &full, &[&x[..n], &x[n..2 * n]], n, &pool);
    time("add row 128 x 768", eltwise::KERNELS, &add(&[128, 768], &[0, 1]), &[&x[..n], &x[..768]], n, &pool);
    time(
        "add row 12544 x 24",
        eltwise::KERNELS,
        &add(&[12544, 24], &[0, 1]),
        &[&x[..12544 * 24], &x[..24]],
        12544 * 24,
        &pool,
    );
    time(
        "add column 3136 x 64",
        eltwise::KERNELS,
        &add(&[3136, 64], &[1, 0]),
        &[&x[..200704], &x[..3136]],
        200704,
        &pool,
    );
    let rows = SoftmaxProblem { outer: 12 * 128, len: 128, inner: 1, log: false };
    time("softmax 1536 x 128", softmax::KERNELS, &rows, &[&x[..12 * 128 * 128]], 12 * 128 * 128, &pool);
    let layer = |rows, len| NormProblem {
        kind: NormKind::Layer { rows, len },
        eps: 1e-5,
        scale: true,
        bias: true,
        residual: true,
    };
    for (rows, len) in [(128, 768), (3136, 96)] {
        let n = rows * len;
        let inputs: [&[f32]; 4] = [&x[..n], &x[..len], &x[..len], &x[n..2 * n]];
        time(&format!("layer norm {rows} x {len}"), norm::KERNELS, &layer(rows, len), &inputs, n, &pool);
    }
    let image = NormProblem {
        kind: NormKind::Group { n: 1, c: 64, spatial: 3136, groups: 32, layout: Layout::ChannelsLast },
        residual: false,
        ..layer(1, 1)
    };
    time("group norm 3136 x 64", norm::KERNELS, &image, &[&x[..200704], &x[..64], &x[..64]], 200704, &pool);
    let pool_of = |kind, c, h, k, s, pad, o, layout| PoolProblem {
        kind,
        n: 1,
        c,
        h,
        w: h,
        kernel: [k, k],
        stride: [s, s],
        dilation: [1, 1],
        pad: [pad; 4],
        oh: o,
        ow: o,
        layout,
    };
    for layout in Layout::ALL {
        let max = pool_of(PoolKind::Max, 64, 112, 3, 2, 1, 56, layout);
        time(
            &format!("max pool 3/2 64 {}", layout.name()),
            pooling::KERNELS,
            &max,
            &[&x[..64 * 112 * 112]],
            64 * 56 * 56,
            &pool,
        );
        let avg = pool_of(PoolKind::Avg { count_include_pad: false }, 2048, 7, 7, 1, 0, 1, layout);
        time(&format!("global mean 2048 {}", layout.name()), pooling::KERNELS, &avg, &[&x[..2048 * 49]], 2048, &pool);
    }
    time("transpose 64 x 3136", movement::COPY, &copy(&[3136, 64], &[1, 3136]), &[&x[..200704]], 200704, &pool);
    time("transpose 3136 x 64", movement::COPY, &copy(&[64, 3136], &[1, 64]), &[&x[..200704]], 200704, &pool);
    time("heads 128 x 12 x 64", movement::COPY, &copy(&[12, 128, 64], &[64, 768, 1]), &[&x[..n]], n, &pool);
    time("copy", movement::COPY, &copy(&[n], &[1]), &[&x[..n]], n, &pool);
}
