//! A part of a source as one of its own: a file that lies in an archive.

use modelsmith_base::wide;
use modelsmith_tensor::{Error, Result, Source};
use std::sync::Arc;

/// `len` bytes from `start` of another source.
#[derive(Debug)]
pub struct Part {
    name: String,
    inner: Arc<dyn Source>,
    start: u64,
    len: u64,
}

impl Part {
    /// The bytes `start..start + len` of `inner`, called `name` in messages. Of a part that lies outside nothing can be read.
    pub fn new(inner: &Arc<dyn Source>, name: String, start: u64, len: u64) -> Part {
        Part { name, inner: inner.clone(), start, len }
    }
}

impl Source for Part {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = wide(out.len());
        if offset.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(Error::Range { file: self.name.clone(), offset, wanted, len: self.len });
        }
        self.inner.read_at(self.start.saturating_add(offset), out)
    }
    fn as_slice(&self) -> Option<&[u8]> {
        let start = usize::try_from(self.start).ok()?;
        self.inner.as_slice()?.get(start..)?.get(..usize::try_from(self.len).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::MemSource;

    #[test]
    fn only_what_lies_inside_is_read() {
        let inner: Arc<dyn Source> = Arc::new(MemSource::new("x", b"abcdefgh".to_vec()));
        let part = Part::new(&inner, "x: y".into(), 2, 4);
        let mut two = [0; 2];
        part.read_at(1, &mut two).unwrap();
        assert_eq!((&two, part.as_slice()), (b"de", Some(b"cdef".as_slice())));
        let e = part.read_at(3, &mut two).unwrap_err().to_string();
        assert!(e.contains("x: y"), "{e}");
        assert!(Part::new(&inner, "z".into(), 6, 4).as_slice().is_none());
    }
}
