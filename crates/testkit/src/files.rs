//! Real files that are not part of the repository. A test that finds none prints why and passes.

use std::path::{Path, PathBuf};

fn place(variable: &str, beside: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = std::env::var_os(variable).map(PathBuf::from).unwrap_or_else(|| root.join(beside));
    if found.is_dir() {
        return Some(found);
    }
    println!("skipped: {} is not there (set {variable})", found.display());
    None
}

/// The corpus of real model files: `MODELSMITH_CORPUS`, or `../shared/corpus` beside the repository.
pub fn corpus() -> Option<PathBuf> {
    place("MODELSMITH_CORPUS", "../shared/corpus")
}

/// The benchmark models with their data sets: `MODELSMITH_ZOO`, or `../zoo` beside the repository.
pub fn zoo() -> Option<PathBuf> {
    place("MODELSMITH_ZOO", "../zoo")
}

/// The `.onnx` files directly in `folder`, sorted.
pub fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let mut out = entries.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect::<Vec<_>>();
    out.sort();
    out
}
