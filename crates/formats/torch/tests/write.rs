//! Checkpoints written and read again. That PyTorch takes them is the matter of `conformance/pytorch.py`.

use modelsmith_base::Budget;
use modelsmith_format::{Artifact, Checkpoint, Input, MetaValue, Output, ReadOptions, Tree, WriteOptions};
use modelsmith_format_torch::{TORCH, read};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{DType, Tensor, WeightExpr, materialize};
use modelsmith_wire::zip::Archive;
use std::sync::Arc;

fn literal(dtype: DType, values: &[f64]) -> Arc<WeightExpr> {
    Arc::new(WeightExpr::Literal(Tensor::from_f64s(dtype, &[values.len()], values).unwrap()))
}

fn view(of: &Arc<WeightExpr>, offset: usize, shape: &[usize], strides: &[usize]) -> Arc<WeightExpr> {
    let (shape, strides) = (shape.to_vec(), strides.to_vec());
    Arc::new(WeightExpr::View { of: of.clone(), offset, shape, strides })
}

fn written(c: &Checkpoint) -> Result<Vec<u8>, String> {
    let mut out = Output::memory();
    let done = TORCH.write.unwrap()(&Artifact::Checkpoint(c.clone()), &mut out, &WriteOptions::new(&Operators));
    done.map_err(|e| e.to_string())?;
    Ok(out.into_memory().remove(0).1)
}

fn reread(bytes: Vec<u8>) -> Checkpoint {
    match read(&Input::from_bytes("x.pt", bytes), &ReadOptions::default()).unwrap().artifact {
        Artifact::Checkpoint(c) => c,
        other => panic!("{}", other.kind()),
    }
}

fn named(tensors: &[(&str, Arc<WeightExpr>)]) -> Checkpoint {
    let tensors = tensors.iter().map(|(n, w)| (n.to_string(), w.clone())).collect();
    Checkpoint { tensors, ..Checkpoint::default() }
}

fn same(a: &Checkpoint, b: &Checkpoint) {
    assert_eq!(a.tensors.len(), b.tensors.len());
    for ((n, x), (m, y)) in a.tensors.iter().zip(&b.tensors) {
        let value = |w: &WeightExpr| materialize(w, &Operators, &Budget::unlimited()).unwrap();
        let (x, y) = (value(x), value(y));
        assert_eq!((n, x.dtype(), x.shape(), x.bytes()), (m, y.dtype(), y.shape(), y.bytes()));
    }
}

#[test]
fn storages_are_shared_as_they_were() {
    let storage = literal(DType::F32, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let lone = literal(DType::F16, &[1.0, 2.0, 3.0, 4.0]);
    let c = named(&[
        ("a", view(&storage, 0, &[2, 3], &[3, 1])),
        ("t", view(&storage, 0, &[3, 2], &[1, 3])),
        ("tied", view(&storage, 0, &[2, 3], &[3, 1])),
        ("part", view(&lone, 1, &[2], &[1])),
        ("wide", view(&literal(DType::I64, &[7.0]), 0, &[3], &[0])),
        ("odd", literal(DType::U16, &[65535.0])),
        ("none", literal(DType::F32, &[])),
    ]);
    let bytes = written(&c).unwrap();
    same(&c, &reread(bytes.clone()));
    assert_eq!(bytes, written(&c).unwrap());
    let archive = Archive::open(&bytes).unwrap();
    let sizes = archive.entries().iter().filter(|e| e.name.starts_with("archive/data/")).map(|e| e.size);
    assert_eq!(sizes.collect::<Vec<_>>(), [24, 4, 8, 2, 0]);
    for e in archive.entries() {
        assert_eq!(archive.range(e).unwrap().start % 64, 0, "{}", e.name);
        archive.read(e, 1 << 20).unwrap();
    }
}

#[test]
fn nesting_and_values_come_back() {
    let int = |value| MetaValue::Int { dtype: DType::I64, value };
    let text = |t: &str| Tree::Value(MetaValue::Text(t.into()));
    let values = [
        MetaValue::None,
        MetaValue::Bool(true),
        int(0),
        int(-1),
        int(70_000),
        int(1 << 40),
        int(1 << 90),
        MetaValue::Float { dtype: DType::F64, value: -0.5 },
        MetaValue::Text("\u{e4}".into()),
        MetaValue::Bytes(vec![0, 255]),
    ];
    let tree = Tree::Dict(vec![
        (text("model"), Tree::Dict(vec![(text("w"), Tree::Tensor(0))])),
        (Tree::Value(int(3)), Tree::Tuple(values.iter().cloned().map(Tree::Value).collect())),
        (text("both"), Tree::List(vec![Tree::Tensor(1), text("x")])),
    ]);
    let mut c = named(&[("model.w", literal(DType::F32, &[1.0])), ("both.0", literal(DType::Bool, &[1.0, 0.0]))]);
    c.tree = Some(tree.clone());
    let back = reread(written(&c).unwrap());
    same(&c, &back);
    assert_eq!(back.tree, Some(tree));
}

#[test]
fn what_cannot_be_said_is_listed() {
    let mut c = named(&[("w", literal(DType::I4, &[1.0, 2.0]))]);
    assert_eq!(written(&c).unwrap_err(), "PyTorch has no element type for w (i4); convert them with --cast");
    c.tensors.clear();
    let object = |class: &str| Tree::Object { class: class.into(), args: vec![], state: None };
    c.tree = Some(Tree::List(vec![object("my.B"), object("my.A"), object("my.B")]));
    assert_eq!(
        written(&c).unwrap_err(),
        "objects of these classes cannot be written: my.A, my.B; take a part of the checkpoint with --key, or write its \
         tensors as safetensors"
    );
    c.tree = Some(Tree::Tensor(4));
    assert_eq!(written(&c).unwrap_err(), "the nesting names tensor 4, there are 0");
}
