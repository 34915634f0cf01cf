//! The JSON of an exported program: PyTorch's `torch/_export/serde/schema.py`, major versions 3 to 8.
//!
//! Fields that no graph needs are not read. A union is an object of one pair, which is how serde writes an enum.

use modelsmith_format::{Error, Result};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, Visitor};
use std::collections::HashMap;
use std::fmt;

/// A program.
#[derive(serde::Deserialize)]
pub(super) struct Program {
    pub graph_module: GraphModule,
    #[serde(default)]
    pub range_constraints: HashMap<String, Range>,
    #[serde(default)]
    pub torch_version: String,
    #[serde(default)]
    pub guards_code: Vec<String>,
}

/// Only the version, which is looked at before the rest.
#[derive(serde::Deserialize)]
struct Versioned {
    #[serde(default)]
    schema_version: Option<Version>,
}

#[derive(serde::Deserialize)]
struct Version {
    major: i64,
    minor: i64,
}

#[derive(serde::Deserialize)]
pub(super) struct GraphModule {
    pub graph: Graph,
    pub signature: Signature,
    #[serde(default)]
    pub module_call_graph: Vec<ModuleCall>,
    #[serde(default)]
    pub treespec_namedtuple_fields: HashMap<String, NamedTuple>,
}

#[derive(serde::Deserialize)]
pub(super) struct NamedTuple {
    pub field_names: Vec<String>,
}

#[derive(serde::Deserialize)]
pub(super) struct ModuleCall {
    pub fqn: String,
    #[serde(default)]
    pub signature: Option<CallSignature>,
}

