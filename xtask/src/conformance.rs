//! Runs the ONNX project's own cases through the program and compares with the list of expected failures.
//!
//! A case is a folder with `model.onnx`, `tolerance.json` and `test_data_set_K`. What is not listed in
//! `conformance/onnx/RUNTIME.toml` must pass; a listed case that passes fails the run too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(serde::Deserialize)]
struct Expectations {
    /// Reason by case.
    failures: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct Tolerance {
    rtol: f64,
    atol: f64,
}

/// Runs every case of `cases` on the runtimes named (`reference`, `cpu`, `cpu-avx2`, `cpu-portable`).
pub fn run(root: &Path, args: &[&str]) -> Result<(), String> {
    let [binary, cases, runtimes @ ..] = args else {
        return Err("usage: cargo xtask conformance BINARY CASES_DIR [--update] [RUNTIME]...".into());
    };
    let update = runtimes.contains(&"--update");
    let chosen = runtimes.iter().copied().filter(|r| *r != "--update").collect::<Vec<_>>();
    let runtimes = if chosen.is_empty() { vec!["reference", "cpu"] } else { chosen };
    let mut cases =
        fs::read_dir(cases).map_err(|e| format!("{cases}: {e}"))?.flatten().map(|e| e.path()).collect::<Vec<_>>();
    cases.retain(|c| c.join("model.onnx").exists());
    cases.sort();
    let mut wrong = Vec::new();
    for runtime in runtimes {
        let results = run_all(Path::new(binary), &cases, runtime);
        let list = root.join(format!("conformance/onnx/{runtime}.toml"));
        let expected = match fs::read_to_string(&list) {
            Ok(text) => toml::from_str::<Expectations>(&text).map_err(|e| format!("{}: {e}", list.display()))?.failures,
            Err(_) => BTreeMap::new(),
        };
        let failed = results.iter().filter(|(_, why)| why.is_some()).count();
        println!("{runtime}: {} passed, {failed} failed, {} expected to fail", results.len() - failed, expected.len());
        if update {
            write(&list, runtime, &results, &expected)?;
            continue;
        }
        for (case, why) in &results {
            match (why, expected.contains_key(case)) {
                (Some(why), false) => wrong.push(format!("{runtime}: {case} fails: {why}")),
                (None, true) => wrong.push(format!("{runtime}: {case} passes, but is listed as a failure")),
                _ => {}
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

fn run_all(binary: &Path, cases: &[PathBuf], runtime: &str) -> BTreeMap<String, Option<String>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let outcome = run_case(binary, case, runtime).err();
                    results.lock().unwrap_or_else(|e| e.into_inner()).insert(name, outcome);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(|e| e.into_inner())
}

fn run_case(binary: &Path, case: &Path, runtime: &str) -> Result<(), String> {
    let text = fs::read_to_string(case.join("tolerance.json")).map_err(|e| e.to_string())?;
    let tolerance = serde_json::from_str::<Tolerance>(&text).map_err(|e| e.to_string())?;
    let (backend, isa) = runtime.split_once('-').map_or((runtime, None), |(b, i)| (b, Some(i)));
    let mut sets = fs::read_dir(case).map_err(|e| e.to_string())?.flatten().map(|e| e.path()).collect::<Vec<_>>();
    sets.retain(|s| s.file_name().is_some_and(|n| n.to_string_lossy().starts_with("test_data_set_")));
    for set in sets {
        let mut command = Command::new("timeout");
        command.arg("20").arg(binary).arg("run").arg(case.join("model.onnx")).arg("--test-data").arg(&set);
        command.args([
            "--rtol",
            &tolerance.rtol.to_string(),
            "--atol",
            &tolerance.atol.to_string(),
            "--backend",
            backend,
        ]);
        if let Some(isa) = isa {
            command.args(["--isa", isa]);
        }
        let done = command.output().map_err(|e| e.to_string())?;
        if !done.status.success() {
            let text = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
            let last = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default().trim();
            return Err(format!("exit {}: {last}", done.status.code().unwrap_or(-1)));
        }
    }
    Ok(())
}

/// Writes the failures seen, keeping the reasons that were written by hand.
fn write(
    list: &Path,
    runtime: &str,
    results: &BTreeMap<String, Option<String>>,
    old: &BTreeMap<String, String>,
) -> Result<(), String> {
    let mut text = format!("# Cases of the ONNX project that `{runtime}` is expected to fail, each with its reason.\n");
    text.push_str("# An unlisted failure and a listed pass both fail `cargo xtask conformance`.\n\n[failures]\n");
    for (case, why) in results.iter().filter_map(|(c, w)| Some((c, w.as_ref()?))) {
        let why = old.get(case).unwrap_or(why);
        text.push_str(&format!("{case} = {}\n", toml::Value::String(why.chars().take(160).collect())));
    }
    fs::create_dir_all(list.parent().unwrap_or(list)).map_err(|e| format!("{}: {e}", list.display()))?;
    fs::write(list, text).map_err(|e| format!("{}: {e}", list.display()))
}
