//! The code of an archive as a tree.

use std::rc::Rc;

/// A file: its classes and functions.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub classes: Vec<Class>,
    pub functions: Vec<Rc<Function>>,
}

/// A class: a module, a named tuple, or a class of the program.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub name: String,
    /// `Module`, `NamedTuple`, `Interface`; empty for a class of the program.
    pub base: String,
    /// Attributes in order with their types, and the values of those that are constants.
    pub attrs: Vec<(String, Type, Option<Expr>)>,
    pub methods: Vec<Rc<Function>>,
}

/// A function or method.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub name: String,
    pub params: Vec<Param>,
    pub body: Vec<Stmt>,
    /// Name of the file in the archive.
    pub file: Rc<str>,
}

/// A parameter.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub name: String,
    pub ty: Option<Type>,
    pub default: Option<Expr>,
}

/// A type: a dotted name, and what is in its brackets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Type {
    pub name: String,
    pub args: Vec<Type>,
}

/// A statement and its line.
#[derive(Clone, Debug)]
pub(crate) struct Stmt {
    pub what: Do,
    pub line: u32,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// `a, b = value`; one target without a comma takes the value whole.
    Assign {
        targets: Vec<Expr>,
        unpack: bool,
        value: Expr,
    },
    Expr(Expr),
    If {
        cond: Expr,
        then: Vec<Stmt>,
        other: Vec<Stmt>,
    },
    While {
        cond: Expr,
        body: Vec<Stmt>,
    },
    For {
        target: String,
        count: Expr,
        body: Vec<Stmt>,
    },
    Return(Option<Expr>),
    /// A block under a context manager, which says nothing in a graph.
    With(Vec<Stmt>),
    Raise(Expr),
    Assert(Expr, Option<Expr>),
    Pass,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    /// A number on the imaginary axis.
    Imaginary,
    Name(Rc<str>),
    Attr(Box<Expr>, Rc<str>),
    Item(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Vec<(Option<String>, Expr)>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Unary(&'static str, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `a if cond else b`.
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
}

impl Type {
    pub(crate) fn plain(name: &str) -> Type {
        Type { name: name.to_owned(), args: Vec::new() }
    }

    /// True for `List[...]` and its kin.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

impl Expr {
    /// `torch.nn.functional` as a dotted name.
    pub(crate) fn dotted(&self) -> Option<String> {
        match self {
            Expr::Name(name) => Some(name.to_string()),
            Expr::Attr(of, name) => Some(format!("{}.{name}", of.dotted()?)),
            _ => None,
        }
    }
}
