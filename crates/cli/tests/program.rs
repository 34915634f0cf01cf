//! The program as its users meet it: exit codes, and errors that say what is wrong, where, and what to do.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.onnx")
}

fn modelsmith(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_modelsmith")).args(args).output().expect("the program starts")
}

/// Exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let done = modelsmith(args);
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

fn json(args: &[&str]) -> (i32, serde_json::Value) {
    let (code, out, err) = run(args);
    let value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}\n{err}"));
    (code, value)
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("modelsmith-cli-{name}-{}", std::process::id()));
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

/// A tensor as ONNX test data: dims, element type 1 (float), raw bytes.
fn tensor_proto(dims: &[u8], values: &[f32]) -> Vec<u8> {
    let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let mut out = dims.iter().flat_map(|&d| [0x08, d]).collect::<Vec<_>>();
    out.extend([0x10, 1, 0x4a]);
    let mut len = raw.len();
    while len >= 128 {
        out.push((len & 127) as u8 | 128);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend(raw);
    out
}

/// Test data for the digits network: an image, and the outputs that the reference gives for it, the first off by `off`.
fn test_data(folder: &Folder, off: f32) -> String {
    let image = (0..64).map(|i| (i % 17) as f32 / 16.0).collect::<Vec<_>>();
    let dir = folder.0.join("data");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("input_0.pb"), tensor_proto(&[1, 1, 8, 8], &image)).unwrap();
    let (out, at) = (folder.path("out"), dir.display().to_string());
    let model = digits().display().to_string();
    let (code, _, err) = run(&["run", &model, "--inputs", &at, "--output-dir", &out, "--backend", "reference"]);
    assert_eq!(code, 0, "{err}");
    let npy = std::fs::read(Path::new(&out).join("logits.npy")).unwrap();
    let raw = &npy[npy.len() - 40..];
    let mut values = raw.chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect::<Vec<_>>();
    values[0] += off;
    std::fs::write(dir.join("output_0.pb"), tensor_proto(&[1, 10], &values)).unwrap();
    at
}

