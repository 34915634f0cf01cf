//! What a value looks like whichever way the program came: the type of a variable after a branch and around a loop.

use super::context::Context;
use super::error::{Outcome, unsupported};
use super::promote::promote;
use super::value::{Kind, List, Tuple, Val};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, Dim, TensorType, Type, ValueId};
use modelsmith_tensor::Tensor;
use std::rc::Rc;

/// The form of a value: what is fixed, and what is carried by values of the graph.
#[derive(Clone, Debug)]
pub(crate) enum Mold {
    /// The same value on every way.
    Fixed(Val),
    Number(Kind),
    Tensor(TensorType),
    Tuple(Vec<Mold>, Vec<String>),
    List(Vec<Mold>),
    Dict(Vec<(Val, Mold)>),
    /// A list of tensors whose length is known by running only.
    Sequence(TensorType),
    /// A list of numbers whose length is known by running only.
    Vector(Kind),
    /// May be absent.
    Maybe(Box<Mold>),
    /// Nothing yet: a variable before its first value.
    Blank(Rc<str>),
    /// Nothing that a graph can carry; an error where it is used.
    Lost(Rc<str>),
}

/// Values that are the same without looking at what they refer to.
pub(crate) fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::None, Val::None) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b,
        (Val::Float(a), Val::Float(b)) => a.to_bits() == b.to_bits(),
        (Val::Str(a), Val::Str(b)) | (Val::Device(a), Val::Device(b)) | (Val::Code(a), Val::Code(b)) => a == b,
        (Val::Num(k, a), Val::Num(l, b)) => k == l && a == b,
        (Val::Tensor(a), Val::Tensor(b)) => a == b,
        (Val::List(a), Val::List(b)) => a == b,
        (Val::Dict(a), Val::Dict(b)) => a == b,
        (Val::Object(a), Val::Object(b)) => a == b,
        (Val::Tuple(a), Val::Tuple(b)) => {
            a.items.len() == b.items.len() && a.items.iter().zip(&b.items).all(|(a, b)| same(a, b))
        }
        (Val::Maybe(a, x), Val::Maybe(b, y)) => a == b && same(x, y),
        _ => false,
    }
}

impl Context {
    /// The form of `v`, with lists and dictionaries taken apart.
    pub(crate) fn mold(&mut self, v: &Val) -> Outcome<Mold> {
        Ok(match v {
            Val::Num(kind, _) => Mold::Number(*kind),
            Val::Tensor(t) => {
                let v = self.read(*t)?;
                if self.complex.contains(&v) {
                    return unsupported("complex numbers that a branch gives or a loop carries");
                }
                Mold::Tensor(self.ty(v).as_tensor().cloned().unwrap_or_default())
            }
            Val::Tuple(t) => {
                let items = t.items.iter().map(|v| self.mold(v)).collect::<Outcome<Vec<_>>>()?;
                Mold::Tuple(items, t.names.clone())
            }
            Val::List(r) => match self.heap.lists.get(r.0).cloned() {
                Some(List::Items(items)) => {
                    Mold::List(items.iter().map(|v| self.mold(v)).collect::<Outcome<Vec<_>>>()?)
                }
                Some(List::Sequence(_, ty)) => Mold::Sequence(ty.as_tensor().cloned().unwrap_or_default()),
                Some(List::Vector(kind, _)) => Mold::Vector(kind),
                None => Mold::Lost("a list that is not there".into()),
            },
            Val::Dict(r) => {
                let pairs = self.heap.dicts.get(r.0).cloned().unwrap_or_default();
                let pairs = pairs.iter().map(|(k, v)| Ok((k.clone(), self.mold(v)?))).collect::<Outcome<Vec<_>>>()?;
                Mold::Dict(pairs)
            }
            Val::Maybe(_, inner) => Mold::Maybe(Box::new(self.mold(inner)?)),
            Val::Unset(why) => Mold::Blank(why.clone()),
            fixed => Mold::Fixed(fixed.clone()),
        })
    }

