//! Attention in the forms that models write it in, through an engine beside the reference: where heads lie, masks, factors,
//! heads shared by groups, sizes known only at run.

use modelsmith_engine::{BuildOptions, CpuRunner, SessionOptions, build};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::compare::{Tolerance, values};
use modelsmith_tensor::{DType, Tensor, Value};

/// q, k and v from one product, split by one index each, with factors on both sides: as vision transformers do.
const GATHERED: &str = "graph(%x: f32[b, 7, 3, 2, 8]) {
  %q0 = Gather(%x, i64[] 0) {axis = 2}
  %k0 = Gather(%x, i64[] 1) {axis = 2}
  %v0 = Gather(%x, i64[] -1) {axis = 2}
  %q1 = Transpose(%q0) {perm = [0, 2, 1, 3]}
  %k1 = Transpose(%k0) {perm = [0, 2, 3, 1]}
  %v1 = Transpose(%v0) {perm = [0, 2, 1, 3]}
  %q = Mul(%q1, f32[] 0.6)
  %k = Mul(%k1, f32[] 0.6)
  %s = MatMul(%q, %k)
  %p = Softmax(%s) {axis = -1}
  %y = MatMul(%p, %v1)
  %z = Transpose(%y) {perm = [0, 2, 1, 3]}
  return %z
}";
/// Parts of a row, with a mask that adds.
const SPLIT: &str = "graph(%x: f32[2, s, 48], %m: f32[2, 1, 1, s]) {
  %a, %b, %c = Split(%x) {axis = -1, num_outputs = 3}
  %q0 = Reshape(%a, i64[4] [0, 0, 4, 4])
  %k0 = Reshape(%b, i64[4] [0, 0, 4, 4])
  %v0 = Reshape(%c, i64[4] [0, 0, 4, 4])
  %q = Transpose(%q0) {perm = [0, 2, 1, 3]}
  %k = Transpose(%k0) {perm = [0, 2, 3, 1]}
  %v = Transpose(%v0) {perm = [0, 2, 1, 3]}
  %s = MatMul(%q, %k)
  %t = Div(%s, f32[] 2)
  %u = Add(%t, %m)
  %p = Softmax(%u) {axis = 3}
  %y = MatMul(%p, %v)
  %z = Transpose(%y) {perm = [0, 2, 1, 3]}
  %w = Reshape(%z, i64[3] [0, 0, 16])
  return %w
}";
/// Heads without batches, keys and values longer than queries, and the weights of a mask for each head.
const RANK_THREE: &str = "graph(%q: f32[6, 5, 9], %k: f32[6, 130, 9], %v: f32[6, 130, 3], %m: f32[6, 5, 130]) {
  %kt = Transpose(%k) {perm = [0, 2, 1]}
  %s = MatMul(%q, %kt)
  %u = Add(%m, %s)
  %p = Softmax(%u) {axis = -1}
  %y = MatMul(%p, %v)
  return %y
}";
/// Heads of keys and values shared by groups, no query before a key.
const GROUPED: &str = "graph(%q: f32[2, 6, n, 8], %k: f32[2, 2, n, 8], %v: f32[2, 2, n, 5]) {
  %y = Attention(%q, %k, %v) {is_causal = 1, scale = 0.3}
  return %y
}";
/// Heads in rows, a mask of truth values.
const PACKED: &str = "graph(%q: f32[2, n, 24], %k: f32[2, t, 12], %v: f32[2, t, 12], %m: bool[n, t]) {
  %y = Attention(%q, %k, %v, %m) {q_num_heads = 4, kv_num_heads = 2}
  return %y
}";
/// The keys were stored transposed: no attention, but the same result.
const STORED_TRANSPOSED: &str = "graph(%q: f32[1, 2, 4, 8], %k: f32[1, 2, 8, 6], %v: f32[1, 2, 6, 8]) {
  %s = MatMul(%q, %k)
  %p = Softmax(%s) {axis = -1}
  %y = MatMul(%p, %v)
  return %y
}";

fn noise(shape: &[usize], seed: usize) -> Value {
    let n = shape.iter().product::<usize>();
    let x = (0..n).map(|i| ((i * 7919 + seed * 104_729 + 13) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
    Value::Tensor(Tensor::new(shape, x).unwrap())
}

/// Runs a text model both ways; says whether the engine has a step of attention.
fn check(text: &str, inputs: &[Value]) -> bool {
    let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
    let run = |r: &dyn Runner, isa: &str| {
        let opts = Opts { threads: 2, isa: isa.into(), ..Opts::default() };
        r.load(&model, &opts).unwrap().run(inputs, &mut |_, _| {}).unwrap()
    };
    let want = run(&Reference, "");
    for isa in ["", "avx512", "avx2", "portable"] {
        let got = run(&CpuRunner, isa);
        for (a, b) in got.iter().zip(&want) {
            let d = values(a, b, Tolerance::default());
            assert!(d.agrees(), "{isa}: {d:?}\n{text}");
        }
    }
    let built = build(&model, &BuildOptions::default()).unwrap();
    let mut session = built.engine.session(&SessionOptions { threads: 1, ..SessionOptions::default() }).unwrap();
    let (_, steps) = session.run_profiled(inputs).unwrap();
    steps.iter().any(|s| s.kernel.starts_with("f32_attention"))
}

#[test]
fn forms_that_models_write() {
    assert!(check(GATHERED, &[noise(&[3, 7, 3, 2, 8], 1)]));
    assert!(check(
        RANK_THREE,
        &[noise(&[6, 5, 9], 1), noise(&[6, 130, 9], 2), noise(&[6, 130, 3], 3), noise(&[6, 5, 130], 4)]
    ));
    assert!(check(GROUPED, &[noise(&[2, 6, 11, 8], 1), noise(&[2, 2, 11, 8], 2), noise(&[2, 2, 11, 5], 3)]));
    assert!(!check(STORED_TRANSPOSED, &[noise(&[1, 2, 4, 8], 1), noise(&[1, 2, 8, 6], 2), noise(&[1, 2, 6, 8], 3)]));
}

#[test]
fn masks() {
    let mask = (0..2 * 9).map(|i| if i % 4 == 3 { f32::NEG_INFINITY } else { 0.25 }).collect::<Vec<f32>>();
    let mask = Value::Tensor(Tensor::new(&[2, 1, 1, 9], mask).unwrap());
    assert!(check(SPLIT, &[noise(&[2, 9, 48], 1), mask]));
    let keep = (0..5 * 40).map(|i| u8::from(i % 3 != 1 && i / 40 != 2)).collect::<Vec<u8>>();
    let keep = Value::Tensor(Tensor::from_bytes(DType::Bool, &[5, 40], &keep).unwrap());
    assert!(check(PACKED, &[noise(&[2, 5, 24], 1), noise(&[2, 40, 12], 2), noise(&[2, 40, 12], 3), keep]));
}
