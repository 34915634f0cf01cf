//! Rules of the house that the compiler does not check: import layers, sizes, names, leftovers.

use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Hard limit on lines of a file.
const FILE_LINES: usize = 800;
/// Limit on lines of a function.
const FUNCTION_LINES: usize = 60;

type Rows = BTreeMap<String, Vec<String>>;

/// Everything that is wrong, one line each.
pub fn findings(root: &Path) -> Result<Vec<String>, String> {
    let meta = metadata(root)?;
    let mut out = layers(root, &meta)?;
    out.extend(reasons(root, &meta)?);
    let exempt = exemptions(root)?;
    for path in sources(root)? {
        let text = fs::read_to_string(root.join(&path)).map_err(|e| format!("{}: {e}", path.display()))?;
        out.extend(names(&path));
        out.extend(leftovers(&path, &text));
        out.extend(sizes(&path, &text, &exempt));
    }
    out.extend(crate::r#gen::check(root).err());
    Ok(out)
}

fn metadata(root: &Path) -> Result<Json, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let run = Command::new(cargo).args(args).current_dir(root).output().map_err(|e| format!("cargo metadata: {e}"))?;
    serde_json::from_slice(&run.stdout).map_err(|e| format!("cargo metadata: {e}"))
}

fn dependencies(meta: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let packages = meta["packages"].as_array().into_iter().flatten();
    packages.flat_map(|p| {
        let name = p["name"].as_str().unwrap_or_default();
        p["dependencies"].as_array().into_iter().flatten().map(move |d| (name, d))
    })
}

fn is_ours(package: &str) -> bool {
    package == "modelsmith" || package.starts_with("modelsmith-")
}

/// Direct dependencies for which `deny.toml` gives no reason.
fn reasons(root: &Path, meta: &Json) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(root.join("deny.toml")).map_err(|e| format!("deny.toml: {e}"))?;
    let used = dependencies(meta).filter_map(|(_, d)| d["name"].as_str()).filter(|n| !is_ours(n));
    let missing = used.filter(|n| !text.contains(&format!("# reason {n}: "))).collect::<BTreeSet<_>>();
    Ok(missing.into_iter().map(|n| format!("deny.toml gives no reason for {n}")).collect())
}

/// Reads `layers.toml` and lists the imports that no row allows.
fn layers(root: &Path, meta: &Json) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(root.join("layers.toml")).map_err(|e| format!("layers.toml: {e}"))?;
    let rows = toml::from_str::<Rows>(&text).map_err(|e| format!("layers.toml: {e}"))?;
    let mut out = Vec::new();
    for (package, dependency) in dependencies(meta) {
        let (name, target) = (room(package), dependency["name"].as_str().unwrap_or_default());
        let Some(allowed) = reachable(&rows, &name) else {
            out.push(format!("layers.toml has no row for {name}"));
            continue;
        };
        let (target, ours, dev) = (room(target), is_ours(target), dependency["kind"].as_str() == Some("dev"));
        if ours && !dev && !allowed.contains(&target) && !allowed.contains("*") {
            out.push(format!("{name} may not import {target} (layers.toml)"));
        }
    }
    Ok(out)
}

fn room(package: &str) -> String {
    match package {
        "modelsmith" => "api".into(),
        other => other.strip_prefix("modelsmith-").unwrap_or(other).into(),
    }
}

/// What `name` may import, through any number of rows.
fn reachable(rows: &Rows, name: &str) -> Option<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    let mut open = rows.get(name)?.clone();
    while let Some(next) = open.pop() {
        if out.insert(next.clone()) {
            open.extend(rows.get(&next).into_iter().flatten().cloned());
        }
    }
    Some(out)
}

/// Files and functions that may be long, with the reason.
fn exemptions(root: &Path) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let text = fs::read_to_string(root.join("tidy.toml")).map_err(|e| format!("tidy.toml: {e}"))?;
    toml::from_str(&text).map_err(|e| format!("tidy.toml: {e}"))
}