    /// The values of the graph that carry `v` in the form `mold`; made in the present region.
    pub(crate) fn pour(&mut self, mold: &Mold, v: &Val, out: &mut Vec<ValueId>) -> Outcome<()> {
        match (mold, v) {
            (Mold::Fixed(_) | Mold::Lost(_) | Mold::Blank(_), _) => Ok(()),
            (mold, Val::Unset(_)) => self.blank(mold, out),
            (Mold::Maybe(inner), Val::None) => {
                out.push(self.constant(Tensor::from_bools(&[], vec![false])?));
                self.blank(inner, out)
            }
            (Mold::Maybe(inner), Val::Maybe(flag, v)) => {
                out.push(*flag);
                self.pour(inner, v, out)
            }
            (Mold::Maybe(inner), v) => {
                out.push(self.constant(Tensor::from_bools(&[], vec![true])?));
                self.pour(inner, v, out)
            }
            (Mold::Number(kind), v) => {
                let v = self.operand(v, scalar_type(*kind))?;
                out.push(v);
                Ok(())
            }
            (Mold::Tensor(ty), v) => {
                let v = self.poured(ty, v)?;
                out.push(v);
                Ok(())
            }
            (Mold::Tuple(molds, _), Val::Tuple(t)) if molds.len() == t.items.len() => {
                molds.iter().zip(&t.items).try_for_each(|(m, v)| self.pour(m, v, out))
            }
            (Mold::List(molds), v) => {
                let items = self.items(v)?;
                molds.iter().zip(&items).try_for_each(|(m, v)| self.pour(m, v, out))
            }
            (Mold::Dict(pairs), Val::Dict(r)) => {
                let have = self.heap.dicts.get(r.0).cloned().unwrap_or_default();
                pairs.iter().zip(&have).try_for_each(|((_, m), (_, v))| self.pour(m, v, out))
            }
            (Mold::Sequence(ty), v) => {
                let v = self.sequence(v, ty)?;
                out.push(v);
                Ok(())
            }
            (Mold::Vector(kind), v) => {
                let v = self.number_vector(v, *kind)?;
                out.push(v);
                Ok(())
            }
            (_, v) => {
                unsupported(format!("{} on one way of the program and another kind of value on another", v.what()))
            }
        }
    }

    /// A tensor or number in the element type of `ty`, and in its rank where it holds no elements.
    fn poured(&mut self, ty: &TensorType, v: &Val) -> Outcome<ValueId> {
        let mut v = self.scalar_of(v)?;
        if let Some(dtype) = ty.dtype {
            v = self.cast(v, dtype)?;
        }
        let rank = ty.shape.as_ref().map_or(1, Vec::len);
        if rank != 1 && self.ty(v).as_tensor().is_some_and(hollow) {
            v = self.constant(Tensor::zeros(ty.dtype.unwrap_or(DType::F32), &vec![0; rank])?);
        }
        let other = self.ty(v).rank().is_some_and(|r| r != rank);
        if let (Some(shape), true) = (&ty.shape, other) {
            v = self.empty(v, shape)?;
        }
        Ok(v)
    }

    /// `v`, which holds no elements, in another shape: a run in which it holds some fails here.
    fn empty(&mut self, v: ValueId, shape: &[Dim]) -> Outcome<ValueId> {
        let sizes = shape.iter().map(|d| d.known().unwrap_or(0)).collect::<Vec<_>>();
        let sizes = self.ints(&sizes);
        self.op_with("Reshape", &[v, sizes], Attrs::new().with("allowzero", 1))
    }

