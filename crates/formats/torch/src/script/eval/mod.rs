//! The walk through a program with values that are known, and values of the graph where they are not.
//!
//! Methods are followed where they are called, attributes are read where they are named, tuples and lists are taken
//! apart: what is left are operators on tensors. A branch whose condition is known is taken; one whose condition is not
//! becomes `If`, a loop `Loop` ([`branch`], [`repeat`]).

mod branch;
mod builtin;
mod expr;
mod numbers;
mod repeat;

use super::archive::Archive;
use super::ast::{Do, Expr, Function, Stmt};
use crate::aten::{Context, List, Outcome, Stop, Val, damaged, unsupported};
use modelsmith_format::Error;
use std::collections::HashMap;
use std::rc::Rc;

/// Calls inside each other that are followed.
const CALLS: usize = 120;
/// Statements that are walked, repeated ones counted each time.
const STEPS: usize = 4_000_000;

/// Walks one program.
pub(super) struct Walk<'a> {
    pub cx: Context,
    pub archive: &'a Archive,
    /// The constants that code names.
    pub constants: Vec<Val>,
    calls: usize,
    steps: usize,
    /// The first error of the archive itself.
    pub broken: Option<Error>,
}

/// Variables of a function.
#[derive(Clone)]
pub(super) struct Frame {
    vars: HashMap<Rc<str>, Val>,
    file: Rc<str>,
}

/// How a block ended.
pub(super) enum Flow {
    Next,
    Return(Val),
}

