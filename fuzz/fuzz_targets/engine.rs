//! An engine file with any changes and a right checksum: refused with an offset, failed, or run to the end.
//!
//! The first byte chooses a small engine, each four bytes after it are a change: two for a place in header, tables and
//! plans, one for the kind of change, one for what is put there. With bit 7 of the first byte set the rest is the meta part itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_engine::{BuildOptions, SessionOptions, build, file};
use modelsmith_ir::{Dim, Samples};
use modelsmith_tensor::{MemSource, Tensor, Value};
use std::sync::{Arc, OnceLock};

const EDGES: [u64; 16] = [0, 1, 2, 3, 7, 15, 16, 17, 64, 255, 4096, 1 << 20, 1 << 31, 1 << 40, u64::MAX / 2, u64::MAX];

fn engines() -> &'static [Vec<u8>] {
    static ALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let ops = modelsmith_ops::all();
        let one = |seed| {
            let model = modelsmith_testkit::random_graph(seed, 10, ops).expect("the generator's operators exist").model;
            let options = BuildOptions { all_levels: true, ..BuildOptions::default() };
            file::to_bytes(&build(&model, &options).expect("a random graph is built").engine)
        };
        (1..9).map(one).collect()
    })
}

fn reseal(bytes: &mut [u8]) {
    let meta = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes")) as usize;
    let end = meta.saturating_add(64).min(bytes.len());
    bytes[32..40].fill(0);
    let sum = file::checksum(&[&bytes[..64], &bytes[64..end]]);
    bytes[32..40].copy_from_slice(&sum.to_le_bytes());
}

fn changed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = bytes.split_first()?;
    let all = engines();
    let mut out = all[usize::from(*first) % all.len()].clone();
    let meta = u64::from_le_bytes(out[16..24].try_into().ok()?) as usize;
    if first & 128 != 0 {
        let n = rest.len().min(meta);
        out[64..64 + n].copy_from_slice(&rest[..n]);
    } else {
        for change in rest.chunks_exact(4) {
            let at = 40 + usize::from(u16::from_le_bytes([change[0], change[1]])) * 257 % (meta + 16);
            match change[2] % 4 {
                0 => out[at] = change[3],
                1 => out[at] ^= change[3],
                2 => out[at..at + 4].copy_from_slice(&(EDGES[usize::from(change[3]) % 16] as u32).to_le_bytes()),
                _ => out[at..at + 8].copy_from_slice(&EDGES[usize::from(change[3]) % 16].to_le_bytes()),
            }
        }
    }
    reseal(&mut out);
    Some(out)
}

fuzz_target!(|bytes: &[u8]| {
    let Some(bytes) = changed(bytes) else { return };
    let engine = match file::load_source(Arc::new(MemSource::new("fuzz.engine", bytes))) {
        Ok(engine) => engine,
        Err(e) => {
            assert!(e.to_string().contains("fuzz.engine: at byte offset "), "{e}");
            return;
        }
    };
    let options =
        SessionOptions { threads: 1, memory_limit: 32 << 20, iteration_limit: 16, ..SessionOptions::default() };
    let Ok(mut session) = engine.session(&options) else { return };
    let mut s = Samples::new(1);
    let inputs = session.inputs().iter().map(|p| {
        let size = |d: &Dim| d.known().and_then(|n| usize::try_from(n).ok()).unwrap_or(2);
        let shape = p.ty.shape().unwrap_or_default().iter().map(size).collect::<Vec<_>>();
        let few = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_some_and(|n| n <= 1 << 16);
        match p.ty.dtype() {
            Some(d) if few && d.is_float() => Value::Tensor(s.floats(d, &shape, -1.0, 1.0)),
            Some(d) if few => Value::Tensor(s.any(d, &shape)),
            _ => Value::Tensor(Tensor::scalar(1f32)),
        }
    });
    let inputs = inputs.collect::<Vec<_>>();
    let _ = session.run(&inputs);
});