    /// Values of the right types for a variable that nobody reads.
    fn blank(&mut self, mold: &Mold, out: &mut Vec<ValueId>) -> Outcome<()> {
        match mold {
            Mold::Fixed(_) | Mold::Lost(_) | Mold::Blank(_) => {}
            Mold::Number(kind) => {
                let zero = self.scalar(scalar_type(*kind), 0.0)?;
                out.push(zero);
            }
            Mold::Tensor(ty) => {
                let one = |d: &Dim| d.size().filter(|&n| n <= 1 << 16).unwrap_or(1);
                let shape = ty.shape.iter().flatten().map(one).collect::<Vec<_>>();
                let small = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_some_and(|n| n <= 1 << 20);
                let shape = if small { shape } else { vec![1; shape.len()] };
                let zeros = Tensor::zeros(ty.dtype.unwrap_or(DType::F32), &shape)?;
                out.push(self.constant(zeros));
            }
            Mold::Tuple(molds, _) | Mold::List(molds) => molds.iter().try_for_each(|m| self.blank(m, out))?,
            Mold::Dict(pairs) => pairs.iter().try_for_each(|(_, m)| self.blank(m, out))?,
            Mold::Sequence(ty) => {
                let empty = self.empty_sequence(ty)?;
                out.push(empty);
            }
            Mold::Vector(kind) => {
                let none = Tensor::zeros(scalar_type(*kind), &[0])?;
                out.push(self.constant(none));
            }
            Mold::Maybe(inner) => {
                out.push(self.constant(Tensor::from_bools(&[], vec![false])?));
                self.blank(inner, out)?;
            }
        }
        Ok(())
    }

    /// The value of the form `mold` whose parts are the next of `parts`.
    pub(crate) fn take_out(&mut self, mold: &Mold, parts: &mut dyn Iterator<Item = ValueId>) -> Outcome<Val> {
        let mut next = || match parts.next() {
            Some(v) => Ok(v),
            None => unsupported("a value with fewer parts than its form"),
        };
        Ok(match mold {
            Mold::Fixed(v) => v.clone(),
            Mold::Lost(why) | Mold::Blank(why) => Val::Unset(why.clone()),
            Mold::Number(kind) => Val::Num(*kind, next()?),
            Mold::Tensor(_) => {
                let v = next()?;
                self.tensor(v)
            }
            Mold::Sequence(ty) => {
                let v = next()?;
                self.add_list(List::Sequence(v, Type::Tensor(ty.clone())))
            }
            Mold::Vector(kind) => {
                let v = next()?;
                self.add_list(List::Vector(*kind, v))
            }
            Mold::Maybe(inner) => {
                let flag = next()?;
                Val::Maybe(flag, Rc::new(self.take_out(inner, parts)?))
            }
            Mold::Tuple(molds, names) => {
                let items = molds.iter().map(|m| self.take_out(m, parts)).collect::<Outcome<Vec<_>>>()?;
                Val::Tuple(Rc::new(Tuple { items, names: names.clone() }))
            }
            Mold::List(molds) => {
                let items = molds.iter().map(|m| self.take_out(m, parts)).collect::<Outcome<Vec<_>>>()?;
                self.list(items)
            }
            Mold::Dict(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(k, m)| Ok((k.clone(), self.take_out(m, parts)?)))
                    .collect::<Outcome<Vec<_>>>()?;
                self.dict(pairs)
            }
        })
    }

    pub(crate) fn dict(&mut self, pairs: Vec<(Val, Val)>) -> Val {
        self.heap.dicts.push(pairs);
        Val::Dict(super::value::DictRef(self.heap.dicts.len().saturating_sub(1)))
    }

    /// A list of tensors as a sequence of the graph.
    pub(crate) fn sequence(&mut self, v: &Val, ty: &TensorType) -> Outcome<ValueId> {
        if let Val::List(r) = v
            && let Some(List::Sequence(v, _)) = self.heap.lists.get(r.0)
        {
            return Ok(*v);
        }
        let mut parts = Vec::new();
        for item in self.items(v)? {
            let v = self.scalar_of(&item)?;
            parts.push(match ty.dtype {
                Some(d) => self.cast(v, d)?,
                None => v,
            });
        }
        if parts.is_empty() {
            return self.empty_sequence(ty);
        }
        self.op("SequenceConstruct", &parts)
    }

    fn empty_sequence(&mut self, ty: &TensorType) -> Outcome<ValueId> {
        self.op_with("SequenceEmpty", &[], Attrs::new().with("dtype", ty.dtype.unwrap_or(DType::F32)))
    }

    /// A list of numbers as a vector of the graph.
    pub(crate) fn number_vector(&mut self, v: &Val, kind: Kind) -> Outcome<ValueId> {
        if let Val::List(r) = v
            && let Some(List::Vector(_, v)) = self.heap.lists.get(r.0)
        {
            return Ok(*v);
        }
        let items = self.items(v)?;
        if items.is_empty() {
            return Ok(self.constant(Tensor::zeros(scalar_type(kind), &[0])?));
        }
        let one = self.ints(&[1]);
        let mut parts = Vec::new();
        for item in items {
            let v = self.operand(&item, scalar_type(kind))?;
            parts.push(self.op("Reshape", &[v, one])?);
        }
        match *parts {
            [one] => Ok(one),
            _ => self.op_with("Concat", &parts, Attrs::new().with("axis", 0)),
        }
    }
}

