//! What a writer is given: names to write under. Files appear under them by rename, when all are complete.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// One file to be written, and files beside it whose names begin with its name.
pub struct Output(Target);

enum Target {
    Files { path: PathBuf, clobber: bool, written: Vec<Written> },
    Memory(Vec<(String, Vec<u8>)>),
}

struct Written {
    part: PathBuf,
    path: PathBuf,
}

impl Output {
    /// Files at `path`, replacing what is there; with `clobber` false an existing file is an error.
    pub fn file(path: &Path, clobber: bool) -> Output {
        Output(Target::Files { path: path.to_owned(), clobber, written: Vec::new() })
    }

    /// Bytes in memory; see [`Output::into_memory`].
    pub fn memory() -> Output {
        Output(Target::Memory(Vec::new()))
    }

    /// The file name, without folder, that the file with `suffix` gets.
    pub fn name(&self, suffix: &str) -> String {
        match &self.0 {
            Target::Files { path, .. } => {
                format!("{}{suffix}", path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default())
            }
            Target::Memory(_) => format!("memory{suffix}"),
        }
    }

    /// Writes the file whose name is that of the output and `suffix`; the empty suffix is the output itself.
    ///
    /// # Errors
    /// Those of `fill`, and when the file cannot be created or written.
    pub fn write(&mut self, suffix: &str, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        match &mut self.0 {
            Target::Memory(files) => {
                let mut bytes = Vec::new();
                fill(&mut bytes)?;
                files.push((suffix.to_owned(), bytes));
                Ok(())
            }
            Target::Files { path, clobber, written } => {
                let path = with_suffix(path, suffix);
                let shown = path.display().to_string();
                if !*clobber && path.exists() {
                    return Err(Error::new(crate::Kind::Io, "exists and may not be replaced").in_file(&shown));
                }
                let part = with_suffix(&path, &format!(".{}.part", std::process::id()));
                let fail = |what, e| Error::io(what, e).in_file(&shown);
                let file = File::create(&part).map_err(|e| fail("cannot be created", e))?;
                written.push(Written { part, path: path.clone() });
                let mut sink = BufWriter::with_capacity(1 << 20, file);
                fill(&mut sink).map_err(|e| e.in_file(&shown))?;
                sink.flush().map_err(|e| fail("cannot be written", e))
            }
        }
    }

    /// Gives the files their names, the output itself last.
    ///
    /// # Errors
    /// When a file cannot be renamed.
    pub fn commit(mut self) -> Result<()> {
        let Target::Files { path: main, written, .. } = &mut self.0 else { return Ok(()) };
        written.sort_by_key(|w| w.path == *main);
        for w in written.iter() {
            fs::rename(&w.part, &w.path)
                .map_err(|e| Error::io("cannot be given its name", e).in_file(&w.path.display().to_string()))?;
        }
        written.clear();
        Ok(())
    }

    /// What was written to memory, by suffix.
    pub fn into_memory(mut self) -> Vec<(String, Vec<u8>)> {
        match &mut self.0 {
            Target::Memory(files) => std::mem::take(files),
            Target::Files { .. } => Vec::new(),
        }
    }
}

impl Drop for Output {
    /// Removes what was not committed.
    fn drop(&mut self) {
        if let Target::Files { written, .. } = &self.0 {
            for w in written {
                // Nothing more can be done about a file that cannot be removed.
                let _ = fs::remove_file(&w.part);
            }
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_on_commit_only() {
        let folder = std::env::temp_dir().join(format!("modelsmith-output-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("m.onnx");
        let names = || {
            let mut all: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
            all.sort();
            all
        };
        let put = |w: &mut dyn Write| w.write_all(b"x").map_err(|e| Error::io("write", e));
        let mut out = Output::file(&path, true);
        out.write("", put).unwrap();
        drop(out);
        assert!(names().is_empty());
        let mut out = Output::file(&path, true);
        assert_eq!(out.name(".data"), "m.onnx.data");
        out.write("", put).unwrap();
        out.write(".data", put).unwrap();
        out.commit().unwrap();
        assert_eq!(names(), ["m.onnx", "m.onnx.data"]);
        let error = Output::file(&path, false).write("", put).unwrap_err();
        assert!(error.to_string().ends_with("exists and may not be replaced"));
        fs::remove_dir_all(folder).unwrap();
    }
}
