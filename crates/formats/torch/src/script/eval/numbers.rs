//! Arithmetic of Python numbers, known and not.

use super::Walk;
use crate::aten::schema::Given;
use crate::aten::value::float;
use crate::aten::{Kind, Outcome, Stop, Val, call, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::ValueId;
use modelsmith_tensor::Tensor;

/// The integer part of a float that fits.
pub(super) fn whole(x: f64) -> Option<i64> {
    let t = Tensor::scalar(x.trunc());
    (x.is_finite() && x.abs() < 9.3e18)
        .then(|| t.to_f64s().ok().and_then(|_| format!("{:.0}", x.trunc()).parse().ok()))?
}

impl Walk<'_> {
    /// The truth of a value: a known flag, or one of the graph.
    pub(super) fn truth(&mut self, v: &Val) -> Outcome<Val> {
        Ok(match v {
            Val::Bool(b) => Val::Bool(*b),
            Val::Int(n) => Val::Bool(*n != 0),
            Val::Float(x) => Val::Bool(*x != 0.0),
            Val::None => Val::Bool(false),
            Val::Str(s) => Val::Bool(!s.is_empty()),
            Val::Num(Kind::Bool, _) => v.clone(),
            Val::Num(_, n) => {
                let flag = self.cx.cast(*n, DType::Bool)?;
                self.cx.number_of(Kind::Bool, flag)
            }
            Val::Tensor(t) => {
                let v = self.cx.read(*t)?;
                self.flag(v)?
            }
            Val::List(_) | Val::Tuple(_) => {
                let n = self.length(v)?;
                return self.truth(&n);
            }
            Val::Maybe(flag, _) => Val::Num(Kind::Bool, *flag),
            other => return unsupported(format!("{} as a condition", other.what())),
        })
    }

    /// The truth of a tensor of one element.
    fn flag(&mut self, v: ValueId) -> Outcome<Val> {
        let v = match self.cx.ty(v).rank() {
            Some(0) => v,
            _ => {
                let none = self.cx.ints(&[]);
                self.cx.op("Reshape", &[v, none])?
            }
        };
        let v = self.cx.cast(v, DType::Bool)?;
        Ok(self.cx.number_of(Kind::Bool, v))
    }

    /// An operator of two Python numbers; `None` when the operands are no numbers or the operator is none of numbers.
    pub(super) fn arithmetic(&mut self, op: &str, a: &Val, b: &Val) -> Outcome<Option<Val>> {
        let (Some(x), Some(y)) = (a.number(), b.number()) else { return Ok(None) };
        if let Some(known) = known(op, a, b)? {
            return Ok(Some(known));
        }
        let kind = if x == Kind::Float || y == Kind::Float || op == "div" { Kind::Float } else { Kind::Int };
        let compared = matches!(op, "eq" | "ne" | "lt" | "le" | "gt" | "ge");
        let flags = matches!(op, "__and__" | "__or__" | "__xor__") && x == Kind::Bool && y == Kind::Bool;
        let dtype = if kind == Kind::Float { DType::F64 } else { DType::I64 };
        let name = match op {
            "floordiv" => "floor_divide",
            "min" => "minimum",
            "max" => "maximum",
            "add" | "sub" | "mul" | "div" | "remainder" | "pow" => op,
            _ if compared => op,
            _ if flags => op,
            "__and__" | "__or__" | "__xor__" if kind == Kind::Int => op,
            _ => return Ok(None),
        };
        let dtype = if flags { DType::Bool } else { dtype };
        let (a, b) = (self.cx.operand(a, dtype)?, self.cx.operand(b, dtype)?);
        let given: Vec<Given> = vec![(None, self.cx.tensor(a)), (None, self.cx.tensor(b))];
        let Val::Tensor(made) = call(&mut self.cx, &format!("aten::{name}"), &given)? else { return Ok(None) };
        let v = self.cx.read(made)?;
        let kind = if compared || flags { Kind::Bool } else { kind };
        Ok(Some(self.cx.number_of(kind, v)))
    }

    /// A function of one number, for one that only a run knows.
    pub(super) fn function(&mut self, name: &str, v: &Val) -> Outcome<Val> {
        let x = self.cx.operand(v, DType::F64)?;
        let given: Vec<Given> = vec![(None, self.cx.tensor(x))];
        let Val::Tensor(made) = call(&mut self.cx, &format!("aten::{name}"), &given)? else {
            return unsupported(format!("{name} of a number"));
        };
        let v = self.cx.read(made)?;
        match name {
            "floor" | "ceil" => {
                let v = self.cx.cast(v, DType::I64)?;
                Ok(self.cx.number_of(Kind::Int, v))
            }
            _ => Ok(self.cx.number_of(Kind::Float, v)),
        }
    }

    /// A number as an int, float or bool.
    pub(super) fn number_as(&mut self, kind: Kind, v: &Val) -> Outcome<Val> {
        match (kind, v) {
            (Kind::Bool, v) => self.truth(v),
            (Kind::Int, Val::Int(_)) | (Kind::Float, Val::Float(_)) => Ok(v.clone()),
            (Kind::Int, Val::Bool(b)) => Ok(Val::Int(i64::from(*b))),
            (Kind::Int, Val::Float(x)) => match whole(*x) {
                Some(n) => Ok(Val::Int(n)),
                None => Err(Stop::Raise("a float that is no integer".into())),
            },
            (Kind::Float, Val::Int(n)) => Ok(Val::Float(float(*n))),
            (Kind::Float, Val::Bool(b)) => Ok(Val::Float(f64::from(u8::from(*b)))),
            (Kind::Int, Val::Str(s)) => match s.trim().parse() {
                Ok(n) => Ok(Val::Int(n)),
                Err(_) => Err(Stop::Raise(format!("{s:?} is no integer"))),
            },
            (Kind::Float, Val::Str(s)) => match s.trim().parse() {
                Ok(x) => Ok(Val::Float(x)),
                Err(_) => Err(Stop::Raise(format!("{s:?} is no number"))),
            },
            (kind, Val::Tensor(t)) => {
                let v = self.cx.read(*t)?;
                let v = match self.cx.ty(v).rank() {
                    Some(0) => v,
                    _ => {
                        let none = self.cx.ints(&[]);
                        self.cx.op("Reshape", &[v, none])?
                    }
                };
                let v = self.cx.cast(v, crate::aten::mold::scalar_type(kind))?;
                Ok(self.cx.number_of(kind, v))
            }
            (kind, Val::Num(_, v)) => {
                let v = self.cx.cast(*v, crate::aten::mold::scalar_type(kind))?;
                Ok(self.cx.number_of(kind, v))
            }
            (_, v) => unsupported(format!("{} as a number", v.what())),
        }
    }
}