/// The element type in which a number of the program is carried.
pub(crate) fn scalar_type(kind: Kind) -> DType {
    match kind {
        Kind::Bool => DType::Bool,
        Kind::Int => DType::I64,
        Kind::Float => DType::F64,
    }
}

fn kind_of(m: &Mold) -> Option<Kind> {
    match m {
        Mold::Number(kind) => Some(*kind),
        Mold::Fixed(v) => v.number(),
        _ => None,
    }
}

/// The form that holds whichever of two ways was taken.
pub(crate) fn join(a: &Mold, b: &Mold) -> Mold {
    match (a, b) {
        (Mold::Fixed(x), Mold::Fixed(y)) if same(x, y) => a.clone(),
        (lost @ Mold::Lost(_), _) | (_, lost @ Mold::Lost(_)) => lost.clone(),
        (Mold::Blank(_), m) | (m, Mold::Blank(_)) => m.clone(),
        (Mold::Fixed(Val::None), m) | (m, Mold::Fixed(Val::None)) => match m {
            Mold::Maybe(_) => m.clone(),
            m => Mold::Maybe(Box::new(loosened(m))),
        },
        (Mold::Maybe(x), Mold::Maybe(y)) => Mold::Maybe(Box::new(join(x, y))),
        (Mold::Maybe(x), m) | (m, Mold::Maybe(x)) => Mold::Maybe(Box::new(join(x, m))),
        (Mold::Tensor(x), Mold::Tensor(y)) => Mold::Tensor(joined(x, y)),
        (Mold::Tuple(x, names), Mold::Tuple(y, _)) if x.len() == y.len() => {
            Mold::Tuple(x.iter().zip(y).map(|(a, b)| join(a, b)).collect(), names.clone())
        }
        (Mold::List(x), Mold::List(y)) if x.len() == y.len() => {
            Mold::List(x.iter().zip(y).map(|(a, b)| join(a, b)).collect())
        }
        (Mold::List(_) | Mold::Sequence(_) | Mold::Vector(_), Mold::List(_) | Mold::Sequence(_) | Mold::Vector(_)) => {
            lists(a, b)
        }
        (Mold::Dict(x), Mold::Dict(y)) if x.len() == y.len() && x.iter().zip(y).all(|((k, _), (l, _))| same(k, l)) => {
            Mold::Dict(x.iter().zip(y).map(|((k, a), (_, b))| (k.clone(), join(a, b))).collect())
        }
        (x, y) => match (kind_of(x), kind_of(y)) {
            (Some(k), Some(l)) if k == l => Mold::Number(k),
            (Some(_), Some(_)) => Mold::Number(Kind::Float),
            _ => Mold::Lost("a variable that is of different kinds on different ways of the program".into()),
        },
    }
}

/// Numbers that are fixed on one way are carried where another way has none.
fn loosened(m: &Mold) -> Mold {
    match kind_of(m) {
        Some(kind) => Mold::Number(kind),
        None => m.clone(),
    }
}

/// True for `torch.zeros(0)`: what programs write for a tensor that is not there yet. Beside one of another rank it stands for
/// one without elements of that rank.
fn hollow(t: &TensorType) -> bool {
    matches!(t.shape.as_deref(), Some([Dim::Known(0)]))
}

fn joined(x: &TensorType, y: &TensorType) -> TensorType {
    let dtype = match (x.dtype, y.dtype) {
        (Some(a), Some(b)) => Some(promote(a, b)),
        _ => None,
    };
    let other = if hollow(x) { &y.shape } else { &x.shape };
    if (hollow(x) != hollow(y)) && other.as_ref().is_some_and(|s| s.len() != 1) {
        let shape = other.as_ref().map(|s| vec![Dim::Unknown; s.len()]);
        return TensorType { dtype, shape };
    }
    TensorType { dtype, ..x.join(y) }
}

