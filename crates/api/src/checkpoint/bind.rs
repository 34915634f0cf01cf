//! The weights of a checkpoint in the graph of a model: by name, then by shape.

use crate::{Error, Model, Result};
use modelsmith_format::Checkpoint;
use modelsmith_ir::{Def, Edit, Type, ValueId};
use modelsmith_tensor::WeightExpr;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What became of a weight of the graph or a tensor of the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Bound: the names are equal.
    Name,
    /// Bound: as many weights of this shape were left in the graph as in the checkpoint, taken in order.
    Shape,
    /// A constant of the graph that the checkpoint does not have; the graph's value stays.
    Kept,
    /// A weight of the graph that the checkpoint does not have.
    Missing,
    /// A tensor that the graph has no place for.
    Extra,
    /// The names are equal, the shapes are not.
    WrongShape,
}

/// One line of the table of a binding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Weight of the graph.
    pub weight: Option<String>,
    /// Tensor of the checkpoint.
    pub tensor: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Shape in the graph.
    pub wanted: Option<Vec<usize>>,
    /// Shape in the checkpoint.
    pub found: Option<Vec<usize>>,
}

/// A model whose weights come from a checkpoint.
pub struct Binding {
    /// The model.
    pub model: Model,
    /// What became of each weight and tensor.
    pub lines: Vec<Line>,
}

struct Slot {
    value: ValueId,
    name: String,
    shape: Vec<usize>,
    parameter: bool,
}

/// Gives the weights of `model` the values of `checkpoint`. A floating-point weight with more than one element must be
/// found, unless `partial`: then the graph's own value stays.
///
/// # Errors
/// When a weight is missing or has another shape; the error lists all of them.
pub fn bind(model: &Model, checkpoint: &Checkpoint, partial: bool) -> Result<Binding> {
    let slots = slots(model.hub());
    let tensors = checkpoint.tensors.iter().map(|(n, w)| (n.as_str(), w)).collect::<HashMap<_, _>>();
    let mut lines = Vec::new();
    let mut bound: Vec<(ValueId, Arc<WeightExpr>)> = Vec::new();
    let mut used = HashSet::new();
    let mut open = Vec::new();
    for slot in &slots {
        let Some((&name, &found)) = tensors.get_key_value(slot.name.as_str()) else {
            open.push(slot);
            continue;
        };
        used.insert(name);
        let fits = found.shape() == slot.shape;
        if fits {
            bound.push((slot.value, found.clone()));
        }
        lines.push(line(Some(slot), Some((name, found)), if fits { Fate::Name } else { Fate::WrongShape }));
    }
    let spare = checkpoint.tensors.iter().filter(|(n, _)| !used.contains(n.as_str())).collect::<Vec<_>>();
    let pairs = by_shape(&open, &spare);
    for slot in open {
        match pairs.get(&slot.value) {
            Some((name, found)) => {
                used.insert(name.as_str());
                bound.push((slot.value, found.clone()));
                lines.push(line(Some(slot), Some((name, found)), Fate::Shape));
            }
            None => lines.push(line(Some(slot), None, if slot.parameter { Fate::Missing } else { Fate::Kept })),
        }
    }
    for (name, found) in checkpoint.tensors.iter().filter(|(n, _)| !used.contains(n.as_str())) {
        lines.push(line(None, Some((name, found)), Fate::Extra));
    }
    refuse(model, &lines, partial, bound.is_empty())?;
    Ok(Binding { model: model.with_hub(replaced(model.hub(), bound)), lines })
}

fn line(slot: Option<&Slot>, tensor: Option<(&str, &Arc<WeightExpr>)>, fate: Fate) -> Line {
    Line {
        weight: slot.map(|s| s.name.clone()),
        tensor: tensor.map(|(n, _)| n.to_owned()),
        fate,
        wanted: slot.map(|s| s.shape.clone()),
        found: tensor.map(|(_, w)| w.shape()),
    }
}

fn refuse(model: &Model, lines: &[Line], partial: bool, nothing: bool) -> Result<()> {
    let bad = |l: &&Line| l.fate == Fate::WrongShape || (l.fate == Fate::Missing && !partial);
    let list = lines.iter().filter(bad).map(describe).collect::<Vec<_>>();
    if list.is_empty() && !nothing {
        return Ok(());
    }
    let what = match list.len() {
        0 => "no weight of the graph has a tensor in the checkpoint".to_owned(),
        n => format!("{n} weights of the graph do not get a tensor that fits"),
    };
    let extra = lines.iter().filter(|l| l.fate == Fate::Extra).map(describe);
    Err(Error::unsupported(what)
        .in_file(model.path())
        .list(list.into_iter().chain(extra).collect())
        .help("rename tensors with --map OLD=NEW; --partial keeps the graph's own values where a tensor is missing"))
}

/// The line as text.
pub fn describe(l: &Line) -> String {
    let name = |n: &Option<String>| n.clone().unwrap_or_default();
    let shape = |s: &Option<Vec<usize>>| s.as_ref().map(|s| format!("{s:?}")).unwrap_or_default();
    match l.fate {
        Fate::Missing => format!("missing: {} {}", name(&l.weight), shape(&l.wanted)),
        Fate::Kept => format!("kept from the graph: {} {}", name(&l.weight), shape(&l.wanted)),
        Fate::Extra => format!("extra: {} {}", name(&l.tensor), shape(&l.found)),
        Fate::WrongShape => {
            format!("wrong shape: {} is {}, {} is wanted", name(&l.tensor), shape(&l.found), shape(&l.wanted))
        }
        Fate::Name => format!("bound: {} {}", name(&l.tensor), shape(&l.found)),
        Fate::Shape => format!("bound by shape: {} from {} {}", name(&l.weight), name(&l.tensor), shape(&l.found)),
    }
}

