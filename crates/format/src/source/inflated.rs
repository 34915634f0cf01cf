//! A deflated member read by position.
//!
//! Deflate can only be read forwards. A reader that goes through a member in order, a little to and fro, is served from
//! one decoder and the bytes that it made last; one that goes further back makes it begin again. Memory is the decoder
//! and the window, whatever the size of the member.

use flate2::{Crc, read::DeflateDecoder};
use modelsmith_base::wide;
use modelsmith_tensor::{Error, Result, Source};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes kept behind the decoder, for readers in several threads.
const WINDOW: usize = 16 << 20;

/// Deflate makes at most so many bytes of one.
pub const MOST: u64 = 1032;

/// The decompressed bytes of a member of an archive.
pub struct Inflated {
    archive: Arc<dyn Source>,
    name: String,
    stored: Range<u64>,
    size: u64,
    crc: u32,
    state: Mutex<Option<State>>,
}

struct State {
    decoder: DeflateDecoder<Stored>,
    crc: Crc,
    at: u64,
    window: VecDeque<u8>,
}

impl Inflated {
    /// What is deflated at `stored` of `archive`: the member called `member`, of `size` bytes with the CRC-32 `crc`. A
    /// wrong size or checksum is an error of the read that comes upon it.
    pub fn new(archive: &Arc<dyn Source>, member: &str, stored: Range<u64>, size: u64, crc: u32) -> Inflated {
        Inflated {
            archive: archive.clone(),
            name: format!("{}, member {member}", archive.name()),
            stored,
            size,
            crc,
            state: Mutex::new(None),
        }
    }

    fn fail(&self, message: &str) -> Error {
        let source = io::Error::new(io::ErrorKind::InvalidData, message.to_owned());
        Error::Io { path: self.name.clone(), source }
    }

    fn begin(&self) -> State {
        let stored = Stored { archive: self.archive.clone(), at: self.stored.start, end: self.stored.end };
        State { decoder: DeflateDecoder::new(stored), crc: Crc::new(), at: 0, window: VecDeque::new() }
    }

    /// Decodes until `offset + out.len()`, filling `out` on the way.
    fn fill(&self, state: &mut State, offset: u64, out: &mut [u8]) -> Result<()> {
        let kept = state.at.saturating_sub(wide(state.window.len()));
        let skip = usize::try_from(offset.saturating_sub(kept)).unwrap_or(usize::MAX);
        let mut done = 0usize;
        if offset < state.at {
            for (to, from) in out.iter_mut().zip(state.window.iter().skip(skip)) {
                *to = *from;
                done = done.saturating_add(1);
            }
        }
        let mut room = [0; 16 << 10];
        while done < out.len() {
            let n = state.decoder.read(&mut room).map_err(|_| self.fail("the compressed data are damaged"))?;
            let made = room.get(..n).unwrap_or_default();
            if made.is_empty() {
                return Err(self.fail("the compressed data end before the array does"));
            }
            state.crc.update(made);
            let before = usize::try_from(offset.saturating_sub(state.at)).unwrap_or(usize::MAX).min(n);
            let fresh = made.get(before..).unwrap_or_default();
            for (to, from) in out.iter_mut().skip(done).zip(fresh) {
                *to = *from;
                done = done.saturating_add(1);
            }
            state.window.extend(made);
            let excess = state.window.len().saturating_sub(WINDOW);
            state.window.drain(..excess);
            state.at = state.at.saturating_add(wide(n));
            if state.at == self.size && state.crc.sum() != self.crc {
                return Err(self.fail("it does not have the checksum that the archive gives"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Inflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflated({:?}, {} bytes)", self.name, self.size)
    }
}

impl Source for Inflated {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.size
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = wide(out.len());
        if offset.checked_add(wanted).is_none_or(|end| end > self.size) {
            return Err(Error::Range { file: self.name.clone(), offset, wanted, len: self.size });
        }
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |s: &State| offset < s.at.saturating_sub(wide(s.window.len()));
        let mut state = held.take().filter(|s| !behind(s)).unwrap_or_else(|| self.begin());
        self.fill(&mut state, offset, out)?;
        // What was read to its end is rarely read again.
        *held = (state.at < self.size || wanted < self.size).then_some(state);
        Ok(())
    }
    fn as_slice(&self) -> Option<&[u8]> {
        None
    }
}

/// The stored bytes as a stream.
struct Stored {
    archive: Arc<dyn Source>,
    at: u64,
    end: u64,
}

impl Read for Stored {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let n = out.len().min(left);
        let part = out.get_mut(..n).unwrap_or_default();
        self.archive.read_at(self.at, part).map_err(|e| io::Error::other(e.to_string()))?;
        self.at = self.at.saturating_add(wide(n));
        Ok(n)
    }
}
