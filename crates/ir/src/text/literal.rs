use super::types::parse_dtype;
use super::{Lexer, TextResult, Token};
use modelsmith_base::DType;
use modelsmith_tensor::Tensor;
use std::fmt::Write;

/// Literals of more elements are written as bytes.
const MAX_LISTED: usize = 256;
/// Largest tensor, in bytes, that one element may fill.
const MAX_FILLED: usize = 1 << 28;

/// A float as it is written: a number, or the bits of a NaN.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Float {
    Number(f64, f32),
    Bits(u64),
}

impl Float {
    pub(super) fn single(self) -> f32 {
        match self {
            Float::Number(_, x) => x,
            Float::Bits(b) => f32::from_bits(b as u32),
        }
    }
}

/// Reads a number with sign, `inf`, `nan` or `nan(0x..)`.
pub(super) fn parse_float(l: &mut Lexer) -> TextResult<Float> {
    let negative = l.eat('-')?;
    parse_unsigned(l, negative)
}

/// The same, where the sign was read.
pub(super) fn parse_unsigned(l: &mut Lexer, negative: bool) -> TextResult<Float> {
    let sign = if negative { -1.0 } else { 1.0 };
    match *l.peek() {
        Token::Ident("inf") => {
            l.next()?;
            Ok(Float::Number(f64::INFINITY * sign, f32::INFINITY * sign as f32))
        }
        Token::Ident("nan") => {
            l.next()?;
            if !l.eat('(')? {
                return Ok(Float::Number(f64::NAN, f32::NAN));
            }
            let bits = match l.peek() {
                Token::Number(n) => n.strip_prefix("0x").and_then(|h| u64::from_str_radix(h, 16).ok()),
                _ => None,
            };
            let Some(bits) = bits else { return l.error("the bits of a NaN are expected, `nan(0x7fc00001)`") };
            l.next()?;
            l.expect(')')?;
            Ok(Float::Bits(bits))
        }
        Token::Number(n) => match (n.parse::<f64>(), n.parse::<f32>()) {
            (Ok(wide), Ok(single)) => {
                l.next()?;
                Ok(Float::Number(wide * sign, single * sign as f32))
            }
            _ => l.error(format!("`{n}` is no number")),
        },
        _ => l.error(format!("a number is expected, found {}", l.found())),
    }
}

/// The shortest text that reads back as `x`.
pub(super) fn print_f32(out: &mut String, x: f32) {
    match x.is_nan() {
        true if x.to_bits() == f32::NAN.to_bits() => out.push_str("nan"),
        true => _ = write!(out, "nan({:#x})", x.to_bits()),
        false => _ = write!(out, "{x:?}"),
    }
}

/// Reads `f32[2, 2] [1, 2, 3, 4]`.
///
/// # Errors
/// Where the text is no literal.
pub fn parse_literal(l: &mut Lexer) -> TextResult<Tensor> {
    let dtype = parse_dtype(l)?;
    let shape = l.list(('[', ']'), |l| l.int::<usize>())?;
    elements(l, dtype, &shape)
}

/// The elements of a literal whose head was read.
pub(super) fn elements(l: &mut Lexer, dtype: DType, shape: &[usize]) -> TextResult<Tensor> {
    if *l.peek() == Token::Ident("elided") {
        return l.error("these elements were left out when the text was written: print the model in full");
    }
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let Some(count) = count else { return l.error("the shape is too large") };
    if l.eat_word("hex")? {
        let bytes = hex(l)?;
        return match Tensor::from_bytes(dtype, shape, &bytes) {
            Ok(t) => Ok(t),
            Err(e) => l.error(e.to_string()),
        };
    }
    let fill = |l: &Lexer| -> TextResult<usize> {
        match dtype.bytes_for(count).unwrap_or(count.saturating_mul(24)) <= MAX_FILLED {
            true => Ok(count),
            false => l.error("one element does not fill a tensor of this size: write it as bytes"),
        }
    };
    let made = if dtype == DType::String {
        let (v, one) = items(l, |l| l.string())?;
        Tensor::from_strings(shape, if one { vec_of(v, fill(l)?) } else { v })
    } else if dtype.is_complex() {
        let (v, one) = items(l, |l| {
            l.expect('(')?;
            let re = parse_float(l)?;
            l.expect(',')?;
            let im = parse_float(l)?;
            l.expect(')')?;
            Ok([re, im])
        })?;
        let v = if one { vec_of(v, fill(l)?) } else { v };
        return complex(l, dtype, shape, v);
    } else if dtype.is_float() {
        let (v, one) = items(l, parse_float)?;
        let v = if one { vec_of(v, fill(l)?) } else { v };
        return floats(l, dtype, shape, &v);
    } else {
        let (v, one) = items(l, |l| integer(l, dtype))?;
        Tensor::from_i64s(dtype, shape, &if one { vec_of(v, fill(l)?) } else { v })
    };
    made.or_else(|e| l.error(e.to_string()))
}

fn vec_of<T: Clone>(one: Vec<T>, count: usize) -> Vec<T> {
    one.first().map(|x| vec![x.clone(); count]).unwrap_or_default()
}

/// Elements in brackets, nested as the writer likes; or one element, which is told by `true`.
fn items<T>(l: &mut Lexer, mut item: impl FnMut(&mut Lexer) -> TextResult<T>) -> TextResult<(Vec<T>, bool)> {
    if *l.peek() != Token::Punct('[') {
        return Ok((vec![item(l)?], true));
    }
    let mut out = Vec::new();
    let mut open = 0usize;
    loop {
        if l.eat('[')? {
            open += 1;
            continue;
        }
        if l.eat(']')? {
            open -= 1;
            if open == 0 {
                return Ok((out, false));
            }
        } else {
            out.push(item(l)?);
        }
        if *l.peek() != Token::Punct(']') {
            l.expect(',')?;
        }
    }
}

