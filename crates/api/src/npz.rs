//! NumPy `.npz` files: how inputs and outputs travel to and from other programs.

use crate::{Error, Kind, Result};
use modelsmith_tensor::{Tensor, npy};
use modelsmith_wire::zip::{Archive, Writer};
use std::path::Path;

/// No single array of an `.npz` file may be larger when unpacked: 16 GiB.
const LARGEST: u64 = 16 << 30;

/// Arrays by name, in the order of the file.
///
/// # Errors
/// When the file cannot be read, is no `.npz` file, or holds an array that is damaged.
pub fn read(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
    let damaged = |e: String| Error::damaged(e).in_file(path);
    let archive = Archive::open(&bytes).map_err(|e| damaged(e.to_string()))?;
    let mut out = Vec::new();
    for entry in archive.entries() {
        let Some(name) = entry.name.strip_suffix(".npy") else { continue };
        let content = archive.read(entry, LARGEST).map_err(|e| damaged(e.to_string()))?;
        let tensor = npy::read(&content).map_err(|e| damaged(format!("array {name}: {e}")))?;
        out.push((name.to_owned(), tensor));
    }
    Ok(out)
}

/// Writes arrays by name; the file appears when it is complete.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, arrays: &[(String, Tensor)]) -> Result<()> {
    let mut zip = Writer::new(Vec::new());
    for (name, tensor) in arrays {
        let content = npy::write(tensor)?;
        zip.add(&format!("{name}.npy"), &[&content]).map_err(|e| Error::io(path, &e))?;
    }
    let bytes = zip.finish().map_err(|e| Error::io(path, &e))?;
    crate::files::write(path, &bytes, false)
}

/// Reads one `.npy` file.
///
/// # Errors
/// When it cannot be read or is damaged.
pub fn read_npy(path: &Path) -> Result<Tensor> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
    npy::read(&bytes).map_err(|e| Error::new(Kind::Damaged, e.to_string()).in_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let path = std::env::temp_dir().join(format!("modelsmith-{}.npz", std::process::id()));
        let all = vec![("a/b:0".to_owned(), Tensor::vector(&[1f32, 2.0])), ("c".to_owned(), Tensor::scalar(3i64))];
        write(&path, &all).unwrap();
        let back = read(&path).unwrap();
        assert_eq!(back.len(), 2);
        assert!(back.iter().zip(&all).all(|(a, b)| a.0 == b.0 && a.1.same_bits(&b.1)));
        std::fs::remove_file(path).unwrap();
    }
}
