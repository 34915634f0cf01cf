//! Bytes that may lie in a file: read by position, or mapped.

use crate::{Error, Result};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Random access to immutable bytes.
pub trait Source: Send + Sync + fmt::Debug {
    /// The name used in messages.
    fn name(&self) -> &str;

    /// Number of bytes.
    fn len(&self) -> u64;

    /// True when there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// When the range is not inside, or the file cannot be read.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()>;

    /// All bytes, where they are in memory or mapped.
    fn as_slice(&self) -> Option<&[u8]>;
}

pub(crate) fn out_of_range(source: &dyn Source, offset: u64, wanted: u64) -> Error {
    Error::Range { file: source.name().into(), offset, wanted, len: source.len() }
}

/// Bytes in memory.
#[derive(Clone)]
pub struct MemSource {
    name: String,
    bytes: Arc<[u8]>,
}

impl MemSource {
    /// Bytes under a name for messages.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        MemSource { name: name.into(), bytes: bytes.into() }
    }
}

impl fmt::Debug for MemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemSource({:?}, {} bytes)", self.name, self.bytes.len())
    }
}

impl Source for MemSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let found = usize::try_from(offset).ok().and_then(|o| self.bytes.get(o..)?.get(..out.len()));
        out.copy_from_slice(found.ok_or_else(|| out_of_range(self, offset, out.len() as u64))?);
        Ok(())
    }
    fn as_slice(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }
}

/// A file read by position; nothing is mapped, so nothing stays in memory.
#[derive(Debug)]
pub struct FileSource {
    name: String,
    file: File,
    len: u64,
}

impl FileSource {
    /// Opens `path`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<FileSource> {
        let fail = |source| Error::Io { path: path.display().to_string(), source };
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        Ok(FileSource { name: path.display().to_string(), file, len })
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = out.len() as u64;
        if offset.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(out_of_range(self, offset, wanted));
        }
        self.file.read_exact_at(out, offset).map_err(|source| Error::Io { path: self.name.clone(), source })
    }
    fn as_slice(&self) -> Option<&[u8]> {
        None
    }
}

/// Maps `path`, or reads it by position where it cannot be mapped.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> Result<Arc<dyn Source>> {
    match crate::mmap::MmapSource::open(path) {
        Ok(mapped) => Ok(Arc::new(mapped)),
        Err(_) => Ok(Arc::new(FileSource::open(path)?)),
    }
}
