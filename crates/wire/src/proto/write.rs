//! Writing: a message is built as a rope of inline bytes, borrowed bytes and holes whose length is known, so that the
//! length of every message around them is known before anything is emitted.

use super::{Scalars, WireType, bytes_from_text};
use crate::wide;
use std::io::{self, Write};
use thiserror::Error;

/// A piece of a [`Rope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Bytes that the rope owns.
    Inline(Vec<u8>),
    /// Bytes that lie elsewhere in memory, such as in a mapped file.
    Borrowed(&'a [u8]),
    /// `len` bytes that the caller streams in when the rope is emitted; `id` is the caller's.
    Splice {
        /// What the caller knows the payload by.
        id: u64,
        /// Its length in bytes.
        len: u64,
    },
}

/// The encoded fields of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rope<'a> {
    parts: Vec<Part<'a>>,
    len: u64,
}

/// A rope could not be emitted.
#[derive(Debug, Error)]
pub enum EmitError<E: std::error::Error + 'static> {
    /// The sink failed.
    #[error("writing failed: {0}")]
    Sink(#[from] io::Error),
    /// A payload could not be produced.
    #[error(transparent)]
    Payload(E),
    /// A payload gave another number of bytes than was promised.
    #[error("payload {id} gave {given} bytes where {promised} were promised")]
    Length {
        /// The payload.
        id: u64,
        /// Bytes promised when lengths were computed.
        promised: u64,
        /// Bytes given.
        given: u64,
    },
}

/// Bytes that `value` takes as a varint.
pub fn varint_len(value: u64) -> u64 {
    u64::from((64 - (value | 1).leading_zeros()).div_ceil(7))
}

/// Borrowing shorter strings than this costs more than copying them.
const COPY_BELOW: usize = 256;

impl<'a> Rope<'a> {
    /// An empty message.
    pub fn new() -> Self {
        Rope::default()
    }

    /// Encoded length in bytes, holes included.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for the empty message.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[Part<'a>] {
        &self.parts
    }

    /// Appends bytes that are complete fields already, such as unknown ones kept from reading.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(wide(bytes.len()));
        match self.parts.last_mut() {
            Some(Part::Inline(inline)) => inline.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.parts.push(Part::Inline(bytes.to_vec())),
        }
    }

    /// Appends bytes without copying them.
    pub fn raw_borrowed(&mut self, bytes: &'a [u8]) {
        if bytes.len() < COPY_BELOW {
            return self.raw(bytes);
        }
        self.len = self.len.saturating_add(wide(bytes.len()));
        self.parts.push(Part::Borrowed(bytes));
    }

    /// Appends a varint without a tag, as in packed fields.
    pub fn varint(&mut self, mut value: u64) {
        let mut buffer = [0u8; 10];
        let mut used = 0;
        for slot in &mut buffer {
            let low = u8::try_from(value & 0x7f).unwrap_or_default();
            value >>= 7;
            used += 1;
            *slot = if value > 0 { low | 0x80 } else { low };
            if value == 0 {
                break;
            }
        }
        self.raw(buffer.get(..used).unwrap_or_default());
    }

    fn tag(&mut self, number: u32, wire: WireType) {
        self.varint((u64::from(number) << 3) | u64::from(wire.code()));
    }

    /// An `int64`, `int32`, `uint64` (by its bits) or enumeration field.
    pub fn int(&mut self, number: u32, value: i64) {
        self.tag(number, WireType::Varint);
        self.varint(value.cast_unsigned());
    }

    /// A `float` field.
    pub fn float(&mut self, number: u32, value: f32) {
        self.tag(number, WireType::Fixed32);
        self.raw(&value.to_bits().to_le_bytes());
    }

    /// A `bytes` field, copied.
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        self.tag(number, WireType::Bytes);
        self.varint(wide(value.len()));
        self.raw(value);
    }

    /// A `bytes` field, not copied.
    pub fn bytes_borrowed(&mut self, number: u32, value: &'a [u8]) {
        self.tag(number, WireType::Bytes);
        self.varint(wide(value.len()));
        self.raw_borrowed(value);
    }

    /// A `string` field; the inverse of [`super::Field::text`].
    pub fn text(&mut self, number: u32, value: &str) {
        self.bytes(number, &bytes_from_text(value));
    }

    /// A `bytes` field of `len` bytes that are streamed in by [`Rope::emit`].
    pub fn splice(&mut self, number: u32, id: u64, len: u64) {
        self.tag(number, WireType::Bytes);
        self.varint(len);
        self.len = self.len.saturating_add(len);
        self.parts.push(Part::Splice { id, len });
    }

    /// A message field.
    pub fn message(&mut self, number: u32, value: Rope<'a>) {
        self.tag(number, WireType::Bytes);
        self.varint(value.len);
        for part in value.parts {
            match part {
                Part::Inline(bytes) => self.raw(&bytes),
                Part::Borrowed(bytes) => self.raw_borrowed(bytes),
                Part::Splice { len, .. } => {
                    self.len = self.len.saturating_add(len);
                    self.parts.push(part);
                }
            }
        }
    }

    /// A repeated scalar field as it was read: the same ranges, packed or with a tag each.
    pub fn scalars(&mut self, number: u32, values: &Scalars<'a>) {
        for &(run, tagged) in values.runs() {
            match tagged {
                true => self.raw_borrowed(run.bytes()),
                false => self.bytes_borrowed(number, run.bytes()),
            }
        }
    }

    /// A packed field of varints.
    pub fn packed_varints(&mut self, number: u32, values: impl Iterator<Item = u64>) {
        let mut packed = Rope::new();
        values.for_each(|v| packed.varint(v));
        self.message(number, packed);
    }

    /// Writes everything to `sink`. `payload` is called for each hole in order and writes its bytes.
    ///
    /// # Errors
    /// When the sink or a payload fails, or a payload does not have the promised length.
    pub fn emit<W: Write, E: std::error::Error + 'static>(
        &self,
        sink: &mut W,
        mut payload: impl FnMut(u64, &mut dyn Write) -> Result<(), E>,
    ) -> Result<(), EmitError<E>> {
        for part in &self.parts {
            match part {
                Part::Inline(bytes) => sink.write_all(bytes)?,
                Part::Borrowed(bytes) => sink.write_all(bytes)?,
                &Part::Splice { id, len } => {
                    let mut counted = Counted { sink, given: 0 };
                    payload(id, &mut counted).map_err(EmitError::Payload)?;
                    let given = counted.given;
                    if given != len {
                        return Err(EmitError::Length { id, promised: len, given });
                    }
                }
            }
        }
        Ok(())
    }

    /// All bytes in memory.
    ///
    /// # Errors
    /// When the rope has a hole: its id.
    pub fn to_vec(&self) -> Result<Vec<u8>, u64> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Inline(bytes) => out.extend_from_slice(bytes),
                Part::Borrowed(bytes) => out.extend_from_slice(bytes),
                Part::Splice { id, .. } => return Err(*id),
            }
        }
        Ok(out)
    }
}

struct Counted<'w, W> {
    sink: &'w mut W,
    given: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.sink.write(bytes)?;
        self.given = self.given.saturating_add(wide(n));
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
