//! Memory stays where it is over many runs whose sizes change.

use modelsmith_engine::{BuildOptions, SessionOptions, build};
use modelsmith_tensor::{Tensor, Value};

/// Products, an attention, a softmax, a gather, shape arithmetic and a result whose size only the run tells.
const MODEL: &str = "graph(%x: f32[b, s, 16], %w: f32[16, 48]) {
  %p = MatMul(%x, %w)
  %q, %k, %v = Split(%p) {axis = -1, num_outputs = 3}
  %y = Attention(%q, %k, %v) {q_num_heads = 4, kv_num_heads = 4}
  %r = Add(%y, %x)
  %t = Relu(%r)
  %n = NonZero(%t)
  %u = Softmax(%t) {axis = 1}
  return %u, %n
}";

/// Pages of the process in memory, in bytes, where the system tells.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split(' ').nth(1)?.parse::<usize>().ok().map(|pages| pages * 4096)
}

/// Runs over changing sizes: `MODELSMITH_STEADY_RUNS`, or some thousands.
#[test]
fn changing_sizes_hold_memory_flat() {
    let runs = std::env::var("MODELSMITH_STEADY_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(4000usize);
    let model = modelsmith_ir::text::parse(MODEL, modelsmith_ops::all()).unwrap();
    let built = build(&model, &BuildOptions::default()).unwrap();
    let mut session = built.engine.session(&SessionOptions { threads: 2, ..SessionOptions::default() }).unwrap();
    let floats = |shape: &[usize], seed: usize| {
        let n = shape.iter().product::<usize>();
        let x = (0..n).map(|i| ((i * 7919 + seed) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
        Value::Tensor(Tensor::new(shape, x).unwrap())
    };
    let w = floats(&[16, 48], 5);
    let (mut held, mut pages) = (0, None);
    for i in 0..runs {
        // Every pair of sizes comes again and again; there are more than a session keeps bindings for.
        let (b, s) = (1 + i * 7 % 5, 1 + i * 11 % 97);
        let out = session.run(&[floats(&[b, s, 16], i), w.clone()]).unwrap();
        assert_eq!(out.len(), 2);
        if i == runs / 4 {
            (held, pages) = (session.held_bytes(), resident());
        }
    }
    let after = (session.held_bytes(), resident());
    println!("{runs} runs: held {held} then {} bytes, resident {pages:?} then {:?} bytes", after.0, after.1);
    assert!(after.0 <= held + held / 8, "held {held} bytes after a quarter of the runs, {} at the end", after.0);
    if let (Some(before), Some(after)) = (pages, after.1) {
        assert!(after <= before + (8 << 20), "{before} bytes resident after a quarter of the runs, {after} at the end");
    }
}
