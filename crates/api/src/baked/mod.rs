//! Sizes that an exporter wrote down as it met them, in a model whose inputs have free dimensions.

mod repair;
mod target;

pub use repair::{Fixed, fix};

use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_ir::{Attr, Def, Dim, Model, NodeId, ValueId};

/// A shape that holds for one size of a free dimension only.
struct Baked {
    node: NodeId,
    message: String,
    help: String,
    repair: Option<Repair>,
}

/// Constant operand number `operand` of `node` becomes `ints`.
struct Repair {
    node: NodeId,
    operand: usize,
    ints: Vec<i64>,
    /// Symbols and the sizes for which the shape was written down.
    sizes: Vec<(String, i64)>,
}

/// Findings for shapes that hold for one size of a free dimension only: each with the node and what would free it.
pub fn lint(hub: &Model) -> Vec<Diagnostic> {
    let free = |&p: &ValueId| hub.ty(p).shape().is_some_and(|s| s.iter().any(|d| d.size().is_none()));
    if !hub.graph().params.iter().any(free) {
        return vec![];
    }
    let mut typed = hub.clone();
    modelsmith_ops::infer::infer(&mut typed);
    let said = |b: Baked| {
        let d = Diagnostic::new(Severity::Warning, "shape.baked", b.message);
        d.at(Place::node(typed.node_label(b.node))).help(b.help)
    };
    find(&typed).into_iter().map(said).collect()
}

/// All such shapes of a model whose types were inferred.
fn find(typed: &Model) -> Vec<Baked> {
    let nodes = typed.regions.iter().flat_map(|(_, r)| r.body.iter().copied());
    let one = |n: NodeId| {
        let def = typed.nodes[n].known()?;
        match def.name {
            "Reshape" if def.domain.is_empty() => reshape(typed, n),
            _ if def.flags.elementwise => meeting(typed, n),
            _ => None,
        }
    };
    nodes.filter_map(one).collect()
}

fn ints(model: &Model, v: ValueId) -> Option<Vec<i64>> {
    model.constant(v)?.to_i64s().ok()
}

fn text(dims: &[i64]) -> String {
    format!("[{}]", dims.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

/// A constant target for an operand whose number of elements is free, or whose free first dimension it takes for 1.
fn reshape(model: &Model, n: NodeId) -> Option<Baked> {
    let node = &model.nodes[n];
    let (x, target) = (node.input(0)?, ints(model, node.input(1)?)?);
    let dims = model.ty(x).shape()?;
    let (first, _) = dims.split_first()?;
    let (&leading, inner) = target.split_first()?;
    let symbols = dims.iter().flat_map(Dim::symbols).collect::<std::collections::BTreeSet<_>>();
    if symbols.is_empty() || target.contains(&0) {
        return None;
    }
    let list = symbols.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(", ");
    let operand = model.ty(x);
    let zeros = !matches!(node.attrs.get("allowzero"), Some(Attr::Int(1)));
    if !target.contains(&-1) {
        let freed = target::free(dims, &target, zeros);
        let help = match &freed {
            Some(f) => format!("{} in place of {} takes every size", text(&f.target), text(&target)),
            None => "compute the target from the operand's shape".to_owned(),
        };
        let message = format!("the target {} fits its operand, {operand}, for one size of {list} only", text(&target));
        let repair = freed.map(|f| Repair { node: n, operand: 1, ints: f.target, sizes: f.sizes });
        return Some(Baked { node: n, message, help, repair });
    }
    // A batch that became part of a row: the usual trace of a size read while exporting.
    let symbol = first.as_symbol().filter(|s| inputs_begin_with(model, s))?;
    (leading == 1 && dims.len() > 1).then(|| {
        let freed = [&[0], inner].concat();
        let message = format!(
            "the target {} puts all of {first} into one row of its operand, {operand}; it was 1 when the model was exported, \
             if rows are what is wanted",
            text(&target)
        );
        let help = format!("{} keeps the first dimension", text(&freed));
        let sizes = vec![(symbol.to_owned(), 1)];
        let repair = zeros.then_some(Repair { node: n, operand: 1, ints: freed, sizes });
        Baked { node: n, message, help, repair }
    })
}

fn inputs_begin_with(model: &Model, symbol: &str) -> bool {
    let first = |&p: &ValueId| model.ty(p).shape().and_then(|s| s.first()).and_then(Dim::as_symbol) == Some(symbol);
    model.graph().params.iter().any(first)
}

/// A fixed size above 1, made by a constant shape, that meets a free one.
fn meeting(model: &Model, n: NodeId) -> Option<Baked> {
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
                let repair = narrowed(model, (v, maker), i, &free);
                let help = match &repair {
                    Some(r) => format!("{} as the shape in {label} fits every size", text(&r.ints)),
                    None => format!("compute the shape of {label} from that of the other operand"),
                };
                return Some(Baked { node: n, message, help, repair });
            }
        }
    }
    None
}

/// A shape that says 1 where the other operand is free: the operation between both spreads it. Only where nothing else sees
/// the value, and the shape alone makes the size.
fn narrowed(model: &Model, (value, maker): (ValueId, NodeId), from_end: usize, free: &Dim) -> Option<Repair> {
    let node = &model.nodes[maker];
    let operand = match model.op_name(maker) {
        "Expand" => 1,
        "ConstantOfShape" => 0,
        _ => return None,
    };
    let uses = model.regions.iter().map(|(_, r)| {
        let operands = r.body.iter().flat_map(|&n| model.nodes[n].inputs.iter().flatten());
        operands.chain(&r.results).filter(|&&v| v == value).count()
    });
    let mut ints = ints(model, node.input(operand)?)?;
    let at = ints.len().checked_sub(from_end + 1)?;
    let spread = operand == 0 || {
        let shape = model.ty(node.input(0)?).shape()?;
        shape.iter().rev().nth(from_end).is_none_or(|d| d.size() == Some(1))
    };
    if uses.sum::<usize>() != 1 || !spread {
        return None;
    }
    let size = std::mem::replace(ints.get_mut(at)?, 1);
    let sizes = free.as_symbol().map(|s| (s.to_owned(), size)).into_iter().collect();
    Some(Repair { node: maker, operand, ints, sizes })
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