#[test]
fn done_is_0() {
    let model = digits().display().to_string();
    for args in [
        &["--version"][..],
        &["--help"],
        &["formats"],
        &["ops"],
        &["passes"],
        &["kernels"],
        &["doctor"],
        &["inspect", &model],
        &["check", &model],
        &["completions", "bash"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!(code, 0, "{args:?}: {err}");
        assert!(!out.trim().is_empty(), "{args:?}");
    }
}

#[test]
fn a_check_that_says_no_is_1() {
    let folder = Folder::new("no");
    let model = digits().display().to_string();
    for backend in ["reference", "cpu"] {
        let right = test_data(&folder, 0.0);
        let (code, out, err) = run(&["run", &model, "--test-data", &right, "--backend", backend]);
        assert_eq!(code, 0, "{backend}: {out}{err}");
        let wrong = test_data(&folder, 0.5);
        let (code, out, _) = run(&["run", &model, "--test-data", &wrong, "--backend", backend]);
        assert_eq!(code, 1, "{backend}");
        assert!(out.contains("1 of 10 outside") && out.contains("failed"), "{out}");
        let (code, _, _) = run(&["run", &model, "--test-data", &wrong, "--backend", backend, "--atol", "1"]);
        assert_eq!(code, 0, "{backend}: a wide tolerance lets it pass");
    }
    let wrong = test_data(&folder, 0.5);
    let (code, out, _) = run(&["compare", &model, "--golden", &wrong, "--inputs", &wrong]);
    assert_eq!(code, 1);
    assert!(out.contains("judge: independent golden") && out.contains("differ"), "{out}");
}

#[test]
fn wrong_usage_is_2() {
    let model = digits().display().to_string();
    let cases: [(&[&str], &str); 8] = [
        (&["nonsense"], "unrecognized subcommand"),
        (&["run", &model, "--nonsense"], "unexpected argument"),
        (&["run", &model, "--shape", "image"], "NAME=SIZExSIZE.. is wanted"),
        (&["run", &model, "--shape", "picture=1x1x8x8"], "the model has no such input; it has image"),
        (&["run", &model, "--shape", "image=1x1x8x9"], "axis 3 must be 8, 9 is given"),
        (&["run", &model, "--input", "image=what"], "not one of the known forms"),
        (&["run", &model, "--backend", "gpu"], "backend \"gpu\" is not known"),
        (&["compare", &model], "there is nothing to compare"),
    ];
    for (args, text) in cases {
        let (code, _, err) = run(args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(err.contains(text), "{args:?}: {err}");
    }
}

#[test]
fn damaged_input_is_3_and_names_file_and_offset() {
    let folder = Folder::new("damaged");
    let (code, _, err) = run(&["inspect", "/no/such/model.onnx"]);
    assert_eq!((code, err.trim()), (3, "error: /no/such/model.onnx: there is no such file"));
    let whole = std::fs::read(digits()).unwrap();
    let path = folder.path("cut.onnx");
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let (code, _, err) = run(&["inspect", &path]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&path) && err.contains("byte offset"), "{err}");
    std::fs::write(folder.path("empty.onnx"), b"").unwrap();
    assert_eq!(run(&["inspect", &folder.path("empty.onnx")]).0, 3);
    std::fs::write(folder.path("bad.engine"), [b"MSENGINE".as_slice(), &[7; 200]].concat()).unwrap();
    let (code, _, err) = run(&["bench", &folder.path("bad.engine")]);
    assert_eq!(code, 3, "{err}");
}

#[test]
fn what_is_not_built_is_5_and_says_so() {
    let model = digits().display().to_string();
    for name in ["quantize", "prune", "view", "serve", "registry"] {
        let (code, _, err) = run(&[name, "a", "--some", "option"]);
        assert_eq!(code, 5, "{name}: {err}");
        assert!(err.contains(&format!("the command `{name}` is not built yet")), "{err}");
    }
    for flag in ["--bf16", "--fp16", "--int8"] {
        let (code, _, err) = run(&["build", &model, "-o", "/tmp/never.engine", flag]);
        assert_eq!(code, 5, "{flag}: {err}");
        assert!(err.contains(flag) && err.contains("not built yet"), "{err}");
    }
    let (code, _, err) = run(&["convert", &model, "/tmp/never.tflite"]);
    assert_eq!(code, 5, "{err}");
    assert!(!Path::new("/tmp/never.engine").exists());
}

#[test]
fn files_that_cannot_be_written_are_6() {
    let model = digits().display().to_string();
    let (code, _, err) = run(&["optimize", &model, "/no/such/folder/out.onnx"]);
    assert_eq!(code, 6, "{err}");
    assert!(err.contains("/no/such/folder/out.onnx"), "{err}");
}

#[test]
fn a_strict_engine_does_not_depend_on_threads() {
    let folder = Folder::new("strict");
    let digits = digits().display().to_string();
    let build = |name: &str, options: &[&str]| {
        let path = folder.path(name);
        let args = [&["build", &digits, "-o", &path, "--no-verify"], options].concat();
        let (code, _, err) = run(&args);
        assert_eq!(code, 0, "{err}");
        path
    };
    let bytes = |path: &str| std::fs::read(path).expect("an engine");
    for isa in ["portable", "avx2", "avx512", "amx"] {
        let one = build("1.engine", &["--strict", "--threads", "1", "--isa", isa]);
        for threads in ["2", "3"] {
            let other = build("2.engine", &["--strict", "--threads", threads, "--isa", isa]);
            assert!(bytes(&one) == bytes(&other), "{isa}: the engines for 1 and {threads} threads differ");
        }
        let outputs = |threads: &str| {
            let out = folder.path(threads);
            let (code, _, err) = run(&["run", &one, "--threads", threads, "--output-dir", &out]);
            assert_eq!(code, 0, "{err}");
            bytes(&format!("{out}/logits.npy"))
        };
        let first = outputs("1");
        // Again with each number of threads: run after run as well.
        for threads in ["1", "2", "2", "3", "3"] {
            assert!(first == outputs(threads), "{isa}, {threads} threads");
        }
    }
}

#[test]
fn f32_fast_is_kept_with_the_engine() {
    let folder = Folder::new("f32-fast");
    let (digits, engine, cache) = (digits().display().to_string(), folder.path("e.engine"), folder.path("cache"));
    let build = |more: &[&str]| {
        let args = [&["build", &digits, "-o", &engine, "--cache", &cache, "--isa", "avx2"], more].concat();
        let (code, out, err) = run(&args);
        assert_eq!(code, 0, "{err}");
        out
    };
    assert!(!build(&[]).contains("f32-fast: "));
    let said = "without effect: only amx has such kernels, and there is no amx plan";
    for from in ["cache: kept", "cache: found"] {
        let out = build(&["--f32-fast"]);
        assert!(out.contains(from) && out.contains(&format!("f32-fast: {said}")), "{out}");
    }
    let (_, out, _) = run(&["inspect", &engine]);
    assert!(out.contains("f32-fast") && out.contains(said), "{out}");
}

/// Through links to the device, so that a fault costs a link.
#[test]
fn outputs_that_are_devices_are_written_into() {
    let folder = Folder::new("device");
    let digits = digits().display().to_string();
    let (null, model, engine) = (folder.path("null"), folder.path("null.onnx"), folder.path("null.engine"));
    let weights = folder.path("null.safetensors");
    for link in [&null, &model, &engine, &weights] {
        std::os::unix::fs::symlink("/dev/null", link).expect("a link");
    }
    for args in [
        vec!["inspect", &digits, &format!("--json={null}")],
        vec!["optimize", &digits, &model, "--no-verify"],
        vec!["build", &digits, "-o", &engine, "--no-verify"],
        vec!["convert", &digits, &weights],
    ] {
        let (code, _, err) = run(&args);
        assert_eq!(code, 0, "{args:?}: {err}");
    }
    for link in [null, model, engine, weights] {
        let kind = std::fs::symlink_metadata(&link).expect("the link").file_type();
        assert!(kind.is_symlink(), "{link} was replaced");
    }
}

#[test]
fn json_is_one_document_with_a_schema() {
    let folder = Folder::new("json");
    let model = digits().display().to_string();
    let (code, v) = json(&["inspect", &model, "--json"]);
    assert_eq!((code, v["schema"].as_str()), (0, Some("modelsmith.inspect.v1")));
    assert_eq!(v["models"][0]["inputs"][0]["type"], "f32[batch, 1, 8, 8]");
    let (code, v) = json(&["inspect", "/no/such/file", "--json"]);
    assert_eq!((code, v["schema"].as_str(), v["exit_code"].as_i64()), (3, Some("modelsmith.error.v1"), Some(3)));
    let file = folder.path("v.json");
    let (code, out, _) = run(&["--version", &format!("--json={file}")]);
    assert_eq!(code, 0);
    assert!(out.starts_with("modelsmith "));
    let v: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(v["schema"], "modelsmith.version.v1");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_modelsmith"))
        .args(["ops"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stderr.len()), (Some(0), 0));
}

#[test]
fn another_program_can_be_the_judge() {
    let folder = Folder::new("judge");
    let model = digits().display().to_string();
    let data = test_data(&folder, 0.0);
    let logits = folder.path("out/logits.npy");
    // A judge that always gives the recorded outputs: an .npz file is a zip archive of .npy files.
    let script = folder.path("judge.py");
    let text = format!("import sys, zipfile\nzipfile.ZipFile(sys.argv[2], 'w').write({logits:?}, 'logits.npy')\n");
    std::fs::write(&script, text).unwrap();
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: no python3 here");
        return;
    }
    let judge = format!("exec:python3 {script}");
    let args = ["compare", &model, "--b-runner", &judge, "--inputs", &data, "--json"];
    let (code, v) = json(&args);
    assert_eq!((code, v["verdict"].as_str()), (0, Some("agree")), "{v}");
    assert!(v["judge"].as_str().unwrap().starts_with("independent exec:"));
    let witness = folder.path("witness.npz");
    let (code, _, err) = run(&["compare", &model, "--b-runner", "exec:false", "--witness", &witness]);
    assert_ne!(code, 0, "{err}");
}

