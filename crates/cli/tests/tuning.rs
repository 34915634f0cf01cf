//! `--tune` and `--tuning-db` as their users meet them.

use std::path::{Path, PathBuf};
use std::process::Command;

fn digits() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.onnx").display().to_string()
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
        let dir = std::env::temp_dir().join(format!("modelsmith-tuning-{name}-{}", std::process::id()));
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

#[test]
fn the_same_database_gives_the_same_engine() {
    let f = Folder::new("same");
    let (model, db) = (digits(), f.path("times.jsonl"));
    let build = |out: &str, more: &[&str]| {
        let out = f.path(out);
        let all = [&["build", &model, "-o", &out, "--tuning-db", &db, "--threads", "2"], more].concat();
        let (code, said) = run(&all);
        assert_eq!(code, 0, "{said}");
        (said, std::fs::read(out).expect("an engine"))
    };
    let (said, first) = build("a.engine", &["--tune", "60"]);
    assert!(said.contains(" 0 known, ") && said.contains(" 0 left to the cost model"), "{said}");
    let times = std::fs::read_to_string(&db).expect("a database");
    assert!(times.starts_with("{\"modelsmith tuning database\":2}\n{\"problem\":\""), "{times}");
    for more in [&[][..], &["--tune", "60"]] {
        let (said, second) = build("b.engine", more);
        assert!(said.contains(" 0 measured in ") && said.contains(" 0 left to the cost model"), "{said}");
        assert_eq!(first, second);
    }
    assert_eq!(std::fs::read_to_string(&db).expect("a database"), times, "nothing new, nothing written");
    let version = format!("\"program\":\"{}\"", env!("CARGO_PKG_VERSION"));
    std::fs::write(&db, times.replace(&version, "\"program\":\"0.0.0\"")).expect("written");
    assert!(build("c.engine", &[]).0.contains(" 0 known, "), "another version's kernels were measured");
    std::fs::write(&db, &times).expect("written");
    let said = run(&["kernels", "--explain", &f.path("a.engine")]).1;
    assert!(said.contains("  chosen: measured at ") && said.contains("measured at "), "{said}");
}

#[test]
fn time_that_is_over_leaves_the_cost_model() {
    let f = Folder::new("over");
    let (code, said) = run(&["build", &digits(), "-o", &f.path("a.engine"), "--tune", "0.000001"]);
    assert!(code == 0 && said.contains(" 0 measured in ") && !said.contains(" 0 left"), "{said}");
    let (code, plain) = run(&["build", &digits(), "-o", &f.path("b.engine")]);
    assert!(code == 0 && !plain.contains("tuning:"), "{plain}");
    let read = |n: &str| std::fs::read(f.path(n)).expect("an engine");
    assert_eq!(read("a.engine"), read("b.engine"));
}

#[test]
fn what_cannot_be_tuned_is_said() {
    let f = Folder::new("refused");
    let out = f.path("m.engine");
    let build = |more: &[&str]| run(&[&["build", &digits(), "-o", &out], more].concat());
    let (code, said) = build(&["--tuning-db", &f.path("none")]);
    assert!(code == 3 && said.contains("there is no such file") && said.contains("--tune SECONDS measures"), "{said}");
    for bad in ["0", "-1", "nan", "inf"] {
        let (code, said) = build(&[&format!("--tune={bad}")]);
        assert!(code == 2 && said.contains("a positive number of seconds is wanted"), "{said}");
    }
    let (code, said) = build(&["--tune", "1", "--strict"]);
    assert!(code == 2 && said.contains("--strict goes with neither --tune nor --tuning-db"), "{said}");
    let db = f.path("bad");
    std::fs::write(&db, "{\"modelsmith tuning database\":2}\nnonsense\n").expect("written");
    for more in [&["--tuning-db", &db][..], &["--tuning-db", &db, "--tune", "1"]] {
        let (code, said) = build(more);
        assert!(code == 3 && said.contains("bad, byte offset 33: line 2: a measurement is wanted"), "{said}");
        assert_eq!(std::fs::read(&db).expect("the file").len(), 42, "a file that is no database is left alone");
    }
    assert!(!Path::new(&out).exists());
}

#[test]
fn tuned_engines_are_cached_by_their_times() {
    let f = Folder::new("cached");
    let (out, db, cache) = (f.path("m.engine"), f.path("db"), f.path("cache"));
    let build = |more: &[&str]| {
        let (code, said) = run(&[&["build", &digits(), "-o", &out, "--cache", &cache, "--no-verify"], more].concat());
        assert_eq!(code, 0, "{said}");
        said
    };
    assert!(build(&[]).contains("kept as"));
    assert!(build(&["--tune", "60", "--tuning-db", &db]).contains("kept as"));
    assert!(build(&["--tune", "60", "--tuning-db", &db]).contains("cache: found"));
    assert!(build(&["--tuning-db", &db]).contains("kept as"));
    assert!(build(&["--tuning-db", &db]).contains("cache: found"));
    let text = std::fs::read_to_string(&db).expect("a database");
    std::fs::write(&db, text.lines().take(2).map(|l| format!("{l}\n")).collect::<String>()).expect("written");
    assert!(build(&["--tuning-db", &db]).contains("kept as"), "another database is another engine");
}
