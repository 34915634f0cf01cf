//! Files that appear only when they are complete.

use crate::{Error, Result};
use modelsmith_base::{publish, staged};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A name that no other process uses, where a file lies that can be given the name `path`.
pub fn temporary(path: &Path) -> PathBuf {
    let path = staged(path);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| "out".into());
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Refuses when `no_clobber` is set and `path` exists.
///
/// # Errors
/// As said.
pub fn check_clobber(path: &Path, no_clobber: bool) -> Result<()> {
    match no_clobber && path.exists() {
        true => Err(Error::usage("the file exists and --no-clobber is set").in_file(path)),
        false => Ok(()),
    }
}

/// Writes `bytes` to `path`: a file appears when it is complete, a device or a pipe is written into.
///
/// # Errors
/// When the file cannot be written, or exists and must not be replaced.
pub fn write(path: &Path, bytes: &[u8], no_clobber: bool) -> Result<()> {
    check_clobber(path, no_clobber)?;
    let tmp = temporary(path);
    let done = std::fs::File::create(&tmp).and_then(|mut f| f.write_all(bytes)).and_then(|()| publish(&tmp, path));
    done.map_err(|e| {
        let _ = std::fs::remove_file(&tmp);
        Error::io(path, &e)
    })
}

/// Makes a folder and those above it.
///
/// # Errors
/// When it cannot be made.
pub fn folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::io(path, &e))
}

/// The file that holds the array `name` in a folder: `/`, `\` and `:` become `_`.
pub fn array_file(name: &str) -> String {
    format!("{}.npy", name.replace(['/', '\\', ':'], "_"))
}
