//! Patterns in the text of rules: `Mul(x, Add(Erf(Div(x, 1.4142135)), 1))`.
//!
//! A name in lower case is any value, the same name the same value; a name in upper case is a constant; a number is a
//! constant all of whose elements are it, of any shape; `Op(..) {attr = value}` is a hub operator whose other attributes have their
//! defaults. Commutative operators match either way.

use crate::{Graph, Try};
use modelsmith_ir::text::{Lexer, TextResult, Token, parse_attr};
use modelsmith_ir::{Attr, Attrs, Builder, Default, NodeId, OpDef, OpError, OpResult, ValueId};
use modelsmith_tensor::DType;

/// What a pattern matched.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Values behind names.
    pub values: Vec<(String, ValueId)>,
    /// Nodes, the root last.
    pub nodes: Vec<NodeId>,
}

impl Match {
    /// The value behind a name of the pattern.
    ///
    /// # Errors
    /// When the pattern has no such name.
    pub fn get(&self, name: &str) -> Try<ValueId> {
        let found = self.values.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
        found.ok_or_else(|| format!("the pattern names no {name}").into())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Value(String),
    Constant(String),
    Number(f64),
    Node { def: &'static OpDef, attrs: Attrs, operands: Vec<Pattern> },
}

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> TextResult<Pattern> {
        let mut l = Lexer::new(text)?;
        let p = l.nested(parse)?;
        match l.peek() {
            Token::End => Ok(p),
            _ => l.error(format!("the end is expected, found {}", l.found())),
        }
    }

    /// The operator at the root.
    pub(crate) fn root(&self) -> Option<&'static OpDef> {
        match self {
            Pattern::Node { def, .. } => Some(def),
            _ => None,
        }
    }

    /// Names of values and of constants, in order of first use.
    pub(crate) fn names(&self) -> Vec<(String, bool)> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }

    fn collect(&self, out: &mut Vec<(String, bool)>) {
        let mut add = |name: &String, constant| {
            if out.iter().all(|(n, _)| n != name) {
                out.push((name.clone(), constant));
            }
        };
        match self {
            Pattern::Value(n) => add(n, false),
            Pattern::Constant(n) => add(n, true),
            Pattern::Number(_) => {}
            Pattern::Node { operands, .. } => operands.iter().for_each(|o| o.collect(out)),
        }
    }

    /// Matches the node `root`. Nodes inside the match must be used inside of it only.
    pub(crate) fn find(&self, g: &Graph, root: NodeId) -> Try<Match> {
        let mut best = String::from("another operator");
        let found = self.node(g, root, Match::default(), &mut best);
        let m = match found.into_iter().next() {
            Some(m) => m,
            None => return Err(best.into()),
        };
        for &n in m.nodes.iter().filter(|&&n| n != root) {
            let outputs = g.model().nodes[n].outputs.iter().flatten();
            let outside = outputs.flat_map(|&v| g.uses(v)).any(|u| match u {
                modelsmith_ir::Use::Operand(user, _) => !m.nodes.contains(user),
                modelsmith_ir::Use::Result(..) => true,
            });
            if outside {
                return Err("a value inside is used elsewhere".into());
            }
        }
        Ok(m)
    }

    /// All ways to match, given what was matched before; `best` is left with the reason of the last miss.
    fn node(&self, g: &Graph, n: NodeId, before: Match, best: &mut String) -> Vec<Match> {
        let Pattern::Node { def, attrs, operands } = self else { return vec![] };
        let node = &g.model().nodes[n];
        if node.known() != Some(def) {
            *best = format!("{} where {} is wanted", g.model().op_name(n), def.name);
            return vec![];
        }
        if !attrs_match(def, attrs, &node.attrs) {
            *best = format!("attributes of {}", def.name);
            return vec![];
        }
        let given = node.inputs.iter().flatten().copied().collect::<Vec<_>>();
        if given.len() != operands.len() || given.len() != node.inputs.len() {
            *best = format!("{} has {} operands, {} are wanted", def.name, given.len(), operands.len());
            return vec![];
        }
        let mut orders = vec![given.clone()];
        if def.flags.commutative && given.len() == 2 {
            orders.push(vec![given[1], given[0]]);
        }
        let mut out = Vec::new();
        for order in orders {
            let mut states = vec![before.clone()];
            for (p, v) in operands.iter().zip(order) {
                states = states.into_iter().flat_map(|m| p.value(g, v, m, best)).collect();
            }
            out.extend(states.into_iter().map(|mut m| {
                m.nodes.push(n);
                m
            }));
        }
        out
    }

    fn value(&self, g: &Graph, v: ValueId, mut m: Match, best: &mut String) -> Vec<Match> {
        match self {
            Pattern::Value(name) | Pattern::Constant(name) => {
                if matches!(self, Pattern::Constant(_)) && g.constant(v).is_err() {
                    *best = format!("{name} is no constant");
                    return vec![];
                }
                match m.get(name) {
                    Ok(bound) if bound == v => vec![m],
                    Ok(_) => {
                        *best = format!("{name} is two values");
                        vec![]
                    }
                    Err(_) => {
                        m.values.push((name.clone(), v));
                        vec![m]
                    }
                }
            }
            Pattern::Number(wanted) => match g.uniform(v) {
                Ok(x) if near(x, *wanted, g.ty(v).dtype()) => vec![m],
                Ok(x) => {
                    *best = format!("{x} where {wanted} is wanted");
                    vec![]
                }
                Err(why) => {
                    *best = why.0.into_owned();
                    vec![]
                }
            },
            Pattern::Node { def, .. } => match g.model().producer(v) {
                Some(n) => self.node(g, n, m, best),
                None => {
                    *best = format!("no node where {} is wanted", def.name);
                    vec![]
                }
            },
        }
    }

    /// Builds the pattern as nodes.
    pub(crate) fn build(&self, b: &mut Builder, m: &Match, like: ValueId) -> OpResult<ValueId> {
        match self {
            Pattern::Value(n) | Pattern::Constant(n) => m.get(n).map_err(|why| OpError::invalid(why.0)),
            Pattern::Number(x) => b.scalar_like(like, *x),
            Pattern::Node { def, attrs, operands } => {
                let operands = operands.iter().map(|o| o.build(b, m, like)).collect::<OpResult<Vec<_>>>()?;
                let operands = operands.into_iter().map(Some).collect::<Vec<_>>();
                let made = b.node(def.domain, def.name, &operands, attrs.clone(), 1)?;
                made.first().copied().ok_or_else(|| OpError::invalid("no result"))
            }
        }
    }
}

