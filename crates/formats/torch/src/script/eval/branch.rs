//! Branches whose condition only a run knows.

use super::{Flow, Frame, Walk};
use crate::aten::mold::{Mold, join, same};
use crate::aten::value::{Cell, Heap, TensorRef};
use crate::aten::{Context, List, Outcome, Stop, Val, unsupported};
use crate::script::ast::{Expr, Stmt};
use modelsmith_ir::{Attrs, Dim, Op, RegionId, TensorType, Type, ValueId};
use std::rc::Rc;

/// A place whose value depends on the way that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Variable(Rc<str>),
    Tensor(usize),
    List(usize),
    Dict(usize),
    Attribute(usize, String),
    Result,
}

/// What a branch left behind.
struct Way {
    region: RegionId,
    frame: Frame,
    heap: Heap,
    result: Option<Val>,
}

impl Walk<'_> {
    pub(super) fn branch(&mut self, frame: &mut Frame, cond: &Expr, then: &[Stmt], other: &[Stmt]) -> Outcome<Flow> {
        let cond = self.expr(frame, cond)?;
        match self.truth(&cond)? {
            Val::Bool(true) => self.block(frame, then),
            Val::Bool(false) => self.block(frame, other),
            Val::Num(_, cond) => self.both(frame, cond, then, other),
            _ => unsupported("a condition that is no flag"),
        }
    }

    /// One branch in a region of its own.
    fn way(&mut self, frame: &Frame, heap: &Heap, body: &[Stmt]) -> Outcome<Way> {
        let outer = self.cx.region;
        let region = self.cx.model.add_region("");
        self.cx.region = region;
        let mut own = frame.clone();
        let flow = self.block(&mut own, body);
        self.cx.region = outer;
        let heap = std::mem::replace(&mut self.cx.heap, heap.clone());
        let result = match flow? {
            Flow::Next => None,
            Flow::Return(v) => Some(v),
        };
        Ok(Way { region, frame: own, heap, result })
    }

    fn both(&mut self, frame: &mut Frame, cond: ValueId, then: &[Stmt], other: &[Stmt]) -> Outcome<Flow> {
        let heap = self.cx.heap.clone();
        let found = self.cx.findings.len();
        let place = self.cx.place.clone();
        let outer = self.cx.region;
        let mut ways = Vec::new();
        for (i, body) in [then, other].into_iter().enumerate() {
            match self.way(frame, &heap, body) {
                Ok(way) => ways.push(way),
                Err(Stop::Raise(what)) => {
                    // The other way is the only one that gives a result.
                    self.cx.findings.truncate(found);
                    (self.cx.heap, self.cx.region) = (heap, outer);
                    self.cx.place.clone_from(&place);
                    let what = format!("a check that depends on the inputs is not made ({place}): {what}");
                    self.cx.warn("torch.check", what);
                    return self.block(frame, if i == 0 { other } else { then });
                }
                Err(e) => return Err(e),
            }
        }
        let Ok([a, b]) = <[Way; 2]>::try_from(ways) else { return unsupported("a branch without two ways") };
        self.cx.place = place;
        self.merge(frame, cond, heap, a, b)
    }

    fn merge(&mut self, frame: &mut Frame, cond: ValueId, heap: Heap, mut a: Way, mut b: Way) -> Outcome<Flow> {
        if a.result.is_some() != b.result.is_some() {
            return unsupported("a branch of which one way returns and the other goes on");
        }
        let mut slots = a.frame.vars.keys().filter(|k| b.frame.vars.contains_key(*k)).cloned().collect::<Vec<_>>();
        slots.sort();
        let mut slots = slots.into_iter().map(Slot::Variable).collect::<Vec<_>>();
        for way in [&a, &b] {
            for slot in changed(&heap, &way.heap) {
                if !slots.contains(&slot) {
                    slots.push(slot);
                }
            }
        }
        if a.result.is_some() {
            slots.push(Slot::Result);
        }
        let (mut molds, mut kept) = (Vec::new(), Vec::new());
        for slot in slots {
            let (x, y) = (value(&slot, &a.frame, &a.heap, &a.result), value(&slot, &b.frame, &b.heap, &b.result));
            let (Some(x), Some(y)) = (x, y) else { continue };
            let place = matches!(slot, Slot::Variable(_) | Slot::Result | Slot::Attribute(..));
            if place && same(&x, &y) && lives(&heap, &x) {
                kept.push((slot, x));
                continue;
            }
            let forms = (self.within(&mut a, |cx| cx.mold(&x))?, self.within(&mut b, |cx| cx.mold(&y))?);
            let mold = self.of_filled(cond, join(&forms.0, &forms.1), &forms);
            molds.push((slot, mold, x, y));
        }
        let mut typed = Vec::new();
        for (way, first) in [(&mut a, true), (&mut b, false)] {
            let mut results = Vec::new();
            for (_, mold, x, y) in &molds {
                let v = if first { x } else { y };
                self.within(way, |cx| cx.pour(mold, v, &mut results))?;
            }
            typed.push(results.iter().map(|&v| self.cx.ty(v).clone()).collect::<Vec<_>>());
            let results = self.within(way, |cx| cx.results_of_region(results))?;
            if let Some(region) = self.cx.model.regions.get_mut(way.region) {
                region.results = results;
            }
        }
        self.cx.heap = heap;
        let made = self.choice(cond, &a, &b, &typed)?;
        self.settle(frame, kept, molds, made)
    }

    /// The form of a tensor that has another rank on each way, where one is taken when there is nothing: that of the other.
    fn of_filled(&self, cond: ValueId, mold: Mold, forms: &(Mold, Mold)) -> Mold {
        let (Mold::Tensor(joined), Mold::Tensor(x), Mold::Tensor(y)) = (&mold, &forms.0, &forms.1) else { return mold };
        let (Some(a), Some(b)) = (&x.shape, &y.shape) else { return mold };
        match self.filled(cond, 8) {
            Some(first) if a.len() != b.len() => {
                let shape = if first { a } else { b };
                let free = shape.iter().any(|d| d.known().is_none());
                let free = free.then(|| shape.iter().map(|d| d.known().map_or(Dim::Unknown, Dim::Known)).collect());
                Mold::Tensor(TensorType { dtype: joined.dtype, shape: free })
            }
            _ => mold,
        }
    }

    /// For a condition such as `n > 0`: whether it holds where there is something.
    fn filled(&self, cond: ValueId, depth: usize) -> Option<bool> {
        let node = self.cx.model.nodes.get(self.cx.model.producer(cond)?)?;
        let operand = |i: usize| node.inputs.get(i).copied().flatten();
        let zero = |i: usize| operand(i).is_some_and(|v| self.cx.known_ints(v).as_deref() == Some(&[0]));
        match node.known()?.name {
            "Greater" if zero(1) => Some(true),
            "Less" if zero(0) => Some(true),
            "Equal" if zero(0) || zero(1) => Some(false),
            "Not" if depth > 0 => self.filled(operand(0)?, depth.saturating_sub(1)).map(|b| !b),
            _ => None,
        }
    }

    /// Runs `body` with the heap and the region of a way.
    fn within<T>(&mut self, way: &mut Way, body: impl FnOnce(&mut Context) -> Outcome<T>) -> Outcome<T> {
        std::mem::swap(&mut self.cx.heap, &mut way.heap);
        let outer = std::mem::replace(&mut self.cx.region, way.region);
        let out = body(&mut self.cx);
        self.cx.region = outer;
        std::mem::swap(&mut self.cx.heap, &mut way.heap);
        out
    }

    fn choice(&mut self, cond: ValueId, a: &Way, b: &Way, typed: &[Vec<Type>]) -> Outcome<Vec<ValueId>> {
        let [x, y] = typed else { return Ok(Vec::new()) };
        if x.is_empty() {
            return Ok(Vec::new());
        }
        let Some(def) = modelsmith_ops::all().get("", "If") else { return unsupported("the hub has no If") };
        let regions = vec![("then_branch".to_owned(), a.region), ("else_branch".to_owned(), b.region)];
        let node = self.cx.push(Op::Known(def), &[Some(cond)], Attrs::new(), regions, &vec![Some(""); x.len()])?;
        let made = self.cx.results(node);
        for ((&v, x), y) in made.iter().zip(x).zip(y) {
            if let Some(value) = self.cx.model.values.get_mut(v) {
                value.ty = x.join(y);
            }
        }
        Ok(made)
    }

    fn settle(
        &mut self,
        frame: &mut Frame,
        kept: Vec<(Slot, Val)>,
        molds: Vec<(Slot, Mold, Val, Val)>,
        made: Vec<ValueId>,
    ) -> Outcome<Flow> {
        let mut parts = made.into_iter();
        let mut result = None;
        for (slot, v) in kept {
            result = self.put(frame, slot, v)?.or(result);
        }
        for (slot, mold, _, _) in molds {
            let v = self.cx.take_out(&mold, &mut parts)?;
            result = self.put(frame, slot, v)?.or(result);
        }
        Ok(match result {
            Some(v) => Flow::Return(v),
            None => Flow::Next,
        })
    }

    /// Gives a place its value after the ways met; returns that of [`Slot::Result`].
    pub(super) fn put(&mut self, frame: &mut Frame, slot: Slot, v: Val) -> Outcome<Option<Val>> {
        match slot {
            Slot::Result => return Ok(Some(v)),
            Slot::Variable(name) => {
                frame.vars.insert(name, v);
            }
            Slot::Tensor(i) => {
                if let Val::Tensor(t) = v {
                    let new = self.cx.read(t)?;
                    self.cx.write(TensorRef(i), new)?;
                }
            }
            Slot::List(i) => {
                if let Val::List(r) = v
                    && let Some(list) = self.cx.heap.lists.get(r.0).cloned()
                    && let Some(slot) = self.cx.heap.lists.get_mut(i)
                {
                    *slot = list;
                }
            }
            Slot::Dict(i) => {
                if let Val::Dict(r) = v
                    && let Some(dict) = self.cx.heap.dicts.get(r.0).cloned()
                    && let Some(slot) = self.cx.heap.dicts.get_mut(i)
                {
                    *slot = dict;
                }
            }
            Slot::Attribute(i, name) => {
                if let Some(object) = self.cx.heap.objects.get_mut(i) {
                    object.attrs.insert(name, v);
                }
            }
        }
        Ok(None)
    }
}

