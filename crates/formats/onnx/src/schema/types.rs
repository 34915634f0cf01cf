//! `TypeProto` and `TensorShapeProto`.

use super::*;

/// The type of a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TypeProto<'a> {
    /// One of fields 1, 4, 5, 7, 8, 9.
    pub value: Option<TypeValue<'a>>,
    /// Field 6.
    pub denotation: Text<'a>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

/// What kind of value a type describes.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeValue<'a> {
    /// Field 1.
    Tensor(TensorTypeProto<'a>),
    /// Field 4.
    Sequence(Box<ElementType<'a>>),
    /// Field 5.
    Map(Box<MapType<'a>>),
    /// Field 7.
    Opaque(OpaqueType<'a>),
    /// Field 8.
    Sparse(TensorTypeProto<'a>),
    /// Field 9.
    Optional(Box<ElementType<'a>>),
}

/// `TypeProto.Tensor` and `TypeProto.SparseTensor`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorTypeProto<'a> {
    /// Field 1: a `TensorProto.DataType`.
    pub elem_type: Option<i32>,
    /// Field 2; absent when not even the rank is known.
    pub shape: Option<TensorShapeProto<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

/// `TypeProto.Sequence` and `TypeProto.Optional`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ElementType<'a> {
    /// Field 1.
    pub elem_type: Option<TypeProto<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

/// `TypeProto.Map`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapType<'a> {
    /// Field 1: a `TensorProto.DataType`.
    pub key_type: Option<i32>,
    /// Field 2.
    pub value_type: Option<TypeProto<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

/// `TypeProto.Opaque`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpaqueType<'a> {
    /// Field 1.
    pub domain: Text<'a>,
    /// Field 2.
    pub name: Text<'a>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for TypeProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 | 4 | 5 | 7 | 8 | 9 => {
                let old = self.value.take();
                self.value = Some(TypeValue::merged(old, &f, limits)?);
            }
            6 => self.denotation = Some(f.text()?),
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        let mut late = None;
        match &self.value {
            Some(TypeValue::Tensor(t)) => put(out, 1, t),
            Some(TypeValue::Sequence(t)) => put(out, 4, &**t),
            Some(TypeValue::Map(t)) => put(out, 5, &**t),
            other => late = other.as_ref(),
        }
        put_text(out, 6, &self.denotation);
        match late {
            Some(TypeValue::Opaque(t)) => put(out, 7, t),
            Some(TypeValue::Sparse(t)) => put(out, 8, t),
            Some(TypeValue::Optional(t)) => put(out, 9, &**t),
            _ => {}
        }
        self.unknown.encode(out);
    }
}

impl<'a> TypeValue<'a> {
    /// The member of the oneof that `f` sets, merged into `old` when that is the same member.
    fn merged(old: Option<TypeValue<'a>>, f: &Field<'a>, limits: &mut Limits) -> Result<TypeValue<'a>, Error> {
        let m = f.message()?;
        Ok(match (f.number, old) {
            (1, Some(TypeValue::Tensor(mut t))) => {
                t.merge(m, limits)?;
                TypeValue::Tensor(t)
            }
            (1, _) => TypeValue::Tensor(Proto::decode(m, limits)?),
            (4, Some(TypeValue::Sequence(mut t))) => {
                t.merge(m, limits)?;
                TypeValue::Sequence(t)
            }
            (4, _) => TypeValue::Sequence(Box::new(Proto::decode(m, limits)?)),
            (5, Some(TypeValue::Map(mut t))) => {
                t.merge(m, limits)?;
                TypeValue::Map(t)
            }
            (5, _) => TypeValue::Map(Box::new(Proto::decode(m, limits)?)),
            (7, _) => TypeValue::Opaque(Proto::decode(m, limits)?),
            (8, _) => TypeValue::Sparse(Proto::decode(m, limits)?),
            _ => TypeValue::Optional(Box::new(Proto::decode(m, limits)?)),
        })
    }
}

impl<'a> Proto<'a> for TensorTypeProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.elem_type = Some(f.int32()?),
            2 => merge(&mut self.shape, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_int32(out, 1, self.elem_type);
        if let Some(shape) = &self.shape {
            put(out, 2, shape);
        }
        self.unknown.encode(out);
    }
}

impl<'a> Proto<'a> for ElementType<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => merge(&mut self.elem_type, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        if let Some(elem_type) = &self.elem_type {
            put(out, 1, elem_type);
        }
        self.unknown.encode(out);
    }
}

impl<'a> Proto<'a> for MapType<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.key_type = Some(f.int32()?),
            2 => merge(&mut self.value_type, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_int32(out, 1, self.key_type);
        if let Some(value_type) = &self.value_type {
            put(out, 2, value_type);
        }
        self.unknown.encode(out);
    }
}

impl<'a> Proto<'a> for OpaqueType<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.domain = Some(f.text()?),
            2 => self.name = Some(f.text()?),
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.domain);
        put_text(out, 2, &self.name);
        self.unknown.encode(out);
    }
}

/// The shape of a tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorShapeProto<'a> {
    /// Field 1.
    pub dim: Vec<Dimension<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

/// One dimension.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dimension<'a> {
    /// Field 1 or 2.
    pub value: Option<DimValue<'a>>,
    /// Field 3.
    pub denotation: Text<'a>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

/// The size of a dimension.
#[derive(Clone, Debug, PartialEq)]
pub enum DimValue<'a> {
    /// A number.
    Value(i64),
    /// A name.
    Param(Cow<'a, str>),
}

impl<'a> Proto<'a> for TensorShapeProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => push(&mut self.dim, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_all(out, 1, &self.dim);
        self.unknown.encode(out);
    }
}

impl<'a> Proto<'a> for Dimension<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.value = Some(DimValue::Value(f.int()?)),
            2 => self.value = Some(DimValue::Param(f.text()?)),
            3 => self.denotation = Some(f.text()?),
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        match &self.value {
            Some(DimValue::Value(v)) => out.int(1, *v),
            Some(DimValue::Param(name)) => out.text(2, name),
            None => {}
        }
        put_text(out, 3, &self.denotation);
        self.unknown.encode(out);
    }
}
