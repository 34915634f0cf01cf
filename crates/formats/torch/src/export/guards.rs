//! What an archive demands of its inputs: ranges of symbolic sizes, and conditions on them.
//!
//! PyTorch exports a free size as one of at least 2, and lets it be 0 or 1 all the same when the program runs: a lower bound
//! of 2 is none.

use super::schema::Program;
use super::symbol::{Term, dim, parse};
use modelsmith_ir::{DIM_RANGE, Dim, Model};
use std::collections::HashSet;

/// A property of the model for each demand: `modelsmith.dim.s0` with `..512`, which engines hold to, and `torch.guard.0` with
/// a condition, which is only said.
pub(super) fn demands(program: &Program, model: &Model, symbols: &HashSet<String>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut names = program.range_constraints.keys().filter(|k| symbols.contains(*k)).collect::<Vec<_>>();
    names.sort();
    for name in names {
        let Some(range) = program.range_constraints.get(name) else { continue };
        let low = range.min_val.as_ref().and_then(serde_json::Number::as_i64).filter(|&n| n > 2);
        let high = range.max_val.as_ref().and_then(serde_json::Number::as_i64).filter(|&n| n < i64::from(i32::MAX));
        if low.is_some() || high.is_some() {
            let text = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
            out.push((format!("{DIM_RANGE}{name}"), format!("{}..{}", text(low), text(high))));
        }
    }
    let mut said = HashSet::new();
    for code in &program.guards_code {
        let Some(Term::Binary(op, a, b)) = parse(code) else { continue };
        if !matches!(op, "<=" | ">=" | "<" | ">" | "==" | "!=") {
            continue;
        }
        let size = |t: &Term| size_of(t, model);
        let (a, b) = (dim(&a, &size), dim(&b, &size));
        // What the shapes of the inputs say already, and what cannot be said.
        if a == Dim::Unknown || b == Dim::Unknown || (op == "==" && a == b) {
            continue;
        }
        let alone = |x: &Dim, y: &Dim| {
            x.as_symbol().is_some_and(|s| program.range_constraints.contains_key(s)) && y.known().is_some()
        };
        if op != "==" && op != "!=" && (alone(&a, &b) || alone(&b, &a)) {
            continue;
        }
        let text = format!("{a} {op} {b}");
        if said.insert(text.clone()) {
            out.push((format!("torch.guard.{}", said.len().saturating_sub(1)), text));
        }
    }
    out
}

/// The dimension that `L['x'].size()[1]` stands for.
fn size_of(term: &Term, model: &Model) -> Option<Dim> {
    let Term::Item(of, index) = term else { return None };
    let (Term::Call(method, _), Term::Int(axis)) = (of.as_ref(), index.as_ref()) else { return None };
    let Term::Attr(tensor, name) = method.as_ref() else { return None };
    if name != "size" {
        return None;
    }
    let name = path(tensor)?;
    let params = model.graph().params.iter();
    let v = params.copied().find(|&p| model.values.get(p).is_some_and(|v| v.name == name));
    let found = v.and_then(|v| model.ty(v).shape()?.get(usize::try_from(*axis).ok()?).cloned());
    Some(found.unwrap_or(Dim::Unknown))
}

/// `L['args'][0]` as the input is called: `args_0`.
fn path(term: &Term) -> Option<String> {
    match term {
        Term::Item(of, index) => {
            let index = match index.as_ref() {
                Term::Text(s) => s.clone(),
                Term::Int(n) => n.to_string(),
                _ => return None,
            };
            match of.as_ref() {
                Term::Name(name) if name == "L" => Some(index),
                inner => Some(format!("{}_{index}", path(inner)?)),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_base::DType;
    use modelsmith_ir::Type;

    #[test]
    fn ranges_and_conditions_become_demands() {
        let program = serde_json::json!({
            "graph_module": {"graph": {"inputs": [], "outputs": [], "nodes": []},
                "signature": {"input_specs": [], "output_specs": []}},
            "range_constraints": {"s0": {"min_val": 2, "max_val": 512}, "s1": {"min_val": 2, "max_val": null},
                "s2": {"min_val": 4, "max_val": 9_223_372_036_854_775_806i64}, "u7": {"min_val": 5, "max_val": 6}},
            "guards_code": ["L['args'][0].size()[1] <= 512", "L['args'][0].size()[0] % 8 == 0", "L['args'][0].size()[2] == 3",
                "L['other'].size()[0] < 4", "f("],
        });
        let program: Program = serde_json::from_str(&program.to_string()).unwrap();
        let mut model = Model::new();
        let main = model.main;
        model.add_param(
            main,
            "args_0",
            Type::tensor(DType::F32, &[Dim::symbol("s2"), Dim::symbol("s0"), Dim::Known(3)]),
        );
        let symbols = ["s0", "s1", "s2"].into_iter().map(str::to_owned).collect();
        let found = demands(&program, &model, &symbols);
        let found = found.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>();
        assert_eq!(found, ["modelsmith.dim.s0 ..512", "modelsmith.dim.s2 4..", "torch.guard.0 mod(s2, 8) == 0"]);
    }
}
