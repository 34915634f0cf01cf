//! The messages of `onnx.proto` and `onnx-data.proto` as typed structs over the bytes of a file.
//!
//! Decoding copies no payload: strings are borrowed, tensor data stay ranges of the file. Presence is kept (`None` is
//! not the empty string) and fields that this schema does not know are kept as they are, so encoding what was decoded
//! gives the same message. Field numbers and types follow IR version 14.

mod attribute;
mod data;
mod graph;
mod model;
mod tensor;
#[cfg(test)]
mod tests;
mod types;

pub use attribute::{AttributeProto, AttributeType, Lists};
pub use data::{Kind as DataKind, MapProto, OptionalProto, SequenceProto};
pub use graph::{GraphProto, NodeProto, TensorAnnotation, ValueInfoProto};
pub use model::{FunctionProto, ModelProto, OperatorSetIdProto};
pub use tensor::{Payload, SparseTensorProto, TensorProto, Typed};
pub use types::{
    DimValue, Dimension, ElementType, MapType, OpaqueType, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue,
};

use modelsmith_wire::proto::{Error, Field, Limits, Message, Rope};
use std::borrow::Cow;

/// A string that may be absent.
pub type Text<'a> = Option<Cow<'a, str>>;

/// A message of the schema.
pub trait Proto<'a>: Default {
    /// Takes in one field. As everywhere in protobuf the last scalar wins and messages are merged.
    ///
    /// # Errors
    /// When the field is damaged or of another type than the schema says.
    fn field(&mut self, parent: &Message<'a>, field: Field<'a>, limits: &mut Limits) -> Result<(), Error>;

    /// Appends all fields in the order of their numbers, unknown ones last.
    fn encode(&self, out: &mut Rope<'a>);

    /// Takes in all fields of `message`.
    ///
    /// # Errors
    /// When the message is damaged, nested too deep or takes too much memory.
    fn merge(&mut self, message: Message<'a>, limits: &mut Limits) -> Result<(), Error> {
        limits.nested(message.offset(), |limits| {
            limits.charge(size_of::<Self>(), message.offset())?;
            message.fields().try_for_each(|field| self.field(&message, field?, limits))
        })
    }

    /// Decodes a whole message.
    ///
    /// # Errors
    /// Those of [`Proto::merge`].
    fn decode(message: Message<'a>, limits: &mut Limits) -> Result<Self, Error> {
        let mut out = Self::default();
        out.merge(message, limits)?;
        Ok(out)
    }

    /// The encoded message.
    fn to_rope(&self) -> Rope<'a> {
        let mut out = Rope::new();
        self.encode(&mut out);
        out
    }
}

/// Fields that the schema does not know, each with its tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> Unknown<'a> {
    /// Keeps a field.
    ///
    /// # Errors
    /// When there are too many.
    pub fn keep(&mut self, field: &Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        limits.charge(size_of::<Cow<'_, [u8]>>(), field.offset())?;
        self.0.push(Cow::Borrowed(field.raw.bytes()));
        Ok(())
    }

    /// Adds complete fields that were kept elsewhere.
    pub fn add(&mut self, fields: Vec<u8>) {
        if !fields.is_empty() {
            self.0.push(Cow::Owned(fields));
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All fields, one after the other.
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.concat()
    }

    fn encode(&self, out: &mut Rope<'a>) {
        for field in &self.0 {
            match field {
                Cow::Borrowed(bytes) => out.raw_borrowed(bytes),
                Cow::Owned(bytes) => out.raw(bytes),
            }
        }
    }
}

/// A key and its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry<'a> {
    /// Field 1.
    pub key: Text<'a>,
    /// Field 2.
    pub value: Text<'a>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Entry<'a> {
    /// An entry of owned strings.
    pub fn new(key: &str, value: &str) -> Entry<'static> {
        Entry { key: Some(key.to_owned().into()), value: Some(value.to_owned().into()), unknown: Unknown::default() }
    }
}

impl<'a> Proto<'a> for Entry<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.key = Some(f.text()?),
            2 => self.value = Some(f.text()?),
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.key);
        put_text(out, 2, &self.value);
        self.unknown.encode(out);
    }
}

/// The string, empty when it is absent.
pub fn text<'t>(value: &'t Text<'_>) -> &'t str {
    value.as_deref().unwrap_or("")
}

/// The string where it is there and empty: the IR does not tell that from one that is absent.
pub fn present<'a>(value: &Text<'a>) -> Text<'a> {
    value.clone().filter(|v| v.is_empty())
}

/// Decodes a message field and adds it to a list.
fn push<'a, T: Proto<'a>>(list: &mut Vec<T>, f: &Field<'a>, limits: &mut Limits) -> Result<(), Error> {
    list.push(T::decode(f.message()?, limits)?);
    Ok(())
}

/// Merges a message field into an optional slot.
fn merge<'a, T: Proto<'a>>(slot: &mut Option<T>, f: &Field<'a>, limits: &mut Limits) -> Result<(), Error> {
    slot.get_or_insert_default().merge(f.message()?, limits)
}

/// As [`merge`], for a boxed slot.
fn merge_boxed<'a, T: Proto<'a>>(slot: &mut Option<Box<T>>, f: &Field<'a>, limits: &mut Limits) -> Result<(), Error> {
    slot.get_or_insert_default().merge(f.message()?, limits)
}

/// Adds a string field to a list.
fn push_text<'a>(list: &mut Vec<Cow<'a, str>>, f: &Field<'a>, limits: &mut Limits) -> Result<(), Error> {
    limits.charge(size_of::<Cow<'_, str>>(), f.offset())?;
    list.push(f.text()?);
    Ok(())
}

/// Adds an integer field, packed or not, to a list.
fn push_ints(list: &mut Vec<i64>, f: &Field<'_>, limits: &mut Limits) -> Result<(), Error> {
    limits.charge(f.raw.bytes().len().saturating_mul(4), f.offset())?;
    f.ints_into(list)
}

fn put<'a, T: Proto<'a>>(out: &mut Rope<'a>, number: u32, value: &T) {
    out.message(number, value.to_rope());
}

fn put_all<'a, T: Proto<'a>>(out: &mut Rope<'a>, number: u32, values: &[T]) {
    values.iter().for_each(|value| put(out, number, value));
}

fn put_text(out: &mut Rope<'_>, number: u32, value: &Text<'_>) {
    if let Some(value) = value {
        out.text(number, value);
    }
}

fn put_texts(out: &mut Rope<'_>, number: u32, values: &[Cow<'_, str>]) {
    values.iter().for_each(|value| out.text(number, value));
}

fn put_int(out: &mut Rope<'_>, number: u32, value: Option<i64>) {
    if let Some(value) = value {
        out.int(number, value);
    }
}

fn put_int32(out: &mut Rope<'_>, number: u32, value: Option<i32>) {
    put_int(out, number, value.map(i64::from));
}
