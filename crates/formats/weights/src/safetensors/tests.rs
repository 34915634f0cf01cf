use super::*;
use modelsmith_base::{Budget, DType};
use modelsmith_format::{Artifact, Checkpoint, Input, MetaValue, Output, ReadOptions, Siblings, WriteOptions};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{MemSource, Source, Tensor, WeightExpr, materialize};
use std::sync::Arc;

fn literal(dtype: DType, shape: &[usize]) -> Arc<WeightExpr> {
    let n = dtype.bytes_for(shape.iter().product()).unwrap();
    let bytes = (0..n).map(|i| (i % 2) as u8).collect::<Vec<_>>();
    Arc::new(WeightExpr::Literal(Tensor::from_bytes(dtype, shape, &bytes).unwrap()))
}

fn written(checkpoint: Checkpoint) -> Vec<u8> {
    let mut output = Output::memory();
    write(&Artifact::Checkpoint(checkpoint), &mut output, &WriteOptions::new(&Operators)).unwrap();
    output.into_memory().remove(0).1
}

fn checkpoint(bytes: &[u8]) -> modelsmith_format::Result<Checkpoint> {
    match read(&Input::from_bytes("x.safetensors", bytes.to_vec()), &ReadOptions::default())?.artifact {
        Artifact::Checkpoint(c) => Ok(c),
        other => panic!("{}", other.kind()),
    }
}

/// A file with this header and that many bytes behind it.
fn file(header: &str, payload: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(header.as_bytes());
    out.resize(out.len() + payload, 7);
    out
}

