//! MatMul, Gemm and Conv through the reference backend are summed by the contraction routine: a loop of their own would
//! be more than an order of magnitude slower, and verification of real models with it.
//!
//! The routine shows in the result. It sums a long product block by block and then adds the blocks, where a plain loop
//! adds one product after the other; factors are chosen for which the two orders round to different numbers.

use modelsmith_ir::{Attrs, Model, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value, contract};

/// Factors of one sum, beside factors that are all 1.
const DEPTH: usize = 600;
/// A number beside which 1 is lost.
const HUGE: f32 = (1u64 << 60) as f32;

/// `rows` times the factors HUGE, 0, ..., 0, -HUGE, 1: one after the other they sum to 1, by blocks to 0.
fn telling(rows: usize) -> Vec<f32> {
    let mut row = vec![0.0; DEPTH];
    row[0] = HUGE;
    row[DEPTH - 2] = -HUGE;
    row[DEPTH - 1] = 1.0;
    row.repeat(rows)
}

/// Elements of the operator's result on operands of these shapes: telling factors in `x` or in `y`, ones in the other.
fn result(op: &str, attrs: Attrs, shapes: [&[usize]; 2], telling_first: bool) -> Vec<f64> {
    let mut model = Model::new();
    let params = shapes.map(|s| model.add_param(model.main, "", Type::fixed(DType::F32, s)));
    let y = model.build(modelsmith_ops::all()).op_with(op, &params, attrs).expect("the operator exists");
    let main = model.main;
    model.regions[main].results.push(y);
    let ones = |s: &[usize]| Tensor::new(s, vec![1.0f32; s.iter().product()]);
    let factors = |s: &[usize]| Tensor::new(s, telling(s.iter().product::<usize>() / DEPTH));
    let inputs = match telling_first {
        true => [factors(shapes[0]), ones(shapes[1])],
        false => [ones(shapes[0]), factors(shapes[1])],
    };
    let inputs = inputs.map(|t| Value::Tensor(t.expect("as many values as the shape holds")));
    let mut running = Reference.load(&model, &Opts::default()).expect("the model loads");
    let out = running.run(&inputs, &mut |_, _| {}).expect("it runs").remove(0);
    out.tensor().expect("a tensor").to_f64s().expect("numbers")
}

fn all_are(values: &[f64], wanted: f64) -> bool {
    !values.is_empty() && values.iter().all(|&v| v == wanted)
}

#[test]
fn the_factors_tell_the_routine_from_a_loop() {
    let (a, ones) = (telling(4), vec![1.0f32; DEPTH * 4]);
    let mut c = vec![0.0; 16];
    contract::matmul(4, DEPTH, 4, &a, &ones, &mut c);
    assert!(all_are(&c, 0.0), "by blocks: {c:?}");
    assert_eq!(telling(1).iter().fold(0.0, |sum, &x| sum + f64::from(x)), 1.0);
}

#[test]
fn matmul_and_gemm_reach_the_contraction_routine() {
    let by_blocks = |op: &str, attrs: Attrs, shapes: [&[usize]; 2]| {
        let y = result(op, attrs, shapes, true);
        assert!(all_are(&y, 0.0), "{op} of {shapes:?}: {y:?}");
    };
    by_blocks("MatMul", Attrs::new(), [&[8, DEPTH], &[DEPTH, 8]]);
    by_blocks("MatMul", Attrs::new(), [&[2, 3, 8, DEPTH], &[2, 3, DEPTH, 8]]);
    by_blocks("Gemm", Attrs::new(), [&[8, DEPTH], &[DEPTH, 8]]);
    by_blocks("Gemm", Attrs::new().with("transB", 1), [&[8, DEPTH], &[8, DEPTH]]);
}

#[test]
fn convolutions_reach_the_contraction_routine_unless_few_filters_share_a_window() {
    let conv = |attrs: Attrs, x: &[usize], w: &[usize], wanted: f64| {
        let y = result("Conv", attrs, [x, w], false);
        assert!(all_are(&y, wanted), "Conv of {x:?} with {w:?}: {y:?}");
    };
    let (by_blocks, one_by_one) = (0.0, 1.0);
    conv(Attrs::new(), &[1, 150, 5, 5], &[16, 150, 2, 2], by_blocks);
    conv(Attrs::new().with("strides", [2, 2]), &[1, 24, 9, 9], &[16, 24, 5, 5], by_blocks);
    conv(Attrs::new(), &[1, DEPTH, 4, 4], &[16, DEPTH, 1, 1], by_blocks);
    conv(Attrs::new(), &[1, DEPTH, 9], &[16, DEPTH, 1], by_blocks);
    conv(Attrs::new().with("group", 2), &[1, 2 * DEPTH, 4, 4], &[32, DEPTH, 1, 1], by_blocks);
    conv(Attrs::new().with("group", 4), &[1, 4, 22, 32], &[4, 1, 20, 30], one_by_one);
    conv(Attrs::new().with("group", 2), &[1, 48, 9, 9], &[6, 24, 5, 5], one_by_one);
}
