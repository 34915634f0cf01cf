//! From an archive to a model of the hub: inputs with what follows of them from their use, the walk, outputs.
//!
//! An archive says neither ranks nor element types of its inputs. The walk assumes the least, and begins again with what
//! the program turned out to want: four dimensions where an input is convolved, integers where it is an index. Ranks
//! that are only guessed are tried in turn; the first under which all operators can be said is taken.

use super::archive::Archive;
use super::ast::{Function, Type as Annotation};
use super::branches;
use super::eval::Walk;
use super::lint;
use super::objects;
use super::state::{self, State};
use crate::aten::context::Change;
use crate::aten::value::ObjectRef;
use crate::aten::{Context, Kind, List, Outcome, Stop, Val, damaged, unsupported};
use crate::program::signature::Slot;
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::Tree;
use modelsmith_ir::{Def, Dim, Model, TensorType, Type, ValueId};
use std::collections::HashMap;
use std::rc::Rc;

/// How often the walk begins again.
const ATTEMPTS: usize = 96;
/// Ranks that are tried where nothing suggests one.
const RANKS: [usize; 6] = [2, 4, 3, 1, 5, 0];

/// What is assumed of the inputs, by their names and the names of their dimensions.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    pub ranks: HashMap<String, usize>,
    pub types: HashMap<String, DType>,
    pub sizes: HashMap<String, Dim>,
    /// Number of tensors in an argument that is a list, where the program needs it to be known.
    pub lengths: HashMap<String, usize>,
    /// Keys of an argument that is a dictionary, as the program asks for them.
    pub keys: HashMap<String, Vec<String>>,
    /// Attributes that are inputs and outputs.
    pub states: Vec<State>,
    /// Attributes that a run changes and no output depends on.
    pub idle: Vec<String>,
    /// What was found about sizes that a constant of the program demands.
    pub baked: Vec<Diagnostic>,
}

impl Hints {
    /// Makes the states with these numbers plain attributes.
    fn drop_states(&mut self, which: Vec<usize>) {
        for i in which.into_iter().rev() {
            if i < self.states.len() {
                self.idle.push(self.states.remove(i).label);
            }
        }
    }
}

/// A program as a graph.
pub(super) struct Lowered {
    pub model: Model,
    pub findings: Vec<Diagnostic>,
}

impl Lowered {
    /// Operators that stayed as they are.
    pub(super) fn left(&self) -> usize {
        self.findings.iter().filter(|f| f.code == "torch.operator").count()
    }
}

/// Lowers the method `forward` of the object in `archive`.
///
/// # Errors
/// [`Stop::Damaged`] when the archive is; other stops where no graph can be made.
pub(super) fn lower(archive: &Archive, hints: Hints) -> Outcome<Lowered> {
    let mut budget = ATTEMPTS;
    let mut hints = hints;
    examples(archive, &mut hints)?;
    search(archive, hints, &mut budget)
}

/// What the inputs that a module was traced with say, where the user did not say it.
fn examples(archive: &Archive, hints: &mut Hints) -> Outcome<()> {
    let Tree::Object { class, .. } = &archive.object else { return Ok(()) };
    let forward = archive.method(class, "forward").map_err(|e| Stop::Damaged(e.to_string()))?;
    let params = forward.iter().flat_map(|f| f.params.iter().skip(1)).collect::<Vec<_>>();
    if let Some(signature) = &archive.signature {
        let names = params.iter().map(|p| p.name.as_str());
        names.zip(&signature.inputs).for_each(|(name, slot)| typed(name, slot, hints));
    }
    for (p, example) in params.iter().zip(archive.examples.iter().flatten()) {
        if let Some((dtype, shape)) = example {
            hints.types.entry(p.name.clone()).or_insert(*dtype);
            hints.ranks.entry(p.name.clone()).or_insert(shape.len());
        }
    }
    Ok(())
}

/// What the signature of an archive says of the argument `name`, where the user did not say it.
fn typed(name: &str, slot: &Slot, hints: &mut Hints) {
    let t = match slot.parsed() {
        Some(Type::Tensor(t)) => t,
        Some(Type::Sequence(of)) => TensorType { dtype: of.dtype(), shape: None },
        _ => return,
    };
    if let Some(dtype) = t.dtype {
        hints.types.entry(name.to_owned()).or_insert(dtype);
    }
    let Some(shape) = t.shape else { return };
    if *hints.ranks.entry(name.to_owned()).or_insert(shape.len()) != shape.len() {
        return;
    }
    for (i, d) in shape.into_iter().enumerate() {
        if d.known().is_some() || d.as_symbol().is_some() {
            hints.sizes.entry(format!("{name}_{i}")).or_insert(d);
        }
    }
}

