//! Speed of the contraction routine on one core: `cargo run --release -p modelsmith-tensor --example contract_speed`.
//! The reference backend is usable on real models only while the square sizes stay above 8 GFLOP/s.

use modelsmith_tensor::contract;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rows, depth and columns, each with the kind of layer that has it.
const SIZES: [(usize, usize, usize, &str); 8] = [
    (512, 512, 512, "square"),
    (1024, 1024, 1024, "square"),
    (128, 768, 3072, "bert feed-forward"),
    (128, 64, 128, "bert attention scores"),
    (64, 576, 3136, "resnet 3x3 convolution"),
    (2048, 512, 49, "resnet 1x1 convolution, last stage"),
    (1, 2048, 1000, "classifier"),
    (32, 9, 12544, "depthwise convolution"),
];

fn main() {
    println!("{:>5} {:>5} {:>5}  GFLOP/s", "m", "k", "n");
    for (m, k, n, what) in SIZES {
        let a = (0..m * k).map(|i| (i % 17) as f64 - 8.0).collect::<Vec<_>>();
        let b = (0..k * n).map(|i| (i % 13) as f64 - 6.0).collect::<Vec<_>>();
        let mut c = vec![0.0; m * n];
        let mut best = Duration::MAX;
        for _ in 0..4 {
            let start = Instant::now();
            contract::matmul(m, k, n, black_box(&a), black_box(&b), &mut c);
            best = best.min(start.elapsed());
        }
        black_box(&c);
        let speed = 2.0 * (m * k * n) as f64 / best.as_secs_f64() / 1e9;
        println!("{m:>5} {k:>5} {n:>5}  {speed:7.2}  {what}");
    }
}
