use super::attrs::{parse_attr, parse_weight};
use super::literal::hex;
use super::{Lexer, TextResult, Token, parse_type};
use crate::{
    Attrs, Def, Function, FunctionId, Meta, Model, Node, NodeId, Op, OpDef, OpSet, OpSetImport, Origin, RegionId,
    Stage, Type, Value, ValueId,
};
use modelsmith_base::DType;
use modelsmith_tensor::WeightExpr;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads a model. Operators of the hub are looked up in `ops`.
///
/// # Errors
/// At the first place where the text is not of the syntax, names a value before its definition, or names an unknown
/// operator or function.
pub fn parse(text: &str, ops: &OpSet) -> TextResult<Model> {
    let mut p = Parser {
        l: Lexer::new(text)?,
        ops,
        model: Model::new(),
        scopes: Vec::new(),
        functions: HashMap::new(),
        calls: Vec::new(),
    };
    p.model()?;
    Ok(p.model)
}

/// Reads an operator with attributes, `Transpose() {perm = [1, 0]}`, as in [`WeightExpr::Eval`].
///
/// # Errors
/// When the text is something else or the operator is unknown.
pub fn parse_op(text: &str, ops: &OpSet) -> TextResult<(&'static OpDef, Attrs)> {
    let mut l = Lexer::new(text)?;
    let (domain, name) = op_name(&mut l)?;
    let Some(def) = ops.get(&domain, &name) else { return l.error(format!("the operator {domain}.{name} is unknown")) };
    l.expect('(')?;
    l.expect(')')?;
    let mut attrs = Attrs::new();
    if *l.peek() == Token::Punct('{') {
        l.list(('{', '}'), |l| {
            let name = attr_name(l)?;
            l.expect('=')?;
            attrs.set(&name, parse_attr(l, kind_in(def, &name))?);
            Ok(())
        })?;
    }
    match l.peek() {
        Token::End => Ok((def, attrs)),
        _ => l.error(format!("the end is expected, found {}", l.found())),
    }
}

fn kind_in(def: &OpDef, name: &str) -> Option<crate::AttrKind> {
    def.schema.attrs.iter().find(|a| a.name == name).map(|a| a.kind)
}

fn attr_name(l: &mut Lexer) -> TextResult<String> {
    l.name()
}

/// `Conv`, `com.vendor.Odd` or `"odd domain"."Name"`: domain and name.
fn op_name(l: &mut Lexer) -> TextResult<(String, String)> {
    let mut parts = vec![l.name()?];
    while l.eat('.')? {
        parts.push(l.name()?);
    }
    let name = parts.pop().unwrap_or_default();
    Ok((parts.join("."), name))
}

type FunctionKey = (String, String, String);

struct Parser<'t> {
    l: Lexer<'t>,
    ops: &'t OpSet,
    model: Model,
    /// Visible values, innermost region last.
    scopes: Vec<HashMap<(String, Option<u64>), ValueId>>,
    functions: HashMap<FunctionKey, FunctionId>,
    /// Calls of functions that come later in the text.
    calls: Vec<(NodeId, FunctionKey)>,
}

