//! The signature of an operator, its overloads, and the binding of arguments to it.
//!
//! A row of the table begins with a signature: `add.Tensor|add.Scalar(T self, N other, N alpha=1)`. Types are
//!
//! | | |
//! |---|---|
//! | `T` | a tensor |
//! | `N` | a number or a tensor |
//! | `I` `F` `B` `S` `D` | an integer, a float, a flag, a string, a device |
//! | `I[]` `F[]` `B[]` | a list of them; one number stands for a list of as many as are wanted |
//! | `T[]` | a list of tensors, some of which may be absent |
//! | `A` | anything |
//! | `X?` | an X or nothing |

use super::context::Context;
use super::error::{Outcome, unsupported};
use super::value::{Kind, List, TensorRef, Val, float};
use modelsmith_base::DType;
use modelsmith_ir::ValueId;

/// How an operator is said in operators of the hub.
pub(crate) type Lower = fn(&mut Context, &Args<'_>) -> Outcome<Val>;

/// A row of the table.
pub(crate) struct Row {
    /// The signature.
    pub signature: &'static str,
    /// How it is said.
    pub lower: Lower,
}

/// A row.
pub(crate) const fn row(signature: &'static str, lower: Lower) -> Row {
    Row { signature, lower }
}

impl Row {
    /// The names of its overloads: `add.Tensor`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.signature.split('(').next().unwrap_or_default().split('|').map(str::trim)
    }

    /// Type, name and default of each argument.
    fn arguments(&self) -> impl Iterator<Item = Argument> {
        let list = self.signature.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        list.split(", ").filter(|a| !a.is_empty()).map(|text| {
            let (text, default) = text.split_once('=').map_or((text, None), |(t, d)| (t, Some(d)));
            let (ty, name) = text.trim().split_once(' ').unwrap_or((text, ""));
            Argument { ty, name, default }
        })
    }
}

#[derive(Clone, Copy)]
struct Argument {
    ty: &'static str,
    name: &'static str,
    default: Option<&'static str>,
}

/// Arguments in the order of the signature.
pub(crate) struct Args<'a> {
    /// Name of the operator as it was called.
    pub name: &'a str,
    pub values: Vec<Val>,
    names: Vec<&'static str>,
    /// Which of them were given.
    pub given: Vec<bool>,
}

/// An argument as a call has it: by place, or by name.
pub(crate) type Given = (Option<String>, Val);

/// Binds `given` to the signature of `row`; `None` where they do not fit.
pub(crate) fn bind<'a>(cx: &Context, row: &Row, name: &'a str, given: &[Given]) -> Option<Args<'a>> {
    let mut out = Args { name, values: Vec::new(), names: Vec::new(), given: Vec::new() };
    let places = given.iter().filter(|(n, _)| n.is_none()).count();
    let mut used = 0usize;
    for (i, arg) in row.arguments().enumerate() {
        let by_place = given.iter().filter(|(n, _)| n.is_none()).nth(i);
        let by_name = given.iter().find(|(n, _)| n.as_deref() == Some(arg.name));
        let value = match (by_place.or(by_name), arg.default) {
            (Some((_, v)), _) => {
                used = used.saturating_add(1);
                fits(cx, arg.ty, v).then(|| v.clone())?
            }
            (None, Some(text)) => default(text)?,
            (None, None) => return None,
        };
        out.given.push(by_place.or(by_name).is_some());
        out.values.push(value);
        out.names.push(arg.name);
    }
    // Layout, device and memory format are taken by any operator and change no value.
    let idle =
        |n: &str| matches!(n, "layout" | "device" | "pin_memory" | "memory_format" | "non_blocking" | "generator");
    let spare = given.iter().filter(|(n, _)| n.as_deref().is_some_and(idle)).count();
    let rest = given.len().saturating_sub(used);
    (places <= out.values.len() && rest <= spare).then_some(out)
}

fn default(text: &str) -> Option<Val> {
    Some(match text {
        "None" => Val::None,
        "True" => Val::Bool(true),
        "False" => Val::Bool(false),
        "[]" => Val::tuple(Vec::new()),
        text => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(i), _) => Val::Int(i),
            (_, Ok(x)) => Val::Float(x),
            _ => Val::str(text.trim_matches('\'')),
        },
    })
}

