//! What a pickle describes.

use super::Error;
use std::borrow::Cow;

/// Index of a node in [`Pickle::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// Position in [`Pickle::nodes`].
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A value. Containers hold ids and may contain themselves.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A larger integer: two's complement, little-endian.
    Big(Cow<'a, [u8]>),
    /// A float.
    Float(f64),
    /// Text; lone surrogates are replaced by U+FFFD.
    Text(Cow<'a, str>),
    /// A Python 2 string: bytes that Python 3 decodes as its reader says.
    Str(Cow<'a, [u8]>),
    /// `bytes`.
    Bytes(Cow<'a, [u8]>),
    /// `bytearray`.
    ByteArray(Cow<'a, [u8]>),
    /// A list.
    List(Vec<NodeId>),
    /// A tuple.
    Tuple(Vec<NodeId>),
    /// A dictionary in the order of its writing; a key that occurs again replaces the earlier value.
    Dict(Vec<(NodeId, NodeId)>),
    /// A set.
    Set(Vec<NodeId>),
    /// A frozen set.
    FrozenSet(Vec<NodeId>),
    /// What an import would give. Module and name are texts, or the results of calls.
    Global {
        /// Module.
        module: NodeId,
        /// Name in the module, with dots for attributes.
        name: NodeId,
    },
    /// What a call would give, and what was done to it since.
    Call(Box<Call>),
    /// An object kept outside the pickle, by its id.
    Persistent(NodeId),
    /// A buffer of protocol 5 that is passed beside the pickle.
    Buffer,
}

/// An object that only a call could make.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// By which instruction.
    pub how: How,
    /// What would be called: a [`Node::Global`] as a rule.
    pub callee: NodeId,
    /// The positional arguments: a tuple as a rule.
    pub args: NodeId,
    /// Keyword arguments of NEWOBJ_EX.
    pub kwargs: Option<NodeId>,
    /// Appended or added items.
    pub items: Vec<NodeId>,
    /// Items set by key.
    pub pairs: Vec<(NodeId, NodeId)>,
    /// States given by BUILD, in order.
    pub states: Vec<NodeId>,
}

/// The instruction that makes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `callee(*args)`.
    Reduce,
    /// `callee.__new__(callee, *args)`.
    New,
    /// `callee.__new__(callee, *args, **kwargs)`.
    NewEx,
    /// As `Reduce`, by the old instruction INST.
    Inst,
    /// As `Reduce`, by the old instruction OBJ.
    Obj,
}

/// Something that the pickle would do to the program that loads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Byte offset of the instruction.
    pub offset: u64,
    /// What.
    pub what: What,
}

/// The kinds of [`Event`].
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An import; the node is the [`Node::Global`].
    Import(NodeId),
    /// A call; the node is the [`Node::Call`].
    Call(NodeId),
    /// A state given to an object, which may be a class or module.
    Build {
        /// The object.
        object: NodeId,
        /// The state.
        state: NodeId,
    },
    /// Items put into something that is no plain container.
    Change(NodeId),
    /// A class of the extension registry.
    Extension(u64),
}

/// What was read of one pickle.
#[derive(Clone, Debug)]
pub struct Pickle<'a> {
    /// All values, in the order of their making.
    pub nodes: Vec<Node<'a>>,
    /// Imports, calls and changes, in order.
    pub events: Vec<Event>,
    /// The value that the pickle gives: there when STOP was reached.
    pub root: Option<NodeId>,
    /// The highest protocol that the pickle names; 0 when it names none.
    pub protocol: u8,
    /// Absolute offset behind the last instruction that was read.
    pub end: u64,
    /// What was on the stack when reading ended, the root apart: of a pickle that broke, its unfinished containers and
    /// what was to go into them.
    pub left: Vec<NodeId>,
    /// The first thing that is wrong. A flaw that Python may pass over leaves `root` in place.
    pub error: Option<Error>,
}

impl<'a> Pickle<'a> {
    /// The node of `id`.
    pub fn node(&self, id: NodeId) -> &Node<'a> {
        self.nodes.get(id.index()).unwrap_or(&Node::None)
    }

    /// A text, or a Python 2 string as UTF-8 where it is that, otherwise as Latin-1.
    pub fn text(&self, id: NodeId) -> Option<Cow<'_, str>> {
        match self.node(id) {
            Node::Text(text) => Some(Cow::Borrowed(text.as_ref())),
            Node::Str(bytes) => Some(match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => Cow::Owned(bytes.iter().map(|&b| char::from(b)).collect()),
            }),
            _ => None,
        }
    }

    /// Module and name of an import, unless they are computed.
    pub fn global(&self, id: NodeId) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        match self.node(id) {
            Node::Global { module, name } => Some((self.text(*module)?, self.text(*name)?)),
            _ => None,
        }
    }

    /// An integer that fits.
    pub fn int(&self, id: NodeId) -> Option<i64> {
        match self.node(id) {
            Node::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub fn items(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// The call that makes `id`.
    pub fn call(&self, id: NodeId) -> Option<&Call> {
        match self.node(id) {
            Node::Call(call) => Some(call),
            _ => None,
        }
    }
}
