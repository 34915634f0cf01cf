//! Small checkpoints made here, the one of `examples/digits`, and the corpus.

use modelsmith_base::Budget;
use modelsmith_format::{Artifact, Checkpoint, Imported, Input, MetaValue, ReadOptions, Tree};
use modelsmith_format_torch::{TORCH, read, salvage};
use modelsmith_tensor::{DType, Error, Evaluator, Tensor, WeightExpr, materialize};
use modelsmith_wire::zip::Writer;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

struct NoOperators;
impl Evaluator for NoOperators {
    fn eval(&self, op: &str, _: &[Tensor]) -> Result<Tensor, Error> {
        Err(Error::Eval { op: op.into(), message: "no operators here".into() })
    }
}

fn zip(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.add("x/data.pkl", &[pickle]).unwrap();
    for (key, bytes) in storages {
        writer.add(&format!("x/data/{key}"), &[bytes]).unwrap();
    }
    writer.finish().unwrap()
}

fn opened(bytes: Vec<u8>) -> Result<Imported, modelsmith_format::Error> {
    read(&Input::from_bytes("x.pt", bytes), &ReadOptions::default())
}

fn checkpoint(bytes: Vec<u8>) -> Checkpoint {
    match opened(bytes).unwrap().artifact {
        Artifact::Checkpoint(c) => c,
        other => panic!("{}", other.kind()),
    }
}

fn floats(weight: &Arc<WeightExpr>) -> Vec<f64> {
    materialize(weight, &NoOperators, &Budget::unlimited()).unwrap().to_f64s().unwrap()
}

/// The instructions that rebuild a tensor over storage 0 of `count` floats.
fn tensor(count: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let mut out =
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK"
            .to_vec();
    out.extend([count, b't', b'Q', b'K', offset]);
    for list in [shape, strides] {
        out.push(b'(');
        list.iter().for_each(|&d| out.extend([b'K', d]));
        out.push(b't');
    }
    out.extend(b"\x89}tR");
    out
}

/// A dictionary of the values, under the keys a, b, c ...
fn dict(values: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec();
    for (i, value) in values.iter().enumerate() {
        out.extend([b'U', 1, b'a' + i as u8]);
        out.extend(value);
    }
    out.extend(b"u.");
    out
}

