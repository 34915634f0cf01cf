//! Numbers of Python between the tensors: sizes and what is made of them.

use super::lower::Walk;
use crate::aten::{Kind, Outcome, Val, unsupported};
use modelsmith_base::DType;

impl Walk<'_> {
    /// The operator `name` of Python, `math` or `torch` on numbers.
    pub(super) fn number(&mut self, name: &str, values: &[Val]) -> Outcome<Val> {
        let op = match name {
            "floordiv" | "add" | "sub" | "mul" | "pow" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" => name,
            "truediv" | "div" => "div",
            "mod" => "remainder",
            "and_" | "sym_and" => "__and__",
            "or_" | "sym_or" => "__or__",
            "xor" => "__xor__",
            "lshift" => "__lshift__",
            "rshift" => "__rshift__",
            "sym_max" | "max" => "max",
            "sym_min" | "min" => "min",
            "sym_sum" => return self.sum(values),
            "getitem" => return self.item(values),
            _ => return self.function(name, values),
        };
        let [a, b] = values else { return unsupported(format!("{name} of {} numbers", values.len())) };
        match self.cx.arithmetic(op, a, b)? {
            Some(v) => Ok(v),
            None => unsupported(format!("{name} of {} and {}", a.what(), b.what())),
        }
    }

    fn sum(&mut self, values: &[Val]) -> Outcome<Val> {
        let items = match values {
            [list @ (Val::List(_) | Val::Tuple(_))] => self.cx.items(list)?,
            all => all.to_vec(),
        };
        let mut sum = Val::Int(0);
        for v in items {
            sum = match self.cx.arithmetic("add", &sum, &v)? {
                Some(v) => v,
                None => return unsupported(format!("a sum of {}", v.what())),
            };
        }
        Ok(sum)
    }

    fn item(&mut self, values: &[Val]) -> Outcome<Val> {
        let [list, Val::Int(at)] = values else { return unsupported("an item whose index only a run knows") };
        let items = self.cx.items(list)?;
        let found = usize::try_from(*at).ok().and_then(|i| items.get(i).cloned());
        found.map_or_else(|| unsupported(format!("item {at} of {} values", items.len())), Ok)
    }

    fn function(&mut self, name: &str, values: &[Val]) -> Outcome<Val> {
        let [v] = values else { return unsupported(format!("the function {name} of {} values", values.len())) };
        let Some(kind) = v.number() else { return unsupported(format!("{name} of {}", v.what())) };
        match (name, v) {
            ("neg", v) => self.number("sub", &[Val::Int(0), v.clone()]),
            ("sym_int" | "trunc", Val::Int(_) | Val::Num(Kind::Int, _)) => Ok(v.clone()),
            ("floor" | "ceil" | "round", Val::Int(_) | Val::Num(Kind::Int, _)) => Ok(v.clone()),
            ("sym_int" | "trunc", v) => {
                let x = self.cx.operand(v, DType::F64)?;
                let n = self.cx.cast(x, DType::I64)?;
                Ok(self.cx.number_of(Kind::Int, n))
            }
            ("sym_float", v) => {
                let x = self.cx.operand(v, DType::F64)?;
                Ok(self.cx.number_of(Kind::Float, x))
            }
            ("sym_not" | "not_", Val::Bool(b)) => Ok(Val::Bool(!b)),
            ("sym_not" | "not_", Val::Num(Kind::Bool, v)) => {
                let v = self.cx.op("Not", &[*v])?;
                Ok(Val::Num(Kind::Bool, v))
            }
            ("abs", v) => {
                let dtype = if kind == Kind::Float { DType::F64 } else { DType::I64 };
                let x = self.cx.operand(v, dtype)?;
                let x = self.cx.op("Abs", &[x])?;
                Ok(self.cx.number_of(if kind == Kind::Float { Kind::Float } else { Kind::Int }, x))
            }
            _ => {
                let plain = name.trim_start_matches("_sym_").trim_start_matches("sym_");
                self.cx.function(plain, v)
            }
        }
    }
}