#[test]
fn the_interactive_bench_keeps_its_protocol() {
    use std::io::{BufRead, BufReader, Write};
    let folder = Folder::new("bench");
    let model = digits().display().to_string();
    let data = test_data(&folder, 0.0);
    let engine = folder.path("d.engine");
    let (code, _, err) = run(&["build", &model, "-o", &engine]);
    assert_eq!(code, 0, "{err}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_modelsmith"))
        .args(["bench", &engine, "--interactive", "--test-data", &data])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&answers.next().unwrap().unwrap()).unwrap();
    let ready = next();
    assert_eq!(ready["ready"], true);
    assert!(ready["maxerr"].as_f64().unwrap() < 1e-4 && ready["load_s"].is_number() && ready["first_ms"].is_number());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"run 3\n").unwrap();
    assert_eq!(next().as_array().unwrap().len(), 3);
    input.write_all(b"run 1\n").unwrap();
    assert_eq!(next().as_array().unwrap().len(), 1);
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn deploy_takes_a_model_the_whole_way() {
    let folder = Folder::new("deploy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits");
    let at = |name: &str| root.join(name).display().to_string();
    let out = folder.path("out");
    let (model, data, labels) = (at("digits.onnx"), at("inputs.npy"), at("labels.npy"));
    let (code, text, err) = run(&["deploy", &model, "-o", &out, "--eval", &data, "--labels", &labels, "--iters", "30"]);
    assert_eq!(code, 0, "{text}{err}");
    assert!(text.contains("accuracy on 360 labelled samples") && text.contains("chosen: f32"), "{text}");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.0.join("out/report.json")).unwrap()).unwrap();
    let p = &report["precisions"][0];
    assert_eq!((report["schema"].as_str(), report["ok"].as_bool()), (Some("modelsmith.deploy.v1"), Some(true)));
    assert!(p["accuracy"]["engine"].as_f64().unwrap() > 0.98 && p["accuracy"]["drop"].as_f64().unwrap().abs() < 0.005);
    assert!(
        report["optimized"]["nodes_after"].as_u64().unwrap() < report["optimized"]["nodes_before"].as_u64().unwrap()
    );
    assert_eq!(
        report["plots"]["latency"]["counts"].as_array().unwrap().iter().map(|c| c.as_u64().unwrap()).sum::<u64>(),
        30
    );
    let page = std::fs::read_to_string(folder.0.join("out/report.html")).unwrap();
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert!(folder.0.join("out/digits.f32.engine").exists() && folder.0.join("out/digits.simplified.onnx").exists());
}

