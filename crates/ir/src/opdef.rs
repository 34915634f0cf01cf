//! One static record per operator.

use crate::{AdaptCx, AttrKind, Builder, EvalCx, InferCx, NodeId, OpError, OpResult, Samples, ValueId};
use modelsmith_base::DType;
use modelsmith_tensor::Value;

/// All that the project knows of an operator at the hub opset, and of each version before.
pub struct OpDef {
    /// Name, as in the specification.
    pub name: &'static str,
    /// Domain; empty for `ai.onnx`.
    pub domain: &'static str,
    /// Opset version of the domain in which the operator took its present form.
    pub since: u32,
    /// Inputs, outputs, attributes and type constraints of that form.
    pub schema: Schema,
    /// What passes may assume.
    pub flags: Flags,
    /// Types (and symbolic values) of the outputs from those of the inputs.
    pub infer: fn(&mut InferCx) -> OpResult<()>,
    /// The reference: obviously right, safe code. Absent inputs are `None`; returns one value per declared output
    /// that the node may have (trailing optional ones may be left out).
    pub eval: fn(&EvalCx, &[Option<&Value>]) -> OpResult<Vec<Value>>,
    /// The same in simpler operators. Builds nodes and returns the values that replace the node's outputs.
    pub decompose: Option<fn(&mut Builder, NodeId) -> OpResult<Vec<ValueId>>>,
    /// Opset version in which the operator ended, for one that was replaced: on import its uses are decomposed.
    pub ends: Option<u32>,
    /// Versions before `since`, oldest first.
    pub history: &'static [Past],
    /// Valid inputs for the generic tests.
    pub samples: fn(&mut Samples),
}

impl OpDef {
    /// A record to be completed with `..OpDef::BASE`.
    pub const BASE: OpDef = OpDef {
        name: "",
        domain: "",
        since: 1,
        schema: Schema::EMPTY,
        flags: Flags::NONE,
        infer: |_| Ok(()),
        eval: |_, _| Err(OpError::Unsupported("this operator has no reference".into())),
        decompose: None,
        ends: None,
        history: &[],
        samples: |_| {},
    };

    /// The schema in force at opset `version` of the domain; `None` before the operator existed.
    pub fn schema_at(&self, version: u32) -> Option<&Schema> {
        if version >= self.since {
            return Some(&self.schema);
        }
        self.history.iter().rev().find(|p| p.since <= version).map(|p| &p.schema)
    }

    /// The version of the operator in force at opset `version` of the domain.
    pub fn version_at(&self, version: u32) -> Option<u32> {
        if version >= self.since {
            return Some(self.since);
        }
        self.history.iter().rev().find(|p| p.since <= version).map(|p| p.since)
    }
}

impl std::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.domain {
            "" => f.write_str(self.name),
            domain => write!(f, "{domain}.{}", self.name),
        }
    }
}

/// Records are statics, compared by name.
impl PartialEq for OpDef {
    fn eq(&self, other: &OpDef) -> bool {
        self.name == other.name && self.domain == other.domain
    }
}
impl Eq for OpDef {}

/// Inputs, outputs, attributes and type constraints.
pub struct Schema {
    /// Inputs.
    pub inputs: &'static [Param],
    /// Outputs.
    pub outputs: &'static [Param],
    /// Attributes, bodies included.
    pub attrs: &'static [AttrDef],
    /// Type variables.
    pub types: &'static [TypeVar],
}

impl Schema {
    /// Nothing.
    pub const EMPTY: Schema = Schema { inputs: &[], outputs: &[], attrs: &[], types: &[] };

    /// Fewest and most inputs.
    pub fn input_range(&self) -> (usize, usize) {
        range(self.inputs)
    }

    /// Fewest and most outputs.
    pub fn output_range(&self) -> (usize, usize) {
        range(self.outputs)
    }

    /// The parameter of input `i`; a variadic one repeats.
    pub fn input(&self, i: usize) -> Option<&Param> {
        param(self.inputs, i)
    }

    /// The parameter of output `i`; a variadic one repeats.
    pub fn output(&self, i: usize) -> Option<&Param> {
        param(self.outputs, i)
    }

    /// Types that a parameter's type string allows.
    pub fn allowed(&self, ty: &str) -> Option<TypeSet> {
        self.types.iter().find(|v| v.name == ty).map(|v| v.set)
    }
}