fn six() -> Vec<u8> {
    (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

#[test]
fn views_share_their_storage_and_tied_tensors_are_one() {
    let pickle =
        dict(&[tensor(6, 0, &[2, 3], &[3, 1]), tensor(6, 1, &[2, 2], &[1, 2]), tensor(6, 0, &[2, 3], &[3, 1])]);
    let c = checkpoint(zip(&pickle, &[("0", &six())]));
    let names = c.tensors.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(floats(&c.tensors[1].1), [1.0, 3.0, 2.0, 4.0]);
    assert!(Arc::ptr_eq(&c.tensors[0].1, &c.tensors[2].1));
    let storage = |i: usize| match c.tensors[i].1.as_ref() {
        WeightExpr::View { of, .. } => of.clone(),
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&storage(0), &storage(1)));
}

#[test]
fn big_endian_elements_are_turned() {
    let mut writer = Writer::new(Vec::new());
    writer.add("x/data.pkl", &[&dict(&[tensor(2, 0, &[2], &[1])])]).unwrap();
    writer.add("x/byteorder", &[b"big"]).unwrap();
    writer.add("x/data/0", &[&1.5f32.to_be_bytes(), &2.0f32.to_be_bytes()]).unwrap();
    let c = checkpoint(writer.finish().unwrap());
    assert_eq!(floats(&c.tensors[0].1), [1.5, 2.0]);
}

#[test]
fn unknown_classes_stay_data() {
    let pickle = b"\x80\x02cmy.code\nNet\n)\x81}(U\x01aK\x01U\x01b]K\x02aub.";
    let imported = opened(zip(pickle, &[])).unwrap();
    assert_eq!(
        imported.findings[0].to_string(),
        "note[torch.class]: my.code.Net is kept as data: its class is unknown"
    );
    let Artifact::Checkpoint(c) = imported.artifact else { panic!() };
    let Some(Tree::Object { class, state: Some(state), .. }) = c.tree else { panic!() };
    assert_eq!(class, "my.code.Net");
    assert!(matches!(*state, Tree::Dict(pairs) if pairs.len() == 2));
    let int = |value| MetaValue::Int { dtype: DType::I64, value };
    let list = MetaValue::List { of: None, items: vec![int(2)] };
    assert_eq!(c.meta, [("a".to_owned(), int(1)), ("b".to_owned(), list)]);
}

#[test]
fn faults_name_file_place_and_tensor() {
    let error = |bytes: Vec<u8>| opened(bytes).err().unwrap().to_string();
    let one = |t: Vec<u8>| zip(&dict(&[t]), &[("0", &six())]);
    assert_eq!(
        error(one(tensor(6, 1, &[2, 3], &[3, 1]))),
        "x.pt: x/data.pkl, tensor a: shape [2, 3] with strides [3, 1] from element 1 lies outside storage 0 of 6 elements"
    );
    assert_eq!(
        error(zip(&dict(&[tensor(6, 0, &[2], &[1])]), &[])),
        "x.pt: x/data.pkl, tensor a: storage 0 is not in the file"
    );
    assert_eq!(
        error(zip(b"\x80\x02}U\x01a", &[])),
        "x.pt: x/data.pkl, byte offset 6: the pickle ends inside an instruction: 1 bytes wanted, 0 left"
    );
    assert_eq!(
        error(b"GIF89a".to_vec()),
        "x.pt: neither an archive with a data.pkl, nor a legacy checkpoint, nor a pickle"
    );
}

#[test]
fn values_that_only_unfold_are_refused() {
    let mut bytes = b"\x80\x02]K\x01aq\x00".to_vec();
    (0..100).for_each(|_| bytes.extend(b"0(h\x00h\x00h\x00h\x00h\x00lq\x00"));
    bytes.push(b'.');
    let text = opened(bytes).err().unwrap().to_string();
    assert_eq!(text, "x.pt: the pickle shares values so that it unfolds into far more than it holds");
    let mut bytes = b"\x80\x02".to_vec();
    bytes.extend([b']'; 700]);
    bytes.extend([b'a'; 699]);
    bytes.push(b'.');
    assert_eq!(opened(bytes).err().unwrap().to_string(), "x.pt: more than 250 values inside each other");
    // As deep as is allowed, in the way that takes the most of the stack: objects in ordered dictionaries in objects.
    let (open, close) = (&b"ccollections\nOrderedDict\n)RU\x01acm\nC\n)\x81}U\x01b"[..], &b"sbs"[..]);
    for (levels, opens) in [(123, true), (130, false)] {
        let bytes = [b"\x80\x02", open.repeat(levels).as_slice(), b"N", &close.repeat(levels), b"."].concat();
        assert_eq!(opened(bytes).is_ok(), opens, "{levels}");
    }
    // A list that holds itself is cut.
    let imported = opened(b"\x80\x02]q\x00h\x00a.".to_vec()).unwrap();
    assert!(imported.findings[0].to_string().starts_with("note[torch.cycle]"));
}

#[test]
fn legacy_streams_are_read_with_views_of_storages() {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    let mut object = dict(&[tensor(2, 1, &[1], &[1])]);
    // The id gets a sixth field: the storage is the part of two elements from element 3 on.
    let at = object.windows(3).position(|w| w == [2, b't', b'Q']).unwrap();
    object.splice(at + 1..at + 1, *b"(U\x01vK\x03K\x02t");
    bytes.extend(object);
    bytes.extend(b"\x80\x02]U\x010a.");
    bytes.extend(6u64.to_le_bytes());
    bytes.extend(six());
    assert_eq!(floats(&checkpoint(bytes.clone()).tensors[0].1), [4.0]);
    bytes.truncate(bytes.len() - 1);
    let text = opened(bytes).err().unwrap().to_string();
    assert!(text.ends_with("storage 0 has 6 elements, 23 bytes are left"), "{text}");
}

#[test]
fn numpy_arrays_of_objects_are_read_as_what_they_hold() {
    // numpy.save of an array without dimensions that holds {"conv": {"w": [0, 1, 2] as f4}, "step": 7}.
    let pickle = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\0\x85U\x01b\x87R(K\x01)\
        cnumpy\ndtype\nq\x03U\x02O8K\0K\x01\x87R\x89]}(U\x04conv}U\x01wh\x01h\x02K\0\x85U\x01b\x87R(K\x01K\x03\x85\
        h\x03U\x02f4K\0K\x01\x87R\x89U\x0c\0\0\0\0\0\0\x80\x3f\0\0\0\x40tbsU\x04stepK\x07uatb.";
    let mut header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }".to_owned();
    header.push_str(&" ".repeat(117 - header.len()));
    let bytes = [&b"\x93NUMPY\x01\x00\x76\x00"[..], header.as_bytes(), b"\n", pickle].concat();
    let c = checkpoint(bytes);
    assert_eq!((c.tensors[0].0.as_str(), floats(&c.tensors[0].1)), ("conv.w", vec![0.0, 1.0, 2.0]));
    assert_eq!(c.meta("step").map(MetaValue::text).as_deref(), Some("7"));
}

