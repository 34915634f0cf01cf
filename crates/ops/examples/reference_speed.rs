//! Speed of contractions through the reference backend on one core, conversions included:
//! `cargo run --release -p modelsmith-ops --example reference_speed`.

use modelsmith_ir::{Attrs, Model, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// What is measured, the operator, its attributes, and the shapes of its operands.
type Case = (&'static str, &'static str, Attrs, [&'static [usize]; 2]);

fn cases() -> Vec<Case> {
    let a = Attrs::new;
    let pads = |n: i64| a().with("pads", [n; 4]);
    let depthwise = |channels: i64| pads(1).with("group", channels);
    vec![
        ("square", "MatMul", a(), [&[512, 512], &[512, 512]]),
        ("large square", "MatMul", a(), [&[1024, 1024], &[1024, 1024]]),
        ("bert feed-forward", "MatMul", a(), [&[128, 768], &[768, 3072]]),
        ("attention scores, 12 heads", "MatMul", a(), [&[1, 12, 128, 64], &[1, 12, 64, 128]]),
        ("attention context, 12 heads", "MatMul", a(), [&[1, 12, 128, 128], &[1, 12, 128, 64]]),
        ("transposed weight", "Gemm", a().with("transB", 1), [&[64, 2048], &[1000, 2048]]),
        ("3x3, 64 of 56 x 56", "Conv", pads(1), [&[1, 64, 56, 56], &[64, 64, 3, 3]]),
        ("3x3, 512 of 7 x 7", "Conv", pads(1), [&[1, 512, 7, 7], &[512, 512, 3, 3]]),
        ("3x3 in steps of 2", "Conv", pads(1).with("strides", [2, 2]), [&[1, 128, 56, 56], &[128, 128, 3, 3]]),
        ("7x7 in steps of 2, 3 to 64", "Conv", pads(3).with("strides", [2, 2]), [&[1, 3, 224, 224], &[64, 3, 7, 7]]),
        ("1x1, 64 to 256 of 56 x 56", "Conv", a(), [&[1, 64, 56, 56], &[256, 64, 1, 1]]),
        ("1x1, 96 to 24 of 56 x 56", "Conv", a(), [&[1, 96, 56, 56], &[24, 96, 1, 1]]),
        ("1x1, 512 to 2048 of 7 x 7", "Conv", a(), [&[1, 512, 7, 7], &[2048, 512, 1, 1]]),
        ("depthwise 3x3, 32 of 112 x 112", "Conv", depthwise(32), [&[1, 32, 112, 112], &[32, 1, 3, 3]]),
        ("depthwise 3x3, 384 of 14 x 14", "Conv", depthwise(384), [&[1, 384, 14, 14], &[384, 1, 3, 3]]),
        (
            "depthwise 3x3 in steps of 2",
            "Conv",
            depthwise(96).with("strides", [2, 2]),
            [&[1, 96, 112, 112], &[96, 1, 3, 3]],
        ),
        ("depthwise 5x5", "Conv", pads(2).with("group", 120), [&[1, 120, 28, 28], &[120, 1, 5, 5]]),
        ("32 groups of 4", "Conv", depthwise(32), [&[1, 128, 56, 56], &[128, 4, 3, 3]]),
        ("2 groups of 64", "Conv", depthwise(2), [&[1, 128, 28, 28], &[128, 64, 3, 3]]),
        ("1-D, 9 wide", "Conv", a().with("pads", [4, 4]), [&[1, 64, 4000], &[64, 64, 9]]),
        ("3-D, 3x3x3", "Conv", a().with("pads", [1; 6]), [&[1, 16, 16, 28, 28], &[32, 16, 3, 3, 3]]),
    ]
}

/// Multiplications and additions of a case whose result has `results` elements.
fn flops((_, op, attrs, shapes): &Case, results: usize) -> usize {
    let depth = match *op {
        "Conv" => shapes[1][1..].iter().product(),
        _ if attrs.get("transB").is_some() => shapes[1][1],
        _ => shapes[1][shapes[1].len() - 2],
    };
    2 * results * depth
}

/// Floating-point operations per nanosecond, the best of many runs.
fn measure(case: &Case) -> Result<f64, Failure> {
    let (_, op, attrs, shapes) = case;
    let mut model = Model::new();
    let params = shapes.map(|s| model.add_param(model.main, "", Type::fixed(DType::F32, s)));
    let y = model.build(modelsmith_ops::all()).op_with(op, &params, attrs.clone())?;
    let main = model.main;
    model.regions[main].results.push(y);
    let tensor = |s: &[usize]| {
        let values = (0..s.iter().product::<usize>()).map(|i| (i % 19) as f32 - 9.0).collect();
        Tensor::new(s, values).map(Value::Tensor)
    };
    let inputs = [tensor(shapes[0])?, tensor(shapes[1])?];
    let mut running = Reference.load(&model, &Opts::default())?;
    let (mut best, mut results) = (Duration::MAX, 0);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(400) {
        let start = Instant::now();
        let out = running.run(&inputs, &mut |_, _| {})?;
        best = best.min(start.elapsed());
        results = out[0].tensor()?.len();
    }
    Ok(flops(case, results) as f64 / best.as_nanos() as f64)
}

fn main() -> Result<(), Failure> {
    println!("{:<8}{:<34}{:>8}", "", "", "GFLOP/s");
    for case in cases() {
        println!("{:<8}{:<34}{:>8.1}", case.1, case.0, measure(&case)?);
    }
    Ok(())
}
