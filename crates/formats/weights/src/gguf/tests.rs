use super::*;
use modelsmith_base::{Budget, DType};
use modelsmith_format::{
    Artifact, Checkpoint, Input, MetaKind, MetaValue, Output, ReadOptions, Siblings, WriteOptions,
};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{ENCODINGS, Encoding, MemSource, Source, Tensor, WeightExpr, encoding, materialize};
use std::sync::Arc;

fn open(bytes: &[u8]) -> modelsmith_format::Result<Checkpoint> {
    match read(&Input::from_bytes("x.gguf", bytes.to_vec()), &ReadOptions::default())?.artifact {
        Artifact::Checkpoint(c) => Ok(c),
        other => panic!("{}", other.kind()),
    }
}

fn put(checkpoint: Checkpoint) -> modelsmith_format::Result<Vec<u8>> {
    let mut output = Output::memory();
    write(&Artifact::Checkpoint(checkpoint), &mut output, &WriteOptions::new(&Operators))?;
    Ok(output.into_memory().remove(0).1)
}

fn floats(shape: &[usize]) -> Arc<WeightExpr> {
    let values = (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.37).sin()).collect::<Vec<_>>();
    Arc::new(WeightExpr::Literal(Tensor::from_f64s(DType::F32, shape, &values).unwrap()))
}

fn encoded(encoding: &'static Encoding, shape: &[usize]) -> Arc<WeightExpr> {
    Arc::new(WeightExpr::Encode { of: floats(shape), encoding, importance: None })
}

fn value(w: &WeightExpr) -> Tensor {
    materialize(w, &Operators, &Budget::unlimited()).unwrap()
}

fn metadata() -> Vec<(String, MetaValue)> {
    let int = |dtype, value| MetaValue::Int { dtype, value };
    let list = |of, items| MetaValue::List { of: Some(of), items };
    let ints = list(MetaKind::Number(DType::I32), vec![int(DType::I32, -5), int(DType::I32, 7)]);
    let values = vec![
        int(DType::U8, 255),
        int(DType::I8, -128),
        int(DType::U16, 65_535),
        int(DType::I16, -2),
        int(DType::U32, 4_000_000_000),
        int(DType::I32, i128::from(i32::MIN)),
        int(DType::U64, i128::from(u64::MAX)),
        int(DType::I64, i128::from(i64::MIN)),
        MetaValue::Float { dtype: DType::F32, value: f64::from(0.1f32) },
        MetaValue::Float { dtype: DType::F64, value: -1e300 },
        MetaValue::Bool(true),
        MetaValue::from("é"),
        list(MetaKind::Text, vec![MetaValue::from("a"), MetaValue::Bytes(vec![0xff, 0xfe])]),
        list(MetaKind::Bool, vec![MetaValue::Bool(false), MetaValue::Bool(true)]),
        list(MetaKind::List, vec![ints.clone(), list(MetaKind::Number(DType::F64), vec![])]),
        ints,
        MetaValue::Bytes(vec![1, 2, 255]),
    ];
    values.into_iter().enumerate().map(|(i, v)| (format!("test.k{i}"), v)).collect()
}

#[test]
fn metadata_of_every_type_and_all_tensors_round_trip() {
    let mut given = Checkpoint { meta: metadata(), ..Checkpoint::default() };
    given.meta.push((ALIGNMENT.into(), MetaValue::Int { dtype: DType::U32, value: 64 }));
    given.tensors.push(("scalar".into(), floats(&[])));
    given.tensors.push(("f32".into(), floats(&[3, 5])));
    for dtype in [DType::F16, DType::BF16, DType::F64, DType::I8, DType::I16, DType::I32, DType::I64] {
        let t = Tensor::from_f64s(dtype, &[2, 3], &[1.0, -2.0, 3.0, 0.0, 5.0, -6.0]).unwrap();
        given.tensors.push((dtype.name().into(), Arc::new(WeightExpr::Literal(t))));
    }
    for e in ENCODINGS.iter().filter(|e| e.encode.is_some()) {
        given.tensors.push((e.name.into(), encoded(e, &[2, 512])));
    }
    let bytes = put(given.clone()).unwrap();
    let back = open(&bytes).unwrap();
    assert_eq!(back.meta, given.meta);
    for ((name, wanted), (found_name, found)) in given.tensors.iter().zip(&back.tensors) {
        assert_eq!((name, wanted.shape()), (found_name, found.shape()));
        match (wanted.as_ref(), found.as_ref()) {
            (WeightExpr::Encode { of, encoding, .. }, WeightExpr::Blocks(b)) => {
                assert_eq!(b.encoding.name, encoding.name);
                assert_eq!(b.offset % 64, 0);
                let mut stored = vec![0; b.len as usize];
                (encoding.encode.unwrap())(value(of).as_slice().unwrap(), 512, None, &mut stored);
                let mut read = vec![0; b.len as usize];
                b.source.read_at(b.offset, &mut read).unwrap();
                assert_eq!(read, stored, "{name}");
            }
            _ => assert!(value(wanted).same_bits(&value(found)), "{name}"),
        }
    }
    assert_eq!(put(back).unwrap(), bytes);
}

