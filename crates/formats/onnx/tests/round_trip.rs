//! What the reader makes of a model, what the writer makes of it again, and what both refuse.

mod fixture;

use fixture::*;
use modelsmith_base::DType;
use modelsmith_format::{Artifact, Input, Kind, Output, ReadOptions, SideData, WriteOptions};
use modelsmith_format_onnx::schema::*;
use modelsmith_format_onnx::{read, value_from_bytes, value_to_bytes, write_model};
use modelsmith_ir::{Attr, Model, Op, Stage, Type};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Map, MapKeys, Tensor, Value, WeightExpr};
use modelsmith_wire::proto::{Limits, Message};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn read_bytes(bytes: Vec<u8>) -> (Model, Vec<String>) {
    let imported = read(&Input::from_bytes("m.onnx", bytes), &ReadOptions::default()).unwrap();
    let findings = imported.findings.iter().map(ToString::to_string).collect();
    (imported.artifact.into_model().unwrap(), findings)
}

fn refused(model: &ModelProto<'_>) -> String {
    read(&Input::from_bytes("m.onnx", bytes(model)), &ReadOptions::default()).err().unwrap().to_string()
}

fn options(side_data: SideData) -> WriteOptions<'static> {
    WriteOptions { side_data, ..WriteOptions::new(&Operators) }
}

fn written(model: &Model) -> Vec<u8> {
    let mut output = Output::memory();
    write_model(model, &mut output, &options(SideData::Never)).unwrap();
    output.into_memory().pop().unwrap().1
}

fn decode(bytes: &[u8]) -> ModelProto<'_> {
    ModelProto::decode(Message::new(bytes, 0), &mut Limits::for_file(bytes.len() as u64)).unwrap()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("modelsmith-onnx-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn the_model_is_as_the_file_says() {
    let (model, findings) = read_bytes(bytes(&fixture::model()));
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(model.stage, Stage::Foreign);
    let main = model.graph();
    assert_eq!((main.params.len(), main.weights.len(), main.exposed.len()), (2, 2, 1));
    assert_eq!(model.ty(main.params[0]).to_string(), "f32[n, 2]");
    let ops: Vec<&str> = main.body.iter().map(|&n| model.op_name(n)).collect();
    assert_eq!(ops, ["Constant", "If", "Leak", "Cast", "MatMul", "Add"]);
    let branch = model.nodes[main.body[1]].region("then_branch").unwrap();
    assert_eq!(model.captures(branch), [main.params[0], main.weights[0]]);
    let Op::Call(function) = model.nodes[main.body[2]].op else { panic!("a call") };
    let inner = model.regions[model.functions[function].region].body[0];
    let alpha = model.nodes[inner].attrs.get("alpha").unwrap();
    assert!(matches!(alpha, Attr::Ref(name, modelsmith_ir::AttrKind::Float) if name == "slope"));
    let half = model.constant(main.weights[1]).unwrap();
    assert_eq!((half.dtype(), half.to_f64s().unwrap()), (DType::F16, vec![1.0, -2.0]));
    assert!(matches!(&model.nodes[main.body[5]].op, Op::Foreign { domain, version: 17, .. } if domain.is_empty()));
}

#[test]
fn an_untouched_model_is_written_as_it_was() {
    let original = fixture::model();
    let first = written(&read_bytes(bytes(&original)).0);
    let found = decode(&first);
    let (a, b) = (original.graph.as_ref().unwrap(), found.graph.as_ref().unwrap());
    assert_eq!((a.input.clone(), &a.output, &a.value_info), (b.input.clone(), &b.output, &b.value_info));
    assert_eq!(a.quantization_annotation, b.quantization_annotation);
    assert_eq!(a.sparse_initializer[0].dims, b.sparse_initializer[0].dims);
    assert_eq!((found.ir_version, &found.metadata_props), (Some(10), &original.metadata_props));
    assert_eq!(found.functions[0].node[0].attribute, original.functions[0].node[0].attribute);
    for (a, b) in a.node.iter().zip(&b.node) {
        assert_eq!((&a.input, &a.output, &a.name), (&b.input, &b.output, &b.name));
        assert_eq!((&a.domain, &a.doc_string, &a.metadata_props), (&b.domain, &b.doc_string, &b.metadata_props));
    }
    assert_eq!(b.node[2].attribute[0].doc_string.as_deref(), Some("why float"));
    assert_eq!(written(&read_bytes(first.clone()).0), first);
}

