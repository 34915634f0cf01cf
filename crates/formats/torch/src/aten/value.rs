//! What an argument of an operator, a variable or an attribute may be while a program is turned into a graph.

use modelsmith_ir::{Type, ValueId};
use modelsmith_tensor::Tensor;
use std::collections::HashMap;
use std::rc::Rc;

/// A value of the program. Numbers that are known stay numbers; what has an identity is a place on the [`Heap`].
#[derive(Clone, Debug)]
pub(crate) enum Val {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    Device(Rc<str>),
    /// A number that only a run knows: a scalar of the graph.
    Num(Kind, ValueId),
    Tensor(TensorRef),
    List(ListRef),
    Tuple(Rc<Tuple>),
    Dict(DictRef),
    Object(ObjectRef),
    /// A function or class of the archive, by its dotted name.
    Code(Rc<str>),
    /// A value that may be absent: where the flag holds it is there.
    Maybe(ValueId, Rc<Val>),
    /// A variable that has no value on the way here, and what it would have been.
    Unset(Rc<str>),
}

/// The kinds of Python numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Float,
}

/// A tuple; a named one has the names of its fields.
#[derive(Clone, Debug)]
pub(crate) struct Tuple {
    pub items: Vec<Val>,
    pub names: Vec<String>,
}

/// A place of a tensor on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TensorRef(pub usize);
/// A place of a list on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListRef(pub usize);
/// A place of a dictionary on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DictRef(pub usize);
/// A place of an object on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectRef(pub usize);

/// What can be changed in place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heap {
    pub tensors: Vec<Cell>,
    pub lists: Vec<List>,
    pub dicts: Vec<Vec<(Val, Val)>>,
    pub objects: Vec<Object>,
}

/// A tensor: elements of its own, or a view of another.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// `version` counts the writes.
    Base { value: ValueId, version: u32 },
    /// `value` is the view as it was at `version` of the base.
    View { of: TensorRef, step: Step, value: ValueId, version: u32 },
}

/// How a view lies in what it is a view of. Axes and indices are not negative; sizes are scalars of the graph where they
/// are not numbers.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The same elements in the same order, in another shape.
    Reshape(ValueId),
    /// `out.shape[i] = in.shape[perm[i]]`.
    Permute(Vec<usize>),
    /// One index of an axis, which goes away.
    Select(usize, ValueId),
    /// `start..end` by `step` along an axis: three vectors of one element.
    Slice(usize, ValueId, ValueId, ValueId),
    /// Repeated along axes of size 1: written to by nobody.
    Expand(ValueId),
    /// All of it.
    Same,
}

/// A list.
#[derive(Clone, Debug)]
pub(crate) enum List {
    /// Items that are known one by one.
    Items(Vec<Val>),
    /// As many tensors as a run makes: a sequence of the graph, and the type of its elements.
    Sequence(ValueId, Type),
    /// As many integers, floats or flags as a run makes: a vector of the graph.
    Vector(Kind, ValueId),
}

/// An instance of a class.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub class: Rc<str>,
    pub attrs: HashMap<String, Val>,
    /// Its name as a module: `encoder.layers.0`.
    pub path: Rc<str>,
}

impl Val {
    pub(crate) fn str(text: &str) -> Val {
        Val::Str(text.into())
    }

    pub(crate) fn tuple(items: Vec<Val>) -> Val {
        Val::Tuple(Rc::new(Tuple { items, names: Vec::new() }))
    }

    /// What it is, for messages.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Val::None => "None",
            Val::Bool(_) | Val::Num(Kind::Bool, _) => "a bool",
            Val::Int(_) | Val::Num(Kind::Int, _) => "an int",
            Val::Float(_) | Val::Num(Kind::Float, _) => "a float",
            Val::Str(_) => "a string",
            Val::Device(_) => "a device",
            Val::Tensor(_) => "a tensor",
            Val::List(_) => "a list",
            Val::Tuple(_) => "a tuple",
            Val::Dict(_) => "a dictionary",
            Val::Object(_) => "an object",
            Val::Code(_) => "a function",
            Val::Maybe(..) => "an optional value",
            Val::Unset(_) => "a variable without a value",
        }
    }

    /// The kind of a number, known or not.
    pub(crate) fn number(&self) -> Option<Kind> {
        match self {
            Val::Bool(_) => Some(Kind::Bool),
            Val::Int(_) => Some(Kind::Int),
            Val::Float(_) => Some(Kind::Float),
            Val::Num(kind, _) => Some(*kind),
            _ => None,
        }
    }
}

/// A count as PyTorch's integers hold it.
pub(crate) fn long(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(0)
}

/// The nearest float of an integer.
pub(crate) fn float(n: i64) -> f64 {
    Tensor::scalar(n).to_f64s().ok().and_then(|v| v.first().copied()).unwrap_or(0.0)
}