fn fits(cx: &Context, ty: &str, v: &Val) -> bool {
    if let Some(inner) = ty.strip_suffix('?') {
        return matches!(v, Val::None) || fits(cx, inner, v);
    }
    if let Some(inner) = ty.strip_suffix("[]") {
        return fits_list(cx, inner, v);
    }
    match (ty, v) {
        ("A", _) => true,
        ("T", Val::Tensor(_)) => true,
        ("N", v) => v.number().is_some() || matches!(v, Val::Tensor(_)),
        ("I", Val::Int(_) | Val::Bool(_) | Val::Num(Kind::Int, _) | Val::Tensor(_)) => true,
        ("F", v) => v.number().is_some() || matches!(v, Val::Tensor(_)),
        ("B", Val::Bool(_) | Val::Num(Kind::Bool, _) | Val::Int(_)) => true,
        ("S", Val::Str(_)) => true,
        ("D", Val::Device(_) | Val::Str(_) | Val::None | Val::Int(_)) => true,
        _ => false,
    }
}

fn fits_list(cx: &Context, inner: &str, v: &Val) -> bool {
    match v {
        Val::Int(_) | Val::Num(Kind::Int, _) => inner == "I",
        Val::Float(_) => inner == "F",
        Val::Tuple(t) => t.items.iter().all(|v| (inner == "T" && matches!(v, Val::None)) || fits(cx, inner, v)),
        Val::List(r) => match cx.heap.lists.get(r.0) {
            Some(List::Items(items)) => {
                items.iter().all(|v| (inner == "T" && matches!(v, Val::None)) || fits(cx, inner, v))
            }
            Some(List::Sequence(..)) => inner == "T",
            Some(List::Vector(Kind::Int, _)) => inner == "I",
            Some(List::Vector(Kind::Float, _)) => inner == "F",
            Some(List::Vector(Kind::Bool, _)) => inner == "B",
            None => false,
        },
        _ => false,
    }
}

