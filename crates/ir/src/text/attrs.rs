//! Attributes and weight expressions.

use super::literal::{elements, hex, parse_unsigned, print_f32, print_hex, print_literal, print_sizes};
use super::types::parse_dtype;
use super::{Lexer, TextResult, Token, parse_type};
use crate::{Attr, AttrKind, code_of_dtype, dtype_of_code};
use modelsmith_base::{Budget, DType};
use modelsmith_tensor::{Evaluator, Tensor, WeightExpr, materialize};
use std::fmt::Write;
use std::sync::Arc;

const KINDS: [(&str, AttrKind); 13] = [
    ("int", AttrKind::Int),
    ("float", AttrKind::Float),
    ("string", AttrKind::String),
    ("tensor", AttrKind::Tensor),
    ("sparse", AttrKind::Sparse),
    ("type", AttrKind::Type),
    ("graph", AttrKind::Graph),
    ("ints", AttrKind::Ints),
    ("floats", AttrKind::Floats),
    ("strings", AttrKind::Strings),
    ("tensors", AttrKind::Tensors),
    ("types", AttrKind::Types),
    ("graphs", AttrKind::Graphs),
];

/// Attributes that hold an element type as its number.
fn holds_dtype(name: &str) -> bool {
    matches!(name, "to" | "dtype" | "output_dtype" | "stash_type" | "softmax_precision")
}

/// Reads the value of an attribute; `wanted` is the kind in the schema, if there is one.
///
/// # Errors
/// Where the text is no value.
pub fn parse_attr(l: &mut Lexer, wanted: Option<AttrKind>) -> TextResult<Attr> {
    Ok(match l.peek() {
        Token::Str(_) => Attr::String(l.string()?),
        Token::Punct('[') => list(l, wanted)?,
        Token::Punct('@') => {
            l.next()?;
            let name = l.name()?;
            l.expect(':')?;
            let kind = l.name()?;
            match KINDS.iter().find(|(n, _)| *n == kind) {
                Some((_, kind)) => Attr::Ref(name, *kind),
                None => return l.error(format!("`{kind}` is no kind of attribute")),
            }
        }
        Token::Ident("inf" | "nan") | Token::Number(_) | Token::Punct('-') => number(l, wanted)?,
        Token::Ident(word) => match *word {
            "hex" => {
                l.next()?;
                Attr::Bytes(hex(l)?)
            }
            "type" => {
                l.next()?;
                Attr::Type(parse_type(l)?)
            }
            "types" => {
                l.next()?;
                Attr::Types(l.list(('[', ']'), parse_type)?)
            }
            "tensors" => {
                l.next()?;
                Attr::Tensors(l.list(('[', ']'), |l| Ok(Arc::new(parse_weight(l)?)))?)
            }
            "ints" | "strings" => {
                let kind = if *word == "ints" { AttrKind::Ints } else { AttrKind::Strings };
                l.next()?;
                list(l, Some(kind))?
            }
            "floats" => {
                l.next()?;
                list(l, Some(AttrKind::Floats))?
            }
            "sparse" => sparse(l)?,
            word if DType::parse(word).is_some() => {
                let dtype = parse_dtype(l)?;
                match l.peek() {
                    Token::Punct('[') => {
                        let shape = l.list(('[', ']'), |l| l.int::<usize>())?;
                        Attr::Tensor(Arc::new(WeightExpr::Literal(elements(l, dtype, &shape)?)))
                    }
                    _ => Attr::Int(code_of_dtype(dtype)),
                }
            }
            _ => Attr::Tensor(Arc::new(parse_weight(l)?)),
        },
        _ => return l.error(format!("the value of an attribute is expected, found {}", l.found())),
    })
}

fn sparse(l: &mut Lexer) -> TextResult<Attr> {
    l.next()?;
    l.expect('(')?;
    let values = Arc::new(parse_weight(l)?);
    l.expect(',')?;
    let indices = Arc::new(parse_weight(l)?);
    l.expect(',')?;
    let shape = l.list(('[', ']'), |l| l.int::<i64>())?;
    l.expect(')')?;
    Ok(Attr::Sparse(values, indices, shape))
}

/// True when `text` is the spelling of a float rather than of an integer.
fn is_float(text: &str) -> bool {
    !text.starts_with("0x") && text.contains(['.', 'e', 'E'])
}

fn number(l: &mut Lexer, wanted: Option<AttrKind>) -> TextResult<Attr> {
    match one_number(l, wanted == Some(AttrKind::Float))? {
        Number::Int(i) => Ok(Attr::Int(i)),
        Number::Float(x) => Ok(Attr::Float(x)),
    }
}

enum Number {
    Int(i64),
    Float(f32),
}

