//! Security findings in model files; nothing is executed. See [`modelsmith_scan`].

use crate::checkpoint::{Budget, Checkpoint, Edit, Readback, Target, Written, convert};
use crate::{Error, Result};
use modelsmith_convert::Input;
pub use modelsmith_scan::{Finding, Report, Severity, sarif};
use std::path::{Path, PathBuf};

/// Scans a file, or every file below a folder, in the order of their names. Links are not followed.
///
/// # Errors
/// When a file cannot be opened or read. What is in it is never an error, but a finding.
pub fn scan(path: &Path) -> Result<Vec<Report>> {
    let mut files = Vec::new();
    match path.is_dir() {
        true => below(path, &mut files)?,
        false => files.push(path.to_owned()),
    }
    files.iter().map(|file| Ok(modelsmith_scan::scan(&Input::open(file)?)?)).collect()
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).and_then(|all| all.collect::<std::io::Result<Vec<_>>>());
    let mut entries = entries.map_err(|e| Error::io(folder, &e))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(|e| Error::io(entry.path(), &e))?;
        if kind.is_dir() {
            below(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Whether the reports pass: every byte was understood, and nothing is at least as severe as `limit`.
pub fn passes(reports: &[Report], limit: Severity) -> bool {
    reports.iter().all(|r| r.understood && r.worst().is_none_or(|s| s < limit))
}

/// Writes the tensors of a checkpoint, and nothing else of it, as safetensors. Reading it runs nothing, so the file may
/// be hostile; of a pickle that breaks, those are taken that were complete before.
///
/// # Errors
/// When the file holds no tensors that can be read, or `to` cannot be written.
pub fn extract(from: &Path, to: &Path) -> Result<Written> {
    let mut tensors = match Checkpoint::open(from) {
        Ok(whole) => whole.data().clone(),
        Err(e) => modelsmith_convert::salvage(&Input::open(from)?).ok_or(e)?,
    };
    if tensors.tensors.is_empty() {
        return Err(Error::unsupported("there are no tensors in it").in_file(from));
    }
    (tensors.tree, tensors.meta) = (None, Vec::new());
    let target = Target {
        format: crate::write::format_for(to, Some("safetensors"))?,
        path: to,
        clobber: true,
        budget: Budget::new(512 << 20),
        threads: 1,
        shard: None,
        readback: Readback::Payload,
        beside: &[],
        progress: &|_, _| {},
    };
    Ok(convert(&tensors, None, &Edit::default(), &target)?.0)
}
