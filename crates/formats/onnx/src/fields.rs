//! The messages of `onnx.proto` as tables of fields: number, name, kind. IR version 14.

use Kind::{Bytes, Double, Enum, Float, Int32, Int64, Message, Text, Uint64};

/// What a field holds.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Int32,
    Int64,
    Uint64,
    Float,
    Double,
    Text,
    Bytes,
    /// A number with names; the position of a name is its number.
    Enum(&'static [&'static str]),
    Message(&'static Table),
}

/// A field of a message.
pub(crate) struct Row {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
}

/// A message.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [Row],
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Row {
    Row { number, name, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Row {
    Row { number, name, kind, repeated: true }
}

pub(crate) static MODEL: Table = Table {
    name: "ModelProto",
    rows: &[
        one(1, "ir_version", Int64),
        one(2, "producer_name", Text),
        one(3, "producer_version", Text),
        one(4, "domain", Text),
        one(5, "model_version", Int64),
        one(6, "doc_string", Text),
        one(7, "graph", Message(&GRAPH)),
        many(8, "opset_import", Message(&OPERATOR_SET_ID)),
        many(14, "metadata_props", Message(&STRING_STRING_ENTRY)),
        many(20, "training_info", Message(&TRAINING_INFO)),
        many(25, "functions", Message(&FUNCTION)),
        many(26, "configuration", Message(&DEVICE_CONFIGURATION)),
    ],
};

pub(crate) static GRAPH: Table = Table {
    name: "GraphProto",
    rows: &[
        many(1, "node", Message(&NODE)),
        one(2, "name", Text),
        many(5, "initializer", Message(&TENSOR)),
        one(10, "doc_string", Text),
        many(11, "input", Message(&VALUE_INFO)),
        many(12, "output", Message(&VALUE_INFO)),
        many(13, "value_info", Message(&VALUE_INFO)),
        many(14, "quantization_annotation", Message(&TENSOR_ANNOTATION)),
        many(15, "sparse_initializer", Message(&SPARSE_TENSOR)),
        many(16, "metadata_props", Message(&STRING_STRING_ENTRY)),
    ],
};

pub(crate) static NODE: Table = Table {
    name: "NodeProto",
    rows: &[
        many(1, "input", Text),
        many(2, "output", Text),
        one(3, "name", Text),
        one(4, "op_type", Text),
        many(5, "attribute", Message(&ATTRIBUTE)),
        one(6, "doc_string", Text),
        one(7, "domain", Text),
        one(8, "overload", Text),
        many(9, "metadata_props", Message(&STRING_STRING_ENTRY)),
        many(10, "device_configurations", Message(&NODE_DEVICE_CONFIGURATION)),
    ],
};

pub(crate) static ATTRIBUTE: Table = Table {
    name: "AttributeProto",
    rows: &[
        one(1, "name", Text),
        one(2, "f", Float),
        one(3, "i", Int64),
        one(4, "s", Bytes),
        one(5, "t", Message(&TENSOR)),
        one(6, "g", Message(&GRAPH)),
        many(7, "floats", Float),
        many(8, "ints", Int64),
        many(9, "strings", Bytes),
        many(10, "tensors", Message(&TENSOR)),
        many(11, "graphs", Message(&GRAPH)),
        one(13, "doc_string", Text),
        one(14, "tp", Message(&TYPE)),
        many(15, "type_protos", Message(&TYPE)),
        one(20, "type", Enum(&ATTRIBUTE_TYPE)),
        one(21, "ref_attr_name", Text),
        one(22, "sparse_tensor", Message(&SPARSE_TENSOR)),
        many(23, "sparse_tensors", Message(&SPARSE_TENSOR)),
    ],
};

pub(crate) static VALUE_INFO: Table = Table {
    name: "ValueInfoProto",
    rows: &[
        one(1, "name", Text),
        one(2, "type", Message(&TYPE)),
        one(3, "doc_string", Text),
        many(4, "metadata_props", Message(&STRING_STRING_ENTRY)),
    ],
};

pub(crate) static FUNCTION: Table = Table {
    name: "FunctionProto",
    rows: &[
        one(1, "name", Text),
        many(4, "input", Text),
        many(5, "output", Text),
        many(6, "attribute", Text),
        many(7, "node", Message(&NODE)),
        one(8, "doc_string", Text),
        many(9, "opset_import", Message(&OPERATOR_SET_ID)),
        one(10, "domain", Text),
        many(11, "attribute_proto", Message(&ATTRIBUTE)),
        many(12, "value_info", Message(&VALUE_INFO)),
        one(13, "overload", Text),
        many(14, "metadata_props", Message(&STRING_STRING_ENTRY)),
    ],
};

pub(crate) static TENSOR: Table = Table {
    name: "TensorProto",
    rows: &[
        many(1, "dims", Int64),
        one(2, "data_type", Int32),
        one(3, "segment", Message(&TENSOR_SEGMENT)),
        many(4, "float_data", Float),
        many(5, "int32_data", Int32),
        many(6, "string_data", Bytes),
        many(7, "int64_data", Int64),
        one(8, "name", Text),
        one(9, "raw_data", Bytes),
        many(10, "double_data", Double),
        many(11, "uint64_data", Uint64),
        one(12, "doc_string", Text),
        many(13, "external_data", Message(&STRING_STRING_ENTRY)),
        one(14, "data_location", Enum(&DATA_LOCATION)),
        many(16, "metadata_props", Message(&STRING_STRING_ENTRY)),
    ],
};

pub(crate) static TENSOR_SEGMENT: Table =
    Table { name: "TensorProto.Segment", rows: &[one(1, "begin", Int64), one(2, "end", Int64)] };

pub(crate) static SPARSE_TENSOR: Table = Table {
    name: "SparseTensorProto",
    rows: &[one(1, "values", Message(&TENSOR)), one(2, "indices", Message(&TENSOR)), many(3, "dims", Int64)],
};

pub(crate) static TYPE: Table = Table {
    name: "TypeProto",
    rows: &[
        one(1, "tensor_type", Message(&TYPE_TENSOR)),
        one(4, "sequence_type", Message(&TYPE_SEQUENCE)),
        one(5, "map_type", Message(&TYPE_MAP)),
        one(6, "denotation", Text),
        one(7, "opaque_type", Message(&TYPE_OPAQUE)),
        one(8, "sparse_tensor_type", Message(&TYPE_SPARSE_TENSOR)),
        one(9, "optional_type", Message(&TYPE_OPTIONAL)),
    ],
};

pub(crate) static TYPE_TENSOR: Table =
    Table { name: "TypeProto.Tensor", rows: &[one(1, "elem_type", Int32), one(2, "shape", Message(&TENSOR_SHAPE))] };

pub(crate) static TYPE_SEQUENCE: Table =
    Table { name: "TypeProto.Sequence", rows: &[one(1, "elem_type", Message(&TYPE))] };

pub(crate) static TYPE_MAP: Table =
    Table { name: "TypeProto.Map", rows: &[one(1, "key_type", Int32), one(2, "value_type", Message(&TYPE))] };

pub(crate) static TYPE_OPTIONAL: Table =
    Table { name: "TypeProto.Optional", rows: &[one(1, "elem_type", Message(&TYPE))] };

pub(crate) static TYPE_SPARSE_TENSOR: Table = Table {
    name: "TypeProto.SparseTensor",
    rows: &[one(1, "elem_type", Int32), one(2, "shape", Message(&TENSOR_SHAPE))],
};

pub(crate) static TYPE_OPAQUE: Table =
    Table { name: "TypeProto.Opaque", rows: &[one(1, "domain", Text), one(2, "name", Text)] };

pub(crate) static TENSOR_SHAPE: Table =
    Table { name: "TensorShapeProto", rows: &[many(1, "dim", Message(&TENSOR_SHAPE_DIMENSION))] };

pub(crate) static TENSOR_SHAPE_DIMENSION: Table = Table {
    name: "TensorShapeProto.Dimension",
    rows: &[one(1, "dim_value", Int64), one(2, "dim_param", Text), one(3, "denotation", Text)],
};

pub(crate) static TENSOR_ANNOTATION: Table = Table {
    name: "TensorAnnotation",
    rows: &[one(1, "tensor_name", Text), many(2, "quant_parameter_tensor_names", Message(&STRING_STRING_ENTRY))],
};

pub(crate) static OPERATOR_SET_ID: Table =
    Table { name: "OperatorSetIdProto", rows: &[one(1, "domain", Text), one(2, "version", Int64)] };

pub(crate) static STRING_STRING_ENTRY: Table =
    Table { name: "StringStringEntryProto", rows: &[one(1, "key", Text), one(2, "value", Text)] };

pub(crate) static TRAINING_INFO: Table = Table {
    name: "TrainingInfoProto",
    rows: &[
        one(1, "initialization", Message(&GRAPH)),
        one(2, "algorithm", Message(&GRAPH)),
        many(3, "initialization_binding", Message(&STRING_STRING_ENTRY)),
        many(4, "update_binding", Message(&STRING_STRING_ENTRY)),
    ],
};

pub(crate) static DEVICE_CONFIGURATION: Table = Table {
    name: "DeviceConfigurationProto",
    rows: &[one(1, "name", Text), one(2, "num_devices", Int32), many(3, "device", Text)],
};

pub(crate) static NODE_DEVICE_CONFIGURATION: Table = Table {
    name: "NodeDeviceConfigurationProto",
    rows: &[
        one(1, "configuration_id", Text),
        many(2, "sharding_spec", Message(&SHARDING_SPEC)),
        one(3, "pipeline_stage", Int32),
    ],
};

pub(crate) static SHARDING_SPEC: Table = Table {
    name: "ShardingSpecProto",
    rows: &[
        one(1, "tensor_name", Text),
        many(2, "device", Int64),
        many(3, "index_to_device_group_map", Message(&INT_INT_LIST_ENTRY)),
        many(4, "sharded_dim", Message(&SHARDED_DIM)),
    ],
};

pub(crate) static SHARDED_DIM: Table = Table {
    name: "ShardedDimProto",
    rows: &[one(1, "axis", Int64), many(2, "simple_sharding", Message(&SIMPLE_SHARDED_DIM))],
};

pub(crate) static SIMPLE_SHARDED_DIM: Table = Table {
    name: "SimpleShardedDimProto",
    rows: &[one(1, "dim_value", Int64), one(2, "dim_param", Text), one(3, "num_shards", Int64)],
};

pub(crate) static INT_INT_LIST_ENTRY: Table =
    Table { name: "IntIntListEntryProto", rows: &[one(1, "key", Int64), many(2, "value", Int64)] };

static ATTRIBUTE_TYPE: [&str; 15] = [
    "UNDEFINED",
    "FLOAT",
    "INT",
    "STRING",
    "TENSOR",
    "GRAPH",
    "FLOATS",
    "INTS",
    "STRINGS",
    "TENSORS",
    "GRAPHS",
    "SPARSE_TENSOR",
    "SPARSE_TENSORS",
    "TYPE_PROTO",
    "TYPE_PROTOS",
];

static DATA_LOCATION: [&str; 2] = ["DEFAULT", "EXTERNAL"];
