//! Attributes that a run changes and a later run reads: inputs of the graph, and outputs under the name with `_next`.

use super::lower::{Hints, tensor};
use crate::aten::context::{Change, Form};
use crate::aten::mold::{same, scalar_type};
use crate::aten::value::{Cell, Heap, TensorRef};
use crate::aten::{Context, Kind, List, Outcome, Stop, Val};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_ir::{Type, ValueId};

/// An attribute that is an input and an output.
#[derive(Clone, Debug)]
pub(super) struct State {
    object: usize,
    attr: String,
    pub(super) label: String,
    /// The kind of number that it is; `None` for a tensor.
    number: Option<Kind>,
}

/// The attributes that have another value now than in `before`.
pub(super) fn changes(before: &Heap, cx: &mut Context) -> Vec<Change> {
    let mut out = differing(before, &cx.heap);
    for c in &mut out {
        let now = cx.heap.objects.get(c.object).and_then(|o| o.attrs.get(&c.attr)).cloned();
        c.form = match now {
            Some(Val::Tensor(t)) => match cx.read(t).map(|v| cx.ty(v)) {
                Ok(ty) => ty.dtype().zip(ty.rank()).map(|(dtype, rank)| Form::Tensor(dtype, rank)),
                Err(_) => None,
            },
            Some(v) => v.number().map(Form::Number),
            None => None,
        };
    }
    out
}

fn differing(before: &Heap, after: &Heap) -> Vec<Change> {
    let mut out = Vec::new();
    for (object, (old, new)) in before.objects.iter().zip(&after.objects).enumerate() {
        let mut names = new.attrs.keys().collect::<Vec<_>>();
        names.sort();
        for name in names {
            let (was, is) = (old.attrs.get(name), new.attrs.get(name));
            let written = |t: TensorRef| match (before.tensors.get(t.0), after.tensors.get(t.0)) {
                (Some(Cell::Base { version: a, .. }), Some(Cell::Base { version: b, .. })) => a != b,
                _ => false,
            };
            let equal = matches!((was, is), (Some(o), Some(v)) if same(o, v) || alike((before, o), (after, v)));
            if !equal || matches!(is, Some(Val::Tensor(t)) if written(*t)) {
                let label = if new.path.is_empty() { name.clone() } else { format!("{}.{name}", new.path) };
                out.push(Change { object, attr: name.clone(), label, form: None });
            }
        }
    }
    out
}

/// True for lists whose items are the same, or tensors of the same elements: what a run makes anew of what was there.
fn alike(old: (&Heap, &Val), new: (&Heap, &Val)) -> bool {
    let value = |(heap, v): (&Heap, &Val)| match v {
        Val::Tensor(t) => match heap.tensors.get(t.0) {
            Some(Cell::Base { value, .. } | Cell::View { value, .. }) => Some(*value),
            None => None,
        },
        _ => None,
    };
    let items = |(heap, v): (&Heap, &Val)| match v {
        Val::List(r) => match heap.lists.get(r.0) {
            Some(List::Items(items)) => Some(items.clone()),
            _ => None,
        },
        _ => None,
    };
    match (items(old), items(new)) {
        (Some(x), Some(y)) => {
            let equal = |(x, y): (&Val, &Val)| same(x, y) || alike((old.0, x), (new.0, y));
            x.len() == y.len() && x.iter().zip(&y).all(equal)
        }
        _ => value(old).is_some() && value(old) == value(new),
    }
}

/// What is said where the state of a program cannot be handed on.
pub(super) fn warning(changed: &[Change]) -> Diagnostic {
    let names = changed.iter().map(|c| c.label.as_str()).collect::<Vec<_>>().join(", ");
    let what = format!("the program keeps state between runs, each run of the graph begins anew: {names}");
    Diagnostic::new(Severity::Warning, "torch.state", what)
}

/// `hints` with the changed attributes as states; `None` where one of them is neither a tensor of a known rank, a number nor a
/// flag.
pub(super) fn wanted(changed: &[Change], hints: &Hints) -> Option<Hints> {
    let mut hints = hints.clone();
    for c in changed {
        if hints.states.iter().any(|s| s.label == c.label) || hints.idle.contains(&c.label) {
            continue;
        }
        let number = match c.form? {
            Form::Tensor(dtype, rank) => {
                hints.types.insert(c.label.clone(), dtype);
                hints.ranks.insert(c.label.clone(), rank);
                None
            }
            Form::Number(kind) => Some(kind),
        };
        hints.states.push(State { object: c.object, attr: c.attr.clone(), label: c.label.clone(), number });
    }
    Some(hints)
}

/// The input that a state is, and what the archive has in its place.
pub(super) struct Held {
    param: ValueId,
    begins: String,
}

/// Makes an input of each state and gives it to its attribute.
pub(super) fn inputs(cx: &mut Context, hints: &Hints) -> Outcome<Vec<Held>> {
    let mut out = Vec::new();
    for state in &hints.states {
        let first = cx.heap.objects.get(state.object).and_then(|o| o.attrs.get(&state.attr)).cloned();
        let begins = beginning(cx, first.as_ref().unwrap_or(&Val::None));
        let param = match state.number {
            None => tensor(cx, &state.label, hints),
            Some(kind) => cx.model.add_param(cx.model.main, &state.label, Type::fixed(scalar_type(kind), &[])),
        };
        let value = match state.number {
            None => cx.tensor(param),
            Some(kind) => Val::Num(kind, param),
        };
        if let Some(object) = cx.heap.objects.get_mut(state.object) {
            object.attrs.insert(state.attr.clone(), value);
        }
        out.push(Held { param, begins });
    }
    Ok(out)
}

/// A value of the archive in words.
fn beginning(cx: &mut Context, v: &Val) -> String {
    match v {
        Val::Tensor(t) => match cx.read(*t) {
            Ok(v) => crate::state::described(cx, v),
            Err(_) => "a tensor".into(),
        },
        Val::Int(n) => n.to_string(),
        Val::Float(x) => x.to_string(),
        Val::Bool(b) => b.to_string(),
        other => other.what().to_owned(),
    }
}

/// Makes an output of each state.
///
/// # Errors
/// [`Stop::Idle`] with the states that no output depends on, now or in a later run.
pub(super) fn outputs(cx: &mut Context, hints: &Hints, held: &[Held]) -> Outcome<()> {
    if hints.states.is_empty() {
        return Ok(());
    }
    let mut ends = Vec::new();
    for state in &hints.states {
        let now = cx.heap.objects.get(state.object).and_then(|o| o.attrs.get(&state.attr)).cloned();
        ends.push(cx.scalar_of(&now.unwrap_or(Val::None))?);
    }
    let pairs = held.iter().map(|h| h.param).zip(ends.iter().copied()).collect::<Vec<_>>();
    let needed = crate::state::needed(&cx.model, cx.model.graph().results.clone(), &pairs);
    let idle = (0..held.len()).filter(|i| !needed.contains(i)).collect::<Vec<_>>();
    if !idle.is_empty() {
        return Err(Stop::Idle(idle));
    }
    let mut begin = Vec::new();
    for (state, (held, &end)) in hints.states.iter().zip(held.iter().zip(&ends)) {
        cx.add_result(end, &format!("{}_next", state.label))?;
        begin.push((state.label.clone(), held.begins.clone()));
    }
    cx.findings.push(crate::state::handed_on(&begin));
    Ok(())
}
