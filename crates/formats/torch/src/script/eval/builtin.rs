//! Operators on lists, dictionaries, strings and other values of Python, and those that say nothing in a graph.

use super::Walk;
use super::numbers::whole;
use crate::aten::mold::same;
use crate::aten::schema::Given;
use crate::aten::value::ListRef;
use crate::aten::{Kind, List, Outcome, Stop, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, TensorType};

impl Walk<'_> {
    /// The result of `name`, if it is an operator of Python values; `None` where the table has to say it.
    pub(super) fn builtin(&mut self, name: &str, given: &[Given]) -> Outcome<Option<Val>> {
        let (domain, op) = name.split_once("::").unwrap_or(("aten", name));
        let values = given.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>();
        if domain == "prim" {
            return self.primitive(op, &values);
        }
        if domain != "aten" {
            return Ok(None);
        }
        if let [a, b] = values.as_slice()
            && let Some(v) = self.arithmetic(op, a, b)?
        {
            return Ok(Some(v));
        }
        if let Some(v) = self.questions(op, &values)? {
            return Ok(Some(v));
        }
        if let Some(v) = self.lists(op, &values)? {
            return Ok(Some(v));
        }
        if let Some(v) = self.dicts(op, &values)? {
            return Ok(Some(v));
        }
        self.strings(op, &values)
    }

    fn primitive(&mut self, op: &str, values: &[Val]) -> Outcome<Option<Val>> {
        Ok(Some(match (op, values) {
            ("NumToTensor", [v]) => match v {
                Val::Tensor(_) => v.clone(),
                v => {
                    let dtype = match v.number() {
                        Some(Kind::Float) => modelsmith_base::DType::F32,
                        Some(Kind::Bool) => modelsmith_base::DType::Bool,
                        _ => modelsmith_base::DType::I64,
                    };
                    let v = self.cx.operand(v, dtype)?;
                    self.cx.tensor(v)
                }
            },
            ("device", [_]) => Val::Device("cpu".into()),
            ("layout", [_]) => Val::Int(0),
            ("data" | "unchecked_unwrap_optional", [v]) => match v {
                Val::Maybe(_, inner) => inner.as_ref().clone(),
                v => v.clone(),
            },
            ("requires_grad" | "is_cuda" | "is_quantized" | "is_sparse" | "is_mkldnn" | "is_meta" | "is_mps", _)
            | ("is_nested" | "is_ipu" | "is_xla" | "is_vulkan" | "is_xpu" | "is_maia", _) => Val::Bool(false),
            ("is_cpu" | "is_leaf", _) => Val::Bool(true),
            ("grad", _) => Val::None,
            ("itemsize", [Val::Tensor(t)]) => {
                let v = self.cx.read(*t)?;
                Val::Int(i64::try_from(self.cx.dtype(v)?.bits() / 8).unwrap_or(0))
            }
            ("type", [Val::Device(d)]) => Val::str(d.split(':').next().unwrap_or("cpu")),
            ("index", [Val::Device(_)]) => Val::None,
            ("shape", [v]) => return Ok(Some(self.operator("aten::size", vec![(None, v.clone())], 1)?)),
            ("ndim", [v]) => return Ok(Some(self.operator("aten::dim", vec![(None, v.clone())], 1)?)),
            ("T" | "mT" | "H" | "mH", [v]) => {
                let name = if op == "T" || op == "H" { "aten::numpy_T" } else { "aten::mT" };
                return Ok(Some(self.operator(name, vec![(None, v.clone())], 1)?));
            }
            ("min" | "max", [list]) if matches!(list, Val::List(_) | Val::Tuple(_)) => {
                return self.extreme(op, list).map(Some);
            }
            ("min" | "max", [a, b]) => return self.arithmetic(op, a, b),
            ("abs", [v]) => return self.questions("abs", std::slice::from_ref(v)),
            ("tolist", [Val::Tensor(t), ..]) => {
                let v = self.cx.read(*t)?;
                let ty = self.cx.ty(v).clone();
                if ty.rank() != Some(1) || !ty.dtype().is_some_and(DType::is_int) {
                    return unsupported("a tensor of other than a row of integers as a list of Python");
                }
                let v = self.cx.cast(v, DType::I64)?;
                self.cx.add_list(List::Vector(Kind::Int, v))
            }
            ("RaiseException", [v, ..]) => return Err(Stop::Raise(self.text(v))),
            ("Print" | "warn", _) => Val::None,
            _ => return Ok(None),
        }))
    }

    fn extreme(&mut self, op: &str, list: &Val) -> Outcome<Val> {
        let mut items = self.cx.items(list)?.into_iter();
        let Some(mut best) = items.next() else { return Err(Stop::Raise(format!("{op} of an empty list"))) };
        for v in items {
            best = match self.arithmetic(op, &best, &v)? {
                Some(v) => v,
                None => return unsupported(format!("{op} of other than numbers")),
            };
        }
        Ok(best)
    }

    /// Comparisons with None, functions of one number, and what says nothing in a graph.
    fn questions(&mut self, op: &str, values: &[Val]) -> Outcome<Option<Val>> {
        Ok(Some(match (op, values) {
            ("__is__" | "__isnot__", [a, b]) => return self.identity(op == "__is__", a, b).map(Some),
            ("__not__", [v]) if !matches!(v, Val::Tensor(_)) => match self.truth(v)? {
                Val::Bool(b) => Val::Bool(!b),
                Val::Num(_, v) => {
                    let v = self.cx.op("Not", &[v])?;
                    self.cx.number_of(Kind::Bool, v)
                }
                _ => return Ok(None),
            },
            ("neg", [Val::Int(n)]) => Val::Int(n.wrapping_neg()),
            ("neg", [Val::Float(x)]) => Val::Float(-x),
            ("neg", [v @ Val::Num(..)]) => return self.arithmetic("sub", &Val::Int(0), v),
            ("abs", [Val::Int(n)]) => Val::Int(n.wrapping_abs()),
            ("abs", [Val::Float(x)]) => Val::Float(x.abs()),
            ("floor" | "ceil" | "round", [Val::Int(n)]) => Val::Int(*n),
            ("floor", [Val::Float(x)]) => whole(x.floor()).map_or(Val::Float(x.floor()), Val::Int),
            ("ceil", [Val::Float(x)]) => whole(x.ceil()).map_or(Val::Float(x.ceil()), Val::Int),
            ("round", [Val::Float(x)]) => Val::Float(x.round_ties_even()),
            ("sqrt" | "exp" | "log" | "sin" | "cos" | "tan" | "tanh" | "log2" | "log10" | "log1p", [v])
                if v.number().is_some() =>
            {
                let x = match v {
                    Val::Float(x) => *x,
                    Val::Int(n) => crate::aten::value::float(*n),
                    v => return self.function(op, v).map(Some),
                };
                Val::Float(match op {
                    "sqrt" => x.sqrt(),
                    "exp" => x.exp(),
                    "log" => x.ln(),
                    "sin" => x.sin(),
                    "cos" => x.cos(),
                    "tan" => x.tan(),
                    "tanh" => x.tanh(),
                    "log2" => x.log2(),
                    "log10" => x.log10(),
                    _ => x.ln_1p(),
                })
            }
            ("floor" | "ceil", [v @ Val::Num(..)]) => return self.function(op, v).map(Some),
            ("__range_length", [Val::Int(a), Val::Int(b), Val::Int(step)]) if *step != 0 => {
                let gap = if *step > 0 { b.saturating_sub(*a) } else { a.saturating_sub(*b) };
                let by = step.saturating_abs();
                Val::Int(gap.max(0).saturating_add(by.saturating_sub(1)).checked_div(by).unwrap_or(0))
            }
            ("__range_length", [a, b, step @ Val::Int(1..)]) => {
                let gap = self.arithmetic("sub", b, a)?.unwrap_or(Val::Int(0));
                let more = self.arithmetic("sub", step, &Val::Int(1))?.unwrap_or(Val::Int(0));
                let gap = self.arithmetic("add", &gap, &more)?.unwrap_or(Val::Int(0));
                let runs = self.arithmetic("floordiv", &gap, step)?.unwrap_or(Val::Int(0));
                return self.arithmetic("max", &runs, &Val::Int(0));
            }
            ("__derive_index", [i, start, step]) => {
                let way = self.arithmetic("mul", i, step)?.unwrap_or(Val::Int(0));
                return self.arithmetic("add", start, &way);
            }
            ("Int" | "IntImplicit", [v]) => return self.number_as(Kind::Int, v).map(Some),
            ("Float" | "FloatImplicit", [v]) => return self.number_as(Kind::Float, v).map(Some),
            ("Bool", [v]) => return self.number_as(Kind::Bool, v).map(Some),
            ("ScalarImplicit", [Val::Tensor(t)]) => {
                let v = self.cx.read(*t)?;
                return crate::aten::ops::scalar(&mut self.cx, v).map(Some);
            }
            ("warn" | "_assert_async" | "manual_seed" | "set_grad_enabled", _) => Val::None,
            ("is_grad_enabled" | "is_autocast_enabled" | "is_autocast_cpu_enabled" | "is_scripting_never", _) => {
                Val::Bool(false)
            }
            ("device", [v, ..]) => match v {
                Val::Str(s) => Val::Device(s.clone()),
                v => v.clone(),
            },
            ("str", [v]) => Val::Str(self.text(v).into()),
            ("eq" | "ne", [a, b]) => {
                let plain = |v: &Val| matches!(v, Val::Str(_) | Val::Device(_) | Val::None);
                if !(plain(a) || plain(b)) {
                    return Ok(None);
                }
                let equal = match (a, b) {
                    (Val::Device(a) | Val::Str(a), Val::Device(b) | Val::Str(b)) => a == b,
                    (a, b) => same(a, b),
                };
                Val::Bool(equal == (op == "eq"))
            }
            _ => return Ok(None),
        }))
    }

    fn identity(&mut self, is: bool, a: &Val, b: &Val) -> Outcome<Val> {
        let flag = match (a, b) {
            (Val::Maybe(flag, _), Val::None) | (Val::None, Val::Maybe(flag, _)) => {
                let present = Val::Num(Kind::Bool, *flag);
                return match is {
                    true => self.operator("aten::__not__", vec![(None, present)], 1),
                    false => Ok(present),
                };
            }
            (Val::None, Val::None) => true,
            (Val::None, _) | (_, Val::None) => false,
            (a, b) => same(a, b),
        };
        Ok(Val::Bool(flag == is))
    }

    pub(super) fn length(&mut self, v: &Val) -> Outcome<Val> {
        Ok(match v {
            Val::List(r) => match self.cx.heap.lists.get(r.0).cloned() {
                Some(List::Items(items)) => count(items.len()),
                Some(List::Sequence(v, _)) => {
                    let n = self.cx.op("SequenceLength", &[v])?;
                    self.cx.number_of(Kind::Int, n)
                }
                Some(List::Vector(_, v)) => {
                    let n = self.cx.op("Size", &[v])?;
                    self.cx.number_of(Kind::Int, n)
                }
                None => Val::Int(0),
            },
            Val::Tuple(t) => count(t.items.len()),
            Val::Dict(r) => count(self.cx.heap.dicts.get(r.0).map_or(0, Vec::len)),
            Val::Str(s) => count(s.chars().count()),
            Val::Tensor(t) => {
                let v = self.cx.read(*t)?;
                self.cx.size_val(v, 0)?
            }
            other => return unsupported(format!("the length of {}", other.what())),
        })
    }

    fn lists(&mut self, op: &str, values: &[Val]) -> Outcome<Option<Val>> {
        Ok(Some(match (op, values) {
            ("len", [v]) => self.length(v)?,
            ("__getitem__", [of, index]) => self.item(of, index)?,
            ("_set_item", [of, index, v]) => {
                self.set_item(of, index, v.clone())?;
                of.clone()
            }
            ("append", [Val::List(r), v]) => {
                self.append(*r, v)?;
                Val::List(*r)
            }
            ("extend", [Val::List(r), more]) => {
                for v in self.cx.items(more)? {
                    self.append(*r, &v)?;
                }
                Val::None
            }
            ("insert", [Val::List(r), Val::Int(at), v]) => {
                let (at, v) = (*at, v.clone());
                self.change(*r, |items| {
                    let n = i64::try_from(items.len()).unwrap_or(0);
                    let at = if at < 0 { at.saturating_add(n).max(0) } else { at.min(n) };
                    items.insert(usize::try_from(at).unwrap_or(0), v);
                    Some(Val::None)
                })?
            }
            ("pop", [Val::List(r)]) => self.change(*r, Vec::pop)?,
            ("pop" | "__delitem__" | "Delete", [Val::List(r), Val::Int(at)]) => {
                let at = *at;
                let taken = self.change(*r, |items| place(items.len(), at).map(|i| items.remove(i)))?;
                if op == "pop" { taken } else { Val::None }
            }
            ("clear", [Val::List(r)]) => self.change(*r, |items| {
                items.clear();
                Some(Val::None)
            })?,
            ("reverse", [Val::List(r)]) => self.change(*r, |items| {
                items.reverse();
                Some(Val::None)
            })?,
            ("list" | "copy", [v @ (Val::List(_) | Val::Tuple(_))]) => self.copied(v)?,
            ("list", [Val::Str(s)]) => {
                let items = s.chars().map(|c| Val::Str(c.to_string().into())).collect();
                self.cx.list(items)
            }
            ("add", [a @ Val::List(_), more @ Val::List(_)]) if self.cx.items(a).is_err() => {
                let whole = self.copied(a)?;
                if let Val::List(r) = whole {
                    for v in self.cx.items(more)? {
                        self.append(r, &v)?;
                    }
                }
                whole
            }
            ("add", [a @ (Val::List(_) | Val::Tuple(_)), b @ (Val::List(_) | Val::Tuple(_))]) => {
                let items = [self.cx.items(a)?, self.cx.items(b)?].concat();
                if matches!(a, Val::Tuple(_)) { Val::tuple(items) } else { self.cx.list(items) }
            }
            ("add_", [Val::List(r), more @ Val::List(_)]) => {
                for v in self.cx.items(more)? {
                    self.append(*r, &v)?;
                }
                Val::List(*r)
            }
            ("mul", [a @ Val::List(_), Val::Int(n)] | [Val::Int(n), a @ Val::List(_)]) => {
                let items = self.cx.items(a)?;
                let n = usize::try_from(*n).unwrap_or(0);
                if n.saturating_mul(items.len()) > 1 << 16 {
                    return unsupported("a list of more than 65536 items");
                }
                let all = std::iter::repeat_n(items, n).flatten().collect();
                self.cx.list(all)
            }
            ("slice", [v @ (Val::List(_) | Val::Tuple(_) | Val::Str(_)), rest @ ..]) => self.sliced(v, rest)?,
            ("__contains__", [v @ (Val::List(_) | Val::Tuple(_)), x]) => self.contains(v, x)?,
            ("eq" | "ne", [a @ (Val::List(_) | Val::Tuple(_)), b @ (Val::List(_) | Val::Tuple(_))]) => {
                self.equal_lists(op == "eq", a, b)?
            }
            ("min" | "max", [v @ Val::List(_)]) => self.extreme(op, v)?,
            ("all" | "any", [v @ Val::List(_)]) => {
                let mut whole = Val::Bool(op == "all");
                for x in self.cx.items(v)? {
                    let x = self.truth(&x)?;
                    let name = if op == "all" { "__and__" } else { "__or__" };
                    whole = match (&whole, &x) {
                        (Val::Bool(a), Val::Bool(b)) => Val::Bool(if op == "all" { *a && *b } else { *a || *b }),
                        _ => self.arithmetic(name, &whole, &x)?.unwrap_or(Val::None),
                    };
                }
                whole
            }
            ("sum", [v @ Val::List(_)]) => {
                let mut sum = Val::Int(0);
                for x in self.cx.items(v)? {
                    sum = self.arithmetic("add", &sum, &x)?.unwrap_or(Val::Int(0));
                }
                sum
            }
            _ => return Ok(None),
        }))
    }

    fn copied(&mut self, v: &Val) -> Outcome<Val> {
        match v {
            Val::List(r) => {
                let list = self.cx.heap.lists.get(r.0).cloned().unwrap_or(List::Items(Vec::new()));
                Ok(self.cx.add_list(list))
            }
            v => {
                let items = self.cx.items(v)?;
                Ok(self.cx.list(items))
            }
        }
    }

    fn change(&mut self, r: ListRef, f: impl FnOnce(&mut Vec<Val>) -> Option<Val>) -> Outcome<Val> {
        match self.cx.heap.lists.get_mut(r.0) {
            Some(List::Items(items)) => f(items).ok_or_else(|| Stop::Raise("an index outside of a list".into())),
            _ => unsupported("a change of a list whose length only a run knows, other than by append"),
        }
    }

    fn append(&mut self, r: ListRef, v: &Val) -> Outcome<()> {
        let new = match self.cx.heap.lists.get(r.0).cloned() {
            Some(List::Items(mut items)) => {
                if items.len() > 1 << 16 {
                    return unsupported("a list of more than 65536 items");
                }
                items.push(v.clone());
                List::Items(items)
            }
            Some(List::Sequence(all, ty)) => {
                let mut x = self.cx.scalar_of(v)?;
                if let Some(dtype) = ty.as_tensor().and_then(|t| t.dtype) {
                    x = self.cx.cast(x, dtype)?;
                }
                let item = self.cx.ty(x).clone();
                let made = self.cx.op_with("SequenceInsert", &[all, x], Attrs::new())?;
                List::Sequence(made, ty.join(&item))
            }
            Some(List::Vector(kind, all)) => {
                let x = self.cx.operand(v, crate::aten::mold::scalar_type(kind))?;
                let one = self.cx.ints(&[1]);
                let x = self.cx.op("Reshape", &[x, one])?;
                List::Vector(kind, self.cx.op_with("Concat", &[all, x], Attrs::new().with("axis", 0))?)
            }
            None => return unsupported("a list that is not there"),
        };
        if let Some(slot) = self.cx.heap.lists.get_mut(r.0) {
            *slot = new;
        }
        Ok(())
    }

    pub(super) fn item(&mut self, of: &Val, index: &Val) -> Outcome<Val> {
        match (of, index) {
            (Val::Dict(r), key) => {
                let pairs = self.cx.heap.dicts.get(r.0).cloned().unwrap_or_default();
                match (pairs.iter().find(|(k, _)| same(k, key)), self.cx.open_dicts.get(&r.0), key) {
                    (Some((_, v)), _, _) => Ok(v.clone()),
                    (None, Some(name), Val::Str(key)) => Err(Stop::Key(name.clone(), key.to_string())),
                    _ => Err(Stop::Raise("a key that is not there".into())),
                }
            }
            (Val::Str(s), Val::Int(i)) => {
                let chars = s.chars().collect::<Vec<_>>();
                let c = place(chars.len(), *i).and_then(|i| chars.get(i));
                c.map(|c| Val::Str(c.to_string().into()))
                    .ok_or_else(|| Stop::Raise("an index outside of a string".into()))
            }
            (Val::List(r), index) => match self.cx.heap.lists.get(r.0).cloned() {
                Some(List::Items(items)) => self.of_items(&items, index),
                Some(List::Sequence(v, _)) => {
                    let at = self.cx.operand(index, modelsmith_base::DType::I64)?;
                    let made = self.cx.op("SequenceAt", &[v, at])?;
                    Ok(self.cx.tensor(made))
                }
                Some(List::Vector(kind, v)) => {
                    let at = self.cx.operand(index, modelsmith_base::DType::I64)?;
                    let made = self.cx.op_with("Gather", &[v, at], Attrs::new().with("axis", 0))?;
                    Ok(self.cx.number_of(kind, made))
                }
                None => unsupported("a list that is not there"),
            },
            (Val::Tuple(t), index) => self.of_items(&t.items.clone(), index),
            (Val::Maybe(_, inner), index) => self.item(&inner.clone(), index),
            (Val::Tensor(_), index) => {
                let given = vec![(None, of.clone()), (None, Val::Int(0)), (None, index.clone())];
                self.operator("aten::select", given, 1)
            }
            (of, _) => unsupported(format!("an item of {}", of.what())),
        }
    }

    fn of_items(&mut self, items: &[Val], index: &Val) -> Outcome<Val> {
        match index {
            Val::Int(i) => {
                let found = place(items.len(), *i).and_then(|i| items.get(i));
                found.cloned().ok_or_else(|| Stop::Raise("an index outside of a list".into()))
            }
            Val::Num(_, at) if items.iter().all(|v| v.number().is_some()) => {
                let kind = items.first().and_then(Val::number).unwrap_or(Kind::Int);
                let list = self.cx.list(items.to_vec());
                let all = self.cx.number_vector(&list, kind)?;
                let made = self.cx.op_with("Gather", &[all, *at], Attrs::new().with("axis", 0))?;
                Ok(self.cx.number_of(kind, made))
            }
            Val::Num(_, at) => {
                let list = self.cx.list(items.to_vec());
                let all = self.cx.sequence(&list, &TensorType::default())?;
                let made = self.cx.op("SequenceAt", &[all, *at])?;
                Ok(self.cx.tensor(made))
            }
            other => unsupported(format!("{} as an index", other.what())),
        }
    }

    pub(super) fn set_item(&mut self, of: &Val, index: &Val, v: Val) -> Outcome<()> {
        match (of, index) {
            (Val::List(r), Val::Int(i)) => {
                let i = *i;
                self.change(*r, |items| {
                    let slot = place(items.len(), i).and_then(|i| items.get_mut(i))?;
                    *slot = v;
                    Some(Val::None)
                })?;
                Ok(())
            }
            (Val::Dict(r), key) => {
                let Some(pairs) = self.cx.heap.dicts.get_mut(r.0) else {
                    return unsupported("a dictionary that is not there");
                };
                match pairs.iter_mut().find(|(k, _)| same(k, key)) {
                    Some((_, slot)) => *slot = v,
                    None => pairs.push((key.clone(), v)),
                }
                Ok(())
            }
            _ => unsupported("a write to an item whose place only a run knows"),
        }
    }

    fn sliced(&mut self, v: &Val, rest: &[Val]) -> Outcome<Val> {
        let int = |v: Option<&Val>, or: i64| match v {
            None | Some(Val::None) => Ok(or),
            Some(Val::Int(n)) => Ok(*n),
            Some(other) => unsupported(format!("{} as the end of a part of a list", other.what())),
        };
        let step = int(rest.get(2), 1)?;
        let (start, end) = (int(rest.first(), 0)?, int(rest.get(1), i64::MAX)?);
        if step <= 0 {
            return unsupported("a part of a list counted backwards");
        }
        let items = match v {
            Val::Str(s) => s.chars().map(|c| Val::Str(c.to_string().into())).collect(),
            v => self.cx.items(v)?,
        };
        let n = i64::try_from(items.len()).unwrap_or(0);
        let at = |i: i64| if i < 0 { i.saturating_add(n).max(0) } else { i.min(n) };
        let (start, end) = (usize::try_from(at(start)).unwrap_or(0), usize::try_from(at(end)).unwrap_or(0));
        let part = items.get(start..end.max(start)).unwrap_or_default();
        let part = part.iter().step_by(usize::try_from(step).unwrap_or(1)).cloned().collect::<Vec<_>>();
        Ok(match v {
            Val::Tuple(_) => Val::tuple(part),
            Val::Str(_) => Val::Str(part.iter().map(|v| self.text(v)).collect::<String>().into()),
            _ => self.cx.list(part),
        })
    }

    /// Whether two values are equal.
    fn equal(&mut self, a: &Val, b: &Val) -> Outcome<Val> {
        match self.arithmetic("eq", a, b)? {
            Some(v) => Ok(v),
            None if matches!(
                (a, b),
                (Val::Tensor(_), _) | (_, Val::Tensor(_)) | (Val::Maybe(..), _) | (_, Val::Maybe(..))
            ) =>
            {
                unsupported(format!("whether {} is equal to {}", a.what(), b.what()))
            }
            None => Ok(Val::Bool(same(a, b))),
        }
    }

    fn contains(&mut self, v: &Val, x: &Val) -> Outcome<Val> {
        let mut found = Val::Bool(false);
        for item in self.cx.items(v)? {
            let equal = self.equal(&item, x)?;
            found = self.arithmetic("__or__", &found, &equal)?.unwrap_or(Val::Bool(false));
        }
        Ok(found)
    }

    fn equal_lists(&mut self, eq: bool, a: &Val, b: &Val) -> Outcome<Val> {
        let (a, b) = (self.cx.items(a)?, self.cx.items(b)?);
        let mut all = Val::Bool(a.len() == b.len());
        if a.len() == b.len() {
            for (x, y) in a.iter().zip(&b) {
                let equal = self.equal(x, y)?;
                all = self.arithmetic("__and__", &all, &equal)?.unwrap_or(Val::Bool(false));
            }
        }
        match eq {
            true => Ok(all),
            false => self.operator("aten::__not__", vec![(None, all)], 1),
        }
    }

    fn dicts(&mut self, op: &str, values: &[Val]) -> Outcome<Option<Val>> {
        if op == "dict" && values.is_empty() {
            return Ok(Some(self.cx.dict(Vec::new())));
        }
        if let ("dict", [v @ Val::List(_)]) = (op, values) {
            let made = self.cx.dict(Vec::new());
            for pair in self.cx.items(v)? {
                match self.cx.items(&pair)?.as_slice() {
                    [k, v] => self.set_item(&made, k, v.clone())?,
                    _ => return unsupported("a dictionary made of other than pairs"),
                }
            }
            return Ok(Some(made));
        }
        let Some(Val::Dict(r)) = values.first() else { return Ok(None) };
        let pairs = self.cx.heap.dicts.get(r.0).cloned().unwrap_or_default();
        Ok(Some(match (op, values) {
            ("keys", _) => self.cx.list(pairs.into_iter().map(|(k, _)| k).collect()),
            ("values", _) => self.cx.list(pairs.into_iter().map(|(_, v)| v).collect()),
            ("items", _) => self.cx.list(pairs.into_iter().map(|(k, v)| Val::tuple(vec![k, v])).collect()),
            ("copy" | "dict", _) => self.cx.dict(pairs),
            ("__contains__", [_, key]) => Val::Bool(pairs.iter().any(|(k, _)| same(k, key))),
            ("get", [_, key, rest @ ..]) => {
                let found = pairs.iter().find(|(k, _)| same(k, key)).map(|(_, v)| v.clone());
                found.unwrap_or_else(|| rest.first().cloned().unwrap_or(Val::None))
            }
            ("update", [_, Val::Dict(m)]) => {
                for (k, v) in self.cx.heap.dicts.get(m.0).cloned().unwrap_or_default() {
                    self.set_item(&Val::Dict(*r), &k, v)?;
                }
                Val::None
            }
            ("pop" | "__delitem__" | "Delete", [_, key, ..]) => {
                let found = pairs.iter().position(|(k, _)| same(k, key));
                match (found, self.cx.heap.dicts.get_mut(r.0)) {
                    (Some(i), Some(pairs)) => pairs.remove(i).1,
                    _ => return Err(Stop::Raise("a key that is not there".into())),
                }
            }
            ("clear", _) => {
                if let Some(pairs) = self.cx.heap.dicts.get_mut(r.0) {
                    pairs.clear();
                }
                Val::None
            }
            _ => return Ok(None),
        }))
    }

    fn strings(&mut self, op: &str, values: &[Val]) -> Outcome<Option<Val>> {
        let Some(Val::Str(s)) = values.first() else { return Ok(None) };
        let arg = |i: usize| match values.get(i) {
            Some(Val::Str(s)) => Some(s.to_string()),
            _ => None,
        };
        Ok(Some(match (op, arg(1), arg(2)) {
            ("add", Some(b), _) => Val::Str(format!("{s}{b}").into()),
            ("format", ..) => {
                let mut rest = s.as_ref();
                let (mut out, mut given) = (String::new(), values.iter().skip(1));
                while let Some((head, tail)) = rest.split_once("{}") {
                    out.push_str(head);
                    if let Some(v) = given.next() {
                        out.push_str(&self.text(v));
                    }
                    rest = tail;
                }
                out.push_str(rest);
                Val::Str(out.into())
            }
            ("percentFormat", ..) => Val::Str(s.clone()),
            ("lower", ..) => Val::Str(s.to_lowercase().into()),
            ("upper", ..) => Val::Str(s.to_uppercase().into()),
            ("strip", ..) => Val::str(s.trim()),
            ("startswith", Some(b), _) => Val::Bool(s.starts_with(&b)),
            ("endswith", Some(b), _) => Val::Bool(s.ends_with(&b)),
            ("replace", Some(a), Some(b)) => Val::Str(s.replace(&a, &b).into()),
            ("find", Some(b), _) => s.find(&b).map_or(Val::Int(-1), count),
            ("__contains__", Some(b), _) => Val::Bool(s.contains(&b)),
            ("split", b, _) => {
                let parts = match b {
                    Some(b) if !b.is_empty() => s.split(&b).map(Val::str).collect(),
                    _ => s.split_whitespace().map(Val::str).collect::<Vec<_>>(),
                };
                self.cx.list(parts)
            }
            ("join", ..) => {
                let parts = match values.get(1) {
                    Some(v) => self.cx.items(v)?,
                    None => Vec::new(),
                };
                Val::Str(parts.iter().map(|v| self.text(v)).collect::<Vec<_>>().join(s).into())
            }
            ("lt", Some(b), _) => Val::Bool(s.as_ref() < b.as_str()),
            ("gt", Some(b), _) => Val::Bool(s.as_ref() > b.as_str()),
            _ => return Ok(None),
        }))
    }

    /// A value as `str` shows it, as far as messages need it.
    pub(super) fn text(&self, v: &Val) -> String {
        match v {
            Val::Str(s) | Val::Device(s) => s.to_string(),
            Val::Int(n) => n.to_string(),
            Val::Float(x) => x.to_string(),
            Val::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
            Val::None => "None".to_owned(),
            Val::List(_) | Val::Tuple(_) => {
                let items = self.cx.items(v).unwrap_or_default();
                format!("[{}]", items.iter().map(|v| self.text(v)).collect::<Vec<_>>().join(", "))
            }
            other => other.what().to_owned(),
        }
    }

    pub(super) fn unpacked(&mut self, v: &Val, _: usize) -> Outcome<Vec<Val>> {
        let made = self.operator("aten::unbind", vec![(None, v.clone())], 1)?;
        self.cx.items(&made)
    }
}

fn count(n: usize) -> Val {
    Val::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Index `i` of `n` items, counted from the end where it is negative.
fn place(n: usize, i: i64) -> Option<usize> {
    let n = i64::try_from(n).ok()?;
    let at = if i < 0 { i.checked_add(n)? } else { i };
    usize::try_from(at).ok().filter(|_| at < n)
}
