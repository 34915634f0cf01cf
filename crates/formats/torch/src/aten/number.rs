//! Arithmetic of Python numbers, known and not.

use super::schema::Given;
use super::value::float;
use super::{Context, Kind, Outcome, Stop, Val, call, unsupported};
use modelsmith_base::DType;

impl Context {
    /// An operator of two Python numbers; `None` when the operands are no numbers or the operator is none of numbers.
    pub(crate) fn arithmetic(&mut self, op: &str, a: &Val, b: &Val) -> Outcome<Option<Val>> {
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
        let (a, b) = (self.operand(a, dtype)?, self.operand(b, dtype)?);
        let given: Vec<Given> = vec![(None, self.tensor(a)), (None, self.tensor(b))];
        let Val::Tensor(made) = call(self, &format!("aten::{name}"), &given)? else { return Ok(None) };
        let v = self.read(made)?;
        let kind = if compared || flags { Kind::Bool } else { kind };
        Ok(Some(self.number_of(kind, v)))
    }

    /// A function of one number, for one that only a run knows.
    pub(crate) fn function(&mut self, name: &str, v: &Val) -> Outcome<Val> {
        let x = self.operand(v, DType::F64)?;
        let given: Vec<Given> = vec![(None, self.tensor(x))];
        let Val::Tensor(made) = call(self, &format!("aten::{name}"), &given)? else {
            return unsupported(format!("{name} of a number"));
        };
        let v = self.read(made)?;
        match name {
            "floor" | "ceil" => {
                let v = self.cast(v, DType::I64)?;
                Ok(self.number_of(Kind::Int, v))
            }
            _ => Ok(self.number_of(Kind::Float, v)),
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
