//! `SequenceProto`, `MapProto` and `OptionalProto`: values of test data.

use super::*;

/// What a sequence or optional holds, by the numbers of its `DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Undefined,
    Tensor,
    Sparse,
    Sequence,
    Map,
    Optional,
}

impl Kind {
    /// The kind of number `code`.
    pub fn from_code(code: i32) -> Kind {
        match code {
            1 => Kind::Tensor,
            2 => Kind::Sparse,
            3 => Kind::Sequence,
            4 => Kind::Map,
            5 => Kind::Optional,
            _ => Kind::Undefined,
        }
    }

    /// Its number.
    pub const fn code(self) -> i32 {
        match self {
            Kind::Undefined => 0,
            Kind::Tensor => 1,
            Kind::Sparse => 2,
            Kind::Sequence => 3,
            Kind::Map => 4,
            Kind::Optional => 5,
        }
    }
}

/// A list of values of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SequenceProto<'a> {
    /// Field 1.
    pub name: Text<'a>,
    /// Field 2.
    pub elem_type: Option<i32>,
    /// Field 3.
    pub tensor_values: Vec<TensorProto<'a>>,
    /// Field 4.
    pub sparse_tensor_values: Vec<SparseTensorProto<'a>>,
    /// Field 5.
    pub sequence_values: Vec<SequenceProto<'a>>,
    /// Field 6.
    pub map_values: Vec<MapProto<'a>>,
    /// Field 7.
    pub optional_values: Vec<OptionalProto<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for SequenceProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.name = Some(f.text()?),
            2 => self.elem_type = Some(f.int32()?),
            3 => push(&mut self.tensor_values, &f, limits)?,
            4 => push(&mut self.sparse_tensor_values, &f, limits)?,
            5 => push(&mut self.sequence_values, &f, limits)?,
            6 => push(&mut self.map_values, &f, limits)?,
            7 => push(&mut self.optional_values, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.name);
        put_int32(out, 2, self.elem_type);
        put_all(out, 3, &self.tensor_values);
        put_all(out, 4, &self.sparse_tensor_values);
        put_all(out, 5, &self.sequence_values);
        put_all(out, 6, &self.map_values);
        put_all(out, 7, &self.optional_values);
        self.unknown.encode(out);
    }
}

/// Keys to values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapProto<'a> {
    /// Field 1.
    pub name: Text<'a>,
    /// Field 2: a `TensorProto.DataType`.
    pub key_type: Option<i32>,
    /// Field 3.
    pub keys: Vec<i64>,
    /// Field 4.
    pub string_keys: Vec<Cow<'a, [u8]>>,
    /// Field 5.
    pub values: Option<SequenceProto<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for MapProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.name = Some(f.text()?),
            2 => self.key_type = Some(f.int32()?),
            3 => push_ints(&mut self.keys, &f, limits)?,
            4 => {
                limits.charge(size_of::<Cow<'_, [u8]>>(), f.offset())?;
                self.string_keys.push(Cow::Borrowed(f.message()?.bytes()));
            }
            5 => merge(&mut self.values, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.name);
        put_int32(out, 2, self.key_type);
        self.keys.iter().for_each(|&k| out.int(3, k));
        self.string_keys.iter().for_each(|k| out.bytes(4, k));
        if let Some(values) = &self.values {
            put(out, 5, values);
        }
        self.unknown.encode(out);
    }
}

/// A value that may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptionalProto<'a> {
    /// Field 1.
    pub name: Text<'a>,
    /// Field 2.
    pub elem_type: Option<i32>,
    /// Field 3.
    pub tensor_value: Option<TensorProto<'a>>,
    /// Field 4.
    pub sparse_tensor_value: Option<SparseTensorProto<'a>>,
    /// Field 5.
    pub sequence_value: Option<SequenceProto<'a>>,
    /// Field 6.
    pub map_value: Option<MapProto<'a>>,
    /// Field 7.
    pub optional_value: Option<Box<OptionalProto<'a>>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for OptionalProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.name = Some(f.text()?),
            2 => self.elem_type = Some(f.int32()?),
            3 => merge(&mut self.tensor_value, &f, limits)?,
            4 => merge(&mut self.sparse_tensor_value, &f, limits)?,
            5 => merge(&mut self.sequence_value, &f, limits)?,
            6 => merge(&mut self.map_value, &f, limits)?,
            7 => merge_boxed(&mut self.optional_value, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.name);
        put_int32(out, 2, self.elem_type);
        if let Some(v) = &self.tensor_value {
            put(out, 3, v);
        }
        if let Some(v) = &self.sparse_tensor_value {
            put(out, 4, v);
        }
        if let Some(v) = &self.sequence_value {
            put(out, 5, v);
        }
        if let Some(v) = &self.map_value {
            put(out, 6, v);
        }
        if let Some(v) = &self.optional_value {
            put(out, 7, &**v);
        }
        self.unknown.encode(out);
    }
}