/// Weights of the model in file order; a value that only passes a weight on under another name, as exporters do with
/// parameters that happen to be equal, is one too.
fn slots(hub: &modelsmith_ir::Model) -> Vec<Slot> {
    let mut out = Vec::new();
    for (value, v) in hub.values.iter() {
        let weight = match &v.def {
            Def::Weight(_, w) => w,
            Def::Node(n, 0) if hub.op_name(*n) == "Identity" && hub.op_domain(*n).is_empty() => {
                match hub.nodes[*n].input(0).and_then(|x| hub.weight(x)) {
                    Some(w) => w,
                    None => continue,
                }
            }
            _ => continue,
        };
        let parameter = weight.dtype().is_float() && weight.len() > 1 && matches!(v.def, Def::Weight(..));
        out.push(Slot { value, name: v.name.clone(), shape: weight.shape(), parameter });
    }
    out
}

/// Parameters that are left, paired in order with tensors of their shape where there are as many of both.
fn by_shape<'c>(
    open: &[&Slot],
    spare: &[&'c (String, Arc<WeightExpr>)],
) -> HashMap<ValueId, &'c (String, Arc<WeightExpr>)> {
    let mut groups: BTreeMap<Vec<usize>, (Vec<ValueId>, Vec<&'c (String, Arc<WeightExpr>)>)> = BTreeMap::new();
    for slot in open.iter().filter(|s| s.parameter) {
        groups.entry(slot.shape.clone()).or_default().0.push(slot.value);
    }
    for tensor in spare.iter().filter(|(_, w)| w.dtype().is_float()) {
        if let Some(group) = groups.get_mut(&tensor.1.shape()) {
            group.1.push(tensor);
        }
    }
    let even = groups.into_values().filter(|(slots, tensors)| slots.len() == tensors.len());
    even.flat_map(|(slots, tensors)| slots.into_iter().zip(tensors)).collect()
}

fn replaced(hub: &modelsmith_ir::Model, bound: Vec<(ValueId, Arc<WeightExpr>)>) -> modelsmith_ir::Model {
    let mut out = hub.clone();
    for (value, weight) in bound {
        let wanted = match &out.values[value].ty {
            Type::Tensor(t) => t.dtype.unwrap_or(weight.dtype()),
            _ => weight.dtype(),
        };
        let weight = match weight.dtype() == wanted {
            true => weight,
            false => Arc::new(WeightExpr::Cast(weight, wanted)),
        };
        match out.values[value].def.clone() {
            Def::Weight(region, _) => out.values[value].def = Def::Weight(region, weight),
            _ => {
                let name = out.values[value].name.clone();
                let main = out.main;
                let new = out.add_weight(main, &name, weight);
                let mut edit = Edit::new(&mut out);
                edit.replace_uses(value, new);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::Tensor;

    fn digits() -> (Model, Checkpoint) {
        let model = Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.onnx")).unwrap();
        let hub = model.hub();
        let of = |s: Slot| Some((s.name, hub.weight(s.value)?.clone()));
        let tensors = slots(hub).into_iter().filter(|s| s.parameter).filter_map(of).collect();
        (model, Checkpoint { tensors, ..Checkpoint::default() })
    }

    fn fates(b: &Binding, fate: Fate) -> usize {
        b.lines.iter().filter(|l| l.fate == fate).count()
    }

    #[test]
    fn weights_are_bound_by_name_then_by_shape() {
        let (model, mut checkpoint) = digits();
        let all = checkpoint.tensors.len();
        let same = bind(&model, &checkpoint, false).unwrap();
        assert_eq!((fates(&same, Fate::Name), fates(&same, Fate::Missing)), (all, 0));
        checkpoint.tensors[0].0 = "another.name".into();
        let again = bind(&model, &checkpoint, false).unwrap();
        assert_eq!((fates(&again, Fate::Name), fates(&again, Fate::Shape)), (all - 1, 1));
    }

    #[test]
    fn what_does_not_fit_is_listed() {
        let (model, mut checkpoint) = digits();
        let (name, _) = checkpoint.tensors.remove(0);
        checkpoint.tensors[0].1 = Arc::new(WeightExpr::Literal(Tensor::vector(&[1f32, 2.0])));
        checkpoint.tensors.push(("more".into(), Arc::new(WeightExpr::Literal(Tensor::vector(&[1f32])))));
        let error = bind(&model, &checkpoint, false).err().unwrap();
        assert!(error.message().starts_with("2 weights of the graph do not get a tensor that fits"));
        let list = error.findings().join("\n");
        assert!(list.contains(&format!("missing: {name} [16, 1, 3, 3]")), "{list}");
        assert!(list.contains("wrong shape: ") && list.contains("extra: more [1]"), "{list}");
        checkpoint.tensors.remove(0);
        let partial = bind(&model, &checkpoint, true).unwrap();
        assert_eq!(fates(&partial, Fate::Missing), 2);
    }
}
