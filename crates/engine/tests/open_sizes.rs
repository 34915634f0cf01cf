//! Kernels where sizes are told only by a run: chosen for those sizes, unless they were measured at them.

use modelsmith_engine::tuning::{Database, tune};
use modelsmith_engine::{BuildOptions, Engine, SessionOptions, build, file};
use modelsmith_ir::{Dim, Model, Samples, TensorType, Type};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, MemSource, Value, WeightExpr};
use std::sync::Arc;
use std::time::Duration;

const INNER: usize = 512;

/// A product with a constant matrix, of as many rows as a run gives.
fn model(rows: Dim) -> Model {
    let mut m = Model::new();
    let main = m.main;
    let ty = Type::Tensor(TensorType { dtype: Some(DType::F32), shape: Some(vec![rows, Dim::from(INNER)]) });
    let x = m.add_param(main, "x", ty);
    let matrix = Samples::new(5).floats(DType::F32, &[INNER, 256], -1.0, 1.0);
    let matrix = m.add_weight(main, "matrix", Arc::new(WeightExpr::Literal(matrix)));
    let product = m.build(modelsmith_ops::all()).op("MatMul", &[x, matrix]).unwrap();
    m.regions[main].results = vec![product];
    m
}

fn built(m: &Model, options: &BuildOptions) -> Engine {
    let engine = build(m, options).unwrap().engine;
    file::load_source(Arc::new(MemSource::new("test.engine", file::to_bytes(&engine)))).unwrap()
}

fn input(rows: usize) -> [Value; 1] {
    [Samples::new(rows as u64).floats(DType::F32, &[rows, INNER], -1.0, 1.0).into()]
}

/// The kernel that multiplies so many rows.
fn kernel(e: &Engine, rows: usize) -> String {
    let mut session = e.session(&SessionOptions { threads: 1, ..SessionOptions::default() }).unwrap();
    let (_, times) = session.run_profiled(&input(rows)).unwrap();
    times.into_iter().find(|t| t.flops > 0.0).unwrap().kernel
}

#[test]
fn each_size_has_the_kernel_of_a_model_made_for_it() {
    let options = BuildOptions { threads: 1, ..BuildOptions::default() };
    let open = model(Dim::symbol("rows"));
    let engine = built(&open, &options);
    let mut session = engine.session(&SessionOptions { threads: 1, ..SessionOptions::default() }).unwrap();
    let mut reference = Reference.load(&open, &Opts::default()).unwrap();
    for rows in [1, 6, 300, 1] {
        assert_eq!(kernel(&engine, rows), kernel(&built(&model(Dim::from(rows)), &options), rows), "{rows} rows");
        let got = session.run(&input(rows)).unwrap()[0].tensor().unwrap().to_f64s().unwrap();
        let want = reference.run(&input(rows), &mut |_, _| {}).unwrap()[0].tensor().unwrap().to_f64s().unwrap();
        let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max);
        assert!(got.len() == rows * 256 && worst < 1e-4, "{rows} rows: {worst}");
    }
}

#[test]
fn what_was_measured_decides_at_the_sizes_measured() {
    let open = model(Dim::symbol("rows"));
    let options = BuildOptions { threads: 1, sizes: [("rows".to_owned(), 200)].into(), ..BuildOptions::default() };
    let plain = built(&open, &options);
    let mut database = Database::default();
    tune(&open, &options, &mut database, Duration::from_secs(60), &mut |_, _| {}).unwrap();
    // Another kernel than the model's choice, said to take no time at all.
    let mut record = serde_json::from_str::<serde_json::Value>(database.text().lines().last().unwrap()).unwrap();
    let measured = record["kernels"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let Some(other) = measured.iter().find(|k| **k != kernel(&plain, 200)) else {
        println!("skipped: one kernel of {measured:?} is left on this machine");
        return;
    };
    record["kernels"][other] = serde_json::json!([1, 1]);
    let path = std::env::temp_dir().join(format!("open_sizes-{}.db", std::process::id()));
    let first = database.text().lines().next().unwrap().to_owned();
    std::fs::write(&path, format!("{first}\n{record}\n")).unwrap();
    let tuning = Some(Arc::new(Database::read(&path).unwrap()));
    std::fs::remove_file(&path).unwrap();
    let tuned = built(&open, &BuildOptions { tuning, ..options });
    assert_eq!(&kernel(&tuned, 200), other, "of {measured:?}");
    assert_eq!(kernel(&tuned, 300), kernel(&plain, 300));
    assert_eq!(kernel(&tuned, 1), kernel(&plain, 1));
}
