use super::*;
use crate::npy;
use flate2::{Compression, Crc, write::DeflateEncoder};
use modelsmith_base::{Budget, DType};
use modelsmith_format::{Artifact, Checkpoint, Input, Output, ReadOptions, WriteOptions};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Tensor, WeightExpr, materialize};
use std::io::Write;
use std::sync::Arc;

fn literal(dtype: DType, shape: &[usize]) -> Arc<WeightExpr> {
    let values = (0..shape.iter().product()).map(|i: usize| (i % 5) as f64).collect::<Vec<_>>();
    Arc::new(WeightExpr::Literal(Tensor::from_f64s(dtype, shape, &values).unwrap()))
}

fn value(w: &WeightExpr) -> Tensor {
    materialize(w, &Operators, &Budget::unlimited()).unwrap()
}

fn open(def: &FormatDef, bytes: &[u8]) -> modelsmith_format::Result<Checkpoint> {
    match (def.read)(&Input::from_bytes("folder/x.npy", bytes.to_vec()), &ReadOptions::default())?.artifact {
        Artifact::Checkpoint(c) => Ok(c),
        other => panic!("{}", other.kind()),
    }
}

fn put(def: &FormatDef, checkpoint: Checkpoint) -> modelsmith_format::Result<Vec<u8>> {
    let mut output = Output::memory();
    (def.write.unwrap())(&Artifact::Checkpoint(checkpoint), &mut output, &WriteOptions::new(&Operators))?;
    Ok(output.into_memory().remove(0).1)
}

#[test]
fn archives_round_trip_with_checksums_and_aligned_payloads() {
    let types = [DType::F32, DType::F64, DType::F16, DType::I8, DType::U16, DType::I64, DType::Bool];
    let tensors = types.iter().enumerate().map(|(i, &d)| (format!("a/b{i}"), literal(d, &[2, i]))).collect::<Vec<_>>();
    let bytes = put(&NPZ, Checkpoint { tensors: tensors.clone(), ..Checkpoint::default() }).unwrap();
    let archive = Archive::open(&bytes).unwrap();
    for entry in archive.entries() {
        archive.read(entry, 1 << 20).unwrap();
        assert_eq!(archive.range(entry).unwrap().start % 64, 0);
    }
    let back = open(&NPZ, &bytes).unwrap();
    for ((name, wanted), (found_name, found)) in tensors.iter().zip(&back.tensors) {
        assert_eq!(name, found_name);
        assert!(value(wanted).same_bits(&value(found)));
    }
    assert_eq!(put(&NPZ, back).unwrap(), bytes);
    let probe = Probe { bytes: &bytes, len: bytes.len() as u64, name: "x.zip" };
    assert_eq!((NPZ.probe)(&probe), Match::Likely);
}

/// An archive with one deflated member.
fn deflated(name: &str, content: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(content).unwrap();
    let packed = packed.finish().unwrap();
    let mut crc = Crc::new();
    crc.update(content);
    let mut shared = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
    shared.extend(crc.sum().to_le_bytes());
    shared.extend((packed.len() as u32).to_le_bytes());
    shared.extend((content.len() as u32).to_le_bytes());
    shared.extend((name.len() as u16).to_le_bytes());
    shared.extend([0, 0]);
    let mut out = [b"PK\x03\x04".as_slice(), &shared, name.as_bytes(), &packed].concat();
    let start = out.len() as u32;
    out.extend([b"PK\x01\x02\x14\x00".as_slice(), &shared, &[0; 14], name.as_bytes()].concat());
    let len = out.len() as u32 - start;
    out.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    out.extend(len.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

#[test]
fn deflated_members_are_read_in_any_order() {
    let n = 1_500_000;
    let t = Tensor::from_f64s(DType::F32, &[n], &(0..n).map(|i| f64::from(i as u32 * 7)).collect::<Vec<_>>()).unwrap();
    let bytes = deflated("w.npy", &modelsmith_tensor::npy::write(&t).unwrap());
    let back = open(&NPZ, &bytes).unwrap();
    assert!(value(&back.tensors[0].1).same_bits(&t));
    let WeightExpr::Read(r) = back.tensors[0].1.as_ref() else { panic!() };
    for at in [4_000_000, 0, 5_999_990, 3, 2_000_000] {
        let mut out = [0; 10];
        r.source.read_at(r.offset + at as u64, &mut out).unwrap();
        assert_eq!(out, t.bytes()[at..at + 10]);
    }
    let mut bad = bytes.clone();
    bad[2_000_000] ^= 0x55;
    let c = open(&NPZ, &bad).unwrap();
    let error = materialize(&c.tensors[0].1, &Operators, &Budget::unlimited()).unwrap_err().to_string();
    assert!(error.starts_with("folder/x.npy, member w.npy: "), "{error}");
}

#[test]
fn arrays_of_other_orders_are_turned() {
    let header = |descr: &str, fortran: &str| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': (2, 3), }}");
        [b"\x93NUMPY\x01\x00".as_slice(), &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
    };
    let mut bytes = header(">i2", "True");
    (0..6u16).for_each(|i| bytes.extend((256 + i).to_be_bytes()));
    let c = open(&npy::NPY, &bytes).unwrap();
    assert_eq!((c.tensors[0].0.as_str(), c.tensors[0].1.shape()), ("x", vec![2, 3]));
    assert_eq!(value(&c.tensors[0].1).to_i64s().unwrap(), [256, 258, 260, 257, 259, 261]);
    let error = |b: &[u8]| open(&npy::NPY, b).err().unwrap().to_string();
    let short = error(&bytes[..bytes.len() - 1]);
    assert_eq!(short, "folder/x.npy, byte offset 0: npy: shape [2, 3] of >i2 wants 12 bytes, 11 follow");
    let objects = error(&header("|O", "False"));
    assert!(objects.contains("the array holds pickled Python objects, which are not read; save plain"), "{objects}");
}

#[test]
fn what_numpy_lacks_is_refused() {
    let tensors = vec![("a".into(), literal(DType::BF16, &[2]))];
    let error = put(&NPZ, Checkpoint { tensors, ..Checkpoint::default() }).unwrap_err().to_string();
    assert_eq!(error, "NumPy cannot hold: `a` of bf16; choose another element type, for example with --cast f32");
    let tensors = vec![("a".into(), literal(DType::F32, &[2])), ("b".into(), literal(DType::F32, &[2]))];
    let error = put(&npy::NPY, Checkpoint { tensors, ..Checkpoint::default() }).unwrap_err().to_string();
    assert_eq!(error, "npy holds one tensor, there are 2; write .npz, or choose one tensor with --include");
}

#[test]
fn damage_is_an_error_never_a_panic() {
    let tensors = vec![("a".into(), literal(DType::F32, &[3]))];
    let good = put(&NPZ, Checkpoint { tensors, ..Checkpoint::default() }).unwrap();
    for bad in [good, deflated("w.npy", &modelsmith_tensor::npy::write(&Tensor::vector(&[1f32, 2.0])).unwrap())] {
        for at in 0..bad.len() {
            let mut changed = bad.clone();
            changed[at] ^= 0x41;
            for bytes in [&changed[..], &bad[..at]] {
                match open(&NPZ, bytes) {
                    Ok(c) => c.tensors.iter().for_each(|(_, w)| {
                        let _ = materialize(w, &Operators, &Budget::new(1 << 20));
                    }),
                    Err(e) => assert!(e.place().offset.is_some() && e.place().file.is_some(), "{e}"),
                }
            }
        }
    }
}
