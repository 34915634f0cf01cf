use super::{Lexer, TextResult, Token};
use crate::{Dim, TensorType, Type};
use modelsmith_base::DType;

/// Reads a type.
///
/// # Errors
/// Where the text is no type.
pub fn parse_type(l: &mut Lexer) -> TextResult<Type> {
    l.nested(type_inside)
}

fn type_inside(l: &mut Lexer) -> TextResult<Type> {
    if l.eat('?')? {
        return Ok(match l.peek() {
            Token::Punct('[') => Type::Tensor(TensorType { dtype: None, shape: shape(l)? }),
            _ => Type::Unknown,
        });
    }
    let Token::Ident(word) = *l.peek() else { return l.error(format!("a type is expected, found {}", l.found())) };
    if let Some(dtype) = DType::parse(word) {
        l.next()?;
        return Ok(Type::Tensor(TensorType { dtype: Some(dtype), shape: shape(l)? }));
    }
    if !matches!(word, "sparse" | "seq" | "optional" | "map" | "opaque") {
        return l.error(format!("`{word}` is no type"));
    }
    l.next()?;
    l.expect('(')?;
    let out = match word {
        "seq" => Type::Sequence(Box::new(parse_type(l)?)),
        "optional" => Type::Optional(Box::new(parse_type(l)?)),
        "map" => {
            let key = parse_dtype(l)?;
            l.expect(',')?;
            Type::Map(key, Box::new(parse_type(l)?))
        }
        "opaque" => {
            let domain = l.string()?;
            l.expect(',')?;
            Type::Opaque(domain, l.string()?)
        }
        _ => match parse_type(l)? {
            Type::Tensor(t) => Type::Sparse(t),
            _ => return l.error("`sparse` wants a tensor type"),
        },
    };
    l.expect(')')?;
    Ok(out)
}

/// Reads an element type.
pub(super) fn parse_dtype(l: &mut Lexer) -> TextResult<DType> {
    match *l.peek() {
        Token::Ident(word) if DType::parse(word).is_some() => {
            l.next()?;
            Ok(DType::parse(word).unwrap_or(DType::F32))
        }
        _ => l.error(format!("an element type is expected, found {}", l.found())),
    }
}

fn shape(l: &mut Lexer) -> TextResult<Option<Vec<Dim>>> {
    let mut ranked = true;
    let dims = l.list(('[', ']'), |l| {
        if l.eat('*')? {
            ranked = false;
            return Ok(Dim::Unknown);
        }
        parse_dim(l)
    })?;
    if !ranked && dims.len() != 1 {
        return l.error("`*` stands alone: nothing is known of the shape");
    }
    Ok(ranked.then_some(dims))
}

/// Reads a dimension.
///
/// # Errors
/// Where the text is no dimension.
pub fn parse_dim(l: &mut Lexer) -> TextResult<Dim> {
    l.nested(|l| {
        let mut sum = Dim::Known(0);
        let mut negative = l.eat('-')?;
        loop {
            let mut product = factor(l)?;
            while l.eat('*')? {
                product = product * factor(l)?;
            }
            sum = if negative { sum - product } else { sum + product };
            negative = match l.peek() {
                Token::Punct('+') => false,
                Token::Punct('-') => true,
                _ => return Ok(sum),
            };
            l.next()?;
        }
    })
}

fn factor(l: &mut Lexer) -> TextResult<Dim> {
    match l.peek() {
        Token::Punct('?') => {
            l.next()?;
            Ok(Dim::Unknown)
        }
        Token::Number(_) => Ok(Dim::Known(l.int()?)),
        Token::Str(_) => Ok(Dim::symbol(&l.string()?)),
        Token::Ident(word) => {
            let word = *word;
            l.next()?;
            if !matches!(word, "floordiv" | "mod" | "min" | "max" | "broadcast") {
                return Ok(Dim::symbol(word));
            }
            l.expect('(')?;
            let a = parse_dim(l)?;
            l.expect(',')?;
            let b = parse_dim(l)?;
            l.expect(')')?;
            Ok(match word {
                "floordiv" => a.floor_div(&b),
                "mod" => a.modulo(&b),
                "min" => a.smaller(&b),
                "max" => a.larger(&b),
                _ => a.broadcast(&b).unwrap_or(Dim::Unknown),
            })
        }
        _ => l.error(format!("a dimension is expected, found {}", l.found())),
    }
}