#[derive(serde::Deserialize)]
pub(super) struct CallSignature {
    #[serde(default)]
    pub out_spec: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Graph {
    pub inputs: Vec<Argument>,
    pub outputs: Vec<Argument>,
    pub nodes: Vec<Node>,
    #[serde(default)]
    pub tensor_values: HashMap<String, TensorMeta>,
    #[serde(default)]
    pub sym_int_values: HashMap<String, SymInt>,
    #[serde(default)]
    pub sym_bool_values: HashMap<String, IgnoredAny>,
}

#[derive(serde::Deserialize)]
pub(super) struct Node {
    pub target: String,
    pub inputs: Vec<NamedArgument>,
    pub outputs: Vec<Argument>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

#[derive(serde::Deserialize)]
pub(super) struct NamedArgument {
    pub name: String,
    pub arg: Argument,
    #[serde(default)]
    pub kind: Option<i64>,
}

#[derive(serde::Deserialize)]
pub(super) struct TensorMeta {
    pub dtype: i64,
    pub sizes: Vec<SymInt>,
    #[serde(default)]
    pub strides: Vec<SymInt>,
    #[serde(default)]
    pub storage_offset: Option<SymInt>,
}

#[derive(serde::Deserialize)]
pub(super) enum SymInt {
    #[serde(rename = "as_expr")]
    Expr(SymExpr),
    #[serde(rename = "as_int")]
    Int(i64),
}

#[derive(serde::Deserialize)]
pub(super) struct SymExpr {
    pub expr_str: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Name {
    pub name: String,
}

/// An item of a list that may hold values of the graph and plain ones.
#[derive(serde::Deserialize)]
pub(super) enum Mixed {
    #[serde(rename = "as_name")]
    Name(String),
    #[serde(rename = "as_int")]
    Int(i64),
    #[serde(rename = "as_float")]
    Float(Real),
    #[serde(rename = "as_bool")]
    Bool(bool),
}

#[derive(serde::Deserialize)]
pub(super) enum OptionalTensor {
    #[serde(rename = "as_tensor")]
    Tensor(Name),
    #[serde(rename = "as_none")]
    None(IgnoredAny),
}

#[derive(serde::Deserialize)]
pub(super) struct Subgraph {
    pub name: String,
    pub graph: Graph,
}

#[derive(serde::Deserialize)]
pub(super) struct Device {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(serde::Deserialize)]
pub(super) struct CustomObject {
    pub name: String,
    #[serde(default)]
    pub class_fqn: String,
}

/// An argument, an input or an output.
#[derive(serde::Deserialize)]
pub(super) enum Argument {
    #[serde(rename = "as_none")]
    None(IgnoredAny),
    #[serde(rename = "as_tensor")]
    Tensor(Name),
    #[serde(rename = "as_tensors")]
    Tensors(Vec<Name>),
    #[serde(rename = "as_int")]
    Int(i64),
    #[serde(rename = "as_ints")]
    Ints(Vec<i64>),
    #[serde(rename = "as_float")]
    Float(Real),
    #[serde(rename = "as_floats")]
    Floats(Vec<Real>),
    #[serde(rename = "as_string")]
    Text(String),
    #[serde(rename = "as_strings")]
    Texts(Vec<String>),
    #[serde(rename = "as_sym_int", alias = "as_sym_bool", alias = "as_sym_float")]
    Number(Mixed),
    #[serde(rename = "as_sym_ints", alias = "as_sym_bools", alias = "as_sym_floats")]
    Numbers(Vec<Mixed>),
    #[serde(rename = "as_scalar_type")]
    Element(i64),
    #[serde(rename = "as_memory_format", alias = "as_layout")]
    Idle(IgnoredAny),
    #[serde(rename = "as_device")]
    Device(Device),
    #[serde(rename = "as_bool")]
    Bool(bool),
    #[serde(rename = "as_bools")]
    Bools(Vec<bool>),
    #[serde(rename = "as_graph")]
    Graph(Box<Subgraph>),
    #[serde(rename = "as_optional_tensors")]
    OptionalTensors(Vec<OptionalTensor>),
    #[serde(rename = "as_optional_tensor")]
    OptionalTensor(OptionalTensor),
    #[serde(rename = "as_custom_obj")]
    Custom(CustomObject),
    #[serde(rename = "as_operator")]
    Operator(String),
    #[serde(rename = "as_complex")]
    Complex(IgnoredAny),
    #[serde(rename = "as_nested_tensors")]
    NestedTensors(Vec<Vec<Name>>),
    #[serde(rename = "as_int_lists")]
    IntLists(IgnoredAny),
    #[serde(rename = "as_float_lists")]
    FloatLists(IgnoredAny),
    #[serde(rename = "as_string_to_argument")]
    Named(IgnoredAny),
}

#[derive(serde::Deserialize)]
pub(super) struct Signature {
    pub input_specs: Vec<InputSpec>,
    pub output_specs: Vec<OutputSpec>,
}

#[derive(serde::Deserialize)]
pub(super) enum InputSpec {
    #[serde(rename = "user_input")]
    User { arg: Argument },
    #[serde(rename = "parameter")]
    Parameter { arg: Name, parameter_name: String },
    #[serde(rename = "buffer")]
    Buffer { arg: Name, buffer_name: String },
    #[serde(rename = "tensor_constant")]
    Constant { arg: Name, tensor_constant_name: String },
    #[serde(rename = "custom_obj")]
    Custom { arg: CustomObject, custom_obj_name: String },
    #[serde(rename = "token")]
    Token { arg: Name },
    #[serde(rename = "constant_input")]
    Fixed { name: String, value: Argument },
}

#[derive(serde::Deserialize)]
pub(super) enum OutputSpec {
    #[serde(rename = "user_output")]
    User { arg: Argument },
    #[serde(rename = "loss_output")]
    Loss { arg: Name },
    #[serde(rename = "buffer_mutation")]
    Buffer { arg: Name, buffer_name: String },
    #[serde(rename = "parameter_mutation")]
    Parameter { arg: Name, parameter_name: String },
    #[serde(rename = "gradient_to_parameter")]
    ParameterGradient { parameter_name: String },
    #[serde(rename = "gradient_to_user_input")]
    InputGradient { user_input_name: String },
    #[serde(rename = "user_input_mutation")]
    Input { arg: Name, user_input_name: String },
    #[serde(rename = "token")]
    Token(IgnoredAny),
}

/// Bounds of a symbol; a bound beyond 64 bits is none.
#[derive(serde::Deserialize)]
pub(super) struct Range {
    pub min_val: Option<serde_json::Number>,
    pub max_val: Option<serde_json::Number>,
}

/// Payloads by name: `data/weights/NAME_weights_config.json`.
#[derive(serde::Deserialize)]
pub(super) struct Payloads {
    pub config: HashMap<String, Payload>,
}

#[derive(serde::Deserialize)]
pub(super) struct Payload {
    pub path_name: String,
    #[serde(default)]
    pub use_pickle: bool,
    #[serde(default)]
    pub tensor_meta: Option<TensorMeta>,
}

/// A float. What JSON cannot say is a string.
#[derive(Clone, Copy)]
pub(super) struct Real(pub f64);

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Real, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Real;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or the name of one that JSON cannot say")
            }
            fn visit_f64<E: de::Error>(self, x: f64) -> std::result::Result<Real, E> {
                Ok(Real(x))
            }
            fn visit_i64<E: de::Error>(self, x: i64) -> std::result::Result<Real, E> {
                Ok(Real(crate::aten::value::float(x)))
            }
            fn visit_u64<E: de::Error>(self, x: u64) -> std::result::Result<Real, E> {
                Ok(Real(i64::try_from(x).map_or(f64::INFINITY, crate::aten::value::float)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Real, E> {
                match text {
                    "Infinity" | "inf" => Ok(Real(f64::INFINITY)),
                    "-Infinity" | "-inf" => Ok(Real(f64::NEG_INFINITY)),
                    "NaN" | "nan" => Ok(Real(f64::NAN)),
                    other => Err(E::custom(format!("{other:?} is no number"))),
                }
            }
        }
        from.deserialize_any(Number)
    }
}

/// Reads the JSON `text` of the member `member`, which is the file's bytes from `offset` where they are stored as they are.
///
/// # Errors
/// Where it is no JSON or not of the schema: the member, and the byte offset in it.
pub(super) fn parse<'a, T: Deserialize<'a>>(member: &str, text: &'a [u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|e| {
        // Lines are counted from 1, and so are columns.
        let lines = text.split_inclusive(|&b| b == b'\n').take(e.line().saturating_sub(1));
        let before = lines.map(<[u8]>::len).fold(0usize, usize::saturating_add);
        let at = before.saturating_add(e.column().saturating_sub(1)).min(text.len());
        let what = e.to_string();
        let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(w, _)| w);
        Error::damaged(format!("{member}, byte {at}: {what}"))
    })
}

/// The program in `text`.
///
/// # Errors
/// As [`parse`]; where its schema is of a version that is not read.
pub(super) fn program(member: &str, text: &[u8]) -> Result<Program> {
    let versioned: Versioned = parse(member, text)?;
    let (major, minor) = versioned.schema_version.map_or((0, 0), |v| (v.major, v.minor));
    if !(0..=8).contains(&major) {
        let what = format!("{member}: the program is of the schema {major}.{minor}, versions up to 8 are read");
        return Err(Error::unsupported(what).help("export it with the PyTorch that wrote it, or with 2.15"));
    }
    parse(member, text)
}