fn search(archive: &Archive, mut hints: Hints, budget: &mut usize) -> Outcome<Lowered> {
    loop {
        if *budget == 0 {
            return unsupported("the ranks of the inputs could not be found: give them with --shape");
        }
        *budget = budget.saturating_sub(1);
        let mut walk = Walk::new(Context::new(), archive);
        let stop = match attempt(&mut walk, archive, &hints) {
            Ok(model) => {
                let found = Lowered { model, findings: std::mem::take(&mut walk.cx.findings) };
                let found = lengthened(archive, &hints, &walk, found, budget);
                return Ok(stateful(archive, &hints, &walk.cx.changed, found, budget));
            }
            Err(stop) => stop,
        };
        match stop {
            Stop::Unsupported(_) if !walk.cx.open_lists.is_empty() => {
                hints.lengths.extend(walk.cx.open_lists.iter().map(|name| (name.clone(), 1)));
            }
            Stop::Idle(which) => hints.drop_states(which),
            Stop::Key(name, key) => hints.keys.entry(name).or_default().push(key),
            Stop::Element(v, dtype) => match input_behind(&walk.cx.model, v, |_| true) {
                Some(name) if hints.types.get(&name) != Some(&dtype) => {
                    hints.types.insert(name, dtype);
                }
                _ => return unsupported(format!("an operand has to be of {dtype}")),
            },
            Stop::Size(symbol, dim) => {
                hints.baked.extend(demanded(archive, &walk.cx, &symbol, &dim));
                if hints.sizes.insert(symbol.to_string(), dim).is_some() {
                    return damaged(format!("the dimension {symbol} has to have two sizes"));
                }
            }
            Stop::Rank(v, guess) => {
                let unranked = |t: &Type| t.rank().is_none();
                let model = &walk.cx.model;
                // A value that a loop carries leads to no input yet: then it is the first without a rank.
                let first = || {
                    let params = model.graph().params.iter().filter_map(|&p| model.values.get(p));
                    params.clone().find(|v| v.ty.as_tensor().is_some() && unranked(&v.ty)).map(|v| v.name.clone())
                };
                match input_behind(model, v, unranked).or_else(first) {
                    Some(name) => return ranked(archive, &hints, &name, guess, budget),
                    None => return unsupported(format!("{}: the rank of an operand is not known", walk.cx.place)),
                }
            }
            Stop::Unsupported(what) => return unsupported(format!("{}: {what}", walk.cx.place)),
            Stop::Raise(what) => return Err(Stop::Raise(format!("{}: {what}", walk.cx.place))),
            Stop::Damaged(what) => return damaged(format!("{}: {what}", walk.cx.place)),
        }
    }
}

/// What is said where a constant of a trace demands the size of an input.
fn demanded(archive: &Archive, cx: &Context, symbol: &str, dim: &Dim) -> Option<Diagnostic> {
    let (n, place) = (dim.known()?, cx.guilty.as_ref()?);
    if archive.examples.is_none() || n <= lint::SMALL {
        return None;
    }
    let what = format!("the dimension {symbol} is fixed to {n}: a constant of the trace has this size ({place})");
    let help = "compare with the scripted module at other sizes, or export with dynamic shapes";
    Some(Diagnostic::new(Severity::Warning, "torch.baked", what).help(help))
}

/// `found`, or, where operators stayed as they are and an argument is a list of any length, what a list of one tensor gives
/// if that is better.
fn lengthened(archive: &Archive, hints: &Hints, walk: &Walk<'_>, found: Lowered, budget: &mut usize) -> Lowered {
    if found.left() == 0 || walk.cx.open_lists.is_empty() {
        return found;
    }
    let mut hints = hints.clone();
    hints.lengths.extend(walk.cx.open_lists.iter().map(|name| (name.clone(), 1)));
    match search(archive, hints, budget) {
        Ok(other) if other.left() < found.left() => other,
        _ => found,
    }
}

/// `found`, or, where a run changes attributes that a later run reads, the program with those as inputs and outputs.
fn stateful(archive: &Archive, hints: &Hints, changed: &[Change], mut found: Lowered, budget: &mut usize) -> Lowered {
    let known = |c: &Change| hints.idle.contains(&c.label) || hints.states.iter().any(|s| s.label == c.label);
    if changed.iter().all(known) {
        return found;
    }
    let warning = state::warning(changed);
    if let Some(hints) = state::wanted(changed, hints)
        && let Ok(other) = search(archive, hints, budget)
        && other.left() <= found.left()
    {
        return other;
    }
    found.findings.push(warning);
    found
}