#[test]
fn tensors_of_hostile_and_broken_pickles_are_had() {
    let hostile = b"\x80\x02}(U\x01xcos\nsystem\nU\x02ls\x85RU\x01w";
    let whole = [&hostile[..], &tensor(6, 0, &[2, 3], &[3, 1]), b"u."].concat();
    let c = checkpoint(zip(&whole, &[("0", &six())]));
    assert_eq!(c.tensors[0].0, "w");
    let broken = [&hostile[..], &tensor(6, 0, &[6], &[1]), b"\xff"].concat();
    let input = Input::from_bytes("x.pt", zip(&broken, &[("0", &six())]));
    assert!(read(&input, &ReadOptions::default()).is_err());
    let imported = salvage(&input, &ReadOptions::default()).unwrap();
    assert!(imported.findings[0].to_string().starts_with("warning[torch.salvaged]"));
    let Artifact::Checkpoint(c) = imported.artifact else { panic!() };
    assert_eq!((c.tensors[0].0.as_str(), floats(&c.tensors[0].1)), ("w", vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
}

fn digits() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/digits/digits.state_dict.pt")).unwrap()
}

#[test]
fn the_state_dict_of_digits_opens() {
    let c = checkpoint(digits());
    assert!(!c.tensors.is_empty());
    for (name, weight) in &c.tensors {
        let values = floats(weight);
        assert!(values.iter().all(|v| v.is_finite()), "{name}");
    }
}

/// No panic, whatever the bytes; what opens can be computed or is refused.
fn survives(bytes: Vec<u8>) {
    if let Ok(imported) = opened(bytes) {
        let Artifact::Checkpoint(c) = imported.artifact else { return };
        for (_, weight) in c.tensors.iter().filter(|(_, w)| w.byte_len() < 1 << 20) {
            let _ = materialize(weight, &NoOperators, &Budget::new(1 << 24));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn changed_files_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let whole = digits();
        // Most of the file is payload: changes go to the pickle, and to the directory at the end.
        let mut bytes = whole.clone();
        for (at, byte) in &changes {
            let at = at.index(4096);
            let place = if at < 2048 { at } else { bytes.len() - 4096 + at };
            bytes[place] = *byte;
        }
        survives(bytes);
        survives(whole[..cut.index(whole.len())].to_vec());
    }
}

#[test]
fn the_corpus_opens() {
    let Some(corpus) = modelsmith_testkit::corpus() else { return };
    for folder in ["pytorch_zip", "pytorch_legacy", "pytorch_tar"] {
        for entry in std::fs::read_dir(corpus.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let input = Input::open(&path).unwrap();
            assert!(modelsmith_format::detect(&[&TORCH], &input).is_some(), "{}", path.display());
            let imported = read(&input, &ReadOptions::default()).unwrap();
            let Artifact::Checkpoint(c) = imported.artifact else { panic!() };
            assert!(!c.tensors.is_empty(), "{}", path.display());
            c.tensors.iter().for_each(|(_, w)| drop(materialize(w, &NoOperators, &Budget::unlimited()).unwrap()));
        }
    }
}
