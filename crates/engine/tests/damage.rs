//! Engine files that somebody changed, with the checksum made right again: they are refused, fail, or run to the end.
//!
//! `MODELSMITH_CHANGES` sets how many changes are tried, `MODELSMITH_SEED` where they begin. docs/robustness.md has the
//! command that runs ten thousand of them under AddressSanitizer.

mod damaged {
    pub mod change;
    pub mod container;
    pub mod models;
    pub mod recipe;
}

use damaged::change::change;
use damaged::container::{Container, Lies};
use damaged::models;
use modelsmith_engine::{BuildOptions, Session, SessionOptions, build, file};
use modelsmith_ir::{Dim, Model, Samples, Type};
use modelsmith_kop::Isa;
use modelsmith_tensor::{MemSource, Tensor, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Elements of an input that is drawn at most.
const MOST: usize = 1 << 16;

fn options(isa: &str) -> SessionOptions {
    SessionOptions {
        threads: 1,
        isa: isa.into(),
        memory_limit: 64 << 20,
        iteration_limit: 64,
        ..SessionOptions::default()
    }
}

fn engine_file(model: &Model) -> Vec<u8> {
    let built = build(model, &BuildOptions { all_levels: true, ..BuildOptions::default() }).unwrap();
    file::to_bytes(&built.engine)
}

fn load(bytes: &[u8]) -> modelsmith_engine::Result<modelsmith_engine::Engine> {
    file::load_source(Arc::new(MemSource::new("m.engine", bytes.to_vec())))
}

/// Inputs of the sizes that a session asks for; symbols are small.
fn inputs(session: &Session, s: &mut Samples) -> Vec<Value> {
    let mut sizes = BTreeMap::new();
    let mut one = |ty: &Type| -> Option<Value> {
        let dims = ty.shape().unwrap_or_default();
        let shape = dims.iter().map(|d| match (d, d.as_symbol()) {
            (Dim::Known(n), _) => usize::try_from(*n).ok(),
            (_, Some(name)) => Some(*sizes.entry(name.to_owned()).or_insert_with(|| 2 + s.below(3) as usize)),
            _ => Some(3),
        });
        let shape = shape.collect::<Option<Vec<_>>>()?;
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        let dtype = ty.dtype()?;
        if count > MOST {
            return None;
        }
        Some(Value::Tensor(match dtype.is_float() {
            true => s.floats(dtype, &shape, -1.0, 1.0),
            false => s.any(dtype, &shape),
        }))
    };
    let absent = || Value::Tensor(Tensor::scalar(1f32));
    session.inputs().iter().map(|p| one(&p.ty).unwrap_or_else(absent)).collect()
}

/// Levels that this machine has.
fn levels() -> Vec<&'static str> {
    let here = modelsmith_kernels::detect();
    let name = |(n, l): &(&'static str, Isa)| here.contains(*l).then_some(*n);
    Isa::LEVELS.iter().filter_map(name).collect()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    failed: usize,
    ran: usize,
    /// The latest failure.
    last: String,
}

/// Loads a file and runs it on every level; twice, because the second run reuses what the first one made.
fn run(bytes: &[u8], s: &mut Samples, tally: &mut Tally) {
    let engine = match load(bytes) {
        Ok(engine) => engine,
        Err(e) => {
            let text = e.to_string();
            assert!(text.contains("m.engine: at byte offset "), "{text}");
            tally.refused += 1;
            return;
        }
    };
    for level in levels() {
        let done = engine.session(&options(level)).and_then(|mut session| {
            let fed = inputs(&session, s);
            session.run(&fed)?;
            session.run(&fed)
        });
        match done {
            Ok(_) => tally.ran += 1,
            Err(e) => {
                tally.last = e.to_string();
                assert!(!tally.last.is_empty());
                tally.failed += 1;
            }
        }
    }
}

#[test]
fn changed_files_are_refused_or_run_to_the_end() {
    let all = models::all().into_iter().map(|(name, m)| (name, engine_file(&m))).collect::<Vec<_>>();
    for (name, good) in &all {
        let parts = Container::read(good);
        assert!(parts.write(&Lies::default()) == *good, "{name} is not put together as it was");
        let mut tally = Tally::default();
        run(good, &mut Samples::new(1), &mut tally);
        assert_eq!((tally.refused, tally.failed), (0, 0), "{name} before it is damaged: {}", tally.last);
    }
    let (tries, first) = (setting("MODELSMITH_CHANGES", 600), setting("MODELSMITH_SEED", 0));
    let mut tally = Tally::default();
    for seed in first..first + tries {
        let (name, good) = &all[(seed % all.len() as u64) as usize];
        let mut s = Samples::new(seed);
        let mut parts = Container::read(good);
        let lies = change(&mut parts, &mut s);
        let bytes = parts.write(&lies);
        if std::env::var_os("MODELSMITH_TRACE").is_some() {
            eprintln!("{seed}: {name}");
        }
        run(&bytes, &mut s, &mut tally);
    }
    println!("{tries} changes to {} engines on {:?}: {tally:?}", all.len(), levels());
    assert!(tally.refused > 0 && tally.failed > 0 && tally.ran > 0);
}

#[test]
fn plain_damage_is_named() {
    let good = engine_file(&models::image().unwrap());
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
