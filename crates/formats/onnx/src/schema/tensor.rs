//! `TensorProto` and `SparseTensorProto`. The payload is never copied.

use super::*;
use modelsmith_wire::proto::{Scalars, WireType};

/// Bytes of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload<'a> {
    /// They lie in the file that was read.
    File(Message<'a>),
    /// They are in memory.
    Memory(Vec<u8>),
    /// They are streamed in when the file is written.
    Stream {
        /// What the writer knows them by.
        id: u64,
        /// How many they are.
        len: u64,
    },
}

/// The typed data fields of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed<'a> {
    /// Field 4: `f32` and `complex64`.
    pub float_data: Scalars<'a>,
    /// Field 5: 32-bit integers and everything narrower, floats by their bits.
    pub int32_data: Scalars<'a>,
    /// Field 6.
    pub string_data: Vec<Cow<'a, [u8]>>,
    /// Field 7.
    pub int64_data: Scalars<'a>,
    /// Field 10: `f64` and `complex128`.
    pub double_data: Scalars<'a>,
    /// Field 11: `u32` and `u64`.
    pub uint64_data: Scalars<'a>,
}

impl Default for Typed<'_> {
    fn default() -> Self {
        Typed {
            float_data: Scalars::new(WireType::Fixed32),
            int32_data: Scalars::new(WireType::Varint),
            string_data: Vec::new(),
            int64_data: Scalars::new(WireType::Varint),
            double_data: Scalars::new(WireType::Fixed64),
            uint64_data: Scalars::new(WireType::Varint),
        }
    }
}

/// A tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorProto<'a> {
    /// Field 1.
    pub dims: Vec<i64>,
    /// Field 2: a `TensorProto.DataType`.
    pub data_type: Option<i32>,
    /// Field 8.
    pub name: Text<'a>,
    /// Field 9: little-endian, packed.
    pub raw_data: Option<Payload<'a>>,
    /// Field 12.
    pub doc_string: Text<'a>,
    /// Field 13: `location`, `offset`, `length`, `checksum`.
    pub external_data: Vec<Entry<'a>>,
    /// Field 14: 1 when the data are external.
    pub data_location: Option<i32>,
    /// Field 16.
    pub metadata_props: Vec<Entry<'a>>,
    /// Data by element type; boxed, because most tensors have `raw_data`.
    pub typed: Option<Box<Typed<'a>>>,
    /// Other fields: 3 `segment`, and what came later.
    pub unknown: Unknown<'a>,
    /// Where the message lies in the file, for messages.
    pub offset: u64,
}

impl<'a> Proto<'a> for TensorProto<'a> {
    fn field(&mut self, parent: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        self.offset = parent.offset();
        match f.number {
            1 => push_ints(&mut self.dims, &f, limits)?,
            2 => self.data_type = Some(f.int32()?),
            4..=7 | 10 | 11 => self.typed_field(parent, &f, limits)?,
            8 => self.name = Some(f.text()?),
            9 => self.raw_data = Some(Payload::File(f.message()?)),
            12 => self.doc_string = Some(f.text()?),
            13 => push(&mut self.external_data, &f, limits)?,
            14 => self.data_location = Some(f.int32()?),
            16 => push(&mut self.metadata_props, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        self.dims.iter().for_each(|&d| out.int(1, d));
        put_int32(out, 2, self.data_type);
        if let Some(typed) = &self.typed {
            out.scalars(4, &typed.float_data);
            out.scalars(5, &typed.int32_data);
            typed.string_data.iter().for_each(|s| out.bytes(6, s));
            out.scalars(7, &typed.int64_data);
        }
        put_text(out, 8, &self.name);
        match &self.raw_data {
            Some(Payload::File(m)) => out.bytes_borrowed(9, m.bytes()),
            Some(Payload::Memory(bytes)) => out.bytes(9, bytes),
            Some(Payload::Stream { id, len }) => out.splice(9, *id, *len),
            None => {}
        }
        if let Some(typed) = &self.typed {
            out.scalars(10, &typed.double_data);
            out.scalars(11, &typed.uint64_data);
        }
        put_text(out, 12, &self.doc_string);
        put_all(out, 13, &self.external_data);
        put_int32(out, 14, self.data_location);
        put_all(out, 16, &self.metadata_props);
        self.unknown.encode(out);
    }
}

impl<'a> TensorProto<'a> {
    fn typed_field(&mut self, parent: &Message<'a>, f: &Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        let typed = self.typed.get_or_insert_default();
        limits.charge(size_of::<(Message<'_>, bool)>(), f.offset())?;
        match f.number {
            4 => typed.float_data.push(parent, f),
            5 => typed.int32_data.push(parent, f),
            6 => {
                typed.string_data.push(Cow::Borrowed(f.message()?.bytes()));
                Ok(())
            }
            7 => typed.int64_data.push(parent, f),
            10 => typed.double_data.push(parent, f),
            _ => typed.uint64_data.push(parent, f),
        }
    }

    /// The external-data entry called `key`.
    pub fn external(&self, key: &str) -> Option<&str> {
        self.external_data.iter().find(|e| text(&e.key) == key).map(|e| text(&e.value))
    }

    /// True when the data lie in another file.
    pub fn is_external(&self) -> bool {
        self.data_location == Some(1)
    }
}

/// A sparse tensor in coordinate form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseTensorProto<'a> {
    /// Field 1: shape `[n]`; its name is the name of the sparse tensor.
    pub values: Option<TensorProto<'a>>,
    /// Field 2: shape `[n]` or `[n, rank]`, `i64`.
    pub indices: Option<TensorProto<'a>>,
    /// Field 3: the dense shape.
    pub dims: Vec<i64>,
    /// Other fields.
    pub unknown: Unknown<'a>,
    /// Where the message lies in the file, for messages.
    pub offset: u64,
}

impl<'a> Proto<'a> for SparseTensorProto<'a> {
    fn field(&mut self, parent: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        self.offset = parent.offset();
        match f.number {
            1 => merge(&mut self.values, &f, limits)?,
            2 => merge(&mut self.indices, &f, limits)?,
            3 => push_ints(&mut self.dims, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        if let Some(values) = &self.values {
            put(out, 1, values);
        }
        if let Some(indices) = &self.indices {
            put(out, 2, indices);
        }
        self.dims.iter().for_each(|&d| out.int(3, d));
        self.unknown.encode(out);
    }
}