fn range(params: &[Param]) -> (usize, usize) {
    let needed = params
        .iter()
        .rposition(|p| !matches!(p.kind, ParamKind::Optional | ParamKind::Variadic(0) | ParamKind::Mixed(0)))
        .map_or(0, |i| i + 1);
    match params.last().map(|p| p.kind) {
        Some(ParamKind::Variadic(min) | ParamKind::Mixed(min)) => ((params.len() - 1 + min).max(needed), usize::MAX),
        _ => (needed, params.len()),
    }
}

fn param(params: &'static [Param], i: usize) -> Option<&'static Param> {
    params.get(i).or_else(|| params.last().filter(|p| matches!(p.kind, ParamKind::Variadic(_) | ParamKind::Mixed(_))))
}

/// An input or output of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Name.
    pub name: &'static str,
    /// Type variable, or a type spelled as in the ONNX specification, `tensor(int64)`.
    pub ty: &'static str,
    /// How often it occurs.
    pub kind: ParamKind,
}

/// How often a parameter occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// Once.
    Single,
    /// Once or not at all.
    Optional,
    /// Any number of times, at least this often, all of one type.
    Variadic(usize),
    /// Any number of times, at least this often, types free. Written as `Variadic` with a free type variable.
    Mixed(usize),
}

impl Param {
    /// A parameter that is always there.
    pub const fn one(name: &'static str, ty: &'static str) -> Param {
        Param { name, ty, kind: ParamKind::Single }
    }
    /// A parameter that may be absent.
    pub const fn opt(name: &'static str, ty: &'static str) -> Param {
        Param { name, ty, kind: ParamKind::Optional }
    }
    /// A parameter that repeats at least `min` times.
    pub const fn many(name: &'static str, ty: &'static str, min: usize) -> Param {
        Param { name, ty, kind: ParamKind::Variadic(min) }
    }
    /// A parameter that repeats at least `min` times, each with a type of its own.
    pub const fn mixed(name: &'static str, ty: &'static str, min: usize) -> Param {
        Param { name, ty, kind: ParamKind::Mixed(min) }
    }
}

/// An attribute of an operator.
#[derive(Clone, Copy, Debug)]
pub struct AttrDef {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: AttrKind,
    /// Default.
    pub default: Default,
}

