//! What a profile tells of a run: every step once, and no time twice.

use modelsmith_engine::{BuildOptions, SessionOptions, build};
use modelsmith_tensor::{DType, Tensor, Value};
use std::time::Instant;

/// A product in a loop in a loop, and one behind it.
const MODEL: &str = "graph(%x: f32[64, 64], %m: i64[], %c: bool[]) {
  %y = Loop(%m, _, %x) {body = graph(%i: i64[], %go: bool[], %v: f32[64, 64]) {
    %w = Loop(%m, _, %v) {body = graph(%j: i64[], %on: bool[], %u: f32[64, 64]) {
      %p: f32[64, 64] = MatMul(%u, %x)
      %t: f32[64, 64] = Tanh(%p)
      return %on, %t
    }}
    return %go, %w
  }}
  %z = MatMul(%y, %x)
  return %z
}";

#[test]
fn times_add_up_to_no_more_than_the_run() {
    let model = modelsmith_ir::text::parse(MODEL, modelsmith_ops::all()).unwrap();
    let built = build(&model, &BuildOptions::default()).unwrap();
    let mut session = built.engine.session(&SessionOptions { threads: 1, ..SessionOptions::default() }).unwrap();
    let x = (0..64 * 64).map(|i| (i * 7919 % 1009) as f32 / 5000.0 - 0.1).collect::<Vec<f32>>();
    let inputs = [
        Value::Tensor(Tensor::new(&[64, 64], x).unwrap()),
        Value::Tensor(Tensor::scalar(4i64)),
        Value::Tensor(Tensor::from_bytes(DType::Bool, &[], &[1]).unwrap()),
    ];
    let plain = session.run(&inputs).unwrap();
    let begun = Instant::now();
    let (out, times) = session.run_profiled(&inputs).unwrap();
    let all = begun.elapsed().as_nanos() as u64;
    let same = |(a, b): (&Value, &Value)| a.tensor().unwrap().same_bits(b.tensor().unwrap());
    assert!(plain.iter().zip(&out).all(same), "a profile changes no bit");
    let sum = times.iter().map(|t| t.ns).sum::<u64>();
    assert!(sum > 0 && sum <= all, "{sum} ns in steps of a run of {all} ns");
    let count = |what: &str| times.iter().filter(|t| t.label.contains(what)).count();
    assert_eq!(count("MatMul"), 4 * 4 + 1, "{:?}", times.iter().map(|t| &t.label).collect::<Vec<_>>());
    // Each run of a block says what comes before its steps and after them.
    assert_eq!((count("sizes and memory"), count("results")), (1 + 4 + 16, 1 + 4 + 16));
    assert!(times.last().is_some_and(|t| t.label.contains("results")));
    let work = times.iter().map(|t| t.flops).sum::<f64>();
    assert!(work >= 2.0 * 64f64.powi(3), "{work}");
    assert!(times.iter().all(|t| t.tile_flops <= t.flops && (t.tile_products > 0.0) == (t.tile_flops > 0.0)));
}