fn one_number(l: &mut Lexer, float: bool) -> TextResult<Number> {
    let negative = l.eat('-')?;
    match *l.peek() {
        Token::Number(text) if !float && !is_float(text) => {
            let n = l.int::<i128>()?;
            match i64::try_from(if negative { -n } else { n }) {
                Ok(n) => Ok(Number::Int(n)),
                Err(_) => l.error("the integer does not fit 64 bits"),
            }
        }
        _ => Ok(Number::Float(parse_unsigned(l, negative)?.single())),
    }
}

fn list(l: &mut Lexer, wanted: Option<AttrKind>) -> TextResult<Attr> {
    let mut strings = Vec::new();
    let mut numbers = Vec::new();
    l.list(('[', ']'), |l| {
        match l.peek() {
            Token::Str(_) => strings.push(l.string()?),
            _ => numbers.push(one_number(l, wanted == Some(AttrKind::Floats))?),
        }
        Ok(())
    })?;
    if !strings.is_empty() && !numbers.is_empty() {
        return l.error("a list holds strings or numbers, not both");
    }
    let any_float = numbers.iter().any(|n| matches!(n, Number::Float(_)));
    Ok(match wanted {
        Some(AttrKind::Strings) if numbers.is_empty() => Attr::Strings(strings),
        Some(AttrKind::Floats) if strings.is_empty() => Attr::Floats(numbers.into_iter().map(as_f32).collect()),
        _ if !strings.is_empty() => Attr::Strings(strings),
        _ if any_float => Attr::Floats(numbers.into_iter().map(as_f32).collect()),
        _ => Attr::Ints(numbers.into_iter().map(|n| if let Number::Int(i) = n { i } else { 0 }).collect()),
    })
}

fn as_f32(n: Number) -> f32 {
    match n {
        Number::Int(i) => i as f32,
        Number::Float(x) => x,
    }
}

/// Writes the value of an attribute.
pub(super) fn print_attr(out: &mut String, name: &str, attr: &Attr, full: bool) {
    match attr {
        Attr::Int(i) => match dtype_of_code(*i).filter(|_| holds_dtype(name)) {
            Some(d) => out.push_str(d.name()),
            None => _ = write!(out, "{i}"),
        },
        Attr::Float(x) => print_f32(out, *x),
        Attr::String(s) => _ = write!(out, "{s:?}"),
        Attr::Bytes(b) => print_hex(out, b),
        Attr::Tensor(w) => print_weight(out, w, full),
        Attr::Sparse(values, indices, shape) => {
            out.push_str("sparse(");
            print_weight(out, values, full);
            out.push_str(", ");
            print_weight(out, indices, full);
            _ = write!(out, ", {shape:?})");
        }
        Attr::Type(t) => _ = write!(out, "type {t}"),
        Attr::Ints(v) if v.is_empty() => out.push_str("ints []"),
        Attr::Ints(v) => _ = write!(out, "{v:?}"),
        Attr::Floats(v) => {
            out.push_str(if v.is_empty() { "floats [" } else { "[" });
            separated(out, v, |out, x| print_f32(out, *x));
            out.push(']');
        }
        Attr::Strings(v) if v.is_empty() => out.push_str("strings []"),
        Attr::Strings(v) => _ = write!(out, "{v:?}"),
        Attr::Tensors(v) => {
            out.push_str("tensors [");
            separated(out, v, |out, w| print_weight(out, w, full));
            out.push(']');
        }
        Attr::Types(v) => {
            out.push_str("types [");
            separated(out, v, |out, t| _ = write!(out, "{t}"));
            out.push(']');
        }
        Attr::Ref(name, kind) => {
            let kind = KINDS.iter().find(|(_, k)| k == kind).map_or("int", |(n, _)| n);
            out.push('@');
            super::print::ident(out, name);
            _ = write!(out, ": {kind}");
        }
    }
}

pub(super) fn separated<T>(out: &mut String, items: &[T], mut one: impl FnMut(&mut String, &T)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        one(out, item);
    }
}

/// Reads a literal or a lazy weight.
pub(super) fn parse_weight(l: &mut Lexer) -> TextResult<WeightExpr> {
    l.nested(weight_inside)
}