/// Lists of different lengths.
fn lists(a: &Mold, b: &Mold) -> Mold {
    let (mut ty, mut kind): (Option<TensorType>, Option<Kind>) = (None, None);
    let tensor = |t: &TensorType, ty: &mut Option<TensorType>| {
        *ty = Some(ty.as_ref().map_or_else(|| t.clone(), |have| joined(have, t)));
    };
    for m in [a, b] {
        match m {
            Mold::Sequence(t) => tensor(t, &mut ty),
            Mold::Vector(k) => kind = Some(*k),
            Mold::List(items) => {
                for item in items {
                    match item {
                        Mold::Tensor(t) => tensor(t, &mut ty),
                        other => match kind_of(other) {
                            Some(k) => kind = Some(k),
                            None => return Mold::Lost("a list whose items a graph cannot carry".into()),
                        },
                    }
                }
            }
            _ => {}
        }
    }
    match (ty, kind) {
        (Some(t), None) => Mold::Sequence(t),
        (None, Some(k)) => Mold::Vector(k),
        (None, None) => Mold::List(Vec::new()),
        _ => Mold::Lost("a list of tensors and numbers".into()),
    }
}

/// True where a value of the form `b` fits a variable of the form `a`.
pub(crate) fn covers(a: &Mold, b: &Mold) -> bool {
    match (a, b) {
        (Mold::Fixed(x), Mold::Fixed(y)) => same(x, y),
        (Mold::Lost(_), _) | (_, Mold::Blank(_)) => true,
        (Mold::Tensor(x), Mold::Tensor(y)) if hollow(y) && !hollow(x) => {
            x.shape.as_ref().is_none_or(|s| s.iter().all(|d| *d == Dim::Unknown))
        }
        (Mold::Tensor(x), Mold::Tensor(y)) => y.refines(x),
        (Mold::Number(k), m) => kind_of(m) == Some(*k),
        (Mold::Maybe(_), Mold::Fixed(Val::None)) => true,
        (Mold::Maybe(x), Mold::Maybe(y)) => covers(x, y),
        (Mold::Maybe(x), y) => covers(x, y),
        (Mold::Tuple(x, _), Mold::Tuple(y, _)) | (Mold::List(x), Mold::List(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| covers(a, b))
        }
        (Mold::Dict(x), Mold::Dict(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|((k, a), (l, b))| same(k, l) && covers(a, b))
        }
        (Mold::Sequence(x), Mold::Sequence(y)) => y.refines(x),
        (Mold::Sequence(x), Mold::List(items)) => items.iter().all(|m| matches!(m, Mold::Tensor(y) if y.refines(x))),
        (Mold::Vector(k), Mold::Vector(l)) => k == l,
        (Mold::Vector(k), Mold::List(items)) => items.iter().all(|m| kind_of(m) == Some(*k)),
        _ => false,
    }
}

/// The type of each value that carries a form, in order.
pub(crate) fn types(mold: &Mold, out: &mut Vec<Type>) {
    match mold {
        Mold::Fixed(_) | Mold::Lost(_) | Mold::Blank(_) => {}
        Mold::Number(kind) => out.push(Type::fixed(scalar_type(*kind), &[])),
        Mold::Tensor(ty) => out.push(Type::Tensor(ty.clone())),
        Mold::Tuple(molds, _) | Mold::List(molds) => molds.iter().for_each(|m| types(m, out)),
        Mold::Dict(pairs) => pairs.iter().for_each(|(_, m)| types(m, out)),
        Mold::Sequence(ty) => out.push(Type::Sequence(Box::new(Type::Tensor(ty.clone())))),
        Mold::Vector(kind) => out.push(Type::tensor(scalar_type(*kind), &[Dim::Unknown])),
        Mold::Maybe(inner) => {
            out.push(Type::fixed(DType::Bool, &[]));
            types(inner, out);
        }
    }
}