#[test]
fn the_simplifier_bisects_and_takes_names_from_elsewhere() {
    let (folder, model) = (Folder::new("bisect"), digits().display().to_string());
    let (code, out, err) = run(&["optimize", &model, "--bisect"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("nothing to find"), "{out}");
    let (code, out, err) = run(&["optimize", &model, "--bisect", "--rtol", "0", "--atol", "0"]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("first after pass ") && err.contains("--skip "), "{out}{err}");
    let (code, _, err) = run(&["optimize", &model]);
    assert_eq!(code, 2, "{err}");
    let to = folder.path("out.onnx");
    let (code, _, err) = run(&["optimize", &model, &to, "--passes", "fuse_bn_into_conv,nop", "--skip", "fuse_qkv"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("nop does nothing here") && err.contains("fuse_qkv does nothing here"), "{err}");
    let (code, out, _) = run(&["passes"]);
    assert_eq!(code, 0);
    assert!(out.contains("eliminate_nop_transpose") && out.contains("transpose-nothing"), "{out}");
}

#[test]
fn weights_lie_beside_the_model_where_that_is_asked_for() {
    let f = Folder::new("external");
    let (model, plain, text) = (f.path("m.onnx"), f.path("n.onnx"), f.path("m.textproto"));
    let input = digits().display().to_string();
    assert_eq!(run(&["convert", &input, &model, "--external-data"]).0, 0);
    let len = |name: &str| std::fs::metadata(f.path(name)).map(|m| m.len()).unwrap_or(0);
    let weights = len("m.onnx.data");
    assert!(weights > 0 && len("m.onnx") < std::fs::metadata(digits()).expect("an example").len() - weights / 2);
    assert_eq!(run(&["convert", &model, &plain]).0, 0);
    assert_eq!((len("n.onnx.data"), len("n.onnx") > weights), (0, true));
    assert_eq!(run(&["compare", &input, &plain]).0, 0);
    assert_eq!(run(&["convert", &plain, &text, "--external-data"]).0, 0);
    assert!(len("m.textproto.data") > 0);
    assert_eq!(run(&["compare", &input, &text]).0, 0);
    let (code, _, err) = run(&["convert", &input, &f.path("m.safetensors"), "--external-data"]);
    assert_eq!((code, err.contains("--external-data: weights without a graph")), (2, true), "{err}");
}