impl Parser<'_> {
    fn model(&mut self) -> TextResult<()> {
        if self.l.eat_word("stage")? {
            self.stage()?;
        }
        if self.l.eat_word("meta")? {
            self.meta()?;
        }
        while self.l.eat_word("function")? {
            self.function()?;
        }
        self.region(self.model.main)?;
        match self.l.peek() {
            Token::End => {}
            _ => return self.l.error(format!("the end is expected, found {}", self.l.found())),
        }
        for (node, key) in std::mem::take(&mut self.calls) {
            let Some(&f) = self.functions.get(&key) else {
                return self.l.error(format!("the function {}.{} is called and not defined", key.0, key.1));
            };
            self.model.nodes[node].op = Op::Call(f);
        }
        Ok(())
    }

    fn stage(&mut self) -> TextResult<()> {
        self.model.stage = match self.l.name()?.as_str() {
            "hub" => Stage::Hub,
            "foreign" => Stage::Foreign,
            "legal" => {
                self.l.expect('(')?;
                let name = self.l.string()?;
                self.l.expect(')')?;
                Stage::Legal(name)
            }
            _ => return self.l.error("a stage is hub, foreign or legal(\"format\")"),
        };
        Ok(())
    }

    fn meta(&mut self) -> TextResult<()> {
        let meta = &mut self.model.meta;
        self.l.list(('{', '}'), |l| meta_entry(l, meta))?;
        Ok(())
    }

    fn function(&mut self) -> TextResult<()> {
        let key = self.function_key()?;
        if self.functions.contains_key(&key) {
            return self.l.error(format!("the function {}.{} is defined twice", key.0, key.1));
        }
        let (mut attrs, mut defaults) = (Vec::new(), Attrs::new());
        if *self.l.peek() == Token::Punct('{') {
            self.l.list(('{', '}'), |l| {
                let name = attr_name(l)?;
                match l.eat('=')? {
                    true => defaults.set(&name, parse_attr(l, None)?),
                    false => attrs.push(name),
                }
                Ok(())
            })?;
        }
        let mut opsets = Vec::new();
        while self.l.eat_word("opset")? {
            opsets.push(opset(&mut self.l)?);
        }
        let origin = self.origin()?;
        let region = self.model.add_region("");
        let (domain, name, overload) = key.clone();
        let f = Function { domain, name, overload, region, attrs, defaults, opsets, origin };
        let id = self.model.functions.push(f);
        self.functions.insert(key, id);
        let outer = std::mem::take(&mut self.scopes);
        self.region(region)?;
        self.scopes = outer;
        Ok(())
    }

    fn function_key(&mut self) -> TextResult<FunctionKey> {
        let (domain, name) = op_name(&mut self.l)?;
        let overload = if self.l.eat(':')? { self.l.name()? } else { String::new() };
        Ok((domain, name, overload))
    }

    fn origin(&mut self) -> TextResult<Origin> {
        let mut o = Origin::default();
        if !self.l.eat('@')? {
            return Ok(o);
        }
        self.l.list(('{', '}'), |l| origin_entry(l, &mut o))?;
        Ok(o)
    }

    /// `graph name(params) { .. }` into a region made before.
    fn region(&mut self, region: RegionId) -> TextResult<()> {
        self.l.enter()?;
        if !self.l.eat_word("graph")? {
            return self.l.error(format!("`graph` is expected, found {}", self.l.found()));
        }
        if *self.l.peek() != Token::Punct('(') {
            self.model.regions[region].name = self.l.name()?;
        }
        self.scopes.push(HashMap::new());
        self.l.expect('(')?;
        while !self.l.eat(')')? {
            if !self.model.regions[region].params.is_empty() {
                self.l.expect(',')?;
            }
            let def = Def::Param(region, self.model.regions[region].params.len());
            let id = self.define(def)?;
            self.model.regions[region].params.push(id);
        }
        self.model.regions[region].origin = self.origin()?;
        self.l.expect('{')?;
        while !self.l.eat_word("return")? {
            self.item(region)?;
        }
        while *self.l.peek() != Token::Punct('}') {
            if !self.model.regions[region].results.is_empty() {
                self.l.expect(',')?;
            }
            let v = self.used()?;
            self.model.regions[region].results.push(v);
        }
        self.l.expect('}')?;
        self.scopes.pop();
        self.l.leave();
        Ok(())
    }

    /// `%name: type @{..}` as a new value.
    fn define(&mut self, def: Def) -> TextResult<ValueId> {
        let Token::Value(name, number) = self.l.peek().clone() else {
            return self.l.error(format!("a value is expected, found {}", self.l.found()));
        };
        let key = (name.clone(), number);
        if self.scopes.last().is_some_and(|s| s.contains_key(&key)) {
            return self.l.error(format!("the value %{name} is defined twice"));
        }
        self.l.next()?;
        let ty = if self.l.eat(':')? { parse_type(&mut self.l)? } else { Type::Unknown };
        let origin = self.origin()?;
        let id = self.model.values.push(Value { name, ty, def, origin });
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(key, id);
        }
        Ok(id)
    }

    fn used(&mut self) -> TextResult<ValueId> {
        let Token::Value(name, number) = self.l.peek() else {
            return self.l.error(format!("a value is expected, found {}", self.l.found()));
        };
        let key = (name.clone(), *number);
        match self.scopes.iter().rev().find_map(|s| s.get(&key)).copied() {
            Some(v) => {
                self.l.next()?;
                Ok(v)
            }
            None => self.l.error(format!("the value {} is not defined before", self.l.found())),
        }
    }

    fn item(&mut self, region: RegionId) -> TextResult<()> {
        if self.l.eat_word("weight")? {
            let id = self.define(Def::Nothing)?;
            self.l.expect('=')?;
            let w = parse_weight(&mut self.l)?;
            let value = &mut self.model.values[id];
            if value.ty == Type::Unknown {
                value.ty = Type::fixed(w.dtype(), &w.shape());
            }
            value.def = Def::Weight(region, Arc::new(w));
            self.model.regions[region].weights.push(id);
            return Ok(());
        }
        if self.l.eat_word("expose")? {
            loop {
                let v = self.used()?;
                self.model.regions[region].exposed.push(v);
                if !self.l.eat(',')? {
                    return Ok(());
                }
            }
        }
        self.node(region)
    }

    fn node(&mut self, region: RegionId) -> TextResult<()> {
        let node = Node {
            op: Op::Foreign { domain: String::new(), name: String::new(), version: 0 },
            inputs: Vec::new(),
            outputs: Vec::new(),
            attrs: Attrs::new(),
            regions: Vec::new(),
            name: String::new(),
            origin: Origin::default(),
        };
        let id = self.model.nodes.push(node);
        let outputs = self.outputs()?;
        let (op, domain, name) = self.operator(id)?;
        self.model.nodes[id].op = op;
        self.l.expect('(')?;
        while !self.l.eat(')')? {
            if !self.model.nodes[id].inputs.is_empty() {
                self.l.expect(',')?;
            }
            let v = self.operand(region)?;
            self.model.nodes[id].inputs.push(v);
        }
        if self.l.eat('{')? {
            self.braces(id, &domain, &name)?;
        }
        if self.l.eat_word("as")? {
            self.model.nodes[id].name = self.l.name()?;
        }
        self.model.nodes[id].origin = self.origin()?;
        // Names become visible only now: a node does not see its own results.
        for (i, out) in outputs.into_iter().enumerate() {
            let Some((key, ty, origin)) = out else {
                self.model.nodes[id].outputs.push(None);
                continue;
            };
            let v = self.model.values.push(Value { name: key.0.clone(), ty, def: Def::Node(id, i), origin });
            self.model.nodes[id].outputs.push(Some(v));
            if self.scopes.last_mut().and_then(|s| s.insert(key, v)).is_some() {
                return self.l.error("a value of this name is defined twice in the region");
            }
        }
        self.model.regions[region].body.push(id);
        Ok(())
    }

    /// `%a: type, _, %b =`; nothing when an operator is ahead.
    fn outputs(&mut self) -> TextResult<Vec<Option<((String, Option<u64>), Type, Origin)>>> {
        let mut out = Vec::new();
        loop {
            match self.l.peek().clone() {
                Token::Ident("_") => {
                    self.l.next()?;
                    out.push(None);
                }
                Token::Value(name, number) => {
                    self.l.next()?;
                    let ty = if self.l.eat(':')? { parse_type(&mut self.l)? } else { Type::Unknown };
                    out.push(Some(((name, number), ty, self.origin()?)));
                }
                _ if out.is_empty() => return Ok(out),
                _ => return self.l.error(format!("a value is expected, found {}", self.l.found())),
            }
            if !self.l.eat(',')? {
                self.l.expect('=')?;
                return Ok(out);
            }
        }
    }

    fn operator(&mut self, node: NodeId) -> TextResult<(Op, String, String)> {
        if matches!(self.l.peek(), Token::Ident("call")) {
            self.l.next()?;
            let key = self.function_key()?;
            let out = (Op::Call(FunctionId::new(0)), key.0.clone(), key.1.clone());
            self.calls.push((node, key));
            return Ok(out);
        }
        let (Token::Ident(_) | Token::Str(_)) = self.l.peek() else {
            return self.l.error(format!("an operator is expected, found {}", self.l.found()));
        };
        let (domain, name) = op_name(&mut self.l)?;
        if self.l.eat('@')? {
            let version = self.l.int()?;
            return Ok((Op::Foreign { domain: domain.clone(), name: name.clone(), version }, domain, name));
        }
        match self.ops.get(&domain, &name) {
            Some(def) => Ok((Op::Known(def), domain, name)),
            None => {
                let full = if domain.is_empty() { name } else { format!("{domain}.{name}") };
                self.l.error(format!("the operator {full} is not of the hub; `{full}@1(..)` writes a foreign one"))
            }
        }
    }

    fn operand(&mut self, region: RegionId) -> TextResult<Option<ValueId>> {
        match self.l.peek() {
            Token::Value(..) => self.used().map(Some),
            Token::Ident("_") => {
                self.l.next()?;
                Ok(None)
            }
            Token::Ident(word) if DType::parse(word).is_some() => {
                let t = super::parse_literal(&mut self.l)?;
                Ok(Some(self.model.add_weight(region, "", Arc::new(WeightExpr::Literal(t)))))
            }
            _ => self.l.error(format!("an operand is expected, found {}", self.l.found())),
        }
    }

    /// Attributes and bodies, up to the closing brace.
    fn braces(&mut self, id: NodeId, domain: &str, op: &str) -> TextResult<()> {
        let def = self.ops.get(domain, op);
        let mut first = true;
        while !self.l.eat('}')? {
            if !std::mem::replace(&mut first, false) {
                self.l.expect(',')?;
            }
            let name = attr_name(&mut self.l)?;
            self.l.expect('=')?;
            if matches!(self.l.peek(), Token::Ident("graph")) {
                let region = self.model.add_region("");
                self.model.nodes[id].regions.push((name, region));
                self.region(region)?;
                continue;
            }
            if self.model.nodes[id].attrs.get(&name).is_some() {
                return self.l.error(format!("the attribute {name} is set twice"));
            }
            let value = parse_attr(&mut self.l, def.and_then(|d| kind_in(d, &name)))?;
            self.model.nodes[id].attrs.set(&name, value);
        }
        Ok(())
    }
}