/// True where what `v` refers to was there before the ways parted.
pub(super) fn lives(heap: &Heap, v: &Val) -> bool {
    match v {
        Val::Tensor(t) => t.0 < heap.tensors.len(),
        Val::List(r) => r.0 < heap.lists.len(),
        Val::Dict(r) => r.0 < heap.dicts.len(),
        Val::Object(r) => r.0 < heap.objects.len(),
        Val::Tuple(t) => t.items.iter().all(|v| lives(heap, v)),
        // A number of the graph made on both ways alike is one that was there.
        _ => true,
    }
}

/// The value of a place; tensors, lists and dictionaries by reference.
pub(super) fn value(slot: &Slot, frame: &Frame, heap: &Heap, result: &Option<Val>) -> Option<Val> {
    match slot {
        Slot::Variable(name) => frame.vars.get(name).cloned(),
        Slot::Tensor(i) => Some(Val::Tensor(TensorRef(*i))),
        Slot::List(i) => Some(Val::List(crate::aten::value::ListRef(*i))),
        Slot::Dict(i) => Some(Val::Dict(crate::aten::value::DictRef(*i))),
        Slot::Attribute(i, name) => heap.objects.get(*i).and_then(|o| o.attrs.get(name)).cloned(),
        Slot::Result => result.clone(),
    }
}

