//! Repeated scalar fields left where they lie: packed in one range, or one tag per element.

use super::{Error, Field, Kind, Message, Value, WireType};
use crate::wide;

/// Elements that one repeated scalar field gives, as ranges of the file. Elements with a tag each share a range as
/// long as they follow each other, so memory does not grow with their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalars<'a> {
    wire: WireType,
    runs: Vec<(Message<'a>, bool)>,
}

/// One element: a varint, or the bits of a fixed-width value.
pub type Element = u64;

impl<'a> Scalars<'a> {
    /// No elements of wire type `wire`.
    pub fn new(wire: WireType) -> Self {
        Scalars { wire, runs: Vec::new() }
    }

    /// Adds what `field` of message `parent` holds: one element, or packed ones.
    ///
    /// # Errors
    /// When the field is neither, or packed elements do not fill their range.
    pub fn push(&mut self, parent: &Message<'a>, field: &Field<'a>) -> Result<(), Error> {
        if let Value::Bytes(packed) = field.value {
            let width = self.width();
            let len = wide(packed.bytes().len());
            if width > 0 && !len.is_multiple_of(width) {
                return Err(Error::new(Kind::PackedLength { len, element: width }, packed.offset()));
            }
            self.runs.push((packed, false));
            return Ok(());
        }
        if field.wire_type() != self.wire {
            return Err(field.expected(self.wire));
        }
        if let Some((last, true)) = self.runs.last_mut()
            && last.range().end == field.offset()
            && let Some(longer) = parent.part(last.offset()..field.raw.range().end)
        {
            *last = longer;
            return Ok(());
        }
        self.runs.push((field.raw, true));
        Ok(())
    }

    /// The only range, when all elements are packed fixed-width values in one: their little-endian array.
    pub fn contiguous(&self) -> Option<Message<'a>> {
        match self.runs.as_slice() {
            [(run, false)] if self.width() > 0 => Some(*run),
            _ => None,
        }
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.runs.iter().all(|(run, _)| run.bytes().is_empty())
    }

    /// True when the field never occurred; a packed range of no elements does count as an occurrence.
    pub fn is_absent(&self) -> bool {
        self.runs.is_empty()
    }

    /// Absolute offset of the first element's range.
    pub fn offset(&self) -> Option<u64> {
        self.runs.first().map(|(run, _)| run.offset())
    }

    /// The ranges in file order, and whether each element in them has a tag.
    pub fn runs(&self) -> &[(Message<'a>, bool)] {
        &self.runs
    }

    /// Bytes of one element; 0 when it varies.
    fn width(&self) -> u64 {
        match self.wire {
            WireType::Fixed32 => 4,
            WireType::Fixed64 => 8,
            _ => 0,
        }
    }

    /// The elements in order. After an error the iterator ends.
    pub fn iter(&self) -> impl Iterator<Item = Result<Element, Error>> + use<'a, '_> {
        self.runs.iter().flat_map(move |&(run, tagged)| Elements {
            run,
            at: 0,
            width: self.width(),
            tagged: tagged.then(|| run.fields()),
        })
    }
}

struct Elements<'a> {
    run: Message<'a>,
    at: usize,
    width: u64,
    tagged: Option<super::Fields<'a>>,
}

impl Elements<'_> {
    fn packed(&mut self) -> Result<Element, Error> {
        if self.width == 0 {
            let (value, next) = self.run.varint_at(self.at)?;
            self.at = next;
            return Ok(value);
        }
        let (bytes, next) = self.run.take_at(self.at, self.width)?;
        self.at = next;
        Ok(bytes.bytes().iter().rev().fold(0, |value, &b| (value << 8) | u64::from(b)))
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Element, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(fields) = &mut self.tagged {
            return Some(fields.next()?.map(|field| match field.value {
                Value::Varint(v) | Value::Fixed64(v) => v,
                Value::Fixed32(v) => u64::from(v),
                Value::Bytes(_) | Value::Group(_) => 0,
            }));
        }
        if self.at >= self.run.bytes().len() {
            return None;
        }
        let value = self.packed();
        if value.is_err() {
            self.at = self.run.bytes().len();
        }
        Some(value)
    }
}
