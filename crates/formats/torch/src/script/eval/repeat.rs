//! Loops: unrolled where the number of runs is known and small, else `Loop`.

use super::branch::{Slot, changed, lives, value};
use super::{Flow, Frame, Walk};
use crate::aten::mold::{Mold, covers, join, same, types};
use crate::aten::value::Heap;
use crate::aten::{Kind, Outcome, Stop, Val, damaged, unsupported};
use crate::script::ast::{Do, Expr, Stmt};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, Op, RegionId, Type, ValueId};
use std::rc::Rc;

/// Runs that are written one after the other.
const UNROLLED: i64 = 256;
/// Runs of a loop whose end is known before each of them.
const KNOWN: usize = 4096;
/// How often the forms of carried values are widened.
const ROUNDS: usize = 12;

/// A loop to be built.
struct Loop<'b> {
    /// Number of runs; `None` for a loop that ends by its condition.
    count: Option<ValueId>,
    /// Variable that counts the runs.
    target: Option<Rc<str>>,
    /// Condition before each run.
    cond: Option<&'b Expr>,
    body: &'b [Stmt],
}

/// A carried place with its form and its value at the beginning.
type Carried = (Slot, Mold, Val);

impl Walk<'_> {
    pub(super) fn for_loop(&mut self, frame: &mut Frame, target: &str, count: &Expr, body: &[Stmt]) -> Outcome<Flow> {
        let range = match count {
            Expr::Call(f, args) if matches!(f.as_ref(), Expr::Name(n) if n.as_ref() == "range") => args.first(),
            _ => None,
        };
        let Some((_, count)) = range else { return damaged("a loop over something that is no range") };
        let count = self.expr(frame, count)?;
        let count = self.whole(count)?;
        let target: Rc<str> = target.into();
        if let Val::Int(n) = count
            && n <= UNROLLED
        {
            for i in 0..n {
                frame.vars.insert(target.clone(), Val::Int(i));
                if let Flow::Return(v) = self.block(frame, body)? {
                    return Ok(Flow::Return(v));
                }
            }
            return Ok(Flow::Next);
        }
        let count = self.cx.operand(&count, DType::I64)?;
        self.build(frame, &Loop { count: Some(count), target: Some(target), cond: None, body })
    }

    pub(super) fn while_loop(&mut self, frame: &mut Frame, cond: &Expr, body: &[Stmt]) -> Outcome<Flow> {
        for _ in 0..KNOWN {
            let now = self.expr(frame, cond)?;
            match self.truth(&now)? {
                Val::Bool(false) => return Ok(Flow::Next),
                Val::Bool(true) => {
                    if let Flow::Return(v) = self.block(frame, body)? {
                        return Ok(Flow::Return(v));
                    }
                }
                _ => return self.build(frame, &Loop { count: None, target: None, cond: Some(cond), body }),
            }
        }
        unsupported(format!("a loop of more than {KNOWN} known runs"))
    }

    /// Finds the forms of what is carried, widening them until they hold, and builds the loop.
    fn build(&mut self, frame: &mut Frame, l: &Loop<'_>) -> Outcome<Flow> {
        let (heap, found, place) = (self.cx.heap.clone(), self.cx.findings.len(), self.cx.place.clone());
        let mut names = Vec::new();
        assigned(l.body, &mut names);
        names.sort();
        names.dedup();
        let mut carried: Vec<Carried> = Vec::new();
        for name in names {
            if let Some(v) = frame.vars.get(&name).cloned()
                && l.target.as_ref() != Some(&name)
            {
                let mold = self.cx.mold(&v)?;
                carried.push((Slot::Variable(name), mold, v));
            }
        }
        for _ in 0..ROUNDS {
            self.cx.findings.truncate(found);
            self.cx.place.clone_from(&place);
            self.cx.heap = heap.clone();
            let round = self.round(frame, l, &mut carried, &heap)?;
            if let Some((region, ends)) = round {
                self.cx.heap = heap;
                self.cx.place = place;
                return self.finish(frame, l, region, &carried, ends);
            }
        }
        self.cx.heap = heap;
        unsupported("a loop whose variables change their kind with every run")
    }

    /// One attempt: the body with parameters of the forms found so far. `None` when a form had to be widened.
    #[allow(clippy::type_complexity)]
    fn round(
        &mut self,
        frame: &Frame,
        l: &Loop<'_>,
        carried: &mut Vec<Carried>,
        before: &Heap,
    ) -> Outcome<Option<(RegionId, Vec<ValueId>)>> {
        let outer = self.cx.region;
        let region = self.cx.model.add_region("");
        let run = self.cx.model.add_param(region, "", Type::fixed(DType::I64, &[]));
        self.cx.model.add_param(region, "", Type::fixed(DType::Bool, &[]));
        self.cx.region = region;
        let out = self.attempt(frame, l, carried, before, region, run);
        self.cx.region = outer;
        out
    }

    #[allow(clippy::type_complexity)]
    fn attempt(
        &mut self,
        frame: &Frame,
        l: &Loop<'_>,
        carried: &mut Vec<Carried>,
        before: &Heap,
        region: RegionId,
        run: ValueId,
    ) -> Outcome<Option<(RegionId, Vec<ValueId>)>> {
        let mut own = frame.clone();
        if let Some(target) = &l.target {
            own.vars.insert(target.clone(), Val::Num(Kind::Int, run));
        }
        for (slot, mold, _) in carried.iter() {
            let mut tys = Vec::new();
            types(mold, &mut tys);
            let params = tys.into_iter().map(|ty| self.cx.model.add_param(region, "", ty)).collect::<Vec<_>>();
            let v = self.cx.take_out(mold, &mut params.into_iter())?;
            self.put(&mut own, slot.clone(), v)?;
        }
        let entry = self.cx.heap.clone();
        if let Flow::Return(_) = self.block(&mut own, l.body)? {
            return unsupported("a return inside a loop");
        }
        let mut results = vec![self.goes_on(&mut own, l)?];
        let after = self.cx.heap.clone();
        let mut steady = self.found(frame, carried, before, &entry, &after)?;
        self.cx.heap = after;
        for (slot, mold, _) in carried.iter_mut() {
            let Some(v) = value(slot, &own, &self.cx.heap, &None) else {
                return damaged("a variable that a loop lost");
            };
            // A reference to what was there before stays one: its content is carried by itself.
            let start = value(slot, frame, before, &None);
            let place = matches!(slot, Slot::Variable(_) | Slot::Attribute(..));
            if let (true, Some(start)) = (place, &start)
                && matches!(mold, Mold::Fixed(f) if same(f, start))
                && same(&v, start)
                && lives(before, &v)
            {
                continue;
            }
            let end = self.cx.mold(&v)?;
            if !covers(mold, &end) {
                *mold = join(&widened(mold), &end);
                steady = false;
                continue;
            }
            if steady {
                self.cx.pour(mold, &v, &mut results)?;
            }
        }
        if !steady {
            return Ok(None);
        }
        let results = self.cx.results_of_region(results)?;
        Ok(Some((region, results)))
    }

    /// Whether another run follows.
    fn goes_on(&mut self, frame: &mut Frame, l: &Loop<'_>) -> Outcome<ValueId> {
        match l.cond {
            None => Ok(self.cx.constant(modelsmith_tensor::Tensor::from_bools(&[], vec![true])?)),
            Some(cond) => {
                let now = self.expr(frame, cond)?;
                let now = self.truth(&now)?;
                self.cx.operand(&now, DType::Bool)
            }
        }
    }

    /// Adds places that existed before and that a run changed to what is carried; false when there are some.
    fn found(
        &mut self,
        frame: &Frame,
        carried: &mut Vec<Carried>,
        before: &Heap,
        entry: &Heap,
        after: &Heap,
    ) -> Outcome<bool> {
        let mut steady = true;
        for slot in changed(entry, after) {
            let known = carried.iter().any(|(s, _, _)| *s == slot);
            let old = matches!(&slot, Slot::Tensor(i) if *i < before.tensors.len())
                || matches!(&slot, Slot::List(i) if *i < before.lists.len())
                || matches!(&slot, Slot::Dict(i) if *i < before.dicts.len())
                || matches!(&slot, Slot::Attribute(i, _) if *i < before.objects.len());
            if known || !old {
                continue;
            }
            steady = false;
            let Some(v) = value(&slot, frame, before, &None) else {
                return unsupported("an attribute that a loop makes");
            };
            self.cx.heap = before.clone();
            let mold = self.cx.mold(&v)?;
            carried.push((slot, mold, v));
        }
        Ok(steady)
    }

    fn finish(
        &mut self,
        frame: &mut Frame,
        l: &Loop<'_>,
        region: RegionId,
        carried: &[Carried],
        results: Vec<ValueId>,
    ) -> Outcome<Flow> {
        if let Some(region) = self.cx.model.regions.get_mut(region) {
            region.results = results;
        }
        let mut entry = Vec::new();
        for (_, mold, v) in carried {
            self.cx.pour(mold, v, &mut entry)?;
        }
        let cond = match l.cond {
            None => None,
            Some(_) => Some(self.goes_on(frame, l)?),
        };
        let Some(def) = modelsmith_ops::all().get("", "Loop") else { return unsupported("the hub has no Loop") };
        let mut inputs = vec![l.count, cond];
        inputs.extend(entry.iter().map(|&v| Some(v)));
        let regions = vec![("body".to_owned(), region)];
        let node = self.cx.push(Op::Known(def), &inputs, Attrs::new(), regions, &vec![Some(""); entry.len()])?;
        let made = self.cx.results(node);
        let mut tys = Vec::new();
        carried.iter().for_each(|(_, mold, _)| types(mold, &mut tys));
        for (&v, ty) in made.iter().zip(tys) {
            if let Some(value) = self.cx.model.values.get_mut(v) {
                value.ty = ty;
            }
        }
        let mut parts = made.into_iter();
        for (slot, mold, _) in carried {
            let v = self.cx.take_out(mold, &mut parts)?;
            self.put(frame, slot.clone(), v)?;
        }
        Ok(Flow::Next)
    }

    /// A number as an integer.
    fn whole(&mut self, v: Val) -> Outcome<Val> {
        match v {
            Val::Bool(b) => Ok(Val::Int(i64::from(b))),
            Val::Tensor(t) => {
                let v = self.cx.read(t)?;
                let v = self.cx.cast(v, DType::I64)?;
                Ok(self.cx.number_of(Kind::Int, v))
            }
            other if other.number().is_some() => Ok(other),
            other => Err(Stop::Unsupported(format!("{} as a number of runs", other.what()))),
        }
    }
}

/// Fixed numbers become carried ones, and lists of a known length lists of any, before they are joined with another run's.
fn widened(m: &Mold) -> Mold {
    match m {
        Mold::Fixed(v) => match v.number() {
            Some(kind) => Mold::Number(kind),
            None => m.clone(),
        },
        Mold::Tuple(items, names) => Mold::Tuple(items.iter().map(widened).collect(), names.clone()),
        other => other.clone(),
    }
}

/// Names that a block gives values to.
fn assigned(body: &[Stmt], out: &mut Vec<Rc<str>>) {
    fn targets(e: &Expr, out: &mut Vec<Rc<str>>) {
        match e {
            Expr::Name(n) => out.push(n.clone()),
            Expr::Tuple(items) => items.iter().for_each(|e| targets(e, out)),
            _ => {}
        }
    }
    for stmt in body {
        match &stmt.what {
            Do::Assign { targets: to, .. } => to.iter().for_each(|e| targets(e, out)),
            Do::If { then, other, .. } => {
                assigned(then, out);
                assigned(other, out);
            }
            Do::For { body, target, .. } => {
                out.push(target.as_str().into());
                assigned(body, out);
            }
            Do::While { body, .. } | Do::With(body) => assigned(body, out),
            _ => {}
        }
    }
}
