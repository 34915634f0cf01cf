//! Values of test data: `input_0.pb` and the like, each a `TensorProto`, `SequenceProto`, `OptionalProto` or `MapProto`
//! without anything in the file that says which. The type of the model's input or output tells.

use crate::read::damaged;
use crate::read::tensor::tensor_in_memory;
use crate::schema::{
    DataKind, MapProto, OptionalProto, Payload, Proto, SequenceProto, SparseTensorProto, TensorProto, Typed, text,
};
use crate::types::code;
use modelsmith_base::DType;
use modelsmith_format::{Error, Result};
use modelsmith_ir::{Type, dtype_of_code};
use modelsmith_tensor::{Map, MapKeys, Sparse, Tensor, Value};
use modelsmith_wire::proto::{Limits, Message, bytes_from_text, text_from_bytes};
use std::borrow::Cow;

/// Decodes the test data `bytes` of a value of type `ty` (a tensor where nothing is known). Returns the name that the
/// file gives, which may be empty, and the value.
///
/// # Errors
/// When the bytes are damaged, or do not hold a value of that kind; the error names the byte offset.
pub fn value_from_bytes(bytes: &[u8], ty: &Type) -> Result<(String, Value)> {
    let message = Message::new(bytes, 0);
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let limits = &mut Limits::for_file(len.saturating_mul(8));
    fn decode<'a, T: Proto<'a>>(message: Message<'a>, limits: &mut Limits) -> Result<T> {
        T::decode(message, limits).map_err(damaged)
    }
    match ty {
        Type::Sequence(_) => {
            let p: SequenceProto<'_> = decode(message, limits)?;
            Ok((text(&p.name).to_owned(), sequence(&p, limits)?))
        }
        Type::Optional(_) => {
            let p: OptionalProto<'_> = decode(message, limits)?;
            Ok((text(&p.name).to_owned(), optional(&p, limits)?))
        }
        Type::Map(..) => {
            let p: MapProto<'_> = decode(message, limits)?;
            Ok((text(&p.name).to_owned(), map(&p, limits)?))
        }
        Type::Sparse(_) => {
            let p: SparseTensorProto<'_> = decode(message, limits)?;
            let name = p.values.as_ref().map(|v| text(&v.name).to_owned()).unwrap_or_default();
            Ok((name, sparse(&p, limits)?))
        }
        _ => {
            let p: TensorProto<'_> = decode(message, limits)?;
            Ok((text(&p.name).to_owned(), Value::Tensor(tensor_in_memory(&p, limits)?)))
        }
    }
}

fn sequence(p: &SequenceProto<'_>, limits: &mut Limits) -> Result<Value> {
    let values: Result<Vec<Value>> = match DataKind::from_code(p.elem_type.unwrap_or(0)) {
        DataKind::Tensor => p.tensor_values.iter().map(|t| Ok(tensor_in_memory(t, limits)?.into())).collect(),
        DataKind::Sparse => p.sparse_tensor_values.iter().map(|t| sparse(t, limits)).collect(),
        DataKind::Sequence => p.sequence_values.iter().map(|s| sequence(s, limits)).collect(),
        DataKind::Map => p.map_values.iter().map(|m| map(m, limits)).collect(),
        DataKind::Optional => p.optional_values.iter().map(|o| optional(o, limits)).collect(),
        DataKind::Undefined => Ok(Vec::new()),
    };
    Ok(Value::Sequence(values?))
}

fn optional(p: &OptionalProto<'_>, limits: &mut Limits) -> Result<Value> {
    let value = match DataKind::from_code(p.elem_type.unwrap_or(0)) {
        DataKind::Tensor => p.tensor_value.as_ref().map(|t| tensor_in_memory(t, limits).map(Value::from)),
        DataKind::Sparse => p.sparse_tensor_value.as_ref().map(|t| sparse(t, limits)),
        DataKind::Sequence => p.sequence_value.as_ref().map(|s| sequence(s, limits)),
        DataKind::Map => p.map_value.as_ref().map(|m| map(m, limits)),
        DataKind::Optional => p.optional_value.as_ref().map(|o| optional(o, limits)),
        DataKind::Undefined => None,
    };
    Ok(Value::Optional(value.transpose()?.map(Box::new)))
}

fn map(p: &MapProto<'_>, limits: &mut Limits) -> Result<Value> {
    let key = dtype_of_code(i64::from(p.key_type.unwrap_or(0)));
    let keys = match key {
        Some(DType::String) => {
            MapKeys::Strings(p.string_keys.iter().map(|k| text_from_bytes(k).into_owned()).collect())
        }
        Some(dtype) if dtype.is_int() => MapKeys::Ints(dtype, p.keys.clone()),
        _ => return Err(Error::damaged("the keys of a map are neither integers nor strings")),
    };
    let values = match &p.values {
        Some(values) => sequence(values, limits)?,
        None => Value::Sequence(Vec::new()),
    };
    let Value::Sequence(values) = values else { return Err(Error::damaged("the values of a map are no sequence")) };
    let count = match &keys {
        MapKeys::Ints(_, keys) => keys.len(),
        MapKeys::Strings(keys) => keys.len(),
    };
    if count != values.len() {
        return Err(Error::damaged(format!("a map has {count} keys and {} values", values.len())));
    }
    Ok(Value::Map(Map { keys, values }))
}