/// Tries ranks of the input `name`, `guess` first; the best is that under which the fewest operators stay as they are.
fn ranked(archive: &Archive, hints: &Hints, name: &str, guess: Option<usize>, budget: &mut usize) -> Outcome<Lowered> {
    let mut best: Option<Lowered> = None;
    let mut first_error: Option<Stop> = None;
    for rank in guess.into_iter().chain(RANKS.into_iter().filter(|r| Some(*r) != guess)) {
        let mut hints = hints.clone();
        hints.ranks.insert(name.to_owned(), rank);
        match search(archive, hints, budget) {
            Ok(found) if found.left() == 0 => return Ok(found),
            Ok(found) => {
                if best.as_ref().is_none_or(|b| found.left() < b.left()) {
                    best = Some(found);
                }
            }
            Err(stop @ Stop::Damaged(_)) => return Err(stop),
            // That the program refuses a rank says less than what it cannot do with one that it takes.
            Err(stop) => {
                let refused = matches!(first_error, None | Some(Stop::Raise(_)));
                if refused && !(first_error.is_some() && matches!(stop, Stop::Raise(_))) {
                    first_error = Some(stop);
                }
            }
        }
    }
    best.ok_or_else(|| first_error.unwrap_or_else(|| Stop::Unsupported("no rank of an input fits".into())))
}

/// The name of an input that `v` is made of and that `wanted` holds for, nearest first.
fn input_behind(model: &Model, v: ValueId, wanted: impl Fn(&Type) -> bool) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    let mut queue = std::collections::VecDeque::from([v]);
    while let Some(v) = queue.pop_front() {
        if !seen.insert(v) {
            continue;
        }
        let value = model.values.get(v)?;
        match &value.def {
            Def::Param(region, _) if *region == model.main && wanted(&value.ty) => return Some(value.name.clone()),
            Def::Node(n, _) => {
                let node = model.nodes.get(*n)?;
                queue.extend(node.inputs.iter().flatten());
                let bodies = node.regions.iter().filter_map(|(_, r)| model.regions.get(*r));
                queue.extend(bodies.flat_map(|r| r.results.iter()));
            }
            _ => {}
        }
    }
    None
}

fn attempt(walk: &mut Walk<'_>, archive: &Archive, hints: &Hints) -> Outcome<Model> {
    let object = objects::load(&mut walk.cx, &archive.object, &archive.tensors, "")?;
    let constants = objects::load(&mut walk.cx, &archive.constants, &archive.constant_tensors, "CONSTANTS")?;
    walk.constants = walk.cx.items(&constants)?;
    restore(walk, archive)?;
    let Val::Object(r) = &object else { return unsupported("the archive holds no module") };
    let class = walk.cx.heap.objects.get(r.0).map(|o| o.class.clone()).unwrap_or_default();
    let forward = archive.method(&class, "forward").map_err(|e| Stop::Damaged(e.to_string()))?;
    let Some(forward) = forward else { return unsupported(format!("{class} has no method `forward`")) };
    let given = inputs(&mut walk.cx, &forward, hints)?;
    let params = state::inputs(&mut walk.cx, hints)?;
    let before = walk.cx.heap.clone();
    let result = walk.call_method(&object, "forward", given)?;
    walk.cx.changed = state::changes(&before, &mut walk.cx);
    walk.cx.place.clear();
    walk.cx.module.clear();
    outputs(&mut walk.cx, &result, "output", true)?;
    state::outputs(&mut walk.cx, hints, &params)?;
    let model = &walk.cx.model;
    for &p in &model.graph().params {
        let ty = model.ty(p);
        if ty.as_tensor().is_some() && ty.rank().is_none() {
            return Err(Stop::Rank(p, None));
        }
        let name = model.values.get(p).map_or("", |v| v.name.as_str());
        if ty.dtype() == Some(DType::F32) && !hints.types.contains_key(name) && only_converted(model, p) {
            return Err(Stop::Element(p, DType::I64));
        }
    }
    let model = std::mem::take(&mut walk.cx.model);
    walk.cx.findings.extend(lint::traps(archive, &model));
    walk.cx.findings.extend(branches::idle(&model));
    walk.cx.findings.extend(hints.baked.iter().cloned());
    Ok(model)
}