#[test]
fn the_ir_version_is_the_lowest_that_suffices() {
    let hub = |proto: &ModelProto<'_>| {
        let (mut model, _) = read_bytes(bytes(proto));
        model.stage = Stage::Hub;
        decode(&written(&model)).ir_version.unwrap()
    };
    assert_eq!(hub(&fixture::model()), 10, "metadata of a node");
    let plain = |initializer: TensorProto<'static>, exposed: bool, ir: i64| {
        let mut input = vec![info("x", 1, &[Ok(2)])];
        if exposed {
            input.push(info("w", 1, &[Ok(2)]));
        }
        let graph = GraphProto {
            input,
            initializer: vec![initializer],
            node: vec![node("Add", &["x", "w"], &["y"])],
            output: vec![info("y", 1, &[Ok(2)])],
            ..GraphProto::default()
        };
        let opset_import = vec![import("", 13)];
        hub(&ModelProto { ir_version: Some(ir), graph: Some(graph), opset_import, ..ModelProto::default() })
    };
    assert_eq!(plain(floats("w", &[2], &[1.0, 2.0]), false, 9), 4, "an initializer that is no input");
    assert_eq!(plain(floats("w", &[2], &[1.0, 2.0]), true, 3), 3);
    assert_eq!(plain(floats("w", &[2], &[1.0, 2.0]), true, 8), 4, "an initializer that a caller may override");
    assert_eq!(plain(raw("w", 17, &[2], &[0, 0]), false, 9), 9, "8-bit floats");
    assert_eq!(plain(raw("w", 21, &[2], &[0]), false, 9), 10, "4-bit integers");
}

#[test]
fn errors_name_file_tensor_and_offset() {
    let with = |t: TensorProto<'static>| {
        let graph = GraphProto { initializer: vec![t], ..GraphProto::default() };
        refused(&ModelProto { graph: Some(graph), ..ModelProto::default() })
    };
    let error = with(raw("w", 1, &[3], &[0; 8]));
    assert_eq!(error, "m.onnx, tensor w, byte offset 4: a f32 tensor of shape [3] wants 12 bytes, 8 are there");
    assert!(with(raw("w", 99, &[3], &[])).ends_with("99 is not an element type"));
    assert!(with(raw("w", 27, &[3], &[])).ends_with("6-bit floats as element type"));
    assert!(with(raw("w", 1, &[-1], &[])).ends_with("a dimension is -1"));
    assert!(with(raw("w", 1, &[i64::MAX, 4], &[])).ends_with("is too large to be true"));
    assert!(with(raw("w", 8, &[1], &[0])).ends_with("strings cannot lie in raw_data"));
    let none = TensorProto { raw_data: None, ..raw("w", 6, &[2], &[]) };
    assert!(with(none).ends_with("a i32 tensor of shape [2] wants 8 bytes, 0 are there"));
    assert_eq!(refused(&ModelProto::default()), "m.onnx, byte offset 0: this is no ONNX model: it holds no graph");
}

#[test]
fn names_that_do_not_resolve_are_found_and_order_is_made() {
    let graph = GraphProto {
        input: vec![info("x", 1, &[Ok(2)])],
        node: vec![node("Relu", &["later"], &["y"]), node("Abs", &["x"], &["later"]), node("Neg", &["lost"], &["z"])],
        output: vec![info("y", 1, &[Ok(2)])],
        ..GraphProto::default()
    };
    let opset_import = vec![import("", 13)];
    let proto = ModelProto { graph: Some(graph), opset_import, ..ModelProto::default() };
    let (model, findings) = read_bytes(bytes(&proto));
    let ops: Vec<&str> = model.graph().body.iter().map(|&n| model.op_name(n)).collect();
    assert_eq!(ops, ["Abs", "Relu", "Neg"]);
    let has = |start: &str| findings.iter().any(|f| f.starts_with(start));
    assert!(has("error[onnx.name.undefined]: the name `lost` is used"), "{findings:?}");
    let order = "error[onnx.order]: the node uses later, which a node behind it makes (node Relu that makes y)";
    assert!(has(order), "{findings:?}");
}

#[test]
fn new_values_get_names_that_nothing_else_has() {
    let (mut model, _) = read_bytes(bytes(&fixture::model()));
    let main = model.main;
    let branch = model.nodes[model.graph().body[1]].region("then_branch").unwrap();
    let extra: Vec<_> = (0..2).map(|_| Arc::new(WeightExpr::Literal(Tensor::scalar(1.0f32)))).collect();
    model.add_weight(main, "", extra[0].clone());
    let clash = model.add_weight(branch, "x", extra[1].clone());
    let bytes = written(&model);
    let proto = decode(&bytes);
    let graph = proto.graph.as_ref().unwrap();
    let fresh = text(&graph.initializer[2].name);
    assert!(fresh.starts_with("constant_"), "{fresh}");
    let inner = &graph.node[0].attribute[0].g.as_ref().unwrap().initializer[0];
    assert_eq!(text(&inner.name), format!("x_{}", clash.index()));
}

#[test]
fn weights_go_to_a_file_of_their_own_and_come_back() {
    let folder = Folder::new("side");
    let path = folder.0.join("out.onnx");
    let values: Vec<f32> = (0..2048).map(|v| v as f32).collect();
    let graph = GraphProto {
        initializer: vec![floats("small", &[2], &[1.0, 2.0]), floats("large", &[2048], &values)],
        ..GraphProto::default()
    };
    let (mut model, _) = read_bytes(bytes(&ModelProto { graph: Some(graph), ..ModelProto::default() }));
    let tied = model.weight(model.graph().weights[1]).unwrap().clone();
    let main = model.main;
    model.add_weight(main, "tied", tied);
    let mut output = Output::file(&path, true);
    let report = write_model(&model, &mut output, &options(SideData::Always)).unwrap();
    output.commit().unwrap();
    assert_eq!(report.files[0], (".data".to_owned(), 8192));
    let again = read(&Input::open(&path).unwrap(), &ReadOptions::default()).unwrap().artifact.into_model().unwrap();
    let weights: Vec<_> = again.graph().weights.iter().map(|&w| again.constant(w).unwrap()).collect();
    assert_eq!(weights[1].to_f64s().unwrap()[2047], 2047.0);
    let shared: Vec<_> = again.graph().weights.iter().map(|&w| again.weight(w).unwrap()).collect();
    assert!(Arc::ptr_eq(shared[1], shared[2]), "equal ranges are one weight");
}

