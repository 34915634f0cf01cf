//! The text form read: models and functions.
//!
//! The grammar is that of ONNX's `docs/Syntax.md`. Beyond it, names that are no identifiers may stand in quotes wherever a
//! name stands, and lists of tensors, graphs and types are read.

use super::lex::Lexer;
use super::words::begins_type;
use crate::schema::{
    Entry, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, Text, ValueInfoProto,
};
use modelsmith_format::Result;
use std::borrow::Cow;

/// Most graphs, or types, inside each other.
const DEEPEST: usize = 32;

/// A text that is read.
pub(super) struct Parser<'t> {
    pub(super) lex: Lexer<'t>,
    pub(super) depth: usize,
}

/// A string of a message.
pub(super) fn owned(text: impl Into<String>) -> Text<'static> {
    Some(Cow::Owned(text.into()))
}

/// What is defined between angle brackets before a model or function.
#[derive(Default)]
struct Header {
    model: ModelProto<'static>,
    overload: Text<'static>,
}

/// The whole of `text` as a model.
///
/// # Errors
/// At the first character that does not fit, with line and column.
pub(super) fn model(text: &[u8]) -> Result<ModelProto<'static>> {
    let mut p = Parser { lex: Lexer::new(text), depth: 0 };
    let header = p.header(false)?;
    let graph = p.graph()?;
    let mut out = ModelProto { graph: Some(graph), ..header.model };
    while p.lex.next().is_some() {
        out.functions.push(p.function()?);
    }
    Ok(out)
}

/// The whole of `text` as functions: one or more.
///
/// # Errors
/// At the first character that does not fit, with line and column.
pub(super) fn functions(text: &[u8]) -> Result<Vec<FunctionProto<'static>>> {
    let mut p = Parser { lex: Lexer::new(text), depth: 0 };
    let mut out = vec![p.function()?];
    while p.lex.next().is_some() {
        out.push(p.function()?);
    }
    Ok(out)
}