/// Gives objects whose class has a method `__setstate__` their attributes by it.
fn restore(walk: &mut Walk<'_>, archive: &Archive) -> Outcome<()> {
    for i in 0..walk.cx.heap.objects.len() {
        let Some(object) = walk.cx.heap.objects.get(i) else { break };
        let (class, state) = (object.class.clone(), object.attrs.get("#0").cloned());
        let Some(state) = state else { continue };
        let method = archive.method(&class, "__setstate__").map_err(|e| Stop::Damaged(e.to_string()))?;
        if method.is_some() {
            walk.call_method(&Val::Object(ObjectRef(i)), "__setstate__", vec![(None, state)])?;
        }
    }
    Ok(())
}

/// True where nothing is done with an input but to convert it: what floats would be is said before they are used.
fn only_converted(model: &Model, p: ValueId) -> bool {
    let mut cast = false;
    for (_, node) in model.nodes.iter() {
        if node.inputs.contains(&Some(p)) {
            match node.known().map(|d| d.name) {
                Some("Cast") => cast = true,
                Some("Shape") => {}
                _ => return false,
            }
        }
    }
    cast
}

/// The arguments of `forward` as inputs of the graph.
fn inputs(cx: &mut Context, forward: &Rc<Function>, hints: &Hints) -> Outcome<Vec<(Option<String>, Val)>> {
    let mut out = Vec::new();
    for p in forward.params.iter().skip(1) {
        let tensor = Annotation::plain("Tensor");
        let ty = p.ty.as_ref().unwrap_or(&tensor);
        let v = input(cx, &p.name, ty, hints)?;
        out.push((None, v));
    }
    Ok(out)
}

fn input(cx: &mut Context, name: &str, ty: &Annotation, hints: &Hints) -> Outcome<Val> {
    let main = cx.model.main;
    let scalar = |cx: &mut Context, dtype| cx.model.add_param(main, name, Type::fixed(dtype, &[]));
    Ok(match ty.name.as_str() {
        "Tensor" => {
            let v = tensor(cx, name, hints);
            cx.tensor(v)
        }
        "int" => Val::Num(Kind::Int, scalar(cx, DType::I64)),
        "bool" => Val::Num(Kind::Bool, scalar(cx, DType::Bool)),
        "float" => {
            let v = scalar(cx, DType::F32);
            Val::Num(Kind::Float, cx.cast(v, DType::F64)?)
        }
        "Optional" if hints.ranks.contains_key(name) => match ty.args.first() {
            Some(inner) => input(cx, name, inner, hints)?,
            None => Val::None,
        },
        "Optional" => {
            let what = format!("the argument `{name}` is optional: it is taken as None");
            let help = format!("--shape {name}=?x? makes it an input");
            let found = Diagnostic::new(Severity::Note, "torch.optional", what).help(help);
            cx.findings.push(found);
            Val::None
        }
        "Tuple" => {
            let mut items = Vec::new();
            for (i, ty) in ty.args.iter().enumerate() {
                items.push(input(cx, &format!("{name}.{i}"), ty, hints)?);
            }
            Val::tuple(items)
        }
        "List" if ty.args.first().is_some_and(|t| t.is("Tensor")) => {
            let told = (0..1 << 10).take_while(|i| hints.ranks.contains_key(&format!("{name}.{i}"))).count();
            let count = if told > 0 { Some(told) } else { hints.lengths.get(name).copied() };
            if let Some(count) = count {
                return listed(cx, name, count, told == 0, hints);
            }
            cx.open_lists.push(name.to_owned());
            let dtype = hints.types.get(name).copied().unwrap_or(DType::F32);
            let element = TensorType { dtype: Some(dtype), shape: None };
            let ty = Type::Tensor(element);
            let v = cx.model.add_param(main, name, Type::Sequence(Box::new(ty.clone())));
            cx.add_list(List::Sequence(v, ty))
        }
        "List" => {
            let kind = match ty.args.first().map(|t| t.name.as_str()) {
                Some("int") => Kind::Int,
                Some("float") => Kind::Float,
                Some("bool") => Kind::Bool,
                _ => return unsupported(format!("the argument `{name}` is a list that is no input of a graph")),
            };
            let ty = Type::tensor(crate::aten::mold::scalar_type(kind), &[Dim::symbol(&format!("{name}_0"))]);
            let v = cx.model.add_param(main, name, ty);
            cx.add_list(List::Vector(kind, v))
        }
        "Dict" => return keyed(cx, name, ty, hints),
        other => return unsupported(format!("the argument `{name}` of the type {other} is no input of a graph")),
    })
}

