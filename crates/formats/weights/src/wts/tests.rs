use super::*;
use modelsmith_base::{Budget, DType};
use modelsmith_format::{Checkpoint, Input, MetaValue, ReadOptions};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Tensor, WeightExpr, materialize};
use std::sync::Arc;

fn open(text: &str) -> modelsmith_format::Result<Checkpoint> {
    match read(&Input::from_bytes("x.wts", text.as_bytes()), &ReadOptions::default())?.artifact {
        Artifact::Checkpoint(c) => Ok(c),
        other => panic!("{}", other.kind()),
    }
}

fn bits(w: &WeightExpr) -> modelsmith_tensor::Result<Vec<u32>> {
    let t = materialize(w, &Operators, &Budget::unlimited())?;
    Ok(t.as_slice::<f32>()?.iter().map(|x| x.to_bits()).collect())
}

fn put(def: &FormatDef, checkpoint: Checkpoint) -> modelsmith_format::Result<String> {
    let mut output = Output::memory();
    (def.write.unwrap())(&Artifact::Checkpoint(checkpoint), &mut output, &WriteOptions::new(&Operators))?;
    Ok(String::from_utf8(output.into_memory().remove(0).1).unwrap())
}

fn error(text: &str) -> String {
    open(text).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn words_of_any_width_and_older_files_are_read() {
    let text =
        "4\nconv1.weight 4  3f800000 bf800000 00000000 7fc00001 \nb 2 3f000000 0\nempty 0\nold 0 3 a 1 40490fdb\n";
    let c = open(text).unwrap();
    let names = c.tensors.iter().map(|(n, w)| (n.as_str(), w.shape())).collect::<Vec<_>>();
    assert_eq!(names, [("conv1.weight", vec![4]), ("b", vec![2]), ("empty", vec![0]), ("old", vec![3])]);
    assert_eq!(bits(&c.tensors[0].1).unwrap(), [0x3f80_0000, 0xbf80_0000, 0, 0x7fc0_0001]);
    assert_eq!(bits(&c.tensors[1].1).unwrap(), [0x3f00_0000, 0]);
    assert_eq!(bits(&c.tensors[3].1).unwrap(), [10, 1, 0x4049_0fdb]);
}

#[test]
fn decimals_are_read_with_shapes_and_metadata() {
    let text = "# encoding decimal\n# made by hand\n# shape w 2 2\n# meta author A B\n2\nw 4 1 2 3 4\n# between\nv 3 -0.5 nan 1e-45\n";
    let c = open(text).unwrap();
    assert_eq!(c.tensors[0].1.shape(), [2, 2]);
    assert_eq!(bits(&c.tensors[0].1).unwrap(), [1.0f32, 2.0, 3.0, 4.0].map(f32::to_bits));
    let v = bits(&c.tensors[1].1).unwrap();
    assert_eq!((v[0], f32::from_bits(v[1]).is_nan(), v[2]), ((-0.5f32).to_bits(), true, 1));
    assert_eq!(c.meta, vec![("author".to_string(), MetaValue::from("A B"))]);
    let found = open("1\nw 2 0.25 12345678\n").unwrap();
    assert_eq!(bits(&found.tensors[0].1).unwrap(), [0.25f32, 12_345_678.0].map(f32::to_bits));
}

fn all_patterns() -> Vec<f32> {
    let mut out = (0..20_000u32).map(|i| f32::from_bits(i.wrapping_mul(214_783) ^ i << 19)).collect::<Vec<_>>();
    out.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, f32::MAX, f32::from_bits(1)]);
    out.extend([f32::from_bits(0x7f80_0001), f32::from_bits(0xffc1_2345)]);
    out
}

