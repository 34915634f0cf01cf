//! Module lists written from the files that are there: an operator or an architecture is added by adding its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

const HEADER: &str = "// Written by `cargo xtask gen`; do not edit.\n";

/// Path and content of every generated file.
fn generated(root: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let src = root.join("crates/ops/src");
    let mut out = BTreeMap::new();
    let mut families = Vec::new();
    let mut statics = Vec::new();
    for family in sorted(&src)?.into_iter().filter(|p| p.is_dir()) {
        let name = stem(&family);
        let mut modules = format!("//! Operators of the family `{name}`.\n{HEADER}\n");
        for file in sorted(&family)?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs")) {
            let module = stem(&file);
            if module == "mod" {
                continue;
            }
            modules.push_str(&format!("pub mod {module};\n"));
            let text = fs::read_to_string(&file)?;
            let defs = text.lines().filter_map(|l| l.strip_prefix("pub static ")?.split_once(": OpDef ="));
            statics.extend(defs.map(|(def, _)| format!("    &{name}::{module}::{def},\n")));
        }
        out.insert(family.join("mod.rs"), modules);
        families.push(name);
    }
    let mut registry = format!("//! The table of all operators.\n{HEADER}\n");
    families.iter().for_each(|f| registry.push_str(&format!("#[path = \"{f}/mod.rs\"]\npub mod {f};\n")));
    registry.push_str("\n/// Every operator.\npub static ALL: &[&modelsmith_ir::OpDef] = &[\n");
    registry.extend(statics);
    registry.push_str("];\n");
    out.insert(src.join("registry.rs"), registry);
    let families = root.join("crates/arch/src/families");
    out.insert(families.join("mod.rs"), architectures(&families)?);
    Ok(out)
}

/// The list of the families of models.
fn architectures(families: &Path) -> io::Result<String> {
    let mut text = format!("//! The families, one file each, and what several of them share.\n{HEADER}\n");
    let mut statics = String::new();
    for file in sorted(families)?.into_iter().filter(|p| stem(p) != "mod") {
        let module = stem(&file);
        text.push_str(&format!("mod {module};\n"));
        let source = fs::read_to_string(&file)?;
        let records = source.lines().filter_map(|l| l.strip_prefix("pub static ")?.split_once(": Family ="));
        statics.extend(records.map(|(record, _)| format!("    &{module}::{record},\n")));
    }
    text.push_str("\nuse crate::table::Family;\n\n");
    text.push_str("/// Every family that is known. Of two with one GGUF name the first is written on the way back.\n");
    text.push_str(&format!("pub static FAMILIES: &[&Family] = &[\n{statics}];\n"));
    Ok(text)
}

fn sorted(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    all.sort();
    Ok(all)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes what differs.
pub fn write(root: &Path) -> Result<(), String> {
    for (path, text) in generated(root).map_err(|e| e.to_string())? {
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Fails when a generated file is not as [`write`] would leave it.
pub fn check(root: &Path) -> Result<(), String> {
    let stale = |(path, text): &(PathBuf, String)| !fs::read_to_string(path).is_ok_and(|old| old == *text);
    let files = generated(root).map_err(|e| e.to_string())?;
    match files.into_iter().find(stale) {
        Some((path, _)) => Err(format!("{} is stale: run `cargo xtask gen`", path.display())),
        None => Ok(()),
    }
}
