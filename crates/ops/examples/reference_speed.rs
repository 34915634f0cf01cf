//! Speed of MatMul and Conv through the reference backend on one core, conversions included:
//! `cargo run --release -p modelsmith-ops --example reference_speed`.

use modelsmith_ir::{Attrs, Model, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// Runs one operator on `f32` operands and prints its speed; `flops` are counted by the caller.
fn measure(what: &str, op: &str, attrs: Attrs, shapes: [&[usize]; 2], flops: usize) -> Result<(), Failure> {
    let mut model = Model::new();
    let params = shapes.map(|s| model.add_param(model.main, "", Type::fixed(DType::F32, s)));
    let y = model.build(modelsmith_ops::all()).op_with(op, &params, attrs)?;
    let main = model.main;
    model.regions[main].results.push(y);
    let tensor = |s: &[usize]| {
        let values = (0..s.iter().product::<usize>()).map(|i| (i % 19) as f32 - 9.0).collect();
        Tensor::new(s, values).map(Value::Tensor)
    };
    let inputs = [tensor(shapes[0])?, tensor(shapes[1])?];
    let mut running = Reference.load(&model, &Opts::default())?;
    let mut best = Duration::MAX;
    for _ in 0..4 {
        let start = Instant::now();
        running.run(&inputs, &mut |_, _| {})?;
        best = best.min(start.elapsed());
    }
    println!("{what:<36} {:7.2} GFLOP/s", flops as f64 / best.as_secs_f64() / 1e9);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mm = |m: usize, k: usize, n: usize| 2 * m * k * n;
    measure("MatMul 512 x 512 x 512", "MatMul", Attrs::new(), [&[512, 512], &[512, 512]], mm(512, 512, 512))?;
    measure("MatMul bert feed-forward", "MatMul", Attrs::new(), [&[128, 768], &[768, 3072]], mm(128, 768, 3072))?;
    let pads = Attrs::new().with("pads", [1, 1, 1, 1]);
    let flops = mm(64, 64 * 9, 56 * 56);
    measure("Conv 3x3, 64 channels of 56 x 56", "Conv", pads.clone(), [&[1, 64, 56, 56], &[64, 64, 3, 3]], flops)?;
    let flops = mm(512, 512 * 9, 49);
    measure("Conv 3x3, 512 channels of 7 x 7", "Conv", pads, [&[1, 512, 7, 7], &[512, 512, 3, 3]], flops)?;
    let flops = mm(256, 64, 56 * 56);
    measure("Conv 1x1, 64 to 256 of 56 x 56", "Conv", Attrs::new(), [&[1, 64, 56, 56], &[256, 64, 1, 1]], flops)?;
    Ok(())
}
