//! Reading: a message is a slice with its place in the file, walked field by field.

use super::{Error, Kind, WireType, text_from_bytes};
use crate::wide;
use std::borrow::Cow;
use std::ops::Range;

/// The bytes of one message, or of any length-delimited value, and where they begin in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Message<'a> {
    bytes: &'a [u8],
    base: u64,
}

impl<'a> Message<'a> {
    /// A message whose first byte lies at absolute offset `base`.
    pub fn new(bytes: &'a [u8], base: u64) -> Self {
        Message { bytes, base }
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Absolute offset of the first byte.
    pub fn offset(&self) -> u64 {
        self.base
    }

    /// Where the bytes lie in the file.
    pub fn range(&self) -> Range<u64> {
        self.base..self.base.saturating_add(wide(self.bytes.len()))
    }

    /// The part of this message that lies at `range` of the file; `None` when it does not lie within.
    pub fn part(&self, range: Range<u64>) -> Option<Message<'a>> {
        let from = usize::try_from(range.start.checked_sub(self.base)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.base)?).ok()?;
        Some(Message { bytes: self.bytes.get(from..to)?, base: range.start })
    }

    /// Its fields in file order. After an error the iterator ends.
    pub fn fields(&self) -> Fields<'a> {
        Fields { message: *self, at: 0, failed: false }
    }

    /// The varint at index `at`, and the index after it.
    pub(super) fn varint_at(&self, at: usize) -> Result<(u64, usize), Error> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let mut value = 0u64;
        for (i, &byte) in rest.iter().enumerate() {
            let low = u64::from(byte & 0x7f);
            if i == 9 && byte > 1 {
                return Err(self.error(Kind::VarintTooLong, at));
            }
            value |= low << (7 * i);
            if byte < 0x80 {
                return Ok((value, at + i + 1));
            }
        }
        Err(self.truncated(at, wide(rest.len()) + 1))
    }

    pub(super) fn take_at(&self, at: usize, len: u64) -> Result<(Message<'a>, usize), Error> {
        let end = usize::try_from(len).ok().and_then(|n| at.checked_add(n));
        match end.and_then(|end| Some((self.bytes.get(at..end)?, end))) {
            Some((bytes, end)) => Ok((Message { bytes, base: self.base.saturating_add(wide(at)) }, end)),
            None => Err(self.truncated(at, len)),
        }
    }

    pub(super) fn error(&self, kind: Kind, at: usize) -> Error {
        Error::new(kind, self.base.saturating_add(wide(at)))
    }

    fn truncated(&self, at: usize, wanted: u64) -> Error {
        self.error(Kind::Truncated { wanted, left: wide(self.bytes.len().saturating_sub(at)) }, at)
    }

    /// Number, wire type and the index after the tag at `at`. The wire type may be 4, an end tag.
    fn tag_at(&self, at: usize) -> Result<(u32, u8, usize), Error> {
        let (tag, next) = self.varint_at(at)?;
        let number = tag >> 3;
        match u32::try_from(number) {
            Ok(n) if n > 0 && n < 1 << 29 => Ok((n, u8::try_from(tag & 7).unwrap_or_default(), next)),
            _ => Err(self.error(Kind::FieldNumber(number), at)),
        }
    }

    /// The index of the end tag that closes group `number` whose content begins at `at`, and the index after the tag.
    fn group_end(&self, number: u32, at: usize) -> Result<(usize, usize), Error> {
        let mut open = vec![number];
        let mut here = at;
        while here < self.bytes.len() {
            let (n, wire, next) = self.tag_at(here)?;
            match wire {
                3 => {
                    open.push(n);
                    here = next;
                }
                4 => {
                    if open.pop() != Some(n) {
                        return Err(self.error(Kind::Group(n), here));
                    }
                    if open.is_empty() {
                        return Ok((here, next));
                    }
                    here = next;
                }
                _ => here = self.value_at(n, wire, here, next)?.1,
            }
        }
        Err(self.error(Kind::Group(number), at))
    }

    /// The value of wire type `wire` at `at`, whose tag lies at `tag`, and the index after it.
    fn value_at(&self, number: u32, wire: u8, tag: usize, at: usize) -> Result<(Value<'a>, usize), Error> {
        match wire {
            0 => self.varint_at(at).map(|(v, next)| (Value::Varint(v), next)),
            1 => self.take_at(at, 8).map(|(m, next)| (Value::Fixed64(little(m.bytes)), next)),
            2 => {
                let (len, start) = self.varint_at(at)?;
                self.take_at(start, len).map(|(m, next)| (Value::Bytes(m), next))
            }
            3 => {
                let (end, next) = self.group_end(number, at)?;
                let (content, _) = self.take_at(at, wide(end.saturating_sub(at)))?;
                Ok((Value::Group(content), next))
            }
            5 => {
                self.take_at(at, 4).map(|(m, next)| (Value::Fixed32(u32::try_from(little(m.bytes)).unwrap_or(0)), next))
            }
            4 => Err(self.error(Kind::Group(number), tag)),
            _ => Err(self.error(Kind::UnknownWireType(wire), tag)),
        }
    }
}

