//! `--ops`: operators of foreign domains that the user defines, and ONNX's notations.

use std::path::PathBuf;
use std::process::Command;

fn run(args: &[&str]) -> (i32, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_modelsmith")).args(args).output().expect("the program starts");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("modelsmith-definitions-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a folder");
        Folder(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).expect("a file");
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const MODEL: &str = r#"
<ir_version: 10, opset_import: ["" : 17, "my.ops" : 1]>
main (float[N, 2] x) => (float[N, 2] y)
{
  [first] t = my.ops.Scale <by = 3.0> (x)
  [second] y = my.ops.Scale:twice (t)
}
"#;

const OPS: &str = r#"
# overloads, and a default that the model does not use
<domain: "my.ops", opset_import: ["" : 17]>
Scale <by, shift: float = 1.0> (x) => (y)
{
  b = Constant <value_float: float = @by> ()
  s = Constant <value_float: float = @shift> ()
  p = Mul (x, b)
  y = Add (p, s)
}
<domain: "my.ops", opset_import: ["" : 17], overload: "twice">
Scale (x) => (y) { y = Add (x, x) }
<domain: "my.ops", opset_import: ["" : 17]>
Unused (x) => (y) { y = Neg (x) }
"#;

#[test]
fn an_operator_that_is_defined_runs_converts_and_builds() {
    let f = Folder::new("ways");
    let (model, ops) = (f.put("m.onnxtxt", MODEL), f.put("ops.txt", OPS));
    let (code, _, err) = run(&["run", &model]);
    assert_eq!((code, err.contains("operator Scale of domain \"my.ops\" is not known")), (5, true), "{err}");
    let (code, out, err) = run(&["run", &model, "--ops", &ops, "--input", "x=ones", "--dim", "N=1", "--verbose"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("8 .. 8  8 8"), "{out}");
    assert!(err.contains("note[onnx.ops.unused]: my.ops.Unused is defined, and no node uses it"), "{err}");
    let (code, out, err) = run(&["check", &model, "--ops", &ops]);
    assert_eq!((code, out.contains("not known")), (0, false), "{out}{err}");
    let (code, _, err) = run(&["build", &model, "--ops", &ops, "-o", &f.path("m.engine")]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(&["optimize", &model, &f.path("s.onnx"), "--ops", &ops]);
    assert_eq!(code, 0, "{err}");
    for (name, extra) in [("c.onnx", ""), ("c.onnxtxt", ""), ("c.onnxjson", "")] {
        let (code, _, err) = run(&["convert", &model, &f.path(name), "--ops", &ops]);
        assert_eq!(code, 0, "{err}");
        let (code, _, err) = run(&["compare", &f.path(name), &f.path("m.engine"), "--samples", "3"]);
        assert_eq!(code, 0, "{name} {extra} {err}");
    }
    let text = std::fs::read_to_string(f.path("c.onnxtxt")).expect("a text");
    assert!(text.contains("Scale <by, shift: float = 1.0> (x) => (y)") && !text.contains("Unused"), "{text}");
}

#[test]
fn a_cache_tells_definitions_apart() {
    let f = Folder::new("cache");
    let model = f.put("m.onnxtxt", MODEL);
    let (ops, other) = (f.put("ops.txt", OPS), f.put("other.txt", &OPS.replace("Add (x, x)", "Sub (x, x)")));
    let cache = f.path("cache");
    let run = |ops: &str| run(&["run", &model, "--ops", ops, "--cache", &cache, "--input", "x=ones"]);
    assert!(run(&ops).1.contains("8 .. 8"));
    assert!(run(&other).1.contains("0 .. 0"));
    assert!(run(&ops).2.contains("cache: found"));
}

#[test]
fn faults_of_a_definition_name_file_line_and_column() {
    let f = Folder::new("faults");
    let (model, ops) = (f.put("m.onnxtxt", MODEL), f.put("ops.txt", "<domain: \"d\">\nF (x) => (y) { y = Neg x }"));
    let (code, _, err) = run(&["run", &model, "--ops", &ops]);
    assert_eq!(code, 3);
    assert!(err.contains("ops.txt: line 2, column 24: `(` is expected, `x` is there"), "{err}");
    let (code, _, err) = run(&["run", &model, "--ops", &f.path("absent.txt")]);
    assert!(code == 3 && err.contains("absent.txt: cannot be opened"), "{code} {err}");
}

#[test]
fn a_model_as_text_names_the_place_of_a_fault() {
    let f = Folder::new("text");
    let model = f.put("m.onnxtxt", &MODEL.replace("=> (float", "= (float"));
    let (code, _, err) = run(&["check", &model]);
    assert!(code == 3 && err.contains("m.onnxtxt: line 3, column 22: `=>` is expected, `=` is there"), "{err}");
    let (code, _, err) = run(&["convert", &f.put("g.onnxtxt", MODEL), &f.path("o.onnxjson"), "--verify", "no"]);
    assert_eq!(code, 0, "{err}");
    let json = std::fs::read_to_string(f.path("o.onnxjson")).expect("a text").replace("\"17\"", "\"x\"");
    let (code, _, err) = run(&["check", &f.put("b.json", &json)]);
    let said = "b.json: opset_import.0.version: a whole number of 64 bits is expected, \"x\" is there";
    assert!(code == 3 && err.contains(said), "{err}");
}

const BAKED: &str = r#"
<ir_version: 8, opset_import: ["" : 17]>
main (float[N, 3, 4] x, float[N, 2] z) => (float[2, 12] y, float[N, 2] w)
<int64[2] s = {2, 12}>
{
  y = Reshape (x, s)
  w = Neg (z)
}
"#;

#[test]
fn a_size_that_was_written_down_is_freed() {
    let f = Folder::new("baked");
    let model = f.put("m.onnxtxt", BAKED);
    let (code, out, _) = run(&["check", &model]);
    assert!(code == 0 && out.contains("[-1, 12] in place of [2, 12] takes every size"), "{out}");
    let (code, out, err) = run(&["check", &model, "--fix", &f.path("fixed.onnxtxt")]);
    assert!(code == 0 && out.contains("compared where the shapes were written down: N = 2"), "{out}{err}");
    let text = std::fs::read_to_string(f.path("fixed.onnxtxt")).expect("a text");
    assert!(text.contains("(float[N,12] y, float[N,2] w)") && text.contains("s_free = {-1,12}"), "{text}");
    assert!(!text.contains(" s = "), "{text}");
    let (code, _, err) = run(&["run", &f.path("fixed.onnxtxt"), "--dim", "N=7"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(&["check", &f.path("fixed.onnxtxt"), "--fix", &f.path("again.onnx")]);
    assert!(code == 2 && err.contains("no shape was found that could be freed"), "{code} {err}");
}

#[test]
fn inputs_that_disagree_are_named_with_both_sizes() {
    let f = Folder::new("conflict");
    let model = f.put("m.onnxtxt", BAKED);
    let npy = |name: &str, shape: &str, n: usize| {
        let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        head.push_str(&" ".repeat(117 - head.len()));
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend_from_slice(head.as_bytes());
        bytes.push(b'\n');
        bytes.resize(bytes.len() + 4 * n, 0);
        std::fs::write(f.0.join(name), bytes).expect("a file");
        f.path(name)
    };
    let (x, z) = (npy("x.npy", "(2, 3, 4)", 24), npy("z.npy", "(3, 2)", 6));
    for backend in ["cpu", "reference"] {
        let given = [format!("x={x}"), format!("z={z}")];
        let args = ["run", &model, "--backend", backend, "--input", &given[0], "--input", &given[1]];
        let (code, _, err) = run(&args);
        assert!(code != 0 && err.contains("N is 2 in `x` (axis 0) and 3 in `z` (axis 0)"), "{backend}: {code} {err}");
    }
    let (code, _, err) = run(&["run", &model, "--shape", "x=2x3x4", "--shape", "z=3x2"]);
    assert!(code == 2 && err.contains("--shape z: N is 2 in `x` (axis 0) and 3 in `z` (axis 0)"), "{code} {err}");
}
