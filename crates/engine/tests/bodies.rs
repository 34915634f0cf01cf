//! Bodies of control flow beside the values around them.

use modelsmith_engine::{BuildOptions, SessionOptions, build, open};
use modelsmith_ops::run::Opts;
use modelsmith_tensor::{DType, Tensor, Value};

/// A branch that names sizes of tensors around it, and reads none of their elements.
const SIZES_ALONE: &str = "graph(%x: f32[n, m], %flag: bool[]) {
  %t = Transpose(%x)
  %u = If(%flag) {then_branch = graph() {
    %b = Shape(%t)
    return %b
  }, else_branch = graph() {
    %a = Shape(%x)
    return %a
  }}
  return %u
}";

#[test]
fn a_branch_may_read_the_sizes_alone() {
    let model = modelsmith_ir::text::parse(SIZES_ALONE, modelsmith_ops::all()).unwrap();
    let built = build(&model, &BuildOptions::default()).unwrap();
    let engine = built.engine.session(&SessionOptions::default()).unwrap();
    for mut session in [open(&model, &Opts::default()).unwrap(), engine] {
        for (flag, n, m, want) in [(1u8, 2, 5, [5, 2]), (0, 2, 5, [2, 5]), (1, 7, 1, [1, 7])] {
            let x = Value::from(Tensor::zeros(DType::F32, &[n, m]).unwrap());
            let out = session.run(&[x, Value::from(Tensor::from_bytes(DType::Bool, &[], &[flag]).unwrap())]).unwrap();
            assert_eq!(out[0].tensor().unwrap().to_i64s().unwrap(), want);
        }
    }
}

/// What a session gives away stays as it is while later runs write theirs, and a run may read what an earlier one gave.
#[test]
fn results_stay_when_the_session_runs_again() {
    let text = "graph(%x: f32[n]) {\n  %y = Exp(%x)\n  %z = Relu(%y)\n  return %y, %z\n}";
    let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
    let built = build(&model, &BuildOptions::default()).unwrap();
    let mut session = built.engine.session(&SessionOptions::default()).unwrap();
    let mut run = |x: Value| session.run(&[x]).unwrap();
    let first = run(Value::from(Tensor::vector(&[0f32, 1.0])));
    let kept = first[0].tensor().unwrap().to_f64s().unwrap();
    let second = run(first[0].clone());
    let third = run(second[0].clone());
    assert_eq!(first[0].tensor().unwrap().to_f64s().unwrap(), kept);
    let close = |v: &Value, want: f64| (v.tensor().unwrap().to_f64s().unwrap()[0] / want - 1.0).abs() < 1e-6;
    let (e, ee) = (1f64.exp(), 1f64.exp().exp());
    assert!(close(&first[1], 1.0) && close(&second[0], e) && close(&third[0], ee) && close(&third[1], ee));
    drop(third);
    // The tensors of results that nobody holds serve again; those held do not.
    assert!(close(&run(Value::from(Tensor::vector(&[1f32, 0.0])))[0], e) && close(&second[0], e));
}