impl Parser<'_> {
    /// Runs `inner` one level deeper.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            return Err(self.lex.error(&format!("more than {DEEPEST} levels inside each other")));
        }
        self.depth += 1;
        let out = inner(self);
        self.depth -= 1;
        out
    }

    /// Items with a comma between them, up to `close`.
    pub(super) fn list<T>(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut out = Vec::new();
        if self.lex.eat(close) {
            return Ok(out);
        }
        loop {
            out.push(item(self)?);
            if !self.lex.eat(b',') {
                break;
            }
        }
        match self.lex.eat(close) {
            true => Ok(out),
            false => Err(self.lex.expected(&format!("`,` or `{}`", char::from(close)))),
        }
    }

    /// `<key: value, ...>`, which may be absent.
    fn header(&mut self, function: bool) -> Result<Header> {
        let mut out = Header::default();
        if !self.lex.eat(b'<') {
            return Ok(out);
        }
        let known = match function {
            true => "`domain`, `opset_import`, `overload` or `doc_string`",
            false => {
                "`ir_version`, `opset_import`, `producer_name`, `producer_version`, `domain`, `model_version`, \
                 `doc_string` or `metadata_props`"
            }
        };
        loop {
            let place = self.lex.place();
            let key = self.lex.word(known)?;
            let m = &mut out.model;
            match (key, function) {
                ("opset_import", _) => {
                    self.lex.want(b':')?;
                    self.lex.want(b'[')?;
                    out.model.opset_import = self.list(b']', Self::import)?;
                }
                ("metadata_props", false) => {
                    self.lex.want(b':')?;
                    self.lex.want(b'[')?;
                    out.model.metadata_props = self.list(b']', Self::pair)?;
                }
                ("ir_version", false) => m.ir_version = Some(self.number()?),
                ("model_version", false) => m.model_version = Some(self.number()?),
                ("domain", _) => m.domain = self.text()?,
                ("doc_string", _) => m.doc_string = self.text()?,
                ("producer_name", false) => m.producer_name = self.text()?,
                ("producer_version", false) => m.producer_version = self.text()?,
                ("overload", true) => out.overload = self.text()?,
                _ => {
                    self.lex.back(place);
                    return Err(self.lex.expected(known));
                }
            }
            if !self.lex.eat(b',') {
                break;
            }
        }
        match self.lex.eat(b'>') {
            true => Ok(out),
            false => Err(self.lex.expected("`,` or `>`")),
        }
    }

    fn number(&mut self) -> Result<i64> {
        self.lex.want(b':')?;
        self.lex.int("a whole number")
    }

    fn text(&mut self) -> Result<Text<'static>> {
        self.lex.want(b':')?;
        self.lex.string("a string in quotes").map(owned)
    }

    fn import(&mut self) -> Result<OperatorSetIdProto<'static>> {
        let domain = self.lex.string("the name of a domain in quotes")?;
        self.lex.want(b':')?;
        let version = Some(self.lex.int("the version of the domain")?);
        Ok(OperatorSetIdProto { domain: owned(domain), version, ..OperatorSetIdProto::default() })
    }

    /// `"key": "value"`.
    pub(super) fn pair(&mut self) -> Result<Entry<'static>> {
        let key = self.lex.string("a key in quotes")?;
        self.lex.want(b':')?;
        let value = self.lex.string("a value in quotes")?;
        Ok(Entry { key: owned(key), value: owned(value), ..Entry::default() })
    }

    /// `name (inputs) => (outputs) <initializers and types> { nodes }`.
    pub(super) fn graph(&mut self) -> Result<GraphProto<'static>> {
        self.nested(|p| {
            let name = owned(p.lex.name("the name of a graph")?);
            let mut out = GraphProto { name, ..GraphProto::default() };
            p.lex.want(b'(')?;
            let inputs = p.list(b')', Self::value_or_initializer)?;
            for (info, initializer) in inputs {
                out.input.push(info);
                out.initializer.extend(initializer);
            }
            p.lex.arrow()?;
            p.lex.want(b'(')?;
            out.output = p.list(b')', Self::value_info)?;
            if p.lex.eat(b'<') {
                for (info, initializer) in p.list(b'>', Self::value_or_initializer)? {
                    match initializer {
                        Some(tensor) => out.initializer.push(tensor),
                        None => out.value_info.push(info),
                    }
                }
            }
            out.node = p.nodes()?;
            Ok(out)
        })
    }

    /// A type, which may be absent, and a name.
    fn value_info(&mut self) -> Result<ValueInfoProto<'static>> {
        let ty = match begins_type(self.lex.peek()) {
            true => Some(self.ty()?),
            false => None,
        };
        let name = owned(self.lex.name(if ty.is_some() { "a name" } else { "a type or a name" })?);
        Ok(ValueInfoProto { name, ty, ..ValueInfoProto::default() })
    }

    fn value_or_initializer(&mut self) -> Result<(ValueInfoProto<'static>, Option<TensorProto<'static>>)> {
        let info = self.value_info()?;
        if !self.lex.eat(b'=') {
            return Ok((info, None));
        }
        let mut tensor = self.tensor(info.ty.as_ref())?;
        tensor.name.clone_from(&info.name);
        Ok((info, Some(tensor)))
    }

    fn nodes(&mut self) -> Result<Vec<NodeProto<'static>>> {
        self.lex.want(b'{')?;
        let mut out = Vec::new();
        while !self.lex.eat(b'}') {
            out.push(self.node()?);
        }
        Ok(out)
    }

    /// `[label] outputs = domain.Op:overload <attributes> (inputs)`; attributes may stand behind the inputs.
    fn node(&mut self) -> Result<NodeProto<'static>> {
        let mut out = NodeProto::default();
        if self.lex.eat(b'[') {
            out.name = owned(self.lex.name("the name of a node")?);
            self.lex.want(b']')?;
        }
        out.output = self.names()?;
        if !self.lex.eat(b'=') {
            return Err(self.lex.expected(if out.output.is_empty() { "a node or `}`" } else { "`,` or `=`" }));
        }
        let mut path = vec![self.lex.name("the name of an operator")?];
        while self.lex.eat(b'.') {
            path.push(self.lex.name("the name of an operator")?);
        }
        out.op_type = path.pop().map(Cow::Owned);
        out.domain = owned(path.join(".")).filter(|d| !d.is_empty());
        if self.lex.eat(b':') {
            out.overload = owned(self.lex.name("the name of an overload")?);
        }
        if self.lex.eat(b'<') {
            out.attribute = self.list(b'>', Self::attribute)?;
        }
        self.lex.want(b'(')?;
        out.input = self.names()?;
        if !self.lex.eat(b')') {
            return Err(self.lex.expected("a name, `,` or `)`"));
        }
        if out.attribute.is_empty() && self.lex.eat(b'<') {
            out.attribute = self.list(b'>', Self::attribute)?;
        }
        Ok(out)
    }

    /// Names with commas between them. One may be empty, as `""` or by its comma alone; a comma at the end says nothing.
    fn names(&mut self) -> Result<Vec<Cow<'static, str>>> {
        let mut out = Vec::new();
        loop {
            let empty = self.lex.peek().is_empty() && self.lex.next() != Some(b'"');
            if empty && self.lex.next() != Some(b',') {
                return Ok(out);
            }
            out.push(Cow::Owned(if empty { String::new() } else { self.lex.name("a name")? }));
            if !self.lex.eat(b',') {
                return Ok(out);
            }
        }
    }

    /// `<domain: .., opset_import: [..]> Name <attributes> (inputs) => (outputs) { nodes }`.
    fn function(&mut self) -> Result<FunctionProto<'static>> {
        let header = self.header(true)?;
        let name = owned(self.lex.name("the name of a function")?);
        let model = header.model;
        let mut out = FunctionProto {
            name,
            domain: model.domain,
            overload: header.overload,
            doc_string: model.doc_string,
            opset_import: model.opset_import,
            ..FunctionProto::default()
        };
        if self.lex.eat(b'<') {
            for attribute in self.list(b'>', Self::declared)? {
                match attribute {
                    (name, None) => out.attribute.push(name.into()),
                    (_, Some(attribute)) => out.attribute_proto.push(attribute),
                }
            }
        }
        let mut infos = Vec::new();
        self.lex.want(b'(')?;
        out.input = self.list(b')', |p| p.named(&mut infos))?;
        self.lex.arrow()?;
        self.lex.want(b'(')?;
        out.output = self.list(b')', |p| p.named(&mut infos))?;
        if self.lex.eat(b'<') {
            infos.extend(self.list(b'>', Self::value_info)?);
        }
        out.value_info = infos;
        out.node = self.nodes()?;
        Ok(out)
    }

    /// An input or output of a function; its type goes to `infos` where it has one.
    fn named(&mut self, infos: &mut Vec<ValueInfoProto<'static>>) -> Result<Cow<'static, str>> {
        let info = self.value_info()?;
        let name = info.name.clone().unwrap_or_default();
        if info.ty.is_some() {
            infos.push(info);
        }
        Ok(name)
    }
}