impl<'a> Walk<'a> {
    pub(super) fn new(cx: Context, archive: &'a Archive) -> Walk<'a> {
        Walk { cx, archive, constants: Vec::new(), calls: 0, steps: 0, broken: None }
    }

    /// What an archive's lookup gives; its errors end the walk.
    fn looked<T>(&mut self, found: modelsmith_format::Result<T>) -> Outcome<T> {
        found.map_err(|e| {
            let what = e.to_string();
            self.broken.get_or_insert(e);
            Stop::Damaged(what)
        })
    }

    /// Calls a function or method with its arguments in order.
    pub(super) fn call_function(&mut self, f: &Rc<Function>, given: &[(Option<String>, Val)]) -> Outcome<Val> {
        if self.calls >= CALLS {
            return unsupported(format!("{} calls inside each other: recursion is not followed", CALLS));
        }
        let mut vars = HashMap::new();
        let mut places = given.iter().filter(|(n, _)| n.is_none());
        for p in &f.params {
            let named = given.iter().find(|(n, _)| n.as_deref() == Some(p.name.as_str()));
            let value = match (named.or_else(|| places.next()), &p.default) {
                (Some((_, v)), _) => v.clone(),
                (None, Some(e)) => {
                    let mut frame = Frame { vars: HashMap::new(), file: f.file.clone() };
                    self.expr(&mut frame, e)?
                }
                (None, None) => return damaged(format!("{}: argument `{}` is missing", f.name, p.name)),
            };
            vars.insert(p.name.as_str().into(), value);
        }
        let mut frame = Frame { vars, file: f.file.clone() };
        self.calls = self.calls.saturating_add(1);
        let place = std::mem::take(&mut self.cx.place);
        let out = self.block(&mut frame, &f.body);
        self.calls = self.calls.saturating_sub(1);
        if out.is_ok() {
            self.cx.place = place;
        }
        match out? {
            Flow::Return(v) => Ok(v),
            Flow::Next => Ok(Val::None),
        }
    }

    pub(super) fn block(&mut self, frame: &mut Frame, body: &[Stmt]) -> Outcome<Flow> {
        for stmt in body {
            self.steps = self.steps.saturating_add(1);
            if self.steps > STEPS {
                return unsupported(format!("a program of more than {STEPS} steps"));
            }
            self.cx.place = self.archive.place(&frame.file, stmt.line);
            if let Flow::Return(v) = self.statement(frame, &stmt.what)? {
                return Ok(Flow::Return(v));
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, frame: &mut Frame, what: &Do) -> Outcome<Flow> {
        match what {
            Do::Pass => {}
            Do::Expr(e) => {
                self.expr(frame, e)?;
            }
            Do::Assign { targets, unpack, value } => {
                let count = if *unpack { targets.len() } else { 1 };
                let value = self.wanted(frame, value, count)?;
                self.assign(frame, targets, *unpack, value)?;
            }
            Do::If { cond, then, other } => return self.branch(frame, cond, then, other),
            Do::For { target, count, body } => return self.for_loop(frame, target, count, body),
            Do::While { cond, body } => return self.while_loop(frame, cond, body),
            Do::With(body) => return self.block(frame, body),
            Do::Return(value) => {
                let value = match value {
                    Some(e) => self.expr(frame, e)?,
                    None => Val::None,
                };
                return Ok(Flow::Return(value));
            }
            Do::Raise(e) => {
                let what = self.raised(frame, e);
                return Err(Stop::Raise(what));
            }
            Do::Assert(cond, message) => {
                let cond = self.expr(frame, cond)?;
                match self.truth(&cond)? {
                    Val::Bool(true) => {}
                    Val::Bool(false) => {
                        let what = message.as_ref().map_or_else(String::new, |e| self.raised(frame, e));
                        return Err(Stop::Raise(what));
                    }
                    _ => self.dropped_check(),
                }
            }
        }
        Ok(Flow::Next)
    }

    /// The text of an exception.
    fn raised(&mut self, frame: &mut Frame, e: &Expr) -> String {
        let e = match e {
            Expr::Call(_, args) => match args.first() {
                Some((_, first)) => first,
                None => return "an exception".into(),
            },
            other => other,
        };
        match self.expr(frame, e) {
            Ok(Val::Str(s)) => s.to_string(),
            _ => "an exception".into(),
        }
    }

    /// A check of the program that the graph does not make.
    pub(super) fn dropped_check(&mut self) {
        let place = self.cx.place.clone();
        self.cx.warn("torch.check", format!("a check that depends on the inputs is not made ({place})"));
    }

    fn assign(&mut self, frame: &mut Frame, targets: &[Expr], unpack: bool, value: Val) -> Outcome<()> {
        if !unpack {
            return match targets.first() {
                Some(target) => self.store(frame, target, value),
                None => Ok(()),
            };
        }
        let items = match &value {
            Val::List(r) if !matches!(self.cx.heap.lists.get(r.0), Some(List::Items(_))) => {
                // So many items are wanted: a run that has another number fails where it takes them.
                let at = |i: usize| Val::Int(i64::try_from(i).unwrap_or(0));
                (0..targets.len()).map(|i| self.item(&value, &at(i))).collect::<Outcome<Vec<_>>>()?
            }
            Val::List(_) | Val::Tuple(_) => self.cx.items(&value)?,
            Val::Tensor(_) => self.unpacked(&value, targets.len())?,
            other => return unsupported(format!("{} cannot be taken apart", other.what())),
        };
        if items.len() != targets.len() {
            let what = format!("{} values are taken apart into {}", items.len(), targets.len());
            return Err(Stop::Raise(what));
        }
        targets.iter().zip(items).try_for_each(|(target, v)| self.store(frame, target, v))
    }

    fn store(&mut self, frame: &mut Frame, target: &Expr, value: Val) -> Outcome<()> {
        match target {
            Expr::Name(name) => {
                frame.vars.insert(name.clone(), value);
                Ok(())
            }
            Expr::Attr(of, name) => {
                let Val::Object(r) = self.expr(frame, of)? else {
                    return damaged("an attribute of what is no object is set");
                };
                if let Some(object) = self.cx.heap.objects.get_mut(r.0) {
                    object.attrs.insert(name.to_string(), value);
                }
                Ok(())
            }
            Expr::Item(of, index) => {
                let (of, index) = (self.expr(frame, of)?, self.expr(frame, index)?);
                self.set_item(&of, &index, value)
            }
            Expr::Tuple(items) => self.assign(frame, items, true, value),
            _ => damaged("an assignment to what is no variable"),
        }
    }
}
