//! The table of operators, and the calling of one.

use super::context::Context;
use super::error::{Outcome, Stop, unsupported};
use super::ops;
use super::schema::{Given, Row, bind};
use super::value::Val;
use modelsmith_ir::{Attrs, Op};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Rows by the name of the operator, without overload: `aten::add`.
static TABLE: LazyLock<HashMap<&'static str, Vec<&'static Row>>> = LazyLock::new(|| {
    let mut table: HashMap<&'static str, Vec<&'static Row>> = HashMap::new();
    for row in ops::FAMILIES.iter().copied().flatten() {
        let mut last = "";
        for name in row.names() {
            let plain = name.split('.').next().unwrap_or(name);
            if plain != last {
                table.entry(plain).or_default().push(row);
            }
            last = plain;
        }
    }
    table
});

/// Every overload of an ATen operator that is said in operators of the hub, in order: `aten::add.Tensor`, `aten::relu_`.
pub fn overloads() -> Vec<String> {
    let mut all = ops::FAMILIES.iter().copied().flatten().flat_map(|r| r.names()).map(qualified).collect::<Vec<_>>();
    all.sort();
    all.dedup();
    all
}

fn qualified(name: &str) -> String {
    if name.contains("::") { name.to_owned() } else { format!("aten::{name}") }
}

fn rows(name: &str) -> Option<&'static [&'static Row]> {
    let plain = name.strip_prefix("aten::").unwrap_or(name);
    TABLE.get(plain).map(Vec::as_slice)
}

/// Calls the operator `name` (`aten::add`, `torchvision::nms`, with or without overload) with `given`.
///
/// # Errors
/// When nothing says how to lower it, or it cannot be lowered with these arguments.
pub(crate) fn call(cx: &mut Context, name: &str, given: &[Given]) -> Outcome<Val> {
    let (plain, overload) = split(name);
    if !cx.complex.is_empty() && given.iter().any(|(_, v)| ops::is_complex(cx, v)) {
        return ops::complex(cx, plain, given);
    }
    let made = of_table(cx, plain, overload, given)?;
    if cx.grids.is_empty() {
        return Ok(made);
    }
    ops::quantized::settled(cx, plain, given, made)
}

/// As [`call`], whatever the operands stand for.
pub(crate) fn of_table(cx: &mut Context, plain: &str, overload: Option<&str>, given: &[Given]) -> Outcome<Val> {
    if let Some(rows) = rows(plain) {
        let exact = |r: &&&Row| overload.is_some_and(|o| r.names().any(|n| split(n).1 == Some(o)));
        let first = rows.iter().filter(exact);
        for row in first.chain(rows.iter().filter(|r| !exact(r))) {
            if let Some(args) = bind(cx, row, plain, given) {
                return (row.lower)(cx, &args);
            }
        }
        let what = given.iter().map(|(_, v)| v.what()).collect::<Vec<_>>().join(", ");
        return unsupported(format!("no overload of {plain} takes ({what})"));
    }
    if let Some(base) = plain.strip_suffix('_').filter(|b| !b.ends_with('_') && rows(b).is_some()) {
        return in_place(cx, base, given);
    }
    unsupported(format!("the operator {plain} is not known"))
}

/// True where the table has the operator, or the one of which it is the form that writes in place.
#[cfg(test)]
pub(crate) fn knows(name: &str) -> bool {
    let (plain, _) = split(name);
    rows(plain).is_some() || plain.strip_suffix('_').is_some_and(|b| rows(b).is_some())
}

/// Name and overload: `aten::add.Tensor` is `aten::add` and `Tensor`.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once("::") {
        None => name.split_once('.').map_or((name, None), |(n, o)| (n, Some(o))),
        Some((domain, rest)) => match rest.split_once('.') {
            None => (name, None),
            Some((plain, overload)) => {
                let end = domain.len().saturating_add(2).saturating_add(plain.len());
                (name.get(..end).unwrap_or(name), Some(overload))
            }
        },
    }
}

/// `relu_`: the result of `relu` written to the first argument, in its element type.
fn in_place(cx: &mut Context, base: &str, given: &[Given]) -> Outcome<Val> {
    let Some((_, Val::Tensor(target))) = given.first() else {
        return unsupported(format!("{base}_ writes to what is no tensor"));
    };
    let target = *target;
    let old = cx.read(target)?;
    let Val::Tensor(made) = call(cx, base, given)? else {
        return unsupported(format!("{base}_ gives more than one tensor"));
    };
    let mut new = cx.read(made)?;
    if let Some(dtype) = cx.ty(old).dtype() {
        new = cx.cast(new, dtype)?;
    }
    cx.write(target, new)?;
    Ok(Val::Tensor(target))
}

/// The operator as a node of its own domain, for one that cannot be said: its tensors are operands, the rest is text.
/// `outputs` is the number of its results.
pub(crate) fn foreign(cx: &mut Context, name: &str, given: &[Given], outputs: usize, why: &Stop) -> Outcome<Vec<Val>> {
    let (domain, plain) = name.split_once("::").unwrap_or(("aten", name));
    let (mut inputs, mut attrs) = (Vec::new(), Attrs::new());
    for (i, (key, v)) in given.iter().enumerate() {
        let key = key.clone().unwrap_or_else(|| format!("arg{i}"));
        match v {
            Val::Tensor(t) => inputs.push(Some(cx.read(*t)?)),
            Val::Num(_, v) => inputs.push(Some(*v)),
            Val::Int(n) => attrs.set(&key, *n),
            Val::Bool(b) => attrs.set(&key, i64::from(*b)),
            Val::Str(s) => attrs.set(&key, s.as_ref()),
            Val::Float(x) => attrs.set(&key, modelsmith_tensor::Tensor::scalar(*x)),
            Val::List(_) | Val::Tuple(_) => {
                for item in cx.items(v).unwrap_or_default() {
                    if let Val::Tensor(t) = item {
                        inputs.push(Some(cx.read(t)?));
                    }
                }
            }
            _ => {}
        }
    }
    let op = Op::Foreign { domain: domain.to_owned(), name: plain.to_owned(), version: 1 };
    let node = cx.push(op, &inputs, attrs, vec![], &vec![Some(""); outputs])?;
    let label = format!("{plain}.{}", node.index());
    if let Some(n) = cx.model.nodes.get_mut(node) {
        n.name.clone_from(&label);
    }
    let label = cx.model.node_label(node);
    let place = if cx.place.is_empty() { String::new() } else { format!(" ({})", cx.place) };
    let message = format!("{name}{place}: {why}");
    let help = "the node is kept as it is; a model that runs needs it replaced, or the module written without it";
    let place = modelsmith_base::Place::node(label);
    let found = modelsmith_base::Diagnostic::new(modelsmith_base::Severity::Warning, "torch.operator", message);
    cx.findings.push(found.at(place).help(help));
    let made = cx.results(node);
    Ok(made.into_iter().map(|v| cx.tensor(v)).collect())
}
