//! The one place that maps files.

use crate::source::out_of_range;
use crate::{Error, Result, Source};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file mapped read-only. Reads by position go to the file, not to the map: mapped pages that were touched count as
/// memory of the process, and a model that is only streamed should not.
#[derive(Debug)]
pub(crate) struct MmapSource {
    name: String,
    file: File,
    map: memmap2::Mmap,
}

impl MmapSource {
    pub(crate) fn open(path: &Path) -> Result<MmapSource> {
        let fail = |source| Error::Io { path: path.display().to_string(), source };
        let file = File::open(path).map_err(fail)?;
        // SAFETY: the map is read-only and private. A file that another process truncates while it is mapped
        // raises SIGBUS; this is the documented limit of mapping, and outputs are only ever replaced by rename.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(fail)?;
        Ok(MmapSource { name: path.display().to_string(), file, map })
    }
}

impl Source for MmapSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.map.len() as u64
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = out.len() as u64;
        if offset.checked_add(wanted).is_none_or(|end| end > self.len()) {
            return Err(out_of_range(self, offset, wanted));
        }
        self.file.read_exact_at(out, offset).map_err(|source| Error::Io { path: self.name.clone(), source })
    }
    fn as_slice(&self) -> Option<&[u8]> {
        Some(&self.map)
    }
}
