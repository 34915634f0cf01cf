//! Engine files that somebody changed, with the checksum made right again: they are refused, fail, or run to the end.
//!
//! `MODELSMITH_MUTATIONS` sets how many changes are tried.

use modelsmith_engine::{BuildOptions, SessionOptions, build, file};
use modelsmith_ir::{Attrs, Model, OpResult, Samples, Type, ValueId};
use modelsmith_tensor::{DType, MemSource, Tensor, Value, WeightExpr};
use std::sync::Arc;

fn weight(m: &mut Model, s: &mut Samples, shape: &[usize]) -> ValueId {
    let t = s.floats(DType::F32, shape, -0.5, 0.5);
    m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(t)))
}

/// Convolutions, pooling, products, softmax, gather, shape arithmetic and steps of the reference.
fn model() -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(3));
    let main = m.main;
    let n = modelsmith_ir::Dim::symbol("n");
    let k = |x: i64| modelsmith_ir::Dim::Known(x);
    let x = m.add_param(main, "x", Type::tensor(DType::F32, &[n.clone(), k(3), k(8), k(8)]));
    let i = m.add_param(main, "i", Type::tensor(DType::I64, &[n, k(2)]));
    let (w1, w2, w3) = (
        weight(&mut m, &mut s, &[16, 3, 3, 3]),
        weight(&mut m, &mut s, &[16, 1, 3, 3]),
        weight(&mut m, &mut s, &[16, 5]),
    );
    let table = weight(&mut m, &mut s, &[7, 5]);
    let result = {
        let mut b = m.build(modelsmith_ops::all());
        let pads = Attrs::new().with("pads", [1, 1, 1, 1]);
        let a = b.op_with("Conv", &[x, w1], pads.clone())?;
        let a = b.op("Relu", &[a])?;
        let d = b.op_with("Conv", &[a, w2], pads.with("group", 16i64))?;
        let a = b.op("Add", &[a, d])?;
        let a = b.op_with("MaxPool", &[a], Attrs::new().with("kernel_shape", [2, 2]).with("strides", [2, 2]))?;
        let a = b.op("GlobalAveragePool", &[a])?;
        let a = b.op("Flatten", &[a])?;
        let a = b.op("MatMul", &[a, w3])?;
        let g = b.op("Gather", &[table, i])?;
        let axes = b.ints(&[1]);
        let g = b.op_with("ReduceSum", &[g, axes], Attrs::new().with("keepdims", 0i64))?;
        let a = b.op("Mul", &[a, g])?;
        let a = b.op("Softmax", &[a])?;
        let c = b.op("CumSum", &[a, axes])?;
        let t = b.op("Transpose", &[c])?;
        b.op_with("Concat", &[t, t], Attrs::new().with("axis", 1i64))?
    };
    m.regions[main].results = vec![result];
    Ok(m)
}

fn inputs() -> Vec<Value> {
    let mut s = Samples::new(5);
    vec![
        Value::Tensor(s.floats(DType::F32, &[2, 3, 8, 8], -1.0, 1.0)),
        Value::Tensor(Tensor::new(&[2, 2], vec![0i64, 6, 3, 1]).unwrap()),
    ]
}

fn options() -> SessionOptions {
    SessionOptions { threads: 1, memory_limit: 64 << 20, ..SessionOptions::default() }
}

fn reseal(bytes: &mut [u8]) {
    let meta = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
    let end = meta.saturating_add(64).min(bytes.len());
    bytes[32..40].fill(0);
    let sum = file::checksum(&[&bytes[..64], &bytes[64..end]]);
    bytes[32..40].copy_from_slice(&sum.to_le_bytes());
}

/// Changes a field: a byte, or a number that looks like a size, an index or an offset.
fn damage(bytes: &mut [u8], s: &mut Samples) {
    let meta = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
    for _ in 0..1 + s.below(3) {
        let at = 64 + s.below(meta as u64 - 8) as usize;
        match s.below(6) {
            0 => bytes[at] ^= 1 << s.below(8),
            1 => bytes[at] = [0, 1, 2, 3, 127, 255][s.below(6) as usize],
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => {
                let n = [0u64, 1, 3, 7, 64, 1 << 20, 1 << 40, u64::MAX, u64::MAX / 2 + 1][s.below(9) as usize];
                bytes[at..at + 8].copy_from_slice(&n.to_le_bytes());
            }
            4 => {
                let n = [0u32, 1, 5, 255, u32::MAX][s.below(5) as usize];
                bytes[at..at + 4].copy_from_slice(&n.to_le_bytes());
            }
            _ => {
                let from = 64 + s.below(meta as u64 - 8) as usize;
                let copy: [u8; 8] = bytes[from..from + 8].try_into().unwrap();
                bytes[at..at + 8].copy_from_slice(&copy);
            }
        }
    }
}

#[test]
fn changed_files_are_refused_or_run_to_the_end() {
    let options_for_build = BuildOptions { isa: "avx2".into(), all_levels: true, ..BuildOptions::default() };
    let built = build(&model().unwrap(), &options_for_build).unwrap();
    let good = file::to_bytes(&built.engine);
    let load = |bytes: &[u8]| file::load_source(Arc::new(MemSource::new("m.engine", bytes.to_vec())));
    let expected = load(&good).unwrap().session(&options()).unwrap().run(&inputs()).unwrap();
    assert_eq!(expected[0].tensor().unwrap().shape(), [5, 4]);
    let tries = std::env::var("MODELSMITH_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let (mut s, mut refused, mut failed, mut ran) = (Samples::new(11), 0, 0, 0);
    for _ in 0..tries {
        let mut bytes = good.clone();
        damage(&mut bytes, &mut s);
        reseal(&mut bytes);
        let Ok(engine) = load(&bytes) else {
            refused += 1;
            continue;
        };
        match engine.session(&options()).and_then(|mut s| s.run(&inputs())) {
            Ok(_) => ran += 1,
            Err(_) => failed += 1,
        }
    }
    println!("{tries} changes: {refused} refused at load, {failed} failed, {ran} ran");
    assert!(refused > 0 && failed > 0 && ran > 0);
}

#[test]
fn plain_damage_is_named() {
    let built = build(&model().unwrap(), &BuildOptions::default()).unwrap();
    let good = file::to_bytes(&built.engine);
    let load = |bytes: Vec<u8>| file::load_source(Arc::new(MemSource::new("m.engine", bytes))).unwrap_err().to_string();
    assert!(load(good[..40].to_vec()).contains("at byte offset 0: too short"));
    assert!(load(good[..good.len() - 64].to_vec()).contains("bytes and has"));
    assert!(load(b"MZ".repeat(99)).contains("this is not an engine"));
    let mut bad = good.clone();
    bad[100] ^= 1;
    assert!(load(bad).contains("do not have their checksum"));
    let mut old = good;
    old[8] = 77;
    assert!(load(old).contains("engine version 77"));
}