fn weight_inside(l: &mut Lexer) -> TextResult<WeightExpr> {
    let Token::Ident(word) = *l.peek() else {
        return l.error(format!("a tensor is expected, found {}", l.found()));
    };
    if DType::parse(word).is_some() {
        return Ok(WeightExpr::Literal(super::parse_literal(l)?));
    }
    if !matches!(word, "cast" | "permute" | "reshape" | "slice" | "view" | "concat" | "eval") {
        return l.error(format!("a tensor is expected, found {}", l.found()));
    }
    l.next()?;
    l.expect('(')?;
    let sub = |l: &mut Lexer| parse_weight(l).map(Arc::new);
    let sizes = |l: &mut Lexer| {
        l.expect(',')?;
        l.list(('[', ']'), |l| l.int::<usize>())
    };
    let number = |l: &mut Lexer| {
        l.expect(',')?;
        l.int::<usize>()
    };
    let rest = |l: &mut Lexer| {
        let mut out = Vec::new();
        while l.eat(',')? {
            out.push(sub(l)?);
        }
        Ok(out)
    };
    let out = match word {
        "cast" => {
            let w = sub(l)?;
            l.expect(',')?;
            WeightExpr::Cast(w, parse_dtype(l)?)
        }
        "permute" => WeightExpr::Permute(sub(l)?, sizes(l)?),
        "reshape" => WeightExpr::Reshape(sub(l)?, sizes(l)?),
        "slice" => WeightExpr::Slice { of: sub(l)?, axis: number(l)?, start: number(l)?, len: number(l)? },
        "view" => {
            let (of, offset, shape) = (sub(l)?, number(l)?, sizes(l)?);
            WeightExpr::View { of, offset, shape, strides: sizes(l)? }
        }
        "concat" => {
            let axis = l.int::<usize>()?;
            WeightExpr::Concat(rest(l)?, axis)
        }
        _ => {
            let op = l.string()?;
            l.expect(',')?;
            let dtype = parse_dtype(l)?;
            let shape = l.list(('[', ']'), |l| l.int::<usize>())?;
            WeightExpr::Eval { op, inputs: rest(l)?, dtype, shape }
        }
    };
    l.expect(')')?;
    Ok(out)
}

/// Writes a weight; large literals and bytes of a file are left out unless `full`.
pub(super) fn print_weight(out: &mut String, w: &WeightExpr, full: bool) {
    const SMALL: usize = 16;
    match w {
        WeightExpr::Literal(t) if full || t.len() <= SMALL => print_literal(out, t),
        WeightExpr::Read(r) => match (full || w.len() <= SMALL).then(|| bytes_of(w)).flatten() {
            Some(t) => print_literal(out, &t),
            None => {
                elided(out, w);
                _ = write!(out, " {:?} {}", r.source.name(), r.offset);
            }
        },
        WeightExpr::Blocks(b) => match (full || w.len() <= SMALL).then(|| bytes_of(w)).flatten() {
            Some(t) => print_literal(out, &t),
            None => {
                elided(out, w);
                _ = write!(out, " {:?} {}", b.source.name(), b.offset);
            }
        },
        WeightExpr::Literal(_) => elided(out, w),
        WeightExpr::Encode { of, .. } => print_weight(out, of, full),
        WeightExpr::View { of, offset, shape, strides } => call(out, "view", |out| {
            print_weight(out, of, full);
            _ = write!(out, ", {offset}, {shape:?}, {strides:?}");
        }),
        WeightExpr::Cast(w, d) => call(out, "cast", |out| {
            print_weight(out, w, full);
            _ = write!(out, ", {d}");
        }),
        WeightExpr::Permute(w, p) => call(out, "permute", |out| with_sizes(out, w, p, full)),
        WeightExpr::Reshape(w, s) => call(out, "reshape", |out| with_sizes(out, w, s, full)),
        WeightExpr::Slice { of, axis, start, len } => call(out, "slice", |out| {
            print_weight(out, of, full);
            _ = write!(out, ", {axis}, {start}, {len}");
        }),
        WeightExpr::Concat(parts, axis) => call(out, "concat", |out| {
            _ = write!(out, "{axis}");
            operands(out, parts, full);
        }),
        WeightExpr::Eval { op, inputs, dtype, shape } => call(out, "eval", |out| {
            _ = write!(out, "{op:?}, {dtype}");
            print_sizes(out, shape);
            operands(out, inputs, full);
        }),
    }
}

fn call(out: &mut String, name: &str, body: impl FnOnce(&mut String)) {
    out.push_str(name);
    out.push('(');
    body(out);
    out.push(')');
}

fn with_sizes(out: &mut String, w: &WeightExpr, sizes: &[usize], full: bool) {
    print_weight(out, w, full);
    out.push_str(", ");
    print_sizes(out, sizes);
}

fn operands(out: &mut String, parts: &[Arc<WeightExpr>], full: bool) {
    for p in parts {
        out.push_str(", ");
        print_weight(out, p, full);
    }
}

fn elided(out: &mut String, w: &WeightExpr) {
    out.push_str(w.dtype().name());
    print_sizes(out, &w.shape());
    out.push_str(" elided");
}

struct NoOperators;

impl Evaluator for NoOperators {
    fn eval(&self, op: &str, _: &[Tensor]) -> modelsmith_tensor::Result<Tensor> {
        Err(modelsmith_tensor::Error::Eval { op: op.into(), message: "operators are not run here".into() })
    }
}

fn bytes_of(w: &WeightExpr) -> Option<Tensor> {
    materialize(w, &NoOperators, &Budget::unlimited()).ok()
}
