//! `--cache` as its users meet it: what is found, what is damaged, what is not kept.

use std::path::{Path, PathBuf};
use std::process::Command;

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.onnx")
}

/// Exit code and what was said on both streams.
fn run(args: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_modelsmith")).args(args).output().expect("the program starts");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout) + &text(&done.stderr))
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("modelsmith-cache-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a folder");
        Folder(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Entries of the cache in this folder.
    fn entries(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.0.join("cache")).map(|d| d.flatten().map(|e| e.path()).collect::<Vec<_>>());
        all.unwrap_or_default().into_iter().filter(|p| p.join("entry.json").exists()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Changes the byte at a share of a file.
fn flip(path: &Path, share: f64) {
    let mut bytes = std::fs::read(path).expect("a file");
    let at = (bytes.len() as f64 * share) as usize;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_second_build_is_found_and_a_damaged_entry_is_built_anew() {
    let f = Folder::new("build");
    let (model, cache) = (digits().display().to_string(), f.path("cache"));
    let build = |out: &str, more: &[&str]| {
        let (code, said) = run(&[&["build", &model, "-o", &f.path(out), "--cache", &cache], more].concat());
        assert_eq!(code, 0, "{said}");
        (said, std::fs::read(f.path(out)).expect("an engine"))
    };
    let (said, first) = build("a.engine", &[]);
    assert!(said.contains("cache: kept as "), "{said}");
    let (said, second) = build("b.engine", &[]);
    assert!(said.contains("cache: found; when it was built: the output agrees in"), "{said}");
    assert_eq!(first, second);
    assert!(build("c.engine", &["--isa", "portable"]).0.contains("kept as"), "another cap is another engine");
    assert!(build("d.engine", &["--threads", "7"]).0.contains("kept as"), "other threads are another engine");
    assert_eq!(f.entries().len(), 3);
    // In a weight, in the header, and in what is said about the engine.
    for (file, at) in [("model.engine", 0.75), ("model.engine", 0.001), ("entry.json", 0.3)] {
        for e in f.entries() {
            flip(&e.join(file), at);
        }
        let (said, third) = build("e.engine", &[]);
        assert!(said.contains("is damaged: ") && said.contains("built anew. kept as"), "{file} {at}: {said}");
        assert_eq!(first, third);
        assert!(build("e.engine", &[]).0.contains("cache: found"), "{file} {at}");
    }
    // A good engine of another model in the place of this one.
    let other = build("f.engine", &["--isa", "portable"]).1;
    f.entries().iter().for_each(|e| std::fs::write(e.join("model.engine"), &other).expect("written"));
    let said = build("g.engine", &[]).0;
    assert!(said.contains("is not the engine that was put there; built anew"), "{said}");
}

#[test]
fn a_changed_model_is_another_model() {
    let f = Folder::new("changed");
    let (model, cache) = (f.path("m.onnx"), f.path("cache"));
    let mut bytes = std::fs::read(digits()).expect("the model");
    std::fs::write(&model, &bytes).expect("written");
    let build = || run(&["build", &model, "-o", &f.path("m.engine"), "--cache", &cache, "--no-verify"]);
    assert!(build().1.contains("kept as"));
    assert!(build().1.contains("found; not verified"));
    // One byte of a weight, with the time of modification that the file had: a name alone proves nothing.
    let modified = std::fs::metadata(&model).and_then(|m| m.modified()).expect("a time");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&model, &bytes).expect("written");
    let file = std::fs::File::options().append(true).open(&model).expect("the model");
    file.set_modified(modified).expect("a time");
    drop(file);
    assert!(build().1.contains("kept as"));
    // What nobody verified does not serve who asks for a verified engine.
    let (code, said) = run(&["build", &model, "-o", &f.path("m.engine"), "--cache", &cache]);
    assert!(code == 0 && said.contains("was not verified; built anew. kept as"), "{said}");
}

#[test]
fn two_builds_at_once_both_succeed() {
    let f = Folder::new("twice");
    let (model, cache) = (digits().display().to_string(), f.path("cache"));
    let start = |i: usize| {
        let mut c = Command::new(env!("CARGO_BIN_EXE_modelsmith"));
        c.args(["build", &model, "-o", &f.path(&format!("{i}.engine")), "--cache", &cache, "--no-verify", "-q"]);
        c.spawn().expect("the program starts")
    };
    let all = (0..4).map(start).collect::<Vec<_>>();
    assert!(all.into_iter().all(|mut c| c.wait().expect("an end").success()));
    assert_eq!(f.entries().len(), 1);
    let left = std::fs::read_dir(&cache).expect("the cache").flatten();
    let left = left.filter(|e| e.file_name().to_string_lossy().ends_with(".tmp")).count();
    assert_eq!(left, 0, "nothing temporary stays");
    let engines = (0..4).map(|i| std::fs::read(f.path(&format!("{i}.engine"))).expect("an engine")).collect::<Vec<_>>();
    assert!(engines.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn models_are_run_from_the_cache() {
    let f = Folder::new("run");
    let (model, cache) = (digits().display().to_string(), f.path("cache"));
    let (code, said) = run(&["run", &model, "--cache", &cache]);
    assert!(code == 0 && said.contains("cache: kept as"), "{said}");
    let (code, said) = run(&["run", &model, "--cache", &cache]);
    assert!(code == 0 && said.contains("cache: found"), "{said}");
    let (code, said) = run(&["bench", &model, "--cache", &cache, "--iters", "2"]);
    assert!(code == 0 && said.contains("cache: found"), "{said}");
    let (code, said) = run(&["run", &model, "--cache", &cache, "--backend", "reference"]);
    assert!(code == 2 && said.contains("--cache holds engines, which run on the backend cpu"), "{said}");
}

#[test]
fn what_cannot_be_cached_is_said() {
    let f = Folder::new("refused");
    let (model, cache, out) = (digits().display().to_string(), f.path("cache"), f.path("m.engine"));
    let (code, said) = run(&["build", &model, "-o", &out, "--cache", &model]);
    assert!(code == 6 && said.contains("digits.onnx"), "{said}");
    let (code, said) = run(&["build", "/no/such/model.onnx", "-o", &out, "--cache", &cache]);
    assert!(code == 3 && said.contains("there is no such file"), "{said}");
    assert_eq!(run(&["build", &model, "-o", &out, "--no-verify"]).0, 0);
    let (code, said) = run(&["build", &out, "-o", &f.path("n.engine"), "--cache", &cache]);
    assert!(code == 2 && said.contains("this is an engine already"), "{said}");
    let (code, said) = run(&["build", &model, "--weights", &model, "-o", &out, "--cache", &cache]);
    assert!(code == 5 && said.contains("is not kept in a cache"), "{said}");
}

#[test]
fn an_engine_explains_its_kernels() {
    let f = Folder::new("explain");
    let (model, out) = (digits().display().to_string(), f.path("m.engine"));
    assert_eq!(run(&["build", &model, "-o", &out, "--no-verify"]).0, 0);
    let (code, said) = run(&["kernels", "--explain", &out]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("  chosen: estimated at ") && said.contains("  not "), "{said}");
    assert_eq!(run(&["kernels", "--explain", &model]).1, said, "the model explains itself in the same way");
}