/// A file by hand: one key, one tensor of two dimensions.
struct Hand {
    version: u32,
    big: bool,
    kind: u32,
    payload: Vec<u8>,
}

impl Hand {
    fn bytes(&self) -> Vec<u8> {
        let four = |n: u32| if self.big { n.to_be_bytes() } else { n.to_le_bytes() };
        let length = |n: u64| match (self.version, self.big) {
            (1, _) => four(n as u32).to_vec(),
            (_, true) => n.to_be_bytes().to_vec(),
            (_, false) => n.to_le_bytes().to_vec(),
        };
        let text = |t: &str| [length(t.len() as u64), t.as_bytes().to_vec()].concat();
        let mut out = [MAGIC.to_vec(), four(self.version).to_vec(), length(1), length(1)].concat();
        out.extend([text("a.key"), four(5).to_vec(), four(-3i32 as u32).to_vec()].concat());
        out.extend([text("w"), four(2).to_vec(), length(32), length(2), four(self.kind).to_vec()].concat());
        out.extend(if self.big { 0u64.to_be_bytes() } else { 0u64.to_le_bytes() });
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&self.payload);
        out
    }
}

#[test]
fn all_versions_are_read_in_both_byte_orders() {
    let x = value(&floats(&[2, 32]));
    let q = encoding("Q8_0").unwrap();
    let mut blocks = vec![0; 68];
    (q.encode.unwrap())(x.as_slice().unwrap(), 32, None, &mut blocks);
    let mut decoded = vec![0f32; 64];
    (q.decode)(&blocks, &mut decoded);
    for version in 1..=3 {
        for big in [false, true] {
            let payload = x.as_slice::<f32>().unwrap().iter();
            let payload = payload.flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() }).collect();
            let c = open(&Hand { version, big, kind: 0, payload }.bytes()).unwrap();
            assert_eq!(c.meta[0].1, MetaValue::Int { dtype: DType::I32, value: -3 });
            assert_eq!(c.tensors[0].1.shape(), [2, 32]);
            assert!(value(&c.tensors[0].1).same_bits(&x), "version {version}, big {big}");
            let mut payload = blocks.clone();
            if big {
                payload.chunks_mut(34).for_each(|b| b.swap(0, 1));
            }
            let c = open(&Hand { version, big, kind: 8, payload }.bytes()).unwrap();
            assert_eq!(value(&c.tensors[0].1).as_slice::<f32>().unwrap(), decoded);
        }
    }
}

#[test]
fn unknown_types_are_listed_as_bytes() {
    let bytes = Hand { version: 3, big: false, kind: 99, payload: vec![7; 50] }.bytes();
    let imported = read(&Input::from_bytes("x", bytes), &ReadOptions::default()).unwrap();
    let message = "type 99 is not known; the 50 bytes up to the next tensor are listed";
    assert_eq!(imported.findings[0].message, message);
    let Artifact::Checkpoint(c) = imported.artifact else { panic!() };
    assert_eq!(c.tensors[0].1.shape(), [50]);
}

struct Parts(Vec<(String, Vec<u8>)>);