fn sparse(p: &SparseTensorProto<'_>, limits: &mut Limits) -> Result<Value> {
    let absent = |what: &str| Error::damaged(format!("a sparse tensor has no {what}"));
    let values = tensor_in_memory(p.values.as_ref().ok_or_else(|| absent("values"))?, limits)?;
    let indices = tensor_in_memory(p.indices.as_ref().ok_or_else(|| absent("indices"))?, limits)?;
    let size = |&d: &i64| usize::try_from(d).map_err(|_| Error::damaged(format!("a dimension is {d}")));
    let shape = p.dims.iter().map(size).collect::<Result<Vec<_>>>()?;
    Ok(Value::Sparse(Box::new(Sparse { values, indices, shape })))
}

/// Encodes a value as test data under `name`.
///
/// # Errors
/// When a sequence or map holds values of different kinds.
pub fn value_to_bytes(name: &str, value: &Value) -> Result<Vec<u8>> {
    let name = Some(Cow::Owned(name.to_owned()));
    let rope = match value {
        Value::Tensor(t) => TensorProto { name, ..tensor_proto(t)? }.to_rope(),
        Value::Sequence(values) => SequenceProto { name, ..sequence_proto(values)? }.to_rope(),
        Value::Optional(inner) => OptionalProto { name, ..optional_proto(inner.as_deref())? }.to_rope(),
        Value::Map(map) => MapProto { name, ..map_proto(map)? }.to_rope(),
        Value::Sparse(s) => {
            let mut proto = sparse_proto(s)?;
            if let Some(values) = &mut proto.values {
                values.name = name;
            }
            proto.to_rope()
        }
    };
    rope.to_vec().map_err(|id| Error::damaged(format!("payload {id} has no bytes")))
}

fn tensor_proto(t: &Tensor) -> Result<TensorProto<'static>> {
    let mut proto = TensorProto {
        dims: t.shape().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
        data_type: Some(code(t.dtype())),
        ..TensorProto::default()
    };
    if t.dtype() == DType::String {
        let strings = t.strings()?.iter().map(|s| Cow::Owned(bytes_from_text(s).into_owned()));
        proto.typed = Some(Box::new(Typed { string_data: strings.collect(), ..Typed::default() }));
    } else {
        proto.raw_data = Some(Payload::Memory(t.bytes().to_vec()));
    }
    Ok(proto)
}

fn sparse_proto(s: &Sparse) -> Result<SparseTensorProto<'static>> {
    Ok(SparseTensorProto {
        values: Some(tensor_proto(&s.values)?),
        indices: Some(tensor_proto(&s.indices)?),
        dims: s.shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
        ..SparseTensorProto::default()
    })
}

fn kind(value: &Value) -> DataKind {
    match value {
        Value::Tensor(_) => DataKind::Tensor,
        Value::Sparse(_) => DataKind::Sparse,
        Value::Sequence(_) => DataKind::Sequence,
        Value::Map(_) => DataKind::Map,
        Value::Optional(_) => DataKind::Optional,
    }
}

fn sequence_proto(values: &[Value]) -> Result<SequenceProto<'static>> {
    let first = values.first().map_or(DataKind::Tensor, kind);
    if values.iter().any(|v| kind(v) != first) {
        return Err(Error::unsupported("a sequence of values of different kinds"));
    }
    let mut proto = SequenceProto { elem_type: Some(first.code()), ..SequenceProto::default() };
    for value in values {
        match value {
            Value::Tensor(t) => proto.tensor_values.push(tensor_proto(t)?),
            Value::Sparse(s) => proto.sparse_tensor_values.push(sparse_proto(s)?),
            Value::Sequence(s) => proto.sequence_values.push(sequence_proto(s)?),
            Value::Map(m) => proto.map_values.push(map_proto(m)?),
            Value::Optional(o) => proto.optional_values.push(optional_proto(o.as_deref())?),
        }
    }
    Ok(proto)
}

fn optional_proto(value: Option<&Value>) -> Result<OptionalProto<'static>> {
    let elem_type = Some(value.map_or(DataKind::Undefined, kind).code());
    let mut proto = OptionalProto { elem_type, ..OptionalProto::default() };
    match value {
        None => {}
        Some(Value::Tensor(t)) => proto.tensor_value = Some(tensor_proto(t)?),
        Some(Value::Sparse(s)) => proto.sparse_tensor_value = Some(sparse_proto(s)?),
        Some(Value::Sequence(s)) => proto.sequence_value = Some(sequence_proto(s)?),
        Some(Value::Map(m)) => proto.map_value = Some(map_proto(m)?),
        Some(Value::Optional(o)) => proto.optional_value = Some(Box::new(optional_proto(o.as_deref())?)),
    }
    Ok(proto)
}

fn map_proto(map: &Map) -> Result<MapProto<'static>> {
    let mut proto = MapProto { values: Some(sequence_proto(&map.values)?), ..MapProto::default() };
    match &map.keys {
        MapKeys::Ints(dtype, keys) => {
            proto.key_type = Some(code(*dtype));
            proto.keys.clone_from(keys);
        }
        MapKeys::Strings(keys) => {
            proto.key_type = Some(code(DType::String));
            proto.string_keys = keys.iter().map(|k| Cow::Owned(bytes_from_text(k).into_owned())).collect();
        }
    }
    Ok(proto)
}