fn error(bytes: &[u8]) -> String {
    checkpoint(bytes).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn every_type_round_trips_aligned_and_in_order() {
    let mut given = Checkpoint::default();
    for (i, dtype) in DType::ALL.into_iter().filter(|&d| dtype::name_of(d).is_some()).enumerate() {
        given.tensors.push((format!("t{i}"), literal(dtype, &[3, 2 * i])));
        given.tensors.push((format!("s{i}"), literal(dtype, &[2])));
    }
    given.meta.push(("format".into(), "pt".into()));
    let bytes = written(given.clone());
    let back = checkpoint(&bytes).unwrap();
    assert_eq!(back.meta, given.meta);
    assert_eq!(back.tensors.len(), given.tensors.len());
    for ((name, wanted), (found_name, found)) in given.tensors.iter().zip(&back.tensors) {
        assert_eq!(name, found_name);
        let value = |w| materialize(w, &Operators, &Budget::unlimited()).unwrap();
        assert!(value(wanted).same_bits(&value(found)), "{name}");
        let WeightExpr::Read(r) = found.as_ref() else { panic!("{found:?}") };
        assert_eq!(r.offset % (r.dtype.bits() as u64).div_ceil(8), 0);
    }
    assert_eq!(written(back), bytes);
    assert_eq!((8 + u64::from_le_bytes(*bytes.first_chunk().unwrap())) % 8, 0);
}

#[test]
fn tied_tensors_are_stored_once() {
    let w = literal(DType::F32, &[4]);
    let tensors = vec![("a".into(), w.clone()), ("b".into(), literal(DType::F32, &[4])), ("c".into(), w)];
    let bytes = written(Checkpoint { tensors, ..Checkpoint::default() });
    let back = checkpoint(&bytes).unwrap();
    assert_eq!(back.tensors.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(Arc::ptr_eq(&back.tensors[0].1, &back.tensors[2].1));
    assert!(String::from_utf8_lossy(&bytes).contains(r#""__metadata__":{"c":"a"}"#));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let one = |offsets: &str| format!(r#"{{"w":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}}}"#);
    assert_eq!(error(b"abc"), "x.safetensors, byte offset 0: 8 bytes are wanted, 3 are left");
    assert_eq!(
        error(&u64::MAX.to_le_bytes()),
        "x.safetensors, byte offset 0: a header of 18446744073709551615 bytes, at most 100000000 are allowed"
    );
    assert_eq!(error(&file(" {}", 0)), "x.safetensors, byte offset 8: the header does not start with `{`");
    assert_eq!(
        error(&file("{\"w\":3}", 0)),
        "x.safetensors, byte offset 13: the JSON is damaged: invalid type: integer `3`, expected struct Info"
    );
    assert!(error(&file(&one("[4,12]"), 12)).ends_with("its range 4..12 does not begin at 0: a hole before it"));
    assert!(error(&file(&one("[8,0]"), 8)).contains("runs backwards"));
    assert!(error(&file(&one("[0,4]"), 4)).contains("F32 [2] takes 8 bytes, 4 are given"));
    assert!(error(&file(&one("[0,8]"), 9)).contains("1 bytes after the last tensor"));
    assert!(error(&file(&one("[0,8]"), 7)).contains("8 bytes of tensors are wanted, 7 are left"));
    let twice =
        r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    assert!(error(&file(twice, 2)).contains("`w` occurs twice"));
    let overlap =
        r#"{"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    assert!(error(&file(overlap, 2)).contains("it overlaps another tensor"));
    let huge = r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#;
    assert!(error(&file(huge, 0)).contains("is too large"));
}

#[test]
fn types_without_elements_here_are_listed() {
    let bytes = file(r#"{"w":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}"#, 3);
    let imported = read(&Input::from_bytes("x", bytes), &ReadOptions::default()).unwrap();
    assert_eq!(imported.findings[0].message, "elements of F6_E2M3 are listed, not read");
    let Artifact::Checkpoint(c) = imported.artifact else { panic!() };
    assert_eq!(c.tensors[0].1.shape(), [4]);
    assert!(materialize(&c.tensors[0].1, &Operators, &Budget::unlimited()).is_err());
}

#[test]
fn damage_is_an_error_never_a_panic() {
    let w = literal(DType::F32, &[3]);
    let good = written(Checkpoint { tensors: vec![("a".into(), w)], ..Checkpoint::default() });
    for cut in 0..good.len() {
        assert!(checkpoint(&good[..cut]).is_err());
    }
    for at in 0..good.len() - 12 {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            if let Err(e) = checkpoint(&bad) {
                assert!(e.place().offset.is_some() && e.place().file.is_some(), "{e}");
            }
        }
    }
}

#[test]
fn types_that_the_format_lacks_are_refused_together() {
    let tensors = vec![("a".into(), literal(DType::I4, &[2])), ("b".into(), literal(DType::Complex128, &[1]))];
    let artifact = Artifact::Checkpoint(Checkpoint { tensors, ..Checkpoint::default() });
    let e = write(&artifact, &mut Output::memory(), &WriteOptions::new(&Operators)).unwrap_err().to_string();
    assert_eq!(e, "safetensors cannot hold: `a` of i4, `b` of c128; choose another element type with --cast");
}

struct Shards(Vec<(String, Vec<u8>)>);

impl Siblings for Shards {
    fn open(&self, name: &str) -> modelsmith_format::Result<Arc<dyn Source>> {
        let (name, bytes) = self.0.iter().find(|(n, _)| n == name).unwrap();
        Ok(Arc::new(MemSource::new(name.clone(), bytes.clone())))
    }
}

#[test]
fn a_set_is_read_through_its_index() {
    let part = |names: &[&str]| {
        let tensors = names.iter().map(|n| (n.to_string(), literal(DType::F16, &[2, 2]))).collect();
        Checkpoint { tensors, meta: vec![("format".into(), "pt".into())], ..Checkpoint::default() }
    };
    let (one, two) = (part(&["a", "c"]), part(&["b", "extra"]));
    let text = r#"{"metadata": {"total_size": 24}, "weight_map":
        {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}}"#;
    let shards = Shards(vec![("1.safetensors".into(), written(one)), ("2.safetensors".into(), written(two))]);
    let source = Arc::new(MemSource::new("x.safetensors.index.json", text.as_bytes().to_vec()));
    let input = Input::new(source, Some(Arc::new(shards)));
    assert_eq!(modelsmith_format::detect(&[&SAFETENSORS], &input).unwrap().name, "safetensors");
    let imported = read(&input, &ReadOptions::default()).unwrap();
    let Artifact::Checkpoint(c) = imported.artifact else { panic!() };
    assert_eq!(c.tensors.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "extra"]);
    assert_eq!(c.meta, vec![("format".to_string(), MetaValue::from("pt"))]);
    assert_eq!(imported.findings.len(), 1);
}