impl Siblings for Parts {
    fn open(&self, name: &str) -> modelsmith_format::Result<Arc<dyn Source>> {
        let found = self.0.iter().find(|(n, _)| n == name);
        let (name, bytes) = found.ok_or_else(|| modelsmith_format::Error::damaged(format!("`{name}` is missing")))?;
        Ok(Arc::new(MemSource::new(name.clone(), bytes.clone())))
    }
}

#[test]
fn split_files_are_read_through_any_part() {
    let part = |number: i128, names: &[&str]| {
        let int = |value| MetaValue::Int { dtype: DType::U16, value };
        let mut meta = vec![("split.no".to_string(), int(number)), ("split.count".to_string(), int(2))];
        if number == 0 {
            meta.insert(0, ("general.name".into(), "x".into()));
        }
        let tensors = names.iter().map(|n| (n.to_string(), floats(&[4]))).collect();
        put(Checkpoint { tensors, meta, ..Checkpoint::default() }).unwrap()
    };
    let names = ["dir/m-00001-of-00002.gguf", "dir/m-00002-of-00002.gguf"];
    let bytes = [part(0, &["a", "b"]), part(1, &["c"])];
    for (name, own) in names.iter().zip(&bytes) {
        let beside = names.iter().zip(&bytes).map(|(n, b)| (n[4..].to_string(), b.clone())).collect();
        let input = Input::new(Arc::new(MemSource::new(*name, own.clone())), Some(Arc::new(Parts(beside))));
        let Artifact::Checkpoint(c) = read(&input, &ReadOptions::default()).unwrap().artifact else { panic!() };
        assert_eq!(c.tensors.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(c.meta, vec![("general.name".to_string(), MetaValue::from("x"))]);
    }
    let alone = Input::new(Arc::new(MemSource::new(names[0], bytes[0].clone())), Some(Arc::new(Parts(vec![]))));
    assert!(read(&alone, &ReadOptions::default()).err().unwrap().to_string().contains("m-00002-of-00002.gguf"));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let error = |bytes: &[u8]| open(bytes).err().map(|e| e.to_string()).unwrap_or_default();
    let good = Hand { version: 3, big: false, kind: 8, payload: vec![0; 68] }.bytes();
    assert_eq!(error(b"GGML"), "x.gguf, byte offset 0: the file does not start with `GGUF`");
    let mut bad = good.clone();
    bad[4] = 9;
    assert_eq!(error(&bad), "x.gguf, byte offset 4: version 9; versions 1 to 3 are read");
    let mut bad = good.clone();
    bad[15] = 1;
    let most = "72057594037927937 entries of at least 16 bytes are announced, 148 bytes are left";
    assert!(error(&bad).starts_with(&format!("x.gguf, byte offset 8: {most}")), "{}", error(&bad));
    let short = error(&good[..good.len() - 1]);
    assert!(
        short.starts_with("x.gguf, tensor w, byte offset 45: its 68 bytes at 0 of the payload lie beyond"),
        "{short}"
    );
    let mut bad = good.clone();
    bad[58] = 31;
    assert!(error(&bad).contains("rows of 31 are not whole Q8_0 blocks of 32"), "{}", error(&bad));
    let tensors = vec![("a".into(), encoded(encoding("Q4_K").unwrap(), &[2, 64])), ("b".into(), floats(&[2]))];
    let e = put(Checkpoint { tensors, ..Checkpoint::default() }).unwrap_err().to_string();
    assert!(
        e.starts_with("GGUF cannot hold: `a`: rows of 64 elements are not whole Q4_K blocks of 256; choose"),
        "{e}"
    );
}

#[test]
fn damage_is_an_error_never_a_panic() {
    let tensors = vec![("a".into(), encoded(encoding("Q4_0").unwrap(), &[1, 32])), ("b".into(), floats(&[3]))];
    let good = put(Checkpoint { tensors, meta: metadata(), ..Checkpoint::default() }).unwrap();
    for at in 0..good.len() {
        for change in [1, 0x10, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            for bytes in [&bad[..], &bad[..at]] {
                match open(bytes) {
                    Ok(c) => {
                        c.tensors.iter().for_each(|(_, w)| drop(materialize(w, &Operators, &Budget::new(1 << 20))))
                    }
                    Err(e) => assert!(e.place().offset.is_some() && e.place().file.is_some(), "{e}"),
                }
            }
        }
    }
}