/// The places of `before` that have another content in `after`.
pub(super) fn changed(before: &Heap, after: &Heap) -> Vec<Slot> {
    let mut out = Vec::new();
    for (i, (x, y)) in before.tensors.iter().zip(&after.tensors).enumerate() {
        if let (Cell::Base { version: v, .. }, Cell::Base { version: w, .. }) = (x, y)
            && v != w
        {
            out.push(Slot::Tensor(i));
        }
    }
    for (i, (x, y)) in before.lists.iter().zip(&after.lists).enumerate() {
        let equal = match (x, y) {
            (List::Items(x), List::Items(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
            (List::Sequence(x, _), List::Sequence(y, _)) => x == y,
            (List::Vector(_, x), List::Vector(_, y)) => x == y,
            _ => false,
        };
        if !equal {
            out.push(Slot::List(i));
        }
    }
    for (i, (x, y)) in before.dicts.iter().zip(&after.dicts).enumerate() {
        let equal = |((k, x), (l, y)): ((&Val, &Val), (&Val, &Val))| same(k, l) && same(x, y);
        let pairs = x.iter().zip(y).map(|((k, x), (l, y))| ((k, x), (l, y)));
        if x.len() != y.len() || !pairs.into_iter().all(equal) {
            out.push(Slot::Dict(i));
        }
    }
    for (i, (x, y)) in before.objects.iter().zip(&after.objects).enumerate() {
        let mut names = y.attrs.keys().collect::<Vec<_>>();
        names.sort();
        for name in names {
            let equal = matches!((x.attrs.get(name), y.attrs.get(name)), (Some(x), Some(y)) if same(x, y));
            if !equal {
                out.push(Slot::Attribute(i, name.clone()));
            }
        }
    }
    out
}
