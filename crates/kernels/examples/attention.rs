//! Attention in one kernel beside two products with a softmax between them, on operands as a projection leaves them
//! (rows of all heads), in turns: `cargo run --release -p modelsmith-kernels --example attention`.

use modelsmith_kernels::{Args, Dst, Facts, KernelDef, Src, attn, choose, detect, gemm, softmax};
use modelsmith_kop::*;
use modelsmith_pool::Pool;
use std::time::Instant;

fn view(heads: usize, columns: usize, rows: usize) -> HeadView {
    HeadView { offset: 0, batch: rows * heads * columns, head: columns, row: heads * columns }
}

fn product(heads: usize, m: usize, n: usize, k: usize, strides: [[usize; 2]; 3], b_turned: bool) -> GemmProblem {
    let [a, b, c] = strides;
    GemmProblem {
        batch: vec![BatchDim { len: heads, a_stride: a[0], b_stride: b[0], c_stride: c[0] }],
        a_row_stride: a[1],
        c_row_stride: c[1],
        ..GemmProblem::dense(
            m,
            n,
            k,
            match b_turned {
                true => GemmB::Strided { row_stride: 1, col_stride: b[1] },
                false => GemmB::Strided { row_stride: b[1], col_stride: 1 },
            },
        )
    }
}

/// A kernel with its scratch memory.
struct Ready<P: 'static>(&'static KernelDef<P>, P, Vec<u8>);

impl<P> Ready<P> {
    fn of(list: &'static [KernelDef<P>], p: P, facts: &Facts) -> Ready<P> {
        let kernel = choose(list, &p, facts).expect("a kernel");
        let room = kernel.workspace(&p, facts.threads);
        Ready(kernel, p, vec![0; room])
    }

    fn run(&mut self, inputs: &[&[f32]], out: &mut [f32], pool: &Pool) {
        let inputs = inputs.iter().map(|x| Src::new(x)).collect::<Vec<_>>();
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(out)], workspace: &mut self.2 };
        self.0.run(&self.1, args, pool).expect("buffers fit");
    }
}

fn compare(name: &str, [heads, queries, keys, size]: [usize; 4], pool: &Pool, facts: &Facts) {
    let noise = |n: usize| (0..n).map(|i| ((i * 7919 + 13) % 1000) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
    let (q, k, v) = (noise(heads * queries * size), noise(heads * keys * size), noise(heads * keys * size));
    let scale = 1.0 / (size as f32).sqrt();
    let one = AttentionProblem {
        batch: 1,
        heads,
        kv_heads: heads,
        queries,
        keys,
        size,
        values: size,
        scale,
        causal: false,
        blind_zero: true,
        mask: None,
        q: view(heads, size, queries),
        k: view(heads, size, keys),
        v: view(heads, size, keys),
        y: view(heads, size, queries),
    };
    let row = heads * size;
    let mut first = product(heads, queries, keys, size, [[size, row], [size, row], [queries * keys, keys]], true);
    first.epilogue.steps.push(EpilogueStep::MulScalar(scale));
    let second = product(heads, queries, size, keys, [[queries * keys, keys], [size, row], [size, row]], false);
    let middle = SoftmaxProblem { outer: heads * queries, len: keys, inner: 1, log: false };
    let mut one = Ready::of(attn::KERNELS, one, facts);
    let (mut first, mut second) = (Ready::of(gemm::KERNELS, first, facts), Ready::of(gemm::KERNELS, second, facts));
    let mut middle = Ready::of(softmax::KERNELS, middle, facts);
    let (mut y, mut z) = (vec![0f32; q.len()], vec![0f32; q.len()]);
    let (mut scores, mut weights) = (vec![0f32; heads * queries * keys], vec![0f32; heads * queries * keys]);
    let mut best = [f64::INFINITY; 4];
    for _ in 0..60 {
        let mut at = Instant::now();
        let mut lap = |best: &mut f64| {
            *best = best.min(at.elapsed().as_secs_f64() * 1e6);
            at = Instant::now();
        };
        one.run(&[&q, &k, &v], &mut y, pool);
        lap(&mut best[0]);
        first.run(&[&q, &k], &mut scores, pool);
        lap(&mut best[1]);
        middle.run(&[&scores], &mut weights, pool);
        lap(&mut best[2]);
        second.run(&[&weights, &v], &mut z, pool);
        lap(&mut best[3]);
    }
    let error = y.iter().zip(&z).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    let three: f64 = best[1..].iter().sum();
    println!(
        "{name:28} {:8.0} us, {:4.0} GFLOP/s; apart {three:8.0} us = {:.0} + {:.0} + {:.0}; {:.2} x; differ by {error:.0e}",
        best[0],
        one.1.flops() / best[0] / 1e3,
        best[1],
        best[2],
        best[3],
        three / best[0],
    );
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let pool = Pool::new(threads);
    for isa in [detect(), Isa::AVX512, Isa::AVX2, Isa::PORTABLE] {
        if !detect().contains(isa) {
            continue;
        }
        println!("{}, {threads} thread(s)", isa.level_name());
        let facts = Facts::guess(isa, threads);
        compare("bert_base", [12, 128, 128, 64], &pool, &facts);
        compare("vit_b_16", [12, 197, 197, 64], &pool, &facts);
        compare("gpt2_small", [12, 64, 64, 64], &pool, &facts);
        compare("one query, 2048 keys", [12, 1, 2048, 64], &pool, &facts);
        compare("1024 queries and keys", [4, 1024, 1024, 64], &pool, &facts);
        compare("heads of 128", [8, 256, 256, 128], &pool, &facts);
    }
}
