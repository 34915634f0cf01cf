//! Where an image is brought into the plain order.

use modelsmith_ir::{Attrs, Model, OpResult, Samples, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value, WeightExpr};
use std::sync::Arc;

/// A convolution and a `Resize` whose result leaves the model.
fn model(scale: f64) -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(5));
    let x = m.add_param(m.main, "x", Type::tensor(DType::F32, &[2, 3, 9, 11].map(|n: i64| n.into())));
    let w = s.floats(DType::F32, &[21, 3, 3, 3], -0.3, 0.3);
    let w = m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(w)));
    let scales = Tensor::from_f64s(DType::F32, &[4], &[1.0, 1.0, scale, scale])?;
    let scales = m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(scales)));
    let mut b = m.build(modelsmith_ops::all());
    let image = b.op_with("Conv", &[x, w], Attrs::new().with("pads", [1, 1, 1, 1]))?;
    let inputs = [Some(image), None, Some(scales)];
    let y = b.node("", "Resize", &inputs, Attrs::new().with("mode", "linear"), 1)?;
    m.regions[m.main].results = y;
    Ok(m)
}

#[test]
fn the_smaller_image_is_copied() {
    for (scale, copied_first) in [(4.0, true), (0.5, false)] {
        let m = model(scale).unwrap();
        let x = [Value::Tensor(Samples::new(9).floats(DType::F32, &[2, 3, 9, 11], -1.0, 1.0))];
        let want = Reference.load(&m, &Opts::default()).unwrap().run(&x, &mut |_, _| {}).unwrap();
        for isa in ["portable", "avx2", "avx512", "amx"] {
            let opts = Opts { threads: 2, isa: isa.into(), ..Opts::default() };
            let mut session = modelsmith_engine::open(&m, &opts).unwrap();
            let (got, times) = session.run_profiled(&x).unwrap();
            let (got, want) = (got[0].tensor().unwrap(), want[0].tensor().unwrap());
            for (a, b) in got.to_f64s().unwrap().iter().zip(want.to_f64s().unwrap()) {
                assert!((a - b).abs() < 1e-5, "{isa}: {a} instead of {b}");
            }
            let at = |kernel: &str| times.iter().position(|t| t.kernel.starts_with(kernel)).unwrap();
            assert_eq!(at("copy") < at("f32_resize_2d"), copied_first, "{isa}, scale {scale}");
        }
    }
}

/// Rows of a product as an image, a convolution, and its pixels as rows again, for a product, a whole value and the caller.
fn tokens(open: bool) -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(6));
    let n = if open { modelsmith_ir::Dim::symbol("n") } else { 2i64.into() };
    let x = m.add_param(m.main, "x", Type::tensor(DType::F32, &[n, 12i64.into(), 8i64.into()]));
    let mut weight = |shape: &[usize]| {
        let w = s.floats(DType::F32, shape, -0.3, 0.3);
        m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(w)))
    };
    let (w, k, v) = (weight(&[8, 16]), weight(&[16, 16, 3, 3]), weight(&[16, 5]));
    let mut b = m.build(modelsmith_ops::all());
    let turn = Attrs::new().with("perm", [0, 2, 1]);
    let rows = b.op("MatMul", &[x, w])?;
    let image = b.op_with("Transpose", &[rows], turn.clone())?;
    let shape = b.ints(&[0, 16, 3, 4]);
    let image = b.op("Reshape", &[image, shape])?;
    let image = b.op_with("Conv", &[image, k], Attrs::new().with("pads", [1, 1, 1, 1]))?;
    let shape = b.ints(&[0, 16, 12]);
    let flat = b.op("Reshape", &[image, shape])?;
    let rows = b.op_with("Transpose", &[flat], turn)?;
    let axis = b.ints(&[1]);
    let (sums, product) = (b.op("CumSum", &[rows, axis])?, b.op("MatMul", &[rows, v])?);
    let given = b.op_with("Transpose", &[x], Attrs::new().with("perm", [0, 2, 1]))?;
    m.regions[m.main].results = vec![product, sums, rows, given];
    Ok(m)
}

#[test]
fn rows_and_pixels_are_each_other_without_a_copy() {
    for open in [false, true] {
        let m = tokens(open).unwrap();
        let x = [Value::Tensor(Samples::new(9).floats(DType::F32, &[2, 12, 8], -1.0, 1.0))];
        let want = Reference.load(&m, &Opts::default()).unwrap().run(&x, &mut |_, _| {}).unwrap();
        let opts = Opts { threads: 2, ..Opts::default() };
        let mut session = modelsmith_engine::open(&m, &opts).unwrap();
        let (got, times) = session.run_profiled(&x).unwrap();
        for (got, want) in got.iter().zip(&want) {
            let (got, want) = (got.tensor().unwrap(), want.tensor().unwrap());
            assert_eq!(got.shape(), want.shape());
            for (a, b) in got.to_f64s().unwrap().iter().zip(want.to_f64s().unwrap()) {
                assert!((a - b).abs() < 1e-5, "{a} instead of {b}");
            }
        }
        // Two leave the model: the rows after the convolution, and the input's transposition.
        let copies = times.iter().filter(|t| t.kernel.starts_with("copy")).count();
        assert_eq!(copies, 2, "{:?}", times.iter().map(|t| &t.kernel).collect::<Vec<_>>());
    }
}

/// An image with more of its own elements around it, between convolutions that keep it channels-last.
#[test]
fn borders_are_copied_where_the_image_lies() {
    for (mode, pads) in [("reflect", [2, 1, 1, 3]), ("edge", [4, 0, 9, 1]), ("wrap", [0, 5, 3, 0])] {
        let (mut m, mut s) = (Model::new(), Samples::new(7));
        let sizes = [modelsmith_ir::Dim::symbol("n"), 3i64.into(), 5i64.into(), 6i64.into()];
        let x = m.add_param(m.main, "x", Type::tensor(DType::F32, &sizes));
        let mut weight = |shape: &[usize]| {
            let w = s.floats(DType::F32, shape, -0.3, 0.3);
            m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(w)))
        };
        let (v, w) = (weight(&[16, 3, 1, 1]), weight(&[5, 16, 3, 3]));
        let mut b = m.build(modelsmith_ops::all());
        let image = b.op("Conv", &[x, v]).unwrap();
        let pads = b.ints(&[0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]]);
        let image = b.op_with("Pad", &[image, pads], Attrs::new().with("mode", mode)).unwrap();
        let y = b.op("Conv", &[image, w]).unwrap();
        m.regions[m.main].results = vec![y];
        let x = [Value::Tensor(Samples::new(9).floats(DType::F32, &[2, 3, 5, 6], -1.0, 1.0))];
        let want = Reference.load(&m, &Opts::default()).unwrap().run(&x, &mut |_, _| {}).unwrap();
        let mut session = modelsmith_engine::open(&m, &Opts { threads: 2, ..Opts::default() }).unwrap();
        let (got, times) = session.run_profiled(&x).unwrap();
        let (got, want) = (got[0].tensor().unwrap(), want[0].tensor().unwrap());
        assert_eq!(got.shape(), want.shape());
        for (a, b) in got.to_f64s().unwrap().iter().zip(want.to_f64s().unwrap()) {
            assert!((a - b).abs() < 1e-5, "{mode}: {a} instead of {b}");
        }
        assert!(times.iter().all(|t| !t.reference), "{mode}");
    }
}
