//! `conformance/scan.toml` against the corpus.

use modelsmith_format::Input;
use modelsmith_scan::{Report, Severity, scan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn expectations() -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/scan.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

fn text<'a>(row: &'a toml::Value, key: &str) -> Option<&'a str> {
    row.get(key).and_then(toml::Value::as_str)
}

fn report(path: &Path) -> Report {
    scan(&Input::open(path).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { out.push(path) }
        }
    }
    out.sort();
    out
}

fn shown(r: &Report) -> String {
    let findings = r.findings.iter().map(|f| format!("\n    {f}")).collect::<String>();
    format!("{}, understood: {}{findings}", r.content, r.understood)
}

/// What is wrong with the report of a file of which `row` says what is to be found.
fn judged(row: &toml::Value, r: &Report) -> Option<String> {
    let serious = r.worst().is_some_and(|s| s >= Severity::Medium);
    let right = match text(row, "verdict").unwrap() {
        "found" => serious,
        "refused" => !r.is_clean(),
        "clean" => r.is_clean(),
        other => panic!("{other} is no verdict"),
    };
    let named = text(row, "code").is_none_or(|code| r.findings.iter().any(|f| f.code == code));
    (!right || !named).then(|| format!("{}: {}", r.file, shown(r)))
}

#[test]
fn every_hostile_file_is_found_and_every_harmless_one_passes() {
    let Some(corpus) = modelsmith_testkit::corpus() else { return };
    let table = expectations();
    let rows = table["malicious"].as_array().unwrap();
    let mut rows = rows.iter().map(|r| (text(r, "file").unwrap(), r)).collect::<BTreeMap<_, _>>();
    let mut wrong = Vec::new();
    for path in files(&corpus.join("malicious")) {
        let name = path.strip_prefix(corpus.join("malicious")).unwrap().display().to_string();
        match rows.remove(name.as_str()) {
            Some(row) => wrong.extend(judged(row, &report(&path))),
            None => wrong.push(format!("{name} is not listed")),
        }
    }
    wrong.extend(rows.keys().map(|name| format!("{name} is listed and not there")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn models_of_formats_that_are_read_are_clean() {
    let Some(corpus) = modelsmith_testkit::corpus() else { return };
    let table = expectations();
    let but = table["clean"]["but"].as_array().unwrap().iter().map(|r| text(r, "file").unwrap()).collect::<Vec<_>>();
    let mut wrong = Vec::new();
    for folder in table["clean"]["folders"].as_array().unwrap() {
        for path in files(&corpus.join(folder.as_str().unwrap())) {
            let name = path.strip_prefix(&corpus).unwrap().display().to_string();
            let r = report(&path);
            if r.is_clean() == but.contains(&name.as_str()) {
                wrong.push(format!("{name}: {}", shown(&r)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
