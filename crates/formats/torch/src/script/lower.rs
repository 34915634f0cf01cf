//! From an archive to a model of the hub: inputs with what follows of them from their use, the walk, outputs.
//!
//! An archive says neither ranks nor element types of its inputs. The walk assumes the least, and begins again with what
//! the program turned out to want: four dimensions where an input is convolved, integers where it is an index. Ranks
//! that are only guessed are tried in turn; the first under which all operators can be said is taken.

use super::archive::Archive;
use super::ast::{Function, Type as Annotation};
use super::eval::Walk;
use super::objects;
use crate::aten::value::{Cell, TensorRef};
use crate::aten::{Context, Kind, List, Outcome, Stop, Val, damaged, unsupported};
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
    let (Tree::Object { class, .. }, Some(examples)) = (&archive.object, &archive.examples) else { return Ok(()) };
    let forward = archive.method(class, "forward").map_err(|e| Stop::Damaged(e.to_string()))?;
    let params = forward.iter().flat_map(|f| f.params.iter().skip(1));
    for (p, example) in params.zip(examples) {
        if let Some((dtype, shape)) = example {
            hints.types.entry(p.name.clone()).or_insert(*dtype);
            hints.ranks.entry(p.name.clone()).or_insert(shape.len());
        }
    }
    Ok(())
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
                let findings = walk.cx.findings;
                return Ok(Lowered { model, findings });
            }
            Err(stop) => stop,
        };
        match stop {
            Stop::Element(v, dtype) => match input_behind(&walk.cx.model, v, |_| true) {
                Some(name) if hints.types.get(&name) != Some(&dtype) => {
                    hints.types.insert(name, dtype);
                }
                _ => return unsupported(format!("an operand has to be of {dtype}")),
            },
            Stop::Size(symbol, dim) => {
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

/// Tries ranks of the input `name`, `guess` first; the best is that under which the fewest operators stay as they are.
fn ranked(archive: &Archive, hints: &Hints, name: &str, guess: Option<usize>, budget: &mut usize) -> Outcome<Lowered> {
    let mut best: Option<Lowered> = None;
    let mut first_error = None;
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
            Err(stop) => {
                first_error.get_or_insert(stop);
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
    let Val::Object(r) = &object else { return unsupported("the archive holds no module") };
    let class = walk.cx.heap.objects.get(r.0).map(|o| o.class.clone()).unwrap_or_default();
    let forward = archive.method(&class, "forward").map_err(|e| Stop::Damaged(e.to_string()))?;
    let Some(forward) = forward else { return unsupported(format!("{class} has no method `forward`")) };
    let given = inputs(&mut walk.cx, &forward, hints)?;
    let before = walk.cx.heap.clone();
    let result = walk.call_method(&object, "forward", given)?;
    states(walk, &before);
    let frozen = frozen(walk, archive);
    walk.cx.findings.extend(frozen);
    walk.cx.place.clear();
    walk.cx.module.clear();
    outputs(&mut walk.cx, &result, "output", true)?;
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
    Ok(std::mem::take(&mut walk.cx.model))
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

/// Modules of a trace that no operator of it belongs to: what a branch left out that went the other way.
fn frozen(walk: &Walk<'_>, archive: &Archive) -> Option<Diagnostic> {
    archive.examples.as_ref()?;
    let model = &walk.cx.model;
    let operands = model.nodes.iter().flat_map(|(_, n)| n.inputs.iter().flatten());
    let used = operands.filter_map(|&v| model.values.get(v)).map(|v| v.name.as_str());
    let used = used.collect::<std::collections::HashSet<_>>();
    let dead = archive.tensors.iter().filter(|(name, _)| !used.contains(name.as_str()));
    let mut modules = dead.filter_map(|(n, _)| n.rsplit_once('.').map(|(m, _)| m)).collect::<Vec<_>>();
    modules.retain(|m| archive.code_of(m).is_some_and(|methods| methods == 0));
    modules.dedup();
    if modules.is_empty() {
        return None;
    }
    let class = match &archive.object {
        Tree::Object { class, .. } => class.rsplit_once('.').map_or("", |(m, _)| m).replace('.', "/"),
        _ => String::new(),
    };
    let what = format!(
        "the module was traced, and the trace never calls {}: a branch on the way was frozen as the example went \
         (code/{class}.py)",
        modules.join(", ")
    );
    let help = "export with torch.jit.script, or compare with the scripted module: modelsmith compare";
    Some(Diagnostic::new(Severity::Warning, "torch.frozen", what).help(help))
}

/// Says which attributes a run of the program would change.
fn states(walk: &mut Walk<'_>, before: &crate::aten::value::Heap) {
    let mut changed = Vec::new();
    for (old, new) in before.objects.iter().zip(&walk.cx.heap.objects) {
        for (name, v) in &new.attrs {
            let same = old.attrs.get(name).is_some_and(|o| crate::aten::mold::same(o, v));
            let written = |t: TensorRef| match (before.tensors.get(t.0), walk.cx.heap.tensors.get(t.0)) {
                (Some(Cell::Base { version: a, .. }), Some(Cell::Base { version: b, .. })) => a != b,
                _ => false,
            };
            if !same || matches!(v, Val::Tensor(t) if written(*t)) {
                changed.push(if new.path.is_empty() { name.clone() } else { format!("{}.{name}", new.path) });
            }
        }
    }
    changed.sort();
    if !changed.is_empty() {
        let what =
            format!("the program keeps state between runs, each run of the graph begins anew: {}", changed.join(", "));
        walk.cx.warn("torch.state", what);
    }
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
        "Optional" => {
            let what = format!("the argument `{name}` is optional: it is taken as None");
            let found = Diagnostic::new(Severity::Note, "torch.optional", what);
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
            let element = TensorType { dtype: Some(DType::F32), shape: None };
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
        other => return unsupported(format!("the argument `{name}` of the type {other} is no input of a graph")),
    })
}

fn tensor(cx: &mut Context, name: &str, hints: &Hints) -> ValueId {
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
            result(cx, v, name)
        }
        Val::Maybe(_, inner) => outputs(cx, inner, name, alone),
        Val::List(r) => match cx.heap.lists.get(r.0).cloned() {
            Some(List::Sequence(v, _) | List::Vector(_, v)) => result(cx, v, name),
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
            result(cx, v, name)
        }
        other => unsupported(format!("the program returns {}, which is no output of a graph", other.what())),
    }
}

fn result(cx: &mut Context, v: ValueId, name: &str) -> Outcome<()> {
    let main = cx.model.main;
    let own = matches!(cx.model.values.get(v).map(|v| &v.def), Some(Def::Node(..)));
    let taken = cx.model.regions.get(main).is_some_and(|r| r.results.contains(&v));
    let v = if own && !taken { v } else { cx.op("Identity", &[v])? };
    if let Some(value) = cx.model.values.get_mut(v) {
        value.name = name.to_owned();
    }
    if let Some(region) = cx.model.regions.get_mut(main) {
        region.results.push(v);
    }
    Ok(())
}