#[test]
fn both_forms_keep_every_bit_and_are_told_apart() {
    let values = all_patterns();
    let n = values.len();
    let weight = |shape: &[usize], v: Vec<f32>| Arc::new(WeightExpr::Literal(Tensor::new(shape, v).unwrap()));
    let tensors = vec![
        ("a.weight".to_string(), weight(&[n], values.clone())),
        ("scalar".to_string(), weight(&[], vec![1.5])),
        ("b".to_string(), weight(&[2, 1, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
    ];
    let meta = vec![("meta key".to_string(), MetaValue::from(" two\nlines \\ "))];
    let given = Checkpoint { tensors, meta, ..Checkpoint::default() };
    for (def, other) in [(&WTS, &WTS_DECIMAL), (&WTS_DECIMAL, &WTS)] {
        let text = put(def, given.clone()).unwrap();
        let probe = Probe { bytes: text.as_bytes(), len: text.len() as u64, name: "weights.txt" };
        assert_eq!(((def.probe)(&probe), (other.probe)(&probe)), (Match::Likely, Match::No), "{}", def.name);
        let back = open(&text).unwrap();
        for ((name, wanted), (found_name, found)) in given.tensors.iter().zip(&back.tensors) {
            assert_eq!((name, wanted.shape()), (found_name, found.shape()));
            assert_eq!(bits(found).unwrap(), bits(wanted).unwrap(), "{name}");
        }
        assert_eq!(back.meta, given.meta);
        let WeightExpr::Read(r) = back.tensors[0].1.as_ref() else { panic!() };
        for at in [0, 3, 16_384, 16_383, 4 * n - 5] {
            let mut out = [0; 5];
            r.source.read_at(at as u64, &mut out).unwrap();
            let all = values.iter().flat_map(|v| v.to_le_bytes()).skip(at).take(5).collect::<Vec<_>>();
            assert_eq!(out.to_vec(), all, "{at}");
        }
        assert!(put(def, back).unwrap() == text, "{}", def.name);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    assert_eq!(error(""), "x.wts, byte offset 0: the number of tensors is missing");
    assert_eq!(error("two\n"), "x.wts, byte offset 0: `two` stands where the number of tensors is wanted");
    assert_eq!(
        error("2\na 1 3f800000\n"),
        "x.wts, byte offset 15: 2 tensors are announced, 1 are there; the file is cut off; get it again"
    );
    assert!(error("1\na 99999999999 0\n").contains("99999999999 values are announced, 3 bytes are left"));
    assert!(error("1\na 3 0 xyz 0\n").contains("`xyz` stands where value 1 of 3 is wanted, hexadecimal digits"));
    assert!(error("1\n# shape a 5\na 3 0 0 0\n").contains("its shape [5] does not fit its 3 values"));
    let c = open("1\na 5 3f800000 3f800000 3f800000 3f80_000 3f800000\n");
    let message = c.and_then(|c| Ok(bits(&c.tensors[0].1)?)).unwrap_err().to_string();
    assert!(message.contains("byte offset 33: `3f80_000 ` is not eight digits and a space"), "{message}");
}

#[test]
fn names_with_spaces_are_refused_and_numbers_of_other_types_become_floats() {
    let weight = |dtype| Arc::new(WeightExpr::Literal(Tensor::from_i64s(dtype, &[2], &[1, 2]).unwrap()));
    let tensors = vec![("a b".to_string(), weight(DType::I64)), ("#".to_string(), weight(DType::I64))];
    let e = put(&WTS, Checkpoint { tensors, ..Checkpoint::default() }).unwrap_err().to_string();
    assert!(e.starts_with("a .wts file holds real numbers under names without spaces, not: `a b` of i64, `#`"), "{e}");
    let tensors = vec![("n".to_string(), weight(DType::I64))];
    assert_eq!(put(&WTS, Checkpoint { tensors, ..Checkpoint::default() }).unwrap(), "1\nn 2 3f800000 40000000\n");
}

#[test]
fn damage_is_an_error_never_a_panic() {
    for good in ["2\na 2 3f800000 40000000\nb 0 1 1\n# shape a 1 2\n", "# encoding decimal\n1\na 2 0.5 0x7fc00000\n"] {
        for at in 0..good.len() {
            for change in [0x01, 0x20, 0x41, 0x80] {
                let mut bytes = good.as_bytes().to_vec();
                bytes[at] ^= change;
                for text in [&bytes[..], &bytes[..at]] {
                    match read(&Input::from_bytes("x", text), &ReadOptions::default()) {
                        Ok(found) => {
                            let Artifact::Checkpoint(c) = found.artifact else { panic!() };
                            c.tensors.iter().for_each(|(_, w)| drop(bits(w)));
                        }
                        Err(e) => assert!(e.place().offset.is_some() && e.place().file.is_some(), "{e}"),
                    }
                }
            }
        }
    }
}
