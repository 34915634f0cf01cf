//! Python numbers and truth.

use super::Walk;
use crate::aten::value::float;
use crate::aten::{Kind, Outcome, Stop, Val, unsupported};
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
        self.cx.arithmetic(op, a, b)
    }

    /// A function of one number, for one that only a run knows.
    pub(super) fn function(&mut self, name: &str, v: &Val) -> Outcome<Val> {
        self.cx.function(name, v)
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