/// The result where both numbers are known.
fn known(op: &str, a: &Val, b: &Val) -> Outcome<Option<Val>> {
    let int = |v: &Val| match v {
        Val::Int(n) => Some(*n),
        Val::Bool(b) => Some(i64::from(*b)),
        _ => None,
    };
    let real = |v: &Val| match v {
        Val::Float(x) => Some(*x),
        v => int(v).map(float),
    };
    if let (Val::Bool(x), Val::Bool(y)) = (a, b) {
        match op {
            "__and__" => return Ok(Some(Val::Bool(x & y))),
            "__or__" => return Ok(Some(Val::Bool(x | y))),
            "__xor__" => return Ok(Some(Val::Bool(x ^ y))),
            _ => {}
        }
    }
    if let (Some(x), Some(y)) = (int(a), int(b)) {
        return integers(op, x, y);
    }
    match (real(a), real(b)) {
        (Some(x), Some(y)) => floats(op, x, y),
        _ => Ok(None),
    }
}

fn integers(op: &str, x: i64, y: i64) -> Outcome<Option<Val>> {
    let zero = || Stop::Raise("a division by zero".into());
    let floor = |x: i64, y: i64| {
        let (q, r) = (x.checked_div(y)?, x.checked_rem(y)?);
        Some((q.saturating_sub(i64::from(r != 0 && (r < 0) != (y < 0))), r))
    };
    Ok(Some(match op {
        "add" => Val::Int(x.wrapping_add(y)),
        "sub" => Val::Int(x.wrapping_sub(y)),
        "mul" => Val::Int(x.wrapping_mul(y)),
        "floordiv" | "floor_divide" => Val::Int(floor(x, y).ok_or_else(zero)?.0),
        "remainder" => {
            let (q, _) = floor(x, y).ok_or_else(zero)?;
            Val::Int(x.wrapping_sub(q.wrapping_mul(y)))
        }
        "div" if y == 0 => return Err(zero()),
        "div" => Val::Float(float(x) / float(y)),
        "pow" => match u32::try_from(y) {
            Ok(n) => Val::Int(x.wrapping_pow(n)),
            Err(_) => Val::Float(float(x).powf(float(y))),
        },
        "min" => Val::Int(x.min(y)),
        "max" => Val::Int(x.max(y)),
        "__and__" => Val::Int(x & y),
        "__or__" => Val::Int(x | y),
        "__xor__" => Val::Int(x ^ y),
        "__lshift__" => Val::Int(u32::try_from(y).ok().and_then(|n| x.checked_shl(n)).unwrap_or(0)),
        "__rshift__" => Val::Int(u32::try_from(y).ok().and_then(|n| x.checked_shr(n)).unwrap_or(0)),
        _ => return Ok(compared(op, &x, &y)),
    }))
}

fn floats(op: &str, x: f64, y: f64) -> Outcome<Option<Val>> {
    Ok(Some(match op {
        "add" => Val::Float(x + y),
        "sub" => Val::Float(x - y),
        "mul" => Val::Float(x * y),
        "div" | "floordiv" | "floor_divide" | "remainder" if y == 0.0 => {
            return Err(Stop::Raise("a division by zero".into()));
        }
        "div" => Val::Float(x / y),
        "floordiv" | "floor_divide" => Val::Float((x / y).floor()),
        "remainder" => Val::Float(x - (x / y).floor() * y),
        "pow" => Val::Float(x.powf(y)),
        "min" => Val::Float(x.min(y)),
        "max" => Val::Float(x.max(y)),
        _ => return Ok(compared(op, &x, &y)),
    }))
}

fn compared<T: PartialOrd>(op: &str, x: &T, y: &T) -> Option<Val> {
    Some(Val::Bool(match op {
        "eq" => x == y,
        "ne" => x != y,
        "lt" => x < y,
        "le" => x <= y,
        "gt" => x > y,
        "ge" => x >= y,
        _ => return None,
    }))
}
