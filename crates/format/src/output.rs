//! What a writer is given: names to write under. Files appear under them by rename, when all are complete.

use crate::emit::{Emitted, Place, emit};
use crate::{Error, Layout, Result, WriteOptions};
use modelsmith_base::{publish, staged, wide};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
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
    /// Keeps the lock by which another process knows that the part is not a stray.
    _lock: File,
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
            Target::Files { .. } => {
                let (file, shown) = self.part(suffix)?;
                let mut sink = BufWriter::with_capacity(1 << 20, file);
                fill(&mut sink).map_err(|e| e.in_file(&shown))?;
                sink.flush().map_err(|e| Error::io("cannot be written", e).in_file(&shown))
            }
        }
    }

    /// Writes the file with `suffix` as `layout` says. Zeros of some length become holes.
    ///
    /// # Errors
    /// When a weight cannot be computed within the budget, or the file cannot be created or written.
    pub fn emit(&mut self, suffix: &str, layout: &Layout, options: &WriteOptions<'_>) -> Result<Emitted> {
        match &mut self.0 {
            Target::Memory(files) => {
                let mut bytes = Vec::new();
                let done = emit(layout, &mut bytes, options)?;
                files.push((suffix.to_owned(), bytes));
                Ok(done)
            }
            Target::Files { .. } => {
                let (file, shown) = self.part(suffix)?;
                let mut sparse = Sparse { file, at: 0 };
                let done = emit(layout, &mut sparse, options).map_err(|e| e.in_file(&shown))?;
                let ended = sparse.file.set_len(sparse.at);
                ended.map_err(|e| Error::io("cannot be written", e).in_file(&shown))?;
                Ok(done)
            }
        }
    }

    /// A temporary file beside the one with `suffix`, and the name of that one.
    fn part(&mut self, suffix: &str) -> Result<(File, String)> {
        let Target::Files { path, clobber, written } = &mut self.0 else {
            return Err(Error::new(crate::Kind::Io, "there are no files in memory"));
        };
        let path = with_suffix(path, suffix);
        let shown = path.display().to_string();
        if !*clobber && path.exists() {
            return Err(Error::new(crate::Kind::Io, "exists and may not be replaced").in_file(&shown));
        }
        let staged = staged(&path);
        remove_strays(&staged);
        let part = with_suffix(&staged, &format!(".{}.part", std::process::id()));
        let fail = |e| Error::io("cannot be created", e).in_file(&shown);
        let file = File::create(&part).map_err(fail)?;
        let lock = file.try_clone().map_err(fail)?;
        // A file system without locks only loses the removal of strays.
        let _ = lock.try_lock();
        written.push(Written { part, path, _lock: lock });
        Ok((file, shown))
    }

    /// Where the file with `suffix` lies until it takes its name.
    pub fn written(&self, suffix: &str) -> Option<&Path> {
        match &self.0 {
            Target::Files { path, written, .. } => {
                let path = with_suffix(path, suffix);
                written.iter().find(|w| w.path == path).map(|w| w.part.as_path())
            }
            Target::Memory(_) => None,
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
            publish(&w.part, &w.path)
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

/// Removes the temporary files of `path` that a killed process left behind: those that nobody holds a lock on.
fn remove_strays(path: &Path) {
    let Some(name) = path.file_name().map(|n| format!("{}.", n.to_string_lossy())) else { return };
    let folder = path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let number = found.strip_prefix(&name).and_then(|rest| rest.strip_suffix(".part"));
        let ours = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if ours && File::open(entry.path()).is_ok_and(|f| f.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file that is written front to back, zeros left out.
struct Sparse {
    file: File,
    at: u64,
}

impl Place for Sparse {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(bytes, self.at)?;
        self.at = self.at.saturating_add(wide(bytes.len()));
        Ok(())
    }

    fn zeros(&mut self, count: u64) -> std::io::Result<()> {
        self.at = self.at.saturating_add(count);
        Ok(())
    }
}

impl Place for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn zeros(&mut self, count: u64) -> std::io::Result<()> {
        let count = usize::try_from(count).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
        self.resize(self.len().saturating_add(count), 0);
        Ok(())
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
        // What a killed process left is removed; what a live one holds is not.
        let (stray, held) = (folder.join("m.onnx.1.part"), folder.join("m.onnx.2.part"));
        fs::write(&stray, "x").unwrap();
        let live = File::create(&held).unwrap();
        live.try_lock().unwrap();
        Output::file(&path, true).write("", put).unwrap();
        assert_eq!(names(), ["m.onnx", "m.onnx.2.part", "m.onnx.data"]);
        let error = Output::file(&path, false).write("", put).unwrap_err();
        assert!(error.to_string().ends_with("exists and may not be replaced"));
        fs::remove_dir_all(folder).unwrap();
    }

    struct NoOperators;
    impl modelsmith_tensor::Evaluator for NoOperators {
        fn eval(
            &self,
            op: &str,
            _: &[modelsmith_tensor::Tensor],
        ) -> modelsmith_tensor::Result<modelsmith_tensor::Tensor> {
            Err(modelsmith_tensor::Error::Shape(op.into()))
        }
    }

    #[test]
    fn a_layout_is_written_in_order_with_holes() {
        use modelsmith_tensor::{Form, Tensor, WeightExpr};
        use std::os::unix::fs::MetadataExt;
        let n = 3 << 20;
        let mut values = vec![0f32; n];
        values[0] = 1.0;
        let big = std::sync::Arc::new(WeightExpr::Literal(Tensor::vector(&values)));
        let small = std::sync::Arc::new(WeightExpr::Literal(Tensor::vector(&[1u8, 2, 3])));
        let mut layout = Layout::new();
        layout.bytes(b"head".to_vec());
        layout.align(64);
        let numbers = [layout.weight(&big, Form::Dense).unwrap(), layout.weight(&small, Form::Dense).unwrap()];
        layout.sealed(4, Box::new(|crcs| crcs[1].sum().to_le_bytes().to_vec()));
        assert_eq!((numbers, layout.at()), ([0, 1], 64 + 4 * n as u64 + 7));
        let mut wanted = b"head".to_vec();
        wanted.resize(64, 0);
        wanted.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        wanted.extend([1, 2, 3]);
        let mut crc = flate2::Crc::new();
        crc.update(&[1, 2, 3]);
        wanted.extend(crc.sum().to_le_bytes());
        let path = std::env::temp_dir().join(format!("modelsmith-emit-{}", std::process::id()));
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let holes = fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20;
        for threads in [1, 3] {
            let options = WriteOptions { threads, ..WriteOptions::new(&NoOperators) };
            let mut out = Output::memory();
            let done = out.emit("", &layout, &options).unwrap();
            assert_eq!((done.bytes, done.crcs[1]), (wanted.len() as u64, crc.sum()));
            assert!(out.into_memory() == [(String::new(), wanted.clone())]);
            let mut out = Output::file(&path, true);
            out.emit("", &layout, &options).unwrap();
            out.commit().unwrap();
            assert!(fs::read(&path).unwrap() == wanted);
            assert!(!holes || fs::metadata(&path).unwrap().blocks() * 512 < wanted.len() as u64 / 2);
        }
        fs::remove_file(path).unwrap();
        let tight = WriteOptions { budget: modelsmith_base::Budget::new(100), ..WriteOptions::new(&NoOperators) };
        let error = Output::memory().emit("", &layout, &tight).unwrap_err();
        assert_eq!(error.to_string(), "memory budget reached: 8192 bytes wanted, 100 of 100 left");
    }
}