/// The default of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// The attribute must be given.
    Required,
    /// Without a default: absence has a meaning of its own.
    Absent,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A string.
    String(&'static str),
    /// Integers.
    Ints(&'static [i64]),
    /// Floats.
    Floats(&'static [f32]),
    /// Strings.
    Strings(&'static [&'static str]),
}

impl AttrDef {
    /// An attribute that must be given.
    pub const fn required(name: &'static str, kind: AttrKind) -> AttrDef {
        AttrDef { name, kind, default: Default::Required }
    }
    /// An attribute that may be absent.
    pub const fn optional(name: &'static str, kind: AttrKind) -> AttrDef {
        AttrDef { name, kind, default: Default::Absent }
    }
    /// An integer with a default.
    pub const fn int(name: &'static str, default: i64) -> AttrDef {
        AttrDef { name, kind: AttrKind::Int, default: Default::Int(default) }
    }
    /// A float with a default.
    pub const fn float(name: &'static str, default: f32) -> AttrDef {
        AttrDef { name, kind: AttrKind::Float, default: Default::Float(default) }
    }
    /// A string with a default.
    pub const fn string(name: &'static str, default: &'static str) -> AttrDef {
        AttrDef { name, kind: AttrKind::String, default: Default::String(default) }
    }
    /// Integers with a default.
    pub const fn ints(name: &'static str, default: &'static [i64]) -> AttrDef {
        AttrDef { name, kind: AttrKind::Ints, default: Default::Ints(default) }
    }
    /// Floats with a default.
    pub const fn floats(name: &'static str, default: &'static [f32]) -> AttrDef {
        AttrDef { name, kind: AttrKind::Floats, default: Default::Floats(default) }
    }
    /// Strings with a default.
    pub const fn strings(name: &'static str, default: &'static [&'static str]) -> AttrDef {
        AttrDef { name, kind: AttrKind::Strings, default: Default::Strings(default) }
    }
}

/// A set of element types, with flags for values that are not dense tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeSet(u64);

impl TypeSet {
    const SEQ: u64 = 1 << 40;
    const OPT: u64 = 1 << 41;
    const MAP: u64 = 1 << 42;
    const TENSOR: u64 = 1 << 43;
    const SPARSE: u64 = 1 << 44;

    /// Dense tensors of these element types.
    pub const fn tensors(dtypes: &[DType]) -> TypeSet {
        let (mut bits, mut i) = (TypeSet::TENSOR, 0);
        while i < dtypes.len() {
            bits |= 1 << dtypes[i] as u32;
            i += 1;
        }
        TypeSet(bits)
    }
    /// Both sets.
    pub const fn or(self, other: TypeSet) -> TypeSet {
        TypeSet(self.0 | other.0)
    }
    /// The set without dense tensors: `tensors(..).only_sequences()` is `seq(tensor(..))`.
    pub const fn only_sequences(self) -> TypeSet {
        TypeSet(self.0 & !TypeSet::TENSOR | TypeSet::SEQ)
    }
    /// The set with sequences of its tensors too.
    pub const fn and_sequences(self) -> TypeSet {
        TypeSet(self.0 | TypeSet::SEQ)
    }
    /// The set with optionals of what it holds too.
    pub const fn and_optionals(self) -> TypeSet {
        TypeSet(self.0 | TypeSet::OPT)
    }
    /// The set without dense tensors and sequences, optionals only.
    pub const fn only_optionals(self) -> TypeSet {
        TypeSet(self.0 & !TypeSet::TENSOR | TypeSet::OPT)
    }
    /// The set with maps too.
    pub const fn and_maps(self) -> TypeSet {
        TypeSet(self.0 | TypeSet::MAP)
    }
    /// The set with sparse tensors of its element types too.
    pub const fn and_sparse(self) -> TypeSet {
        TypeSet(self.0 | TypeSet::SPARSE)
    }
    /// True when dense tensors of this element type belong to the set.
    pub const fn has(self, dtype: DType) -> bool {
        self.0 & TypeSet::TENSOR != 0 && self.0 & (1 << dtype as u32) != 0
    }
    /// Element types of the set, whatever holds them.
    pub fn dtypes(self) -> impl Iterator<Item = DType> {
        DType::ALL.into_iter().filter(move |&d| self.0 & (1 << d as u32) != 0)
    }
    /// True when sequences belong to the set.
    pub const fn has_sequences(self) -> bool {
        self.0 & TypeSet::SEQ != 0
    }
    /// True when optionals belong to the set.
    pub const fn has_optionals(self) -> bool {
        self.0 & TypeSet::OPT != 0
    }
}

/// A type variable and what it may be.
#[derive(Clone, Copy, Debug)]
pub struct TypeVar {
    /// Name, as in the schema.
    pub name: &'static str,
    /// What it may be.
    pub set: TypeSet,
}

/// A [`TypeVar`] in a static table.
pub const fn types_of(name: &'static str, set: TypeSet) -> TypeVar {
    TypeVar { name, set }
}

/// What passes may assume of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Result `i` depends on operands at `i` only, after broadcasting.
    pub elementwise: bool,
    /// The two operands may be swapped.
    pub commutative: bool,
    /// Two runs may differ: never folded, never merged.
    pub random: bool,
    /// Moves elements without computing on them.
    pub moves: bool,
}

impl Flags {
    /// No assumption.
    pub const NONE: Flags = Flags { elementwise: false, commutative: false, random: false, moves: false };
    /// Element-wise.
    pub const ELEMENTWISE: Flags = Flags { elementwise: true, ..Flags::NONE };
    /// Element-wise and commutative.
    pub const COMMUTATIVE: Flags = Flags { commutative: true, ..Flags::ELEMENTWISE };
    /// Not repeatable.
    pub const RANDOM: Flags = Flags { random: true, ..Flags::NONE };
    /// Moves elements only.
    pub const MOVES: Flags = Flags { moves: true, ..Flags::NONE };
}

/// An earlier version of an operator and the way to the version that follows it, and back.
pub struct Past {
    /// Opset version in which this form began.
    pub since: u32,
    /// Its schema.
    pub schema: Schema,
    /// From this form to the next.
    pub up: Adapt,
    /// From the next form to this one.
    pub down: Adapt,
}

/// A step between two neighbouring versions.
#[derive(Clone, Copy)]
pub enum Adapt {
    /// The node is the same in both. Going down, the types and attributes used are checked against the schema.
    Compatible,
    /// The node is rewritten in place.
    Rewrite(fn(&mut AdaptCx) -> OpResult<()>),
    /// The target cannot say it.
    Unsupported(&'static str),
}
