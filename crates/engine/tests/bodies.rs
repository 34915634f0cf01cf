//! Bodies of control flow beside the values around them.

use modelsmith_engine::{BuildOptions, SessionOptions, build, open};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::compare::{Tolerance, values};
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

/// Runs `text` and its reference on inputs made of each of `runs`; all results are held to the end, when they must still be
/// those of their runs.
fn agrees(text: &str, threads: usize, runs: &[Vec<Value>]) {
    let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
    let built = build(&model, &BuildOptions::default()).unwrap();
    let options = SessionOptions { threads, ..SessionOptions::default() };
    let mut session = built.engine.session(&options).unwrap();
    let mut reference = Reference.load(&model, &Opts::default()).unwrap();
    let mut all = Vec::new();
    for inputs in runs {
        let want = reference.run(inputs, &mut |_, _| {}).unwrap();
        all.push((session.run(inputs).unwrap(), want));
    }
    for (got, want) in &all {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            let compared = values(got, want, Tolerance::default());
            assert!(compared.agrees(), "{text}\n{compared:?}");
        }
    }
}

fn numbers(shape: &[usize], seed: usize) -> Value {
    let n = shape.iter().product::<usize>();
    let x = (0..n).map(|i| ((i * 7919 + seed * 31) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
    Value::Tensor(Tensor::new(shape, x).unwrap())
}

fn flag(b: bool) -> Value {
    Value::Tensor(Tensor::from_bools(&[], vec![b]).unwrap())
}

/// An image that lies channels-last is captured, made once, read by a step beside the branches, and given away as it is by
/// one of them.
#[test]
fn branches_take_images_of_changing_sizes() {
    let text = "graph(%x: f32[1, 3, h, w], %k: f32[20, 3, 3, 3], %c: bool[]) {
      %i = Conv(%x, %k) {pads = [1, 1, 1, 1]}
      %j = Concat(%i, %i) {axis = 1}
      %m = ReduceMean(%j) {keepdims = 0}
      %y, %z = If(%c) {then_branch = graph() {
        %a = Identity(%j)
        return %a, %x
      }, else_branch = graph() {
        %b = Neg(%j)
        %d = Add(%b, %m)
        return %d, %k
      }}
      return %y, %m, %z, %j
    }";
    let run = |i: usize, h: usize, w: usize| {
        vec![numbers(&[1, 3, h, w], i), numbers(&[20, 3, 3, 3], i + 1), flag(!i.is_multiple_of(3))]
    };
    let runs = [(9, 7), (9, 7), (9, 7), (16, 33), (9, 7), (1, 1), (16, 33), (16, 33), (16, 33)];
    for threads in [1, 2] {
        agrees(text, threads, &runs.iter().enumerate().map(|(i, &(h, w))| run(i, h, w)).collect::<Vec<_>>());
    }
}

/// Branches inside branches inside a loop: what they capture is an input, a constant, a result of the model, a value that
/// the loop carries, and one that a body around them captured.
#[test]
fn control_flow_nests() {
    let text = "graph(%x: f32[n, 4], %m: i64[], %c: bool[]) {
      %one: f32[4] = Constant() {value = f32[4] [1, 2, 3, 4]}
      %s = Add(%x, %one)
      %y, %all = Loop(%m, _, %x) {body = graph(%i: i64[], %go: bool[], %v: f32[n, 4]) {
        %t = Tanh(%v)
        %sum = ReduceSum(%t) {keepdims = 0}
        %big = Greater(%sum, f32[] 0.5)
        %w: f32[n, 4] = If(%big) {then_branch = graph() {
          %p = If(%c) {then_branch = graph() {
            %a = Sub(%t, %s)
            return %a
          }, else_branch = graph() {
            return %s
          }}
          return %p
        }, else_branch = graph() {
          %q = Add(%t, %one)
          return %q
        }}
        return %go, %w, %t
      }}
      %l = If(%c) {then_branch = graph() {
        return %s, %one, %x
      }, else_branch = graph() {
        return %x, %one, %s
      }}
      return %y, %all, %l, %s
    }"
    .replace("%l = If", "%l, %l2, %l3 = If")
    .replace("return %y, %all, %l, %s\n", "return %y, %all, %l, %l2, %l3, %s\n");
    let run = |i: usize, n: usize| {
        let m = Value::Tensor(Tensor::scalar((i % 4) as i64 + 1));
        vec![numbers(&[n, 4], i), m, flag(i.is_multiple_of(2))]
    };
    agrees(&text, 1, &[3, 3, 3, 3, 5, 3, 1, 5, 5, 5].iter().enumerate().map(|(i, &n)| run(i, n)).collect::<Vec<_>>());
}

/// What a loop carries grows from run to run, and its results are kept in a sequence.
#[test]
fn carried_values_may_grow() {
    let text = "graph(%x: f32[2, 3], %m: i64[]) {
      %e = SequenceEmpty()
      %y, %s = Loop(%m, _, %x, %e) {body = graph(%i: i64[], %go: bool[], %v: f32[r, 3], %q: seq(f32[?, ?])) {
        %w: f32[?, 3] = Concat(%v, %x) {axis = 0}
        %z = Exp(%x)
        %p = SequenceInsert(%q, %z)
        return %go, %w, %p
      }}
      %j = ConcatFromSequence(%s) {axis = 0}
      return %y, %j
    }";
    let run = |i: usize| vec![numbers(&[2, 3], i), Value::Tensor(Tensor::scalar((i % 5) as i64 + 1))];
    agrees(text, 1, &(0..10).map(run).collect::<Vec<_>>());
}

/// Sizes that a plan takes to be equal, because what is broadcast with a cut of itself can have no others, are still looked at.
#[test]
fn a_cut_that_does_not_broadcast_is_refused() {
    let text = "graph(%x: f32[n]) {
  %c = Slice(%x, i64[1] [0], i64[1] [4])
  %y = Add(%x, %c)
  return %y
}";
    let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
    let mut session =
        build(&model, &BuildOptions::default()).unwrap().engine.session(&SessionOptions::default()).unwrap();
    for n in [1, 3, 4] {
        assert_eq!(session.run(&[numbers(&[n], 1)]).unwrap()[0].tensor().unwrap().shape(), [n]);
    }
    let refused = session.run(&[numbers(&[6], 1)]).unwrap_err().to_string();
    assert!(refused.contains("broadcast"), "{refused}");
    assert_eq!(session.run(&[numbers(&[2], 1)]).unwrap()[0].tensor().unwrap().shape(), [2]);
}
