//! Types, tensors and attributes of the text form.

use super::lex::Literal;
use super::parse::{Parser, owned};
use super::words::{begins_type, element_code, element_name, is_number, kind_name, kind_of, several, single};
use crate::schema::{
    AttributeProto, AttributeType, DimValue, Dimension, ElementType, MapType, OpaqueType, Payload, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, Typed,
};
use modelsmith_format::Result;
use std::borrow::Cow;

impl Parser<'_> {
    /// A type. `float` is a scalar, `float[]` a tensor of unknown rank.
    pub(super) fn ty(&mut self) -> Result<TypeProto<'static>> {
        self.nested(|p| {
            let place = p.lex.place();
            let word = p.lex.word("a type")?;
            let value = match word {
                "seq" => TypeValue::Sequence(Box::new(p.inner()?)),
                "optional" => TypeValue::Optional(Box::new(p.inner()?)),
                "map" => p.map()?,
                "sparse_tensor" => {
                    p.lex.want(b'(')?;
                    let word = p.lex.word("an element type")?;
                    let tensor = p.tensor_type(word)?;
                    p.lex.want(b')')?;
                    TypeValue::Sparse(tensor)
                }
                "opaque" => p.opaque()?,
                word if element_code(word).is_some() => TypeValue::Tensor(p.tensor_type(word)?),
                _ => {
                    p.lex.back(place);
                    return Err(p.lex.expected("a type"));
                }
            };
            Ok(TypeProto { value: Some(value), ..TypeProto::default() })
        })
    }

    fn inner(&mut self) -> Result<ElementType<'static>> {
        self.lex.want(b'(')?;
        let elem_type = Some(self.ty()?);
        self.lex.want(b')')?;
        Ok(ElementType { elem_type, ..ElementType::default() })
    }

    fn map(&mut self) -> Result<TypeValue<'static>> {
        self.lex.want(b'(')?;
        let word = self.lex.word("the element type of the keys")?;
        let key_type = element_code(word);
        if key_type.is_none() {
            return Err(self.lex.error(&format!("`{word}` is no element type")));
        }
        self.lex.want(b',')?;
        let value_type = Some(self.ty()?);
        self.lex.want(b')')?;
        Ok(TypeValue::Map(Box::new(MapType { key_type, value_type, ..MapType::default() })))
    }

    /// `opaque()`, `opaque(name)` or `opaque(domain, name)`; both may have points.
    fn opaque(&mut self) -> Result<TypeValue<'static>> {
        self.lex.want(b'(')?;
        let mut out = OpaqueType::default();
        if !self.lex.eat(b')') {
            let mut first = self.lex.word("the name of an opaque type")?.to_owned();
            while self.lex.eat(b'.') {
                first = format!("{first}.{}", self.lex.word("the name of an opaque type")?);
            }
            match self.lex.eat(b',') {
                true => (out.domain, out.name) = (owned(first), owned(self.lex.word("the name of an opaque type")?)),
                false => out.name = owned(first),
            }
            self.lex.want(b')')?;
        }
        Ok(TypeValue::Opaque(out))
    }

    /// The dimensions behind the element type `word`.
    fn tensor_type(&mut self, word: &str) -> Result<TensorTypeProto<'static>> {
        let elem_type = element_code(word);
        if elem_type.is_none() {
            return Err(self.lex.error(&format!("`{word}` is no element type")));
        }
        let dim = match self.lex.eat(b'[') {
            true => self.list(b']', Self::dimension)?,
            false => {
                let shape = Some(TensorShapeProto::default());
                return Ok(TensorTypeProto { elem_type, shape, ..TensorTypeProto::default() });
            }
        };
        let shape = (!dim.is_empty()).then(|| TensorShapeProto { dim, ..TensorShapeProto::default() });
        Ok(TensorTypeProto { elem_type, shape, ..TensorTypeProto::default() })
    }

    fn dimension(&mut self) -> Result<Dimension<'static>> {
        let what = "a size, a name or `?`";
        let named = self.lex.next() == Some(b'"') || !self.lex.peek().is_empty();
        let value = if self.lex.eat(b'?') {
            None
        } else if named {
            Some(DimValue::Param(self.lex.name(what)?.into()))
        } else {
            Some(DimValue::Value(self.lex.int(what)?))
        };
        Ok(Dimension { value, ..Dimension::default() })
    }

    /// The data of a tensor of type `ty`: `{values}`, or `["location": "file", ...]`.
    pub(super) fn tensor(&mut self, ty: Option<&TypeProto<'static>>) -> Result<TensorProto<'static>> {
        let Some(TypeValue::Tensor(TensorTypeProto { elem_type: Some(code), shape: Some(shape), .. })) =
            ty.and_then(|t| t.value.as_ref())
        else {
            return Err(self.lex.error("a value is given here: its type must be that of a tensor with a known shape"));
        };
        let mut out = TensorProto { data_type: Some(*code), ..TensorProto::default() };
        for dim in &shape.dim {
            match dim.value {
                Some(DimValue::Value(n)) => out.dims.push(n),
                _ => return Err(self.lex.error("a value is given here: its dimensions must be numbers")),
            }
        }
        match self.lex.next() {
            Some(b'{') => self.elements(*code, &mut out)?,
            Some(b'[') => {
                self.lex.want(b'[')?;
                out.data_location = Some(1);
                out.external_data = self.list(b']', Self::pair)?;
            }
            _ => return Err(self.lex.expected("`{` with values or `[` with the place of external data")),
        }
        Ok(out)
    }

    fn elements(&mut self, code: i32, out: &mut TensorProto<'static>) -> Result<()> {
        self.lex.want(b'{')?;
        let start = self.lex.place();
        let (mut bytes, mut strings) = (Vec::new(), Vec::new());
        let mut count = 0i64;
        self.list(b'}', |p| {
            count = count.saturating_add(1);
            match code {
                8 => strings.push(Cow::Owned(p.string_element()?)),
                _ => p.element(code, &mut bytes)?,
            }
            Ok(())
        })?;
        if let Some(wanted) = wanted(code, &out.dims)
            && wanted != count
        {
            self.lex.back(start);
            let name = element_name(code).unwrap_or_default();
            let message = format!("{name}{:?} holds {wanted} values, {count} are given", out.dims);
            return Err(self.lex.error(&message));
        }
        match code {
            8 => out.typed = Some(Box::new(Typed { string_data: strings, ..Typed::default() })),
            _ => out.raw_data = Some(Payload::Memory(bytes)),
        }
        Ok(())
    }

    fn string_element(&mut self) -> Result<Vec<u8>> {
        let what = "a string in quotes";
        let place = self.lex.place();
        match self.lex.literal(what)? {
            Literal::Bytes(bytes) => Ok(bytes),
            _ => {
                self.lex.back(place);
                Err(self.lex.expected(what))
            }
        }
    }

    /// Appends one value, little-endian. Narrow floats are whole numbers, their bits; of types below eight bits a value
    /// is a byte that holds several.
    fn element(&mut self, code: i32, bytes: &mut Vec<u8>) -> Result<()> {
        let name = element_name(code).unwrap_or_default();
        let place = self.lex.place();
        let literal = self.lex.literal(&format!("a value of type {name}"))?;
        let taken = match (code, &literal) {
            (1 | 14, Literal::Int(t) | Literal::Float(t)) => number::<f32>(t).map(|v| v.to_le_bytes().to_vec()),
            (11 | 15, Literal::Int(t) | Literal::Float(t)) => number::<f64>(t).map(|v| v.to_le_bytes().to_vec()),
            (_, Literal::Int(t)) => whole(code, t),
            _ => None,
        };
        match taken {
            Some(value) => bytes.extend(value),
            None => {
                self.lex.back(place);
                let hint = match code {
                    10 | 16..=20 | 24 => ", written as the whole number that its bits make",
                    21..=23 | 25 | 26 => ", written as bytes that hold several",
                    _ => "",
                };
                return Err(self.lex.expected(&format!("a value of type {name}{hint}")));
            }
        }
        Ok(())
    }

    /// An attribute that a function declares: a name alone, or with a default.
    pub(super) fn declared(&mut self) -> Result<(String, Option<AttributeProto<'static>>)> {
        let name = self.lex.name("the name of an attribute")?;
        match self.lex.next() {
            Some(b':' | b'=') => Ok((name.clone(), Some(self.attribute_value(name)?))),
            _ => Ok((name, None)),
        }
    }

    /// `name: kind = value`; the kind may be absent where the value tells it.
    pub(super) fn attribute(&mut self) -> Result<AttributeProto<'static>> {
        let name = self.lex.name("the name of an attribute")?;
        self.attribute_value(name)
    }

    fn attribute_value(&mut self, name: String) -> Result<AttributeProto<'static>> {
        let mut said = None;
        if self.lex.eat(b':') {
            let place = self.lex.place();
            let what = "a kind of attribute such as `float`, `ints` or `graph`";
            said = kind_of(self.lex.word(what)?);
            if said.is_none() {
                self.lex.back(place);
                return Err(self.lex.expected(what));
            }
        }
        self.lex.want(b'=')?;
        let mut out = AttributeProto { name: owned(name), ..AttributeProto::default() };
        let place = self.lex.place();
        let kind = match self.lex.eat(b'[') {
            false => self.single(&mut out, said)?,
            true => {
                let element = said.map(single);
                let kinds = self.list(b']', |p| p.element_of_list(&mut out, element))?;
                let first = kinds.first().copied();
                if let (None, None) = (first, said) {
                    self.lex.back(place);
                    return Err(self.lex.error("an empty list needs its kind, as in `name: ints = []`"));
                }
                if kinds.iter().any(|k| Some(*k) != first) {
                    self.lex.back(place);
                    return Err(self.lex.error("the values of a list must be of one kind"));
                }
                first.map(several).or(said)
            }
        };
        if said.is_some() && kind != said {
            let name = |k: Option<AttributeType>| k.map_or("nothing", kind_name);
            let message = format!("the attribute is said to be of kind {}, its value is {}", name(said), name(kind));
            self.lex.back(place);
            return Err(self.lex.error(&message));
        }
        out.ty = kind.map(AttributeType::code);
        Ok(out)
    }

    fn element_of_list(
        &mut self,
        out: &mut AttributeProto<'static>,
        said: Option<AttributeType>,
    ) -> Result<AttributeType> {
        let mut one = AttributeProto::default();
        let place = self.lex.place();
        let kind = self.single(&mut one, said)?;
        let lists = &mut out.lists;
        match kind {
            Some(AttributeType::Float) => lists.floats.extend(one.f),
            Some(AttributeType::Int) => lists.ints.extend(one.i),
            Some(AttributeType::String) => lists.strings.extend(one.s),
            Some(AttributeType::Tensor) => lists.tensors.extend(one.t.map(|t| *t)),
            Some(AttributeType::Graph) => lists.graphs.extend(one.g.map(|g| *g)),
            Some(AttributeType::Type) => lists.type_protos.extend(one.tp.map(|t| *t)),
            _ => {
                self.lex.back(place);
                return Err(self.lex.error("a reference cannot be an element of a list"));
            }
        }
        kind.ok_or_else(|| self.lex.expected("a value"))
    }

    /// One value, into the field of `out` for its kind.
    fn single(
        &mut self,
        out: &mut AttributeProto<'static>,
        said: Option<AttributeType>,
    ) -> Result<Option<AttributeType>> {
        if self.lex.eat(b'@') {
            out.ref_attr_name = owned(self.lex.name("the name of an attribute of the function")?);
            return Ok(said);
        }
        let word = self.lex.peek();
        if begins_type(word) {
            let ty = self.ty()?;
            let named = matches!(self.lex.next(), Some(b'"')) || !self.lex.peek().is_empty();
            // Behind a type that is meant as one comes the end of the value; `[` begins the place of external data.
            if !named && !matches!(self.lex.next(), Some(b'{' | b'=' | b'[')) {
                out.tp = Some(Box::new(ty));
                return Ok(Some(AttributeType::Type));
            }
            let name = if named { Some(self.lex.name("the name of a tensor")?) } else { None };
            self.lex.eat(b'=');
            let mut tensor = self.tensor(Some(&ty))?;
            tensor.name = name.map(Cow::Owned);
            out.t = Some(Box::new(tensor));
            return Ok(Some(AttributeType::Tensor));
        }
        let quoted_graph = said == Some(AttributeType::Graph) && self.lex.next() == Some(b'"');
        if quoted_graph || !word.is_empty() && !is_number(word) {
            out.g = Some(Box::new(self.graph()?));
            return Ok(Some(AttributeType::Graph));
        }
        self.constant(out, said).map(Some)
    }

    fn constant(&mut self, out: &mut AttributeProto<'static>, said: Option<AttributeType>) -> Result<AttributeType> {
        let place = self.lex.place();
        let literal = self.lex.literal("a value: a number, a string, a tensor, a graph, a type or `@`")?;
        let beyond = |p: &mut Self, text: &str, range: &str| {
            p.lex.back(place);
            p.lex.error(&format!("{text} is beyond {range}"))
        };
        match literal {
            Literal::Bytes(bytes) => {
                out.s = Some(Cow::Owned(bytes));
                Ok(AttributeType::String)
            }
            Literal::Int(text) if said != Some(AttributeType::Float) => {
                let value = text.parse().map_err(|_| beyond(self, &text, "the whole numbers of 64 bits"))?;
                out.i = Some(value);
                Ok(AttributeType::Int)
            }
            Literal::Int(text) | Literal::Float(text) => {
                let value = number::<f32>(&text).ok_or_else(|| beyond(self, &text, "the floats of 32 bits"))?;
                out.f = Some(value);
                Ok(AttributeType::Float)
            }
        }
    }
}

