//! MatMul and Conv through the reference backend run at the speed of the contraction routine: a loop of their own
//! would be more than an order of magnitude slower, and verification of real models with it.

use modelsmith_ir::{Attrs, Model, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value, contract};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Held by each test: the tests of a file run side by side, and would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

/// Shortest of a few runs: what else the machine does only adds.
fn shortest(mut f: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    (0..8).map(once).min().unwrap_or_default()
}

fn tensor(shape: &[usize]) -> Tensor {
    let values = (0..shape.iter().product::<usize>()).map(|i| (i % 19) as f32 - 9.0).collect();
    Tensor::new(shape, values).expect("as many values as the shape holds")
}

/// Time of one operator on `f32` operands of these shapes, and its result.
fn time_of(op: &str, attrs: Attrs, shapes: [&[usize]; 2]) -> (Duration, Tensor) {
    let mut model = Model::new();
    let params = shapes.map(|s| model.add_param(model.main, "", Type::fixed(DType::F32, s)));
    let y = model.build(modelsmith_ops::all()).op_with(op, &params, attrs).expect("the operator exists");
    let main = model.main;
    model.regions[main].results.push(y);
    let inputs = shapes.map(|s| Value::Tensor(tensor(s)));
    let mut running = Reference.load(&model, &Opts::default()).expect("the model loads");
    let mut out = None;
    let time = shortest(|| out = Some(running.run(&inputs, &mut |_, _| {}).expect("it runs")));
    let out = out.expect("it ran").remove(0);
    (time, out.tensor().expect("a tensor").clone())
}

fn time_of_contraction(m: usize, k: usize, n: usize) -> Duration {
    let (a, b, mut c) = (vec![1.0; m * k], vec![1.0; k * n], vec![0.0; m * n]);
    shortest(|| contract::matmul(m, k, n, &a, &b, &mut c))
}

#[test]
fn matmul_reaches_the_contraction_routine() {
    let _held = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (m, k, n) = (192, 512, 256);
    let (time, y) = time_of("MatMul", Attrs::new(), [&[m, k], &[k, n]]);
    let (a, b) = (tensor(&[m, k]).to_f64s().unwrap(), tensor(&[k, n]).to_f64s().unwrap());
    let mut c = vec![0.0; m * n];
    contract::matmul(m, k, n, &a, &b, &mut c);
    assert_eq!(y.to_f64s().unwrap(), c);
    let alone = time_of_contraction(m, k, n);
    assert!(time < alone * 6, "MatMul takes {time:?}, its contraction alone {alone:?}");
}

#[test]
fn conv_reaches_the_contraction_routine() {
    let _held = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (input, outputs, size) = (64, 64, 24);
    let attrs = Attrs::new().with("pads", [1, 1, 1, 1]);
    let (time, y) = time_of("Conv", attrs, [&[1, input, size, size], &[outputs, input, 3, 3]]);
    assert_eq!(y.shape(), [1, outputs, size, size]);
    let alone = time_of_contraction(outputs, input * 9, size * size);
    assert!(time < alone * 16, "Conv takes {time:?}, its contraction alone {alone:?}");
}