/// Up to eight bytes, least significant first.
fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &b| (value << 8) | u64::from(b))
}

/// One value as it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A base-128 integer.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A string, bytes, a message or packed elements.
    Bytes(Message<'a>),
    /// The content of a group.
    Group(Message<'a>),
    /// Four bytes.
    Fixed32(u32),
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The number that the schema knows it by.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// Tag and value as they lie in the file.
    pub raw: Message<'a>,
}

impl<'a> Field<'a> {
    /// Absolute offset of the tag.
    pub fn offset(&self) -> u64 {
        self.raw.offset()
    }

    /// How the value lies in the file.
    pub fn wire_type(&self) -> WireType {
        match self.value {
            Value::Varint(_) => WireType::Varint,
            Value::Fixed64(_) => WireType::Fixed64,
            Value::Bytes(_) => WireType::Bytes,
            Value::Group(_) => WireType::Group,
            Value::Fixed32(_) => WireType::Fixed32,
        }
    }

    /// The error for a field that should have had wire type `expected`.
    pub fn expected(&self, expected: WireType) -> Error {
        Error::new(Kind::WrongType { field: self.number, expected, found: self.wire_type() }, self.offset())
    }

    /// A length-delimited value.
    ///
    /// # Errors
    /// When it is something else.
    pub fn message(&self) -> Result<Message<'a>, Error> {
        match self.value {
            Value::Bytes(m) => Ok(m),
            _ => Err(self.expected(WireType::Bytes)),
        }
    }

    /// A string; bytes that are not UTF-8 are kept as [`text_from_bytes`] says.
    ///
    /// # Errors
    /// When it is not length-delimited.
    pub fn text(&self) -> Result<Cow<'a, str>, Error> {
        Ok(text_from_bytes(self.message()?.bytes()))
    }

    /// An `int64`.
    ///
    /// # Errors
    /// When it is not a varint.
    pub fn int(&self) -> Result<i64, Error> {
        match self.value {
            Value::Varint(v) => Ok(v.cast_signed()),
            _ => Err(self.expected(WireType::Varint)),
        }
    }

    /// An `int32` or enumeration: like every protobuf reader, the low 32 bits of the varint.
    ///
    /// # Errors
    /// When it is not a varint.
    pub fn int32(&self) -> Result<i32, Error> {
        let low = self.int()?.cast_unsigned() & u64::from(u32::MAX);
        Ok(u32::try_from(low).unwrap_or_default().cast_signed())
    }

    /// Adds a repeated `int64`, packed or not, to `out`.
    ///
    /// # Errors
    /// When it is neither, or a packed varint is damaged.
    pub fn ints_into(&self, out: &mut Vec<i64>) -> Result<(), Error> {
        let Value::Bytes(packed) = self.value else {
            out.push(self.int()?);
            return Ok(());
        };
        let mut at = 0;
        while at < packed.bytes.len() {
            let (value, next) = packed.varint_at(at)?;
            out.push(value.cast_signed());
            at = next;
        }
        Ok(())
    }

    /// Adds a repeated `float`, packed or not, to `out`.
    ///
    /// # Errors
    /// When it is neither, or packed bytes are not a multiple of four.
    pub fn floats_into(&self, out: &mut Vec<f32>) -> Result<(), Error> {
        let Value::Bytes(packed) = self.value else {
            out.push(self.float()?);
            return Ok(());
        };
        let (elements, rest) = packed.bytes.as_chunks::<4>();
        if !rest.is_empty() {
            let kind = Kind::PackedLength { len: wide(packed.bytes.len()), element: 4 };
            return Err(Error::new(kind, packed.base));
        }
        out.extend(elements.iter().map(|&bytes| f32::from_le_bytes(bytes)));
        Ok(())
    }

    /// A `float`.
    ///
    /// # Errors
    /// When it is not four bytes.
    pub fn float(&self) -> Result<f32, Error> {
        match self.value {
            Value::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.expected(WireType::Fixed32)),
        }
    }
}

/// The fields of a message in file order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    message: Message<'a>,
    at: usize,
    failed: bool,
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Result<Field<'a>, Error> {
        let start = self.at;
        let (number, wire, at) = self.message.tag_at(start)?;
        let (value, next) = self.message.value_at(number, wire, start, at)?;
        let (raw, _) = self.message.take_at(start, wide(next.saturating_sub(start)))?;
        self.at = next;
        Ok(Field { number, value, raw })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.at >= self.message.bytes.len() {
            return None;
        }
        let field = self.read();
        self.failed = field.is_err();
        Some(field)
    }
}