/// A floating-point number; `None` when a finite text is beyond the range.
fn number<T: std::str::FromStr + Into<f64> + Copy>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let said = is_number(text.trim_start_matches('-'));
    (said || value.into().is_finite()).then_some(value)
}

/// The bytes of a whole number of element type `code`.
fn whole(code: i32, text: &str) -> Option<Vec<u8>> {
    Some(match code {
        3 => text.parse::<i8>().ok()?.to_le_bytes().to_vec(),
        5 => text.parse::<i16>().ok()?.to_le_bytes().to_vec(),
        6 => text.parse::<i32>().ok()?.to_le_bytes().to_vec(),
        7 => text.parse::<i64>().ok()?.to_le_bytes().to_vec(),
        12 => text.parse::<u32>().ok()?.to_le_bytes().to_vec(),
        13 => text.parse::<u64>().ok()?.to_le_bytes().to_vec(),
        4 | 10 | 16 => text.parse::<u16>().ok()?.to_le_bytes().to_vec(),
        9 => vec![text.parse::<u8>().ok().filter(|&v| v < 2)?],
        _ => match text.starts_with('-') {
            // Files spell packed bytes with and without a sign.
            true => text.parse::<i8>().ok()?.to_le_bytes().to_vec(),
            false => vec![text.parse::<u8>().ok()?],
        },
    })
}

/// How many values stand for a tensor of element type `code`; `None` when dimensions are nonsense, which the reader says.
fn wanted(code: i32, dims: &[i64]) -> Option<i64> {
    let count = dims.iter().try_fold(1i64, |n, &d| n.checked_mul(d).filter(|n| *n >= 0))?;
    Some(match code {
        14 | 15 => count.checked_mul(2)?,
        21..=23 => count.checked_add(1)? / 2,
        25 | 26 => count.checked_add(3)? / 4,
        _ => count,
    })
}