/// Numbers that binary fractions of few digits can say must match exactly; others to the precision of
/// the type.
fn near(x: f64, wanted: f64, dtype: Option<DType>) -> bool {
    let exact = wanted * 1024.0 == (wanted * 1024.0).trunc();
    let tolerance = match dtype {
        _ if exact => 0.0,
        Some(DType::F64) => 1e-14,
        Some(DType::F16) => 1e-3,
        Some(DType::BF16) => 8e-3,
        _ => 2e-6,
    };
    x == wanted || (x - wanted).abs() <= tolerance * wanted.abs()
}

fn attrs_match(def: &OpDef, wanted: &Attrs, given: &Attrs) -> bool {
    let named = wanted.iter().all(|(name, value)| match given.get(name) {
        Some(found) => attr_near(found, value),
        None => default_of(def, name).is_some_and(|d| attr_near(&d, value)),
    });
    let others = given.iter().filter(|(name, _)| wanted.get(name).is_none());
    named && others.into_iter().all(|(name, value)| default_of(def, name).is_some_and(|d| attr_near(&d, value)))
}

fn attr_near(a: &Attr, b: &Attr) -> bool {
    match (a, b) {
        (Attr::Float(x), Attr::Float(y)) => (x - y).abs() <= 1e-6 * y.abs(),
        _ => modelsmith_ir::same_attrs(&Attrs::new().with("a", a.clone()), &Attrs::new().with("a", b.clone())),
    }
}

fn default_of(def: &OpDef, name: &str) -> Option<Attr> {
    let d = def.schema.attrs.iter().find(|a| a.name == name)?.default;
    Some(match d {
        Default::Int(x) => Attr::Int(x),
        Default::Float(x) => Attr::Float(x),
        Default::String(x) => Attr::String(x.into()),
        Default::Ints(x) => Attr::Ints(x.to_vec()),
        Default::Floats(x) => Attr::Floats(x.to_vec()),
        Default::Strings(_) | Default::Required | Default::Absent => return None,
    })
}

fn parse(l: &mut Lexer) -> TextResult<Pattern> {
    if matches!(l.peek(), Token::Number(_) | Token::Punct('-')) {
        let sign = if l.eat('-')? { -1.0 } else { 1.0 };
        return match l.next()? {
            Token::Number(n) => match n.parse::<f64>() {
                Ok(x) => Ok(Pattern::Number(sign * x)),
                Err(_) => l.error(format!("`{n}` is no number")),
            },
            _ => l.error("a number is expected after `-`"),
        };
    }
    let mut parts = vec![l.name()?];
    while l.eat('.')? {
        parts.push(l.name()?);
    }
    let name = parts.pop().unwrap_or_default();
    if *l.peek() != Token::Punct('(') {
        let constant = name.chars().next().is_some_and(char::is_uppercase);
        return Ok(if constant { Pattern::Constant(name) } else { Pattern::Value(name) });
    }
    let Some(def) = modelsmith_ops::all().get(&parts.join("."), &name) else {
        return l.error(format!("the operator {name} is unknown"));
    };
    let operands = l.list(('(', ')'), |l| l.nested(parse))?;
    let mut attrs = Attrs::new();
    if *l.peek() == Token::Punct('{') {
        l.list(('{', '}'), |l| {
            let name = l.name()?;
            l.expect('=')?;
            let kind = def.schema.attrs.iter().find(|a| a.name == name).map(|a| a.kind);
            attrs.set(&name, parse_attr(l, kind)?);
            Ok(())
        })?;
    }
    Ok(Pattern::Node { def, attrs, operands })
}
