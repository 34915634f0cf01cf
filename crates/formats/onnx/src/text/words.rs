//! The words of the text form: names of element types, of kinds of attributes and of the types that are made of others.

use crate::schema::AttributeType;

/// Names of element types with their numbers in `TensorProto.DataType`.
const ELEMENTS: [(&str, i32); 26] = [
    ("float", 1),
    ("uint8", 2),
    ("int8", 3),
    ("uint16", 4),
    ("int16", 5),
    ("int32", 6),
    ("int64", 7),
    ("string", 8),
    ("bool", 9),
    ("float16", 10),
    ("double", 11),
    ("uint32", 12),
    ("uint64", 13),
    ("complex64", 14),
    ("complex128", 15),
    ("bfloat16", 16),
    ("float8e4m3fn", 17),
    ("float8e4m3fnuz", 18),
    ("float8e5m2", 19),
    ("float8e5m2fnuz", 20),
    ("uint4", 21),
    ("int4", 22),
    ("float4e2m1", 23),
    ("float8e8m0", 24),
    ("uint2", 25),
    ("int2", 26),
];

/// Kinds of attributes, single ones with their lists.
const KINDS: [(&str, AttributeType); 14] = [
    ("float", AttributeType::Float),
    ("int", AttributeType::Int),
    ("string", AttributeType::String),
    ("tensor", AttributeType::Tensor),
    ("graph", AttributeType::Graph),
    ("sparse_tensor", AttributeType::SparseTensor),
    ("type_proto", AttributeType::Type),
    ("floats", AttributeType::Floats),
    ("ints", AttributeType::Ints),
    ("strings", AttributeType::Strings),
    ("tensors", AttributeType::Tensors),
    ("graphs", AttributeType::Graphs),
    ("sparse_tensors", AttributeType::SparseTensors),
    ("type_protos", AttributeType::Types),
];

/// The number of the element type called `word`.
pub(super) fn element_code(word: &str) -> Option<i32> {
    ELEMENTS.iter().find(|(name, _)| *name == word).map(|&(_, code)| code)
}

/// The name of element type `code`.
pub(super) fn element_name(code: i32) -> Option<&'static str> {
    ELEMENTS.iter().find(|&&(_, c)| c == code).map(|&(name, _)| name)
}

/// The kind of attribute called `word`.
pub(super) fn kind_of(word: &str) -> Option<AttributeType> {
    KINDS.iter().find(|(name, _)| *name == word).map(|&(_, kind)| kind)
}

/// The name of a kind of attribute.
pub(super) fn kind_name(kind: AttributeType) -> &'static str {
    KINDS.iter().find(|(_, k)| *k == kind).map_or("undefined", |(name, _)| name)
}

/// The kind of the elements of a list; of anything else, itself.
pub(super) fn single(kind: AttributeType) -> AttributeType {
    use AttributeType::*;
    match kind {
        Floats => Float,
        Ints => Int,
        Strings => String,
        Tensors => Tensor,
        Graphs => Graph,
        SparseTensors => SparseTensor,
        Types => Type,
        other => other,
    }
}

/// The kind of a list of such elements.
pub(super) fn several(kind: AttributeType) -> AttributeType {
    use AttributeType::*;
    match kind {
        Float => Floats,
        Int => Ints,
        String => Strings,
        Tensor => Tensors,
        Graph => Graphs,
        SparseTensor => SparseTensors,
        Type => Types,
        other => other,
    }
}

/// Whether a type begins with `word`.
pub(super) fn begins_type(word: &str) -> bool {
    matches!(word, "seq" | "map" | "optional" | "sparse_tensor" | "opaque") || element_code(word).is_some()
}

/// Whether `word` is read as a floating-point number.
pub(super) fn is_number(word: &str) -> bool {
    ["inf", "infinity", "nan"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// Whether `text` can stand without quotes: a letter or `_`, then letters, digits and `_`, all of ASCII.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