fn opset(l: &mut Lexer) -> TextResult<OpSetImport> {
    let domain = l.string()?;
    l.expect('=')?;
    Ok(OpSetImport { domain, version: l.int()? })
}

fn pair(l: &mut Lexer) -> TextResult<(String, String)> {
    let key = l.string()?;
    l.expect('=')?;
    Ok((key, l.string()?))
}

/// `= hex".."`.
fn bytes(l: &mut Lexer) -> TextResult<Vec<u8>> {
    l.expect('=')?;
    match l.eat_word("hex")? {
        true => hex(l),
        false => l.error(format!("`hex\"..\"` is expected, found {}", l.found())),
    }
}

fn meta_entry(l: &mut Lexer, meta: &mut Meta) -> TextResult<()> {
    let key = l.name()?;
    match key.as_str() {
        "opset" => meta.opsets.push(opset(l)?),
        "prop" => meta.props.push(pair(l)?),
        "extra" => {
            let key = l.string()?;
            meta.extra.push((key, bytes(l)?));
        }
        "ir_version" | "model_version" => {
            l.expect('=')?;
            let n = l.int()?;
            *(if key == "ir_version" { &mut meta.ir_version } else { &mut meta.model_version }) = n;
        }
        "format" | "producer" | "producer_version" | "domain" | "doc" => {
            l.expect('=')?;
            let s = l.string()?;
            *match key.as_str() {
                "format" => &mut meta.format,
                "producer" => &mut meta.producer,
                "producer_version" => &mut meta.producer_version,
                "domain" => &mut meta.domain,
                _ => &mut meta.doc,
            } = s;
        }
        _ => return l.error(format!("`{key}` is nothing that a model says of itself")),
    }
    Ok(())
}

fn origin_entry(l: &mut Lexer, o: &mut Origin) -> TextResult<()> {
    match l.name()?.as_str() {
        "doc" => {
            l.expect('=')?;
            o.doc = l.string()?;
        }
        "prop" => o.props.push(pair(l)?),
        "source" => o.sources.push(l.string()?),
        "extra" => o.extra = bytes(l)?,
        key => return l.error(format!("`{key}` is none of doc, prop, source, extra")),
    }
    Ok(())
}