impl Args<'_> {
    pub(crate) fn get(&self, i: usize) -> &Val {
        self.values.get(i).unwrap_or(&Val::None)
    }

    pub(crate) fn is_none(&self, i: usize) -> bool {
        matches!(self.get(i), Val::None)
    }

    fn wrong<T>(&self, i: usize, wanted: &str) -> Outcome<T> {
        let name = self.names.get(i).unwrap_or(&"?");
        let found = self.get(i).what();
        unsupported(format!("argument `{name}` is {found}, {wanted} is wanted where the graph is made"))
    }

    /// The place of a tensor.
    pub(crate) fn place(&self, i: usize) -> Outcome<TensorRef> {
        match self.get(i) {
            Val::Tensor(t) => Ok(*t),
            _ => self.wrong(i, "a tensor"),
        }
    }

    /// The elements of a tensor at present.
    pub(crate) fn tensor(&self, cx: &mut Context, i: usize) -> Outcome<ValueId> {
        match self.get(i) {
            Val::Tensor(t) => cx.read(*t),
            other if other.number().is_some() => cx.scalar_of(other),
            _ => self.wrong(i, "a tensor"),
        }
    }

    pub(crate) fn opt_tensor(&self, cx: &mut Context, i: usize) -> Outcome<Option<ValueId>> {
        match self.get(i) {
            Val::None => Ok(None),
            _ => self.tensor(cx, i).map(Some),
        }
    }

    /// An integer that is known.
    pub(crate) fn int(&self, cx: &mut Context, i: usize) -> Outcome<i64> {
        match self.get(i) {
            Val::Int(n) => Ok(*n),
            Val::Bool(b) => Ok(i64::from(*b)),
            Val::Tensor(t) => {
                let v = cx.read(*t)?;
                match cx.number_of(Kind::Int, v) {
                    Val::Int(n) => Ok(n),
                    _ => self.wrong(i, "a known integer"),
                }
            }
            _ => self.wrong(i, "a known integer"),
        }
    }

    pub(crate) fn opt_int(&self, cx: &mut Context, i: usize) -> Outcome<Option<i64>> {
        if self.is_none(i) { Ok(None) } else { self.int(cx, i).map(Some) }
    }

    /// A number that is known.
    pub(crate) fn float(&self, cx: &mut Context, i: usize) -> Outcome<f64> {
        match self.get(i) {
            Val::Float(x) => Ok(*x),
            Val::Int(n) => Ok(float(*n)),
            Val::Bool(b) => Ok(f64::from(u8::from(*b))),
            Val::Tensor(t) => {
                let v = cx.read(*t)?;
                match cx.number_of(Kind::Float, v) {
                    Val::Float(x) => Ok(x),
                    _ => self.wrong(i, "a known number"),
                }
            }
            _ => self.wrong(i, "a known number"),
        }
    }

    pub(crate) fn opt_float(&self, cx: &mut Context, i: usize) -> Outcome<Option<f64>> {
        if self.is_none(i) { Ok(None) } else { self.float(cx, i).map(Some) }
    }

    /// A flag that is known.
    pub(crate) fn flag(&self, i: usize) -> Outcome<bool> {
        match self.get(i) {
            Val::Bool(b) => Ok(*b),
            Val::Int(n) => Ok(*n != 0),
            Val::None => Ok(false),
            _ => self.wrong(i, "a known flag"),
        }
    }

    pub(crate) fn text(&self, i: usize) -> Outcome<&str> {
        match self.get(i) {
            Val::Str(s) => Ok(s),
            _ => self.wrong(i, "a string"),
        }
    }

    /// Integers that may be known by running only; one stands for a list of one.
    pub(crate) fn vals(&self, cx: &Context, i: usize) -> Outcome<Vec<Val>> {
        match self.get(i) {
            Val::None => Ok(Vec::new()),
            v if v.number().is_some() => Ok(vec![v.clone()]),
            v => cx.items(v),
        }
    }

    /// Integers that are known.
    pub(crate) fn ints(&self, cx: &mut Context, i: usize) -> Outcome<Vec<i64>> {
        let mut out = Vec::new();
        for v in self.vals(cx, i)? {
            match v {
                Val::Int(n) => out.push(n),
                Val::Bool(b) => out.push(i64::from(b)),
                Val::Tensor(t) => {
                    let v = cx.read(t)?;
                    match cx.number_of(Kind::Int, v) {
                        Val::Int(n) => out.push(n),
                        _ => return self.wrong(i, "a list of known integers"),
                    }
                }
                _ => return self.wrong(i, "a list of known integers"),
            }
        }
        Ok(out)
    }

    /// As [`Args::ints`], one repeated to `count`.
    pub(crate) fn ints_of(&self, cx: &mut Context, i: usize, count: usize) -> Outcome<Vec<i64>> {
        let ints = self.ints(cx, i)?;
        match *ints {
            [one] => Ok(vec![one; count]),
            _ => Ok(ints),
        }
    }

    /// Integers as a vector of the graph, whether known or not.
    pub(crate) fn vector(&self, cx: &mut Context, i: usize) -> Outcome<ValueId> {
        if let Val::List(r) = self.get(i)
            && let Some(List::Vector(_, v)) = cx.heap.lists.get(r.0)
        {
            return Ok(*v);
        }
        let items = self.vals(cx, i)?;
        cx.vector(&items)
    }

    /// An element type, by PyTorch's number.
    pub(crate) fn dtype(&self, cx: &mut Context, i: usize) -> Outcome<Option<DType>> {
        match self.opt_int(cx, i)? {
            None => Ok(None),
            Some(code) => element(code).map(Some),
        }
    }

    /// Tensors of a list.
    pub(crate) fn tensors(&self, cx: &mut Context, i: usize) -> Outcome<Vec<ValueId>> {
        let mut out = Vec::new();
        for v in self.vals(cx, i)? {
            match v {
                Val::Tensor(t) => out.push(cx.read(t)?),
                _ => return self.wrong(i, "a list of tensors"),
            }
        }
        Ok(out)
    }
}

/// The element type of a number of `c10::ScalarType`.
pub(crate) fn element(code: i64) -> Outcome<DType> {
    Ok(match code {
        0 => DType::U8,
        1 => DType::I8,
        2 => DType::I16,
        3 => DType::I32,
        4 => DType::I64,
        5 => DType::F16,
        6 => DType::F32,
        7 => DType::F64,
        9 => DType::Complex64,
        10 => DType::Complex128,
        11 => DType::Bool,
        12 => DType::I8,
        13 => DType::U8,
        14 => DType::I32,
        15 => DType::BF16,
        23 => DType::F8E5M2,
        24 => DType::F8E4M3FN,
        25 => DType::F8E5M2FNUZ,
        26 => DType::F8E4M3FNUZ,
        27 => DType::U16,
        28 => DType::U32,
        29 => DType::U64,
        44 => DType::F8E8M0,
        _ => return unsupported(format!("the element type with number {code}")),
    })
}

/// The number of an element type in `c10::ScalarType`.
pub(crate) fn code(dtype: DType) -> i64 {
    (0..=44).find(|&c| !(12..=14).contains(&c) && element(c).ok() == Some(dtype)).unwrap_or(6)
}