/// An argument that is a dictionary: an input for each key that the program asks for, or that a hint names.
fn keyed(cx: &mut Context, name: &str, ty: &Annotation, hints: &Hints) -> Outcome<Val> {
    let value = ty.args.get(1).cloned().unwrap_or_else(|| Annotation::plain("Tensor"));
    let mut keys = hints.keys.get(name).cloned().unwrap_or_default();
    let told = hints.ranks.keys().filter_map(|k| k.strip_prefix(name)?.strip_prefix('.'));
    let mut told = told.filter(|k| !keys.iter().any(|have| have == k)).map(str::to_owned).collect::<Vec<_>>();
    told.sort();
    keys.extend(told);
    let mut pairs = Vec::new();
    for key in keys {
        let v = input(cx, &format!("{name}.{key}"), &value, hints)?;
        pairs.push((Val::str(&key), v));
    }
    let dict = cx.dict(pairs);
    if let Val::Dict(r) = dict {
        cx.open_dicts.insert(r.0, name.to_owned());
    }
    Ok(dict)
}

/// An argument that is a list of `count` tensors: an input for each.
fn listed(cx: &mut Context, name: &str, count: usize, assumed: bool, hints: &Hints) -> Outcome<Val> {
    if assumed {
        let what = format!("the argument `{name}` is a list of tensors: it is taken as a list of {count}");
        let help = format!("--shape {name}.0=? --shape {name}.1=? and so on say how many there are");
        cx.findings.push(Diagnostic::new(Severity::Note, "torch.list", what).help(help));
    }
    let tensor = Annotation::plain("Tensor");
    let items = (0..count).map(|i| input(cx, &format!("{name}.{i}"), &tensor, hints)).collect::<Outcome<Vec<_>>>()?;
    Ok(cx.list(items))
}

pub(super) fn tensor(cx: &mut Context, name: &str, hints: &Hints) -> ValueId {
    let dtype = hints.types.get(name).copied().unwrap_or(DType::F32);
    let shape = hints.ranks.get(name).map(|&rank| {
        let dim = |i: usize| settled(&format!("{name}_{i}"), hints, 0);
        (0..rank).map(dim).collect::<Vec<_>>()
    });
    for d in shape.iter().flatten() {
        cx.free.extend(d.symbols());
    }
    let main = cx.model.main;
    cx.model.add_param(main, name, Type::Tensor(TensorType { dtype: Some(dtype), shape }))
}

/// What the dimension `name` is known to be.
fn settled(name: &str, hints: &Hints, depth: usize) -> Dim {
    match hints.sizes.get(name) {
        Some(d) => match d.as_symbol() {
            Some(other) if depth < 64 => settled(other, hints, depth.saturating_add(1)),
            _ => d.clone(),
        },
        None => Dim::symbol(name),
    }
}

/// The tensors and numbers of `v` as outputs of the graph.
fn outputs(cx: &mut Context, v: &Val, name: &str, alone: bool) -> Outcome<()> {
    match v {
        Val::None => Ok(()),
        Val::Tensor(t) => {
            let v = cx.read(*t)?;
            cx.add_result(v, name)
        }
        Val::Maybe(_, inner) => outputs(cx, inner, name, alone),
        Val::List(r) => match cx.heap.lists.get(r.0).cloned() {
            Some(List::Sequence(v, _) | List::Vector(_, v)) => cx.add_result(v, name),
            _ => {
                let items = cx.items(v)?;
                items.iter().enumerate().try_for_each(|(i, v)| outputs(cx, v, &format!("{name}_{i}"), false))
            }
        },
        Val::Tuple(t) => {
            for (i, v) in t.items.iter().enumerate() {
                let part = match (t.names.get(i), alone) {
                    (Some(field), true) => field.clone(),
                    (Some(field), false) => format!("{name}.{field}"),
                    (None, _) => format!("{name}_{i}"),
                };
                outputs(cx, v, &part, false)?;
            }
            Ok(())
        }
        Val::Dict(r) => {
            for (k, v) in cx.heap.dicts.get(r.0).cloned().unwrap_or_default() {
                let key = match k {
                    Val::Str(s) => s.to_string(),
                    Val::Int(n) => n.to_string(),
                    _ => "key".to_owned(),
                };
                outputs(cx, &v, &if alone { key.clone() } else { format!("{name}.{key}") }, false)?;
            }
            Ok(())
        }
        v if v.number().is_some() => {
            let v = cx.scalar_of(v)?;
            cx.add_result(v, name)
        }
        other => unsupported(format!("the program returns {}, which is no output of a graph", other.what())),
    }
}