fn integer(l: &mut Lexer, dtype: DType) -> TextResult<i64> {
    if l.eat_word("true")? {
        return Ok(1);
    }
    if l.eat_word("false")? {
        return Ok(0);
    }
    let n = l.int::<i128>()?;
    match dtype.int_range() {
        Some((lo, hi)) if (lo..=hi).contains(&n) => Ok(n as i64),
        _ => l.error(format!("{n} is outside the range of {dtype}")),
    }
}

fn floats(l: &Lexer, dtype: DType, shape: &[usize], values: &[Float]) -> TextResult<Tensor> {
    let made = match dtype {
        DType::F32 => Tensor::new(shape, values.iter().map(|v| v.single()).collect::<Vec<f32>>()),
        _ => {
            let wide = |v: &Float| if let Float::Number(x, _) = v { *x } else { 0.0 };
            Tensor::from_f64s(dtype, shape, &values.iter().map(wide).collect::<Vec<_>>())
        }
    };
    let mut t = made.or_else(|e| l.error(e.to_string()))?;
    let width = dtype.bits() / 8;
    for (i, v) in values.iter().enumerate() {
        let Float::Bits(bits) = v else { continue };
        let (Some(slot), true) = (t.bytes_mut().get_mut(i * width..(i + 1) * width), width > 0) else { continue };
        for (to, from) in slot.iter_mut().zip(bits.to_le_bytes()) {
            *to = from;
        }
    }
    Ok(t)
}

fn complex(l: &Lexer, dtype: DType, shape: &[usize], values: Vec<[Float; 2]>) -> TextResult<Tensor> {
    let part = if dtype == DType::Complex64 { DType::F32 } else { DType::F64 };
    let flat = values.into_iter().flatten().collect::<Vec<_>>();
    let pairs = floats(l, part, &[flat.len()], &flat)?;
    Tensor::from_bytes(dtype, shape, pairs.bytes()).or_else(|e| l.error(e.to_string()))
}

/// The string after `hex`, as bytes.
pub(super) fn hex(l: &mut Lexer) -> TextResult<Vec<u8>> {
    let text = l.string()?;
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    let pairs = text.as_bytes().chunks(2).map(|p| match p {
        [a, b] => Some(digit(*a)? << 4 | digit(*b)?),
        _ => None,
    });
    match pairs.collect::<Option<Vec<_>>>() {
        Some(bytes) => Ok(bytes),
        None => l.error("`hex` wants pairs of hexadecimal digits"),
    }
}

pub(super) fn print_hex(out: &mut String, bytes: &[u8]) {
    out.push_str("hex\"");
    for b in bytes {
        _ = write!(out, "{b:02x}");
    }
    out.push('"');
}

pub(super) fn print_sizes(out: &mut String, shape: &[usize]) {
    out.push('[');
    for (i, d) in shape.iter().enumerate() {
        _ = write!(out, "{}{d}", if i > 0 { ", " } else { "" });
    }
    out.push(']');
}

/// Writes a tensor as a literal.
pub(super) fn print_literal(out: &mut String, t: &Tensor) {
    out.push_str(t.dtype().name());
    print_sizes(out, t.shape());
    out.push(' ');
    let n = t.len();
    if n > MAX_LISTED && t.dtype() != DType::String {
        return print_hex(out, t.bytes());
    }
    let scalar = t.rank() == 0;
    if !scalar {
        out.push('[');
    }
    for i in 0..n {
        if i > 0 {
            out.push_str(", ");
        }
        print_element(out, t, i);
    }
    if !scalar {
        out.push(']');
    }
}

fn print_element(out: &mut String, t: &Tensor, i: usize) {
    let dtype = t.dtype();
    let one = || t.gathered(&[], std::iter::once(i)).ok();
    match dtype {
        DType::String => {
            if let Some(s) = t.strings().ok().and_then(|s| s.get(i)) {
                _ = write!(out, "{s:?}");
            }
        }
        DType::Complex64 | DType::Complex128 => {
            let part = if dtype == DType::Complex64 { DType::F32 } else { DType::F64 };
            let pair = one().and_then(|e| Tensor::from_bytes(part, &[2], e.bytes()).ok());
            if let Some(pair) = pair {
                out.push('(');
                print_element(out, &pair, 0);
                out.push_str(", ");
                print_element(out, &pair, 1);
                out.push(')');
            }
        }
        DType::Bool => out.push_str(if t.bytes().get(i).is_some_and(|&b| b != 0) { "true" } else { "false" }),
        d if d.is_float() => {
            if let Some(e) = one() {
                print_float(out, &e);
            }
        }
        DType::U64 => _ = write!(out, "{}", one().and_then(|e| e.to_u64s().ok()?.first().copied()).unwrap_or(0)),
        _ => _ = write!(out, "{}", one().and_then(|e| e.to_i64s().ok()?.first().copied()).unwrap_or(0)),
    }
}

fn print_float(out: &mut String, e: &Tensor) {
    let x = e.to_f64s().ok().and_then(|v| v.first().copied()).unwrap_or(0.0);
    if x.is_nan() {
        let usual = Tensor::from_f64s(e.dtype(), &[], &[f64::NAN]);
        let bits = e.bytes().iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
        match usual.is_ok_and(|u| u.bytes() == e.bytes()) {
            true => out.push_str("nan"),
            false => _ = write!(out, "nan({bits:#x})"),
        }
    } else if e.dtype() == DType::F64 {
        _ = write!(out, "{x:?}");
    } else {
        _ = write!(out, "{:?}", x as f32);
    }
}
