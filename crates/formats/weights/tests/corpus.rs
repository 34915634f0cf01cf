//! Real files: opened, written and read again, and opened damaged.

use modelsmith_base::Budget;
use modelsmith_format::{Artifact, Checkpoint, FormatDef, Input, Kind, Output, ReadOptions, WriteOptions, detect};
use modelsmith_format_weights::FORMATS;
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Form, Ranged, WeightExpr};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of this crate's formats in the corpus. Arrays of Python objects belong to another crate.
fn files() -> Vec<PathBuf> {
    let Some(corpus) = modelsmith_testkit::corpus() else { return Vec::new() };
    let mut out = Vec::new();
    for folder in ["safetensors", "gguf", "npy", "io"] {
        collect(&corpus.join(folder), &["safetensors", "gguf", "npz", "wts"], &mut out);
    }
    out.sort();
    out
}

fn collect(folder: &Path, wanted: &[&str], out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, wanted, out);
        } else if path.extension().is_some_and(|e| wanted.iter().any(|w| e == *w)) {
            out.push(path);
        }
    }
}

fn open(format: &FormatDef, name: &str, bytes: &[u8]) -> modelsmith_format::Result<Checkpoint> {
    match (format.read)(&Input::from_bytes(name, bytes.to_vec()), &ReadOptions::default())?.artifact {
        Artifact::Checkpoint(c) => Ok(c),
        other => panic!("{name} is a {}", other.kind()),
    }
}

fn stored(w: &WeightExpr, form: Form, budget: &Budget) -> modelsmith_tensor::Result<Vec<u8>> {
    let ranged = Ranged::new(w, form, &Operators, budget)?;
    let mut out = vec![0; ranged.byte_len() as usize];
    ranged.fill(0, &mut out)?;
    Ok(out)
}

#[test]
fn what_is_read_is_written_and_read_again() {
    let budget = Budget::unlimited();
    for path in files() {
        let (name, bytes) = (path.display().to_string(), fs::read(&path).unwrap());
        let format = detect(FORMATS, &Input::from_bytes(&name, bytes.clone())).expect("a known format");
        let read = open(format, &name, &bytes).unwrap();
        let mut output = Output::memory();
        let artifact = Artifact::Checkpoint(read.clone());
        (format.write.unwrap())(&artifact, &mut output, &WriteOptions::new(&Operators)).unwrap();
        let again = open(format, &name, &output.into_memory()[0].1).unwrap();
        assert_eq!(read.meta, again.meta, "{name}");
        assert_eq!(read.tensors.len(), again.tensors.len(), "{name}");
        for ((a, x), (b, y)) in read.tensors.iter().zip(&again.tensors) {
            assert_eq!((a, x.shape(), x.dtype()), (b, y.shape(), y.dtype()), "{name}");
            let bytes = |w| stored(w, Form::Stored, &budget).unwrap();
            assert_eq!(bytes(x), bytes(y), "{name}: {a}");
        }
    }
}

#[test]
fn damaged_files_are_read_or_say_where() {
    let budget = Budget::new(64 << 20);
    for path in files().into_iter().filter(|p| fs::metadata(p).is_ok_and(|m| m.len() < 4 << 20)) {
        let (name, bytes) = (path.display().to_string(), fs::read(&path).unwrap());
        let format = detect(FORMATS, &Input::from_bytes(&name, bytes.clone())).expect("a known format");
        for round in 0..40usize {
            let mut bad = bytes.clone();
            let at = round.wrapping_mul(0x9e37_79b9) % bad.len().min(if round % 2 == 0 { 2048 } else { usize::MAX });
            match round % 4 {
                3 => bad.truncate(at),
                n => bad[at] ^= [0x01, 0x80, 0xff][n],
            }
            match open(format, &name, &bad) {
                Ok(c) => c.tensors.iter().take(20).for_each(|(_, w)| drop(stored(w, Form::Dense, &budget))),
                Err(e) if e.kind() == Kind::Unsupported => {}
                Err(e) => assert!(e.place().file.is_some() && e.place().offset.is_some(), "{name}, {round}: {e}"),
            }
        }
    }
}