/// Rust files that git knows or would add, relative to the root.
fn sources(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut out = Vec::new();
    let mut open = ["crates", "xtask", "fuzz"].map(PathBuf::from).to_vec();
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(root.join(&dir)) else { continue };
        for entry in entries.flatten() {
            let path = dir.join(entry.file_name());
            match path.extension() {
                _ if root.join(&path).is_dir() && !path.ends_with("target") => open.push(path),
                Some(e) if e == "rs" => out.push(path),
                _ => {}
            }
        }
    }
    out.sort();
    Ok(out)
}

fn names(path: &Path) -> Option<String> {
    let vague = ["util", "utils", "common", "helper", "helpers", "misc"];
    let bad = path.iter().any(|part| {
        let part = part.to_string_lossy();
        vague.contains(&part.strip_suffix(".rs").unwrap_or(&part))
    });
    bad.then(|| format!("{}: name the file for what it holds", path.display()))
}

fn leftovers(path: &Path, text: &str) -> Vec<String> {
    // Spelled in two parts so that this file does not find itself.
    let words = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore"), concat!("dbg", "!(")];
    let hits = text.lines().enumerate().filter(|(_, l)| words.iter().any(|w| l.contains(w)));
    hits.map(|(i, l)| format!("{}:{}: unfinished: {}", path.display(), i + 1, l.trim())).collect()
}

fn sizes(path: &Path, text: &str, exempt: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<String> {
    if text.lines().take(5).any(|l| l.starts_with("// Written by `cargo xtask gen`")) {
        return Vec::new();
    }
    let shown = path.display().to_string();
    let allowed = |table: &str, key: &str| exempt.get(table).is_some_and(|t| t.contains_key(key));
    let mut out = Vec::new();
    let lines = text.lines().collect::<Vec<_>>();
    if lines.len() > FILE_LINES && !allowed("files", &shown) {
        out.push(format!("{shown}: {} lines, {FILE_LINES} are the limit", lines.len()));
    }
    for (name, at, length) in functions(&lines) {
        if length > FUNCTION_LINES && !allowed("functions", &format!("{shown}::{name}")) {
            out.push(format!("{shown}:{at}: fn {name} has {length} lines, {FUNCTION_LINES} are the limit"));
        }
    }
    out
}

/// Name, first line and length of each function, as rustfmt lays them out: it ends at the first line that is a
/// closing brace with the indentation of its first line.
fn functions<'a>(lines: &[&'a str]) -> Vec<(&'a str, usize, usize)> {
    let mut out = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let words = ["pub ", "pub(crate) ", "pub(super) ", "const ", "unsafe ", "extern \"C\" "];
        let mut rest = body;
        while let Some(shorter) = words.iter().find_map(|w| rest.strip_prefix(w)) {
            rest = shorter;
        }
        let Some(signature) = rest.strip_prefix("fn ") else { continue };
        let name = signature.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        if line.ends_with('}') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(length) =
            lines[i..].iter().position(|l| **l == close || l.ends_with(';') && l.len() - l.trim_start().len() == indent)
        {
            out.push((name, i + 1, length + 1));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let found = findings(&crate::root()).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn a_forbidden_import_is_found() {
        let rows: Rows = toml::from_str("base = []\nir = [\"base\"]\nops = [\"ir\"]").unwrap();
        let allowed = reachable(&rows, "ops").unwrap();
        assert!(allowed.contains("base") && !allowed.contains("ops"));
        assert!(reachable(&rows, "unknown").is_none());
    }

    #[test]
    fn functions_are_measured() {
        let text = "impl X {\n    pub fn a() {\n        1\n    }\n    fn b();\n}\nfn c() {}\nfn d() {\n}\n";
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!(functions(&lines)[0], ("a", 2, 3));
        assert_eq!(functions(&lines)[1], ("b", 5, 1));
        assert_eq!(functions(&lines)[2], ("d", 8, 2));
    }
}
