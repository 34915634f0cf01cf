//! Branches that never matter: the condition goes one way for all inputs, or the other way only where both give the same.
//!
//! What is known of a value is whether it can be negative. The sum, mean or maximum of a tensor that cannot is above zero
//! unless all of it is zero; where it is, a way that makes zeros of zeros gives what the other one does.

use modelsmith_base::{Diagnostic, Place, Severity};
use modelsmith_ir::{Def, Model, Node, RegionId, ValueId};

/// Operators looked through before a value counts as one of any sign.
const DEPTH: usize = 64;

/// What is found of the branches of `model`.
pub(super) fn idle(model: &Model) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for (_, node) in model.nodes.iter() {
        if named(node) != "If" {
            continue;
        }
        if let Some(why) = judged(model, node) {
            let place = if node.origin.doc.is_empty() { String::new() } else { format!(" ({})", node.origin.doc) };
            let what = format!("a branch never matters: {why}{place}");
            let help = "a trace of it gives the same; the graph keeps it as it is";
            let found = Diagnostic::new(Severity::Note, "torch.branch", what).help(help);
            out.push(if node.name.is_empty() { found } else { found.at(Place::node(node.name.clone())) });
        }
    }
    out
}

fn named(node: &Node) -> &'static str {
    node.known().map_or("", |d| d.name)
}

fn maker(model: &Model, v: ValueId) -> Option<&Node> {
    match &model.values.get(v)?.def {
        Def::Node(n, _) => model.nodes.get(*n),
        _ => None,
    }
}

fn operand(node: &Node, i: usize) -> Option<ValueId> {
    node.inputs.get(i).copied().flatten()
}

fn judged(model: &Model, node: &Node) -> Option<String> {
    let compared = maker(model, operand(node, 0)?)?;
    let (left, right) = (operand(compared, 0)?, operand(compared, 1)?);
    let zero = |v: ValueId| model.constant(v).and_then(|t| t.to_f64s().ok()).is_some_and(|x| *x == [0.0]);
    let (measure, op) = match (zero(left), zero(right), named(compared)) {
        (false, true, op) => (left, op),
        (true, false, "Less") => (right, "Greater"),
        (true, false, "Greater") => (right, "Less"),
        (true, false, "LessOrEqual") => (right, "GreaterOrEqual"),
        _ => return None,
    };
    if !never_negative(model, measure, DEPTH) {
        return None;
    }
    match op {
        "GreaterOrEqual" => Some("its condition holds for all inputs, as what is compared is never below zero".into()),
        "Less" => Some("its condition holds for no input, as what is compared is never below zero".into()),
        "Greater" => {
            let reduced = maker(model, measure).filter(|n| n.known().is_some_and(|d| d.name.starts_with("Reduce")))?;
            let whole = model.ty(measure).shape().is_some_and(|s| s.iter().all(|d| d.known() == Some(1)));
            let of = operand(reduced, 0)?;
            let both = node.regions.iter().all(|(_, r)| vanishes(model, *r, of));
            let plain = matches!(named(reduced), "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceL1" | "ReduceL2");
            (whole && both && plain).then(|| {
                "its condition fails only where all that is compared is zero, and there both ways give zeros".into()
            })
        }
        _ => None,
    }
}

/// True where no element of `v` is below zero, whatever the inputs are.
fn never_negative(model: &Model, v: ValueId, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if let Some(t) = model.constant(v) {
        return t.len() <= 1 << 16 && t.to_f64s().is_ok_and(|x| x.iter().all(|&x| x >= 0.0));
    }
    let Some(node) = maker(model, v) else { return false };
    let of = |i: usize| operand(node, i).is_some_and(|v| never_negative(model, v, depth));
    match named(node) {
        "Relu" | "Abs" | "Exp" | "Sigmoid" | "Softmax" | "Softplus" | "HardSigmoid" | "Sqrt" => true,
        "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceSum"
        | "ReduceMax" | "Flatten" | "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Slice" | "Gather"
        | "Identity" | "Expand" | "Dropout" | "Cast" => of(0),
        "Mul" if operand(node, 0) == operand(node, 1) => true,
        "Concat" | "Add" | "Mul" | "Max" | "Min" => (0..node.inputs.len()).all(of),
        _ => false,
    }
}

/// True where all results of `region` are zero once `of` is.
fn vanishes(model: &Model, region: RegionId, of: ValueId) -> bool {
    let Some(region) = model.regions.get(region) else { return false };
    !region.results.is_empty() && region.results.iter().all(|&v| is_zero(model, v, of, DEPTH))
}

fn is_zero(model: &Model, v: ValueId, of: ValueId, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if v == of {
        return true;
    }
    let Some(node) = maker(model, v) else { return false };
    let zero = |i: usize| operand(node, i).is_some_and(|v| is_zero(model, v, of, depth));
    match named(node) {
        "Neg" | "Identity" | "Relu" | "Abs" | "Sqrt" | "Tanh" | "Sin" | "Cast" | "Reshape" | "Flatten"
        | "Transpose" | "Squeeze" | "Unsqueeze" | "Slice" | "Expand" => zero(0),
        "Add" | "Sub" => zero(0) && zero(1),
        // A weight is finite.
        "Mul" => {
            let weight = |i: usize| operand(node, i).is_some_and(|v| model.constant(v).is_some());
            zero(0) && (zero(1) || weight(1)) || zero(1) && weight(0)
        }
        _ => false,
    }
}
