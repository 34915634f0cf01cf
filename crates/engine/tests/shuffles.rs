//! Channel shuffles: one copy that writes the halves into which its result is cut, one of them where the next `Concat` wants it.

use modelsmith_ir::{Attrs, Model, OpResult, Samples, Type, ValueId};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value, WeightExpr};
use std::sync::Arc;

const HEIGHT: usize = 13;
const WIDTH: usize = 10;

/// How a shuffled image of 48 channels is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Split,
    /// First channels and ends of two slices.
    Slices([(i64, i64); 2]),
}

fn conv(m: &mut Model, s: &mut Samples, x: ValueId, outputs: usize, inputs: usize) -> OpResult<ValueId> {
    let w = s.floats(DType::F32, &[outputs, inputs, 1, 1], -0.3, 0.3);
    let w = m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(w)));
    m.build(modelsmith_ops::all()).op("Conv", &[x, w])
}

fn shuffle(m: &mut Model, x: ValueId, batch: usize, cut: Cut) -> OpResult<Vec<ValueId>> {
    let ints = |n: &[i64]| Tensor::new(&[n.len()], n.to_vec());
    let (n, h, w) = (batch as i64, HEIGHT as i64, WIDTH as i64);
    let mut b = m.build(modelsmith_ops::all());
    let (groups, whole) = (b.constant(ints(&[n, 2, 24, h, w])?), b.constant(ints(&[n, 48, h, w])?));
    let y = b.op("Reshape", &[x, groups])?;
    let y = b.op_with("Transpose", &[y], Attrs::new().with("perm", [0, 2, 1, 3, 4]))?;
    let y = b.op("Reshape", &[y, whole])?;
    match cut {
        Cut::Split => b.node("", "Split", &[Some(y)], Attrs::new().with("axis", 1i64).with("num_outputs", 2i64), 2),
        Cut::Slices(parts) => {
            let mut cut = |(start, end): (i64, i64)| {
                let [start, end, axis] = [start, end, 1].map(|i| ints(&[i]).map(|t| b.constant(t)));
                b.op("Slice", &[y, start?, end?, axis?])
            };
            parts.into_iter().map(&mut cut).collect()
        }
    }
}

/// Two blocks as in ShuffleNet: one half of the channels passes through a convolution, the other goes as it is.
fn model(batch: usize, cut: Cut) -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(5));
    let x = m.add_param(m.main, "x", Type::tensor(DType::F32, &[batch, 3, HEIGHT, WIDTH].map(|n| (n as i64).into())));
    let mut halves = [conv(&mut m, &mut s, x, 24, 3)?, conv(&mut m, &mut s, x, 24, 3)?];
    for _ in 0..2 {
        let joined = m.build(modelsmith_ops::all()).op_with("Concat", &halves, Attrs::new().with("axis", 1i64))?;
        let parts = shuffle(&mut m, joined, batch, cut)?;
        halves = [parts[0], conv(&mut m, &mut s, parts[1], 24, 24)?];
    }
    let joined = m.build(modelsmith_ops::all()).op_with("Concat", &halves, Attrs::new().with("axis", 1i64))?;
    let y = m.build(modelsmith_ops::all()).op("GlobalAveragePool", &[joined])?;
    m.regions[m.main].results = vec![y];
    Ok(m)
}

/// Runs both blocks beside the reference, with so many copies.
fn check(cut: Cut, copies: usize) {
    for batch in [1, 2] {
        let m = model(batch, cut).unwrap();
        let x = [Value::Tensor(Samples::new(9).floats(DType::F32, &[batch, 3, HEIGHT, WIDTH], -1.0, 1.0))];
        let want = Reference.load(&m, &Opts::default()).unwrap().run(&x, &mut |_, _| {}).unwrap();
        for (isa, threads) in [("portable", 1), ("avx2", 2), ("avx512", 3), ("amx", 2)] {
            let opts = Opts { threads, isa: isa.into(), ..Opts::default() };
            let mut session = modelsmith_engine::open(&m, &opts).unwrap();
            let (got, times) = session.run_profiled(&x).unwrap();
            let (got, want) = (got[0].tensor().unwrap(), want[0].tensor().unwrap());
            assert_eq!(got.shape(), want.shape());
            for (a, b) in got.to_f64s().unwrap().iter().zip(want.to_f64s().unwrap()) {
                assert!((a - b).abs() < 1e-5, "{isa}, {cut:?}: {a} instead of {b}");
            }
            let copied = times.iter().filter(|t| t.kernel.contains("copy")).count();
            assert_eq!(copied, copies, "{isa}, {cut:?}: {times:?}");
        }
    }
}

#[test]
fn a_shuffle_and_its_halves_are_one_copy() {
    check(Cut::Split, 2);
    check(Cut::Slices([(0, 24), (24, 48)]), 2);
}

#[test]
fn slices_that_overlap_stay_slices() {
    // Each shuffle and two slices, the first of which writes where `Concat` wants it.
    check(Cut::Slices([(0, 24), (20, 44)]), 6);
}
