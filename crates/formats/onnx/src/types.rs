//! Types of values: `TypeProto` to and from the IR.

use crate::schema::{
    DimValue, Dimension, ElementType, MapType, OpaqueType, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue,
    text,
};
use modelsmith_base::DType;
use modelsmith_ir::{Dim, TensorType, Type, code_of_dtype, dtype_of_code};

/// The type that `proto` describes, as far as the IR can say it.
pub fn type_from_proto(proto: &TypeProto<'_>) -> Type {
    match &proto.value {
        None => Type::Unknown,
        Some(TypeValue::Tensor(t)) => Type::Tensor(tensor_from_proto(t)),
        Some(TypeValue::Sparse(t)) => Type::Sparse(tensor_from_proto(t)),
        Some(TypeValue::Sequence(e)) => Type::Sequence(Box::new(element(&e.elem_type))),
        Some(TypeValue::Optional(e)) => Type::Optional(Box::new(element(&e.elem_type))),
        Some(TypeValue::Map(m)) => match dtype(m.key_type) {
            Some(key) => Type::Map(key, Box::new(element(&m.value_type))),
            None => Type::Unknown,
        },
        Some(TypeValue::Opaque(o)) => Type::Opaque(text(&o.domain).to_owned(), text(&o.name).to_owned()),
    }
}

fn element(proto: &Option<TypeProto<'_>>) -> Type {
    proto.as_ref().map_or(Type::Unknown, type_from_proto)
}

fn dtype(code: Option<i32>) -> Option<DType> {
    dtype_of_code(i64::from(code.unwrap_or(0)))
}

fn tensor_from_proto(proto: &TensorTypeProto<'_>) -> TensorType {
    let shape = proto.shape.as_ref().map(|s| s.dim.iter().map(dim_from_proto).collect());
    TensorType { dtype: dtype(proto.elem_type), shape }
}

fn dim_from_proto(proto: &Dimension<'_>) -> Dim {
    match &proto.value {
        Some(DimValue::Value(n)) if *n >= 0 => Dim::Known(*n),
        Some(DimValue::Param(name)) if !name.is_empty() => Dim::symbol(name),
        _ => Dim::Unknown,
    }
}

/// The `TypeProto` of `ty`; `None` when nothing is known.
pub fn type_to_proto(ty: &Type) -> Option<TypeProto<'static>> {
    let value = match ty {
        Type::Unknown => return None,
        Type::Tensor(t) => TypeValue::Tensor(tensor_to_proto(t)),
        Type::Sparse(t) => TypeValue::Sparse(tensor_to_proto(t)),
        Type::Sequence(t) => TypeValue::Sequence(Box::new(element_to_proto(t))),
        Type::Optional(t) => TypeValue::Optional(Box::new(element_to_proto(t))),
        Type::Map(key, value) => TypeValue::Map(Box::new(MapType {
            key_type: Some(code(*key)),
            value_type: type_to_proto(value),
            ..MapType::default()
        })),
        Type::Opaque(domain, name) => TypeValue::Opaque(OpaqueType {
            domain: Some(domain.clone().into()).filter(|_| !domain.is_empty()),
            name: Some(name.clone().into()),
            ..OpaqueType::default()
        }),
    };
    Some(TypeProto { value: Some(value), ..TypeProto::default() })
}

/// The number of `dtype` in `TensorProto.DataType`.
pub fn code(dtype: DType) -> i32 {
    i32::try_from(code_of_dtype(dtype)).unwrap_or(0)
}

fn element_to_proto(ty: &Type) -> ElementType<'static> {
    ElementType { elem_type: type_to_proto(ty), ..ElementType::default() }
}

fn tensor_to_proto(ty: &TensorType) -> TensorTypeProto<'static> {
    let shape = ty
        .shape
        .as_ref()
        .map(|dims| TensorShapeProto { dim: dims.iter().map(dim_to_proto).collect(), ..TensorShapeProto::default() });
    TensorTypeProto { elem_type: ty.dtype.map(code), shape, ..TensorTypeProto::default() }
}

fn dim_to_proto(dim: &Dim) -> Dimension<'static> {
    let value = match dim {
        Dim::Known(n) => Some(DimValue::Value(*n)),
        Dim::Unknown => None,
        Dim::Expr(_) => {
            let name = dim.as_symbol().map_or_else(|| dim.to_string(), str::to_owned);
            Some(DimValue::Param(name.into()))
        }
    };
    Dimension { value, ..Dimension::default() }
}
