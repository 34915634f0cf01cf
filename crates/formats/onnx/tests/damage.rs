//! Damaged files are read or refused with file and offset: never a panic, never more than two seconds, never more than
//! 512 MiB beside the file. `MODELSMITH_DAMAGE` sets the number of changes per file.

mod fixture;

use modelsmith_format::{Input, Kind, ReadOptions};
use modelsmith_format_onnx::read;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Numbers that only depend on the seed (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

/// Most memory that the process ever held, in bytes; `None` where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// A copy of `bytes` with one kind of damage: cut off, bits flipped, a byte that begins a huge length, a range
/// repeated or removed.
fn damaged(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let n = out.len();
    match numbers.below(6) {
        0 | 1 => out.truncate(numbers.below(n)),
        2 => {
            let at = numbers.below(n);
            out[at] ^= 1 << numbers.below(8);
        }
        3 => {
            for _ in 0..8 {
                let at = numbers.below(n.min(4096));
                out[at] = [0xff, 0x80, 0x7f, 0][numbers.below(4)];
            }
        }
        4 => {
            let (from, len) = (numbers.below(n), numbers.below(64));
            out.drain(from..(from + len).min(n));
        }
        _ => {
            let (from, len) = (numbers.below(n), numbers.below(64));
            let again = out[from..(from + len).min(n)].to_vec();
            out.splice(from..from, again);
        }
    }
    out
}

fn check(name: &str, bytes: &[u8], changes: usize, seed: u64) {
    let mut numbers = Numbers(seed | 1);
    for _ in 0..changes {
        let changed: Arc<[u8]> = damaged(bytes, &mut numbers).into();
        let start = Instant::now();
        let len = changed.len() as u64;
        match read(&Input::from_bytes(name, changed), &ReadOptions::default()) {
            Ok(mut imported) => {
                let modelsmith_format::Artifact::Model(model) = &mut imported.artifact else { panic!("a model") };
                modelsmith_ops::opset::upgrade(model);
            }
            Err(e) => {
                assert_ne!(e.kind(), Kind::Io, "{e}");
                assert_eq!(e.place().file.as_deref(), Some(name), "{e}");
                let offset = e.place().offset;
                assert!(offset.is_some_and(|o| o <= len) || e.to_string().contains("beside"), "{e}");
            }
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn damage_is_survived() {
    let changes = std::env::var("MODELSMITH_DAMAGE").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    check("fixture", &fixture::bytes(&fixture::model()), 20 * changes, 1);
    let files = modelsmith_testkit::corpus().map(|c| modelsmith_testkit::onnx_files(&c.join("onnx")));
    let mut largest = 0;
    for (i, path) in files.unwrap_or_default().iter().enumerate() {
        let bytes = std::fs::read(path).unwrap();
        largest = largest.max(bytes.len() as u64);
        check(&path.display().to_string(), &bytes, changes, i as u64 * 7919 + 3);
    }
    if let Some(peak) = peak() {
        // The test holds the file twice beside what the reader takes.
        assert!(peak < (512 << 20) + 3 * largest, "{} MiB", peak >> 20);
    }
}