fn external(folder: &Path, entries: &[(&str, &str)]) -> Result<Model, String> {
    let t = TensorProto {
        raw_data: None,
        data_location: Some(1),
        external_data: entries.iter().map(|(k, v)| Entry::new(k, v)).collect(),
        ..raw("w", 2, &[4], &[])
    };
    let graph = GraphProto { initializer: vec![t], ..GraphProto::default() };
    let path = folder.join("m.onnx");
    std::fs::write(&path, bytes(&ModelProto { graph: Some(graph), ..ModelProto::default() })).unwrap();
    let imported = read(&Input::open(&path).unwrap(), &ReadOptions::default());
    imported.map(|i| i.artifact.into_model().unwrap()).map_err(|e| {
        assert_eq!(e.kind(), Kind::Damaged);
        e.to_string()
    })
}

#[test]
fn external_data_obey_the_rules() {
    let folder = Folder::new("rules");
    std::fs::write(folder.0.join("data"), [1, 2, 3, 4, 5]).unwrap();
    let read = |entries: &[(&str, &str)]| {
        external(&folder.0, entries).map(|m| m.constant(m.graph().weights[0]).unwrap().to_i64s().unwrap())
    };
    assert_eq!(read(&[("location", "data")]).unwrap(), [1, 2, 3, 4], "offset 0, length from the shape");
    assert_eq!(read(&[("location", "data"), ("offset", "1"), ("length", "4")]).unwrap(), [2, 3, 4, 5]);
    let refused = |entries: &[(&str, &str)]| read(entries).unwrap_err();
    assert!(refused(&[]).ends_with("name no location"));
    assert!(refused(&[("location", "data"), ("offset", "2")]).contains("data, tensor w, byte offset 2: 4 bytes"));
    assert!(refused(&[("location", "data"), ("offset", "-1")]).contains("is `-1`, which is not a number of bytes"));
    assert!(refused(&[("location", "data"), ("offset", &u64::MAX.to_string())]).contains("the file has 5"));
    assert!(refused(&[("location", "data"), ("length", "3")]).ends_with("wants 4 bytes, 3 are there"));
    assert!(refused(&[("location", "../data")]).contains("must not contain `..`"));
    assert!(refused(&[("location", "/etc/passwd")]).contains("must be relative"));
    assert!(refused(&[("location", "gone")]).contains("`gone`, which belongs to it, cannot be opened"));
}

#[test]
fn test_data_of_every_kind_round_trips() {
    let tensor = Value::Tensor(Tensor::vector(&[1.5f32, f32::NAN]));
    let strings = Value::Tensor(Tensor::from_strings(&[2], vec!["a".into(), "\u{10ff80}".into()]).unwrap());
    let map =
        Value::Map(Map { keys: MapKeys::Strings(vec!["k".into()]), values: vec![Value::Tensor(Tensor::scalar(3i64))] });
    let sequence = |v: Vec<Value>| Value::Sequence(v);
    let cases = [
        (tensor.clone(), Type::of(DType::F32)),
        (strings, Type::Unknown),
        (sequence(vec![tensor.clone(), tensor.clone()]), Type::Sequence(Box::new(Type::Unknown))),
        (sequence(vec![map.clone()]), Type::Sequence(Box::new(Type::Unknown))),
        (Value::Optional(None), Type::Optional(Box::new(Type::Unknown))),
        (Value::Optional(Some(Box::new(sequence(vec![])))), Type::Optional(Box::new(Type::Unknown))),
        (map, Type::Map(DType::String, Box::new(Type::Unknown))),
    ];
    for (value, ty) in cases {
        let bytes = value_to_bytes("v", &value).unwrap();
        let (name, again) = value_from_bytes(&bytes, &ty).unwrap();
        assert_eq!((name.as_str(), format!("{again:?}")), ("v", format!("{value:?}")));
        for len in 0..bytes.len() {
            if let Err(e) = value_from_bytes(&bytes[..len], &ty) {
                assert!(!e.to_string().is_empty());
            }
        }
    }
    let mixed = Value::Sequence(vec![tensor, Value::Optional(None)]);
    assert!(value_to_bytes("v", &mixed).unwrap_err().to_string().contains("values of different kinds"));
}

#[test]
fn a_checkpoint_is_not_written_as_onnx() {
    let artifact = Artifact::Checkpoint(modelsmith_format::Checkpoint::default());
    let error = modelsmith_format_onnx::write(&artifact, &mut Output::memory(), &options(SideData::Auto)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}
