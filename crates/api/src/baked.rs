//! Sizes that an exporter wrote down as it met them, in a model whose inputs have free dimensions.

use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_ir::{Def, Dim, Model, NodeId, ValueId};

/// Findings for shapes that hold for one size of a free dimension only: each with the node and what would free it.
pub fn lint(hub: &Model) -> Vec<Diagnostic> {
    let free = |&p: &ValueId| hub.ty(p).shape().is_some_and(|s| s.iter().any(|d| d.size().is_none()));
    if !hub.graph().params.iter().any(free) {
        return vec![];
    }
    let mut typed = hub.clone();
    modelsmith_ops::infer::infer(&mut typed);
    let nodes = typed.regions.iter().flat_map(|(_, r)| r.body.iter().copied()).collect::<Vec<_>>();
    let mut found = Vec::new();
    for n in nodes {
        let Some(def) = typed.nodes[n].known() else { continue };
        let said = match def.name {
            "Reshape" if def.domain.is_empty() => reshape(&typed, n),
            _ if def.flags.elementwise => meeting(&typed, n),
            _ => None,
        };
        if let Some((message, help)) = said {
            let d = Diagnostic::new(Severity::Warning, "shape.baked", message);
            found.push(d.at(Place::node(typed.node_label(n))).help(help));
        }
    }
    found
}

fn ints(model: &Model, v: ValueId) -> Option<Vec<i64>> {
    model.constant(v)?.to_i64s().ok()
}

fn text(dims: &[i64]) -> String {
    format!("[{}]", dims.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

/// A constant target for an operand whose number of elements is free, or whose free first dimension it takes for 1.
fn reshape(model: &Model, n: NodeId) -> Option<(String, String)> {
    let node = &model.nodes[n];
    let (x, target) = (node.input(0)?, ints(model, node.input(1)?)?);
    let dims = model.ty(x).shape()?;
    let (first, rest) = dims.split_first()?;
    let (&leading, inner) = target.split_first()?;
    let symbols = dims.iter().flat_map(Dim::symbols).collect::<std::collections::BTreeSet<_>>();
    if symbols.is_empty() || target.contains(&0) {
        return None;
    }
    let list = symbols.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(", ");
    let operand = model.ty(x);
    if !target.contains(&-1) {
        let wanted = inner.iter().try_fold(1i64, |n, &d| n.checked_mul(d))?;
        let held = rest.iter().map(|d| d.size()).collect::<Option<Vec<_>>>();
        let held = held.and_then(|h| h.iter().try_fold(1i64, |n, &d| n.checked_mul(i64::try_from(d).ok()?)));
        let fits = held.is_some_and(|h| wanted > 0 && h % wanted == 0) && !first.symbols().is_empty();
        let freed = [&[-1], inner].concat();
        let help = match fits {
            true => format!("{} in place of {} takes every size", text(&freed), text(&target)),
            false => "compute the target from the operand's shape".to_owned(),
        };
        let target = text(&target);
        return Some((format!("the target {target} fits its operand, {operand}, for one size of {list} only"), help));
    }
    // A batch that became part of a row: the usual trace of a size read while exporting.
    let free = first.as_symbol().is_some_and(|s| inputs_begin_with(model, s));
    (free && leading == 1 && dims.len() > 1).then(|| {
        let freed = [&[0], inner].concat();
        let message = format!(
            "the target {} puts all of {first} into one row of its operand, {operand}; it was 1 when the model was exported, \
             if rows are what is wanted",
            text(&target)
        );
        (message, format!("{} keeps the first dimension", text(&freed)))
    })
}

fn inputs_begin_with(model: &Model, symbol: &str) -> bool {
    let first = |&p: &ValueId| model.ty(p).shape().and_then(|s| s.first()).and_then(Dim::as_symbol) == Some(symbol);
    model.graph().params.iter().any(first)
}

/// A fixed size above 1, made by a constant shape, that meets a free one.
fn meeting(model: &Model, n: NodeId) -> Option<(String, String)> {
    let node = &model.nodes[n];
    let made = |v: ValueId| match model.values[v].def {
        Def::Node(m, _) if matches!(model.op_name(m), "Expand" | "ConstantOfShape" | "Reshape" | "Tile") => Some(m),
        _ => None,
    };
    let operands = node.inputs.iter().flatten().copied().filter(|&v| model.ty(v).shape().is_some()).collect::<Vec<_>>();
    let from_end = |v: ValueId, i: usize| model.ty(v).shape().and_then(|s| s.iter().rev().nth(i).cloned());
    for &v in &operands {
        let Some(maker) = made(v) else { continue };
        for i in 0..model.ty(v).rank().unwrap_or(0) {
            let Some(size) = from_end(v, i).and_then(|d| d.size()).filter(|&s| s > 1) else { continue };
            let free = operands.iter().filter_map(|&o| from_end(o, i)).find(|d| !d.symbols().is_empty());
            if let Some(free) = free {
                let label = model.node_label(maker);
                let message =
                    format!("size {size}, written down in {label}, meets {free}: the model runs for that size only");
                return Some((message, format!("compute the shape of {label} from that of the other operand")));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Vec<String> {
        let text = format!("graph(%x: f32[N, 3, 4], %f: f32[2, 3]) {{\n{body}}}");
        let model = modelsmith_ir::text::parse(&text, modelsmith_ops::all()).unwrap();
        lint(&model)
            .iter()
            .map(|d| format!("{}: {} ({})", d.place, d.message, d.help.clone().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_constant_target_for_a_free_batch_is_found_with_its_repair() {
        let said = found("  %y = Reshape(%x, i64[2] [1, 12])\n  return %y\n");
        let want = "the target [1, 12] fits its operand, f32[N, 3, 4], for one size of N only \
                    ([-1, 12] in place of [1, 12] takes every size)";
        assert!(said.len() == 1 && said[0].contains(want), "{said:?}");
        let merged = found("  %y = Reshape(%x, i64[2] [3, 4])\n  return %y\n");
        assert!(merged[0].contains("[-1, 4] in place of [3, 4]"), "{merged:?}");
    }

    #[test]
    fn a_batch_that_becomes_part_of_a_row_is_found() {
        let said = found("  %y = Reshape(%x, i64[2] [1, -1])\n  return %y\n");
        assert!(said.len() == 1 && said[0].contains("[0, -1] keeps the first dimension"), "{said:?}");
    }

    #[test]
    fn a_size_written_down_that_meets_a_free_one_is_found() {
        let body = "  %e = Expand(f32[] 1, i64[3] [8, 3, 4])\n  %y = Add(%x, %e)\n  return %y\n";
        let said = found(body);
        assert!(
            said.len() == 1 && said[0].contains("size 8, written down in") && said[0].contains("meets N"),
            "{said:?}"
        );
    }

    #[test]
    fn shapes_that_hold_for_every_size_are_not() {
        for body in [
            "  %y = Reshape(%x, i64[2] [-1, 12])\n  return %y\n",
            "  %y = Reshape(%x, i64[2] [0, 12])\n  return %y\n",
            "  %y = Reshape(%f, i64[1] [6])\n  return %y\n",
            "  %e = Expand(f32[] 1, i64[3] [1, 3, 4])\n  %y = Add(%x, %e)\n  return %y\n",
        ] {
            assert!(found(body).is_empty(), "{body}");
        }
    }
}
