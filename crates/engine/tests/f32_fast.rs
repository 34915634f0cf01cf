//! `f32_fast`: where it is used, that the engine says so, and what it costs in precision.

use modelsmith_engine::{BuildOptions, Engine, SessionOptions, build, file};
use modelsmith_ir::{Model, OpResult, Samples, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, MemSource, Value, WeightExpr};
use std::sync::Arc;

/// A convolution and a product, each large enough for tiles.
fn model(s: &mut Samples) -> OpResult<Model> {
    let mut m = Model::new();
    let main = m.main;
    let x = m.add_param(main, "x", Type::fixed(DType::F32, &[1, 64, 16, 16]));
    let kernel = s.floats(DType::F32, &[64, 64, 5, 5], -1.0, 1.0);
    let kernel = m.add_weight(main, "kernel", Arc::new(WeightExpr::Literal(kernel)));
    let wide = m.add_param(main, "wide", Type::fixed(DType::F32, &[128, 512]));
    let other = m.add_param(main, "other", Type::fixed(DType::F32, &[512, 256]));
    let results = {
        let mut b = m.build(modelsmith_ops::all());
        let c = b.op("Conv", &[x, kernel])?;
        let p = b.op("MatMul", &[wide, other])?;
        vec![c, p]
    };
    m.regions[main].results = results;
    Ok(m)
}

fn built(m: &Model, f32_fast: bool, isa: &str) -> Engine {
    let options =
        BuildOptions { isa: isa.into(), all_levels: isa.is_empty(), f32_fast, threads: 1, ..Default::default() };
    let engine = build(m, &options).unwrap().engine;
    // What is said of it outlives a file.
    file::load_source(Arc::new(MemSource::new("test.engine", file::to_bytes(&engine)))).unwrap()
}

fn run(e: &Engine, inputs: &[Value]) -> Vec<Vec<f64>> {
    let mut s = e.session(&SessionOptions { threads: 2, ..SessionOptions::default() }).unwrap();
    s.run(inputs).unwrap().iter().map(|v| v.tensor().unwrap().to_f64s().unwrap()).collect()
}

/// Largest error by the largest value.
fn error(got: &[f64], want: &[f64]) -> f64 {
    let largest = want.iter().fold(0f64, |m, v| m.max(v.abs()));
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max) / largest
}

#[test]
fn two_parts_where_they_were_asked_for() {
    let mut s = Samples::new(3);
    let m = model(&mut s).unwrap();
    let inputs = [[1, 64, 16, 16].as_slice(), &[128, 512], &[512, 256]]
        .map(|shape| s.floats(DType::F32, shape, -1.0, 1.0).into());
    let want = Reference.load(&m, &Opts::default()).unwrap().run(&inputs, &mut |_, _| {}).unwrap();
    let want = want.iter().map(|v| v.tensor().unwrap().to_f64s().unwrap()).collect::<Vec<_>>();
    let (whole, fast) = (built(&m, false, ""), built(&m, true, ""));
    assert_eq!(whole.f32_fast(), None);
    let kernels = |e: &Engine| e.report(0).steps.iter().map(|s| s.kernel.clone()).collect::<Vec<_>>().join(" ");
    assert!(!kernels(&whole).contains("bf16x2"), "{}", kernels(&whole));
    if whole.levels()[0] != "amx" {
        let said = fast.f32_fast().unwrap_or_default();
        assert!(said.starts_with("without effect: only amx has such kernels, and there is no amx plan"), "{said}");
        return;
    }
    let said = fast.f32_fast().unwrap_or_default();
    assert!(said.starts_with("two bf16 parts in 2 of ") && said.ends_with(" native steps of the amx plan"), "{said}");
    assert!(kernels(&fast).contains("f32_conv_pixels_32x32__amx_bf16x2"), "{}", kernels(&fast));
    assert!(kernels(&fast).contains("f32_gemm_32x32__amx_bf16x2"), "{}", kernels(&fast));
    let refused = whole.report(0).steps.into_iter().flat_map(|s| s.refused).collect::<Vec<_>>();
    let why = "less precise than f32, which --f32-fast allows";
    assert!(refused.iter().any(|(k, r)| k.ends_with("bf16x2") && r == why), "{refused:?}");
    for ((three, two), want) in run(&whole, &inputs).iter().zip(run(&fast, &inputs)).zip(&want) {
        let (three, two) = (error(three, want), error(&two, want));
        // One part loses 1e-3, two lose a thousandth of that, and more than f32 does.
        assert!(three <= 1e-6 && two <= 2e-5 && two > three, "{three:e}, {two:e}");
    }
}

#[test]
fn it_says_where_it_has_no_meaning() {
    let m = model(&mut Samples::new(3)).unwrap();
    for isa in ["portable", "avx2", "avx512"] {
        let said = built(&m, true, isa).f32_fast().unwrap_or_default().to_owned();
        assert!(said.starts_with("without effect: only amx has such kernels"), "{isa}: {said}");
    }
}
