//! `--target`: gaps beside the profile of another runtime, and what is written for it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn run(args: &[&str]) -> (i32, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_modelsmith")).args(args).output().expect("the program starts");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

fn json(args: &[&str]) -> (i32, serde_json::Value) {
    let (code, out, err) = run(args);
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}\n{err}")))
}

fn digits() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.onnx").display().to_string()
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("modelsmith-targets-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a folder");
        Folder(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A field of a protobuf message that holds bytes; everything here is shorter than 128 bytes or so.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut n = bytes.len();
    while n >= 128 {
        out.push((n & 127) as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend(bytes);
    out
}

/// A chain of operators on a 2x2 matrix of `f32`, ONNX opset 17; `Det` leaves a scalar.
fn chain(ops: &[&str]) -> Vec<u8> {
    let value = |i: usize| format!("v{i}").into_bytes();
    let mut graph = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let node = [field(1, &value(i)), field(2, &value(i + 1)), field(4, op.as_bytes())].concat();
        graph.extend(field(1, &node));
    }
    graph.extend(field(2, b"g"));
    // TypeProto.tensor_type: elem_type 1, shape of dims of value 2.
    let dim = field(1, &[0x08, 2]);
    let tensor = |dims: &[Vec<u8>]| [vec![0x08, 1], field(2, &dims.concat())].concat();
    let info = |name: &[u8], dims: &[Vec<u8>]| [field(1, name), field(2, &field(1, &tensor(dims)))].concat();
    graph.extend(field(11, &info(&value(0), &[dim.clone(), dim])));
    graph.extend(field(12, &info(&value(ops.len()), &[])));
    [vec![0x08, 8], field(7, &graph), field(8, &[0x10, 17])].concat()
}

#[test]
fn a_model_that_loads_has_no_gaps_and_a_command() {
    let (code, found) = json(&["check", &digits(), "--target", "onnxruntime-1.31", "--json"]);
    assert_eq!((code, &found["loads"], found["gaps"].as_array().map(Vec::len)), (0, &true.into(), Some(0)));
    let (code, out, _) = run(&["check", &digits(), "--target", "tensorrt-10.15"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("trtexec --onnx=") && out.contains("loads: TensorRT 10.15"), "{out}");
}

#[test]
fn profiles_are_listed() {
    let (code, out, _) = run(&["check", "--target", "help"]);
    assert!(code == 0 && out.contains("opencv-4.12") && out.contains("ONNX Runtime 1.31"), "{out}");
    let (code, _, err) = run(&["check", &digits(), "--target", "runtime-9"]);
    assert!(code == 2 && err.contains("runtime-9: there is no such profile") && err.contains("coreml-onnx"), "{err}");
}

#[test]
fn what_is_lacking_is_listed_and_the_largest_part_is_written() {
    let dir = Folder::new("part");
    let (model, out) = (dir.path("m.onnx"), dir.path("out.onnx"));
    std::fs::write(&model, chain(&["Relu", "Det", "Neg", "Abs", "Exp"])).unwrap();
    let (code, found) = json(&["check", &model, "--target", "openvino-2026.4", "--json"]);
    assert_eq!((code, found["gaps"].as_array().map(Vec::len)), (1, Some(1)), "{found}");
    assert_eq!(
        (&found["gaps"][0]["operator"], &found["gaps"][0]["code"]),
        (&"Det-11".into(), &"target.operator".into())
    );

    let (code, text, err) = run(&["convert", &model, &out, "--target", "openvino-2026.4"]);
    assert_eq!(code, 1, "{text}{err}");
    assert!(text.contains("OUT is a part of the model") && text.contains("ovc "), "{text}");
    let (code, part) = json(&["inspect", &out, "--json"]);
    assert_eq!((code, &part["models"][0]["inputs"][0]["name"]), (0, &"v2".into()), "{part}");
    assert_eq!(run(&["check", &out, "--target", "openvino-2026.4"]).0, 0);

    let (code, _, err) = run(&["convert", &model, &model, "--target", "openvino-2026.4"]);
    assert!(code == 2 && err.contains("take the place of the model"), "{err}");
    let nothing = dir.path("nothing.onnx");
    assert_eq!(run(&["convert", &model, &nothing, "--target", "openvino-2026.4", "--gaps", "none"]).0, 1);
    assert!(!Path::new(&nothing).exists());
    assert_eq!(run(&["convert", &model, &nothing, "--target", "openvino-2026.4", "--gaps", "whole"]).0, 1);
    assert!(Path::new(&nothing).exists());
}

#[test]
fn convert_and_optimize_write_what_the_target_has() {
    let dir = Folder::new("fit");
    let out = dir.path("out.onnx");
    for command in ["convert", "optimize"] {
        let (code, found) = json(&[command, &digits(), &out, "--opset", "11", "--target", "coreml-onnx", "--json"]);
        assert_eq!((code, &found["target"]["loads"], &found["written"]), (0, &true.into(), &true.into()), "{found}");
    }
    let (code, text, _) = run(&["convert", &digits(), &out, "--target", "coreml-onnx"]);
    assert!(code == 0 && text.contains("changed: opset") && text.contains("became 12"), "{text}");
}
