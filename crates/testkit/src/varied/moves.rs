//! The single changes that variations are made of.

use super::Pool;
use super::tensors::{remapped, resized, retyped, revalued};
use modelsmith_ir::{Attr, AttrDef, AttrKind, Default, OpDef, ParamKind, Sample, Samples, TypeSet};
use modelsmith_tensor::{DType, Tensor, Value};

/// Element types that most programs have.
const USUAL: [DType; 6] = [DType::F32, DType::F64, DType::I64, DType::I32, DType::U8, DType::I8];

/// Sizes that a dimension may take.
const SIZES: [usize; 12] = [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 16, 33];

/// Makes one change to the call, chosen by `rng`; none where it does not apply.
pub fn vary(sample: &mut Sample, def: &OpDef, pool: &Pool, rng: &mut Samples) {
    match rng.below(12) {
        0..=2 => retype(sample, def, rng),
        3..=5 => resize(sample, rng),
        6 => rerank(sample, rng),
        7..=8 => revalue(sample, def, rng),
        9 => operand(sample, def, pool, rng),
        10 if rng.below(3) == 0 => outputs(sample, def, rng),
        _ => attribute(sample, def, pool, rng),
    };
}

fn choose<'a, T>(from: &'a [T], rng: &mut Samples) -> Option<&'a T> {
    from.get(rng.below(from.len() as u64) as usize)
}

/// A type of the set: half of the time one that most programs have.
fn dtype_of(set: TypeSet, rng: &mut Samples) -> Option<DType> {
    let all = set.dtypes().collect::<Vec<_>>();
    let usual = all.iter().copied().filter(|d| USUAL.contains(d)).collect::<Vec<_>>();
    let from = if rng.below(2) == 0 && !usual.is_empty() { usual } else { all };
    choose(&from, rng).copied()
}

/// The operands of one type variable take another type that it allows.
fn retype(sample: &mut Sample, def: &OpDef, rng: &mut Samples) -> Option<()> {
    let var = choose(def.schema.types, rng)?;
    let dtype = dtype_of(var.set, rng)?;
    if sample.model.is_some() {
        return retype_model(sample, dtype, rng);
    }
    for (i, input) in sample.inputs.iter_mut().enumerate() {
        let belongs = def.schema.input(i).is_some_and(|p| p.ty == var.name);
        if let (true, Some(value)) = (belongs, input) {
            *value = match value {
                Value::Tensor(t) => Value::Tensor(retyped(t, dtype, rng)?),
                Value::Sequence(items) => {
                    let items = items.iter().map(|v| Some(Value::Tensor(retyped(v.tensor().ok()?, dtype, rng)?)));
                    Value::Sequence(items.collect::<Option<Vec<_>>>()?)
                }
                _ => return None,
            };
        }
    }
    // A tensor among the attributes names the type of a result.
    for (_, attr) in sample.attrs.iter_mut() {
        if let Attr::Tensor(w) = attr
            && let modelsmith_tensor::WeightExpr::Literal(t) = &**w
            && var.set.has(t.dtype())
        {
            *attr = Attr::from(retyped(t, dtype, rng)?);
        }
    }
    Some(())
}

/// One element type of the operands becomes another, in all of a model.
fn retype_model(sample: &mut Sample, dtype: DType, rng: &mut Samples) -> Option<()> {
    let from = tensor(sample, *choose(&tensors(sample), rng)?)?.dtype();
    let text = sample.model.as_ref()?.replace(&format!("{from}["), &format!("{dtype}["));
    for i in tensors(sample) {
        let t = tensor(sample, i)?;
        if t.dtype() == from {
            sample.inputs[i] = Some(Value::Tensor(retyped(t, dtype, rng)?));
        }
    }
    sample.model = Some(text);
    Some(())
}

/// The text of a model in which every type that has a size of `old` has `new` there.
fn with_size(text: &str, old: usize, new: usize) -> String {
    let (mut out, mut typed) = (String::new(), false);
    for (k, piece) in text.split('[').enumerate() {
        if k > 0 {
            out.push('[');
        }
        match piece.split_once(']').filter(|_| typed) {
            Some((sizes, rest)) => {
                let (old, new) = (old.to_string(), new.to_string());
                let sizes = sizes.split(", ").map(|s| if s == old { new.as_str() } else { s });
                out.push_str(&sizes.collect::<Vec<_>>().join(", "));
                out.push(']');
                out.push_str(rest);
            }
            None => out.push_str(piece),
        }
        typed = piece.ends_with(|c: char| c.is_ascii_alphanumeric());
    }
    out
}

fn tensors(sample: &Sample) -> Vec<usize> {
    let is = |(i, v): (usize, &Option<Value>)| matches!(v, Some(Value::Tensor(_))).then_some(i);
    sample.inputs.iter().enumerate().filter_map(is).collect()
}

fn tensor(sample: &Sample, i: usize) -> Option<&Tensor> {
    match sample.inputs.get(i)? {
        Some(Value::Tensor(t)) => Some(t),
        _ => None,
    }
}

/// A size becomes another: wherever it occurs in an operand, at one axis of one operand, or at the same axis of all.
fn resize(sample: &mut Sample, rng: &mut Samples) -> Option<()> {
    let all = tensors(sample);
    let from = *choose(&all, rng)?;
    let axis = rng.below(tensor(sample, from)?.rank() as u64) as usize;
    let old = *tensor(sample, from)?.shape().get(axis)?;
    let new = *choose(&SIZES, rng)?;
    let how = if sample.model.is_some() { 0 } else { rng.below(4) };
    sample.model = sample.model.take().map(|text| with_size(&text, old, new));
    for i in all {
        let t = tensor(sample, i)?;
        let mut shape = t.shape().to_vec();
        for (a, size) in shape.iter_mut().enumerate() {
            let hit = match how {
                0 | 1 => *size == old,
                2 => a == axis && *size == old,
                _ => a == axis && i == from,
            };
            if hit {
                *size = new;
            }
        }
        if shape != t.shape() {
            let t = resized(t, &shape, rng)?;
            sample.inputs[i] = Some(Value::Tensor(t));
        }
    }
    Some(())
}

/// Operands gain or lose a leading dimension, or one becomes a scalar, a row, or a column.
fn rerank(sample: &mut Sample, rng: &mut Samples) -> Option<()> {
    let all = tensors(sample);
    let one = *choose(&all, rng)?;
    let (how, front) = (rng.below(6), 1 + rng.below(3) as usize);
    for i in all {
        let t = tensor(sample, i)?;
        let old = t.shape();
        let shape = match how {
            0 => [&[front], old].concat(),
            1 => old.get(1..)?.to_vec(),
            _ if i != one => continue,
            2 => [&[front], old].concat(),
            3 => old.get(1..)?.to_vec(),
            4 => vec![],
            _ => [old, &[1]].concat(),
        };
        let t = resized(t, &shape, rng)?;
        sample.inputs[i] = Some(Value::Tensor(t));
    }
    Some(())
}

fn revalue(sample: &mut Sample, def: &OpDef, rng: &mut Samples) -> Option<()> {
    if let Some(Some(Value::Map(map))) = sample.inputs.first() {
        sample.inputs[0] = Some(Value::Map(remapped(map, rng)?));
        return Some(());
    }
    let i = *choose(&tensors(sample), rng)?;
    let allowed = def.schema.input(i).and_then(|p| def.schema.allowed(p.ty));
    let free = allowed.is_some_and(|s| s.dtypes().filter(|d| d.is_int()).count() >= 4);
    let t = revalued(tensor(sample, i)?, free, rng)?;
    sample.inputs[i] = Some(Value::Tensor(t));
    Some(())
}

/// An optional operand goes or comes, or a variadic one repeats.
fn operand(sample: &mut Sample, def: &OpDef, pool: &Pool, rng: &mut Samples) -> Option<()> {
    if sample.model.is_some() {
        return None;
    }
    let places = sample.inputs.len().max(pool.operands.len()) as u64;
    let i = rng.below(places) as usize;
    match (def.schema.input(i)?.kind, sample.inputs.get(i).is_some_and(Option::is_some)) {
        (ParamKind::Optional, true) if i + 1 == sample.inputs.len() => sample.inputs.truncate(i),
        (ParamKind::Optional, true) => sample.inputs[i] = None,
        (ParamKind::Optional, false) => {
            let t = choose(pool.operands.get(i)?, rng)?.clone();
            sample.inputs.resize(sample.inputs.len().max(i + 1), None);
            sample.inputs[i] = Some(Value::Tensor(t));
        }
        (ParamKind::Variadic(_) | ParamKind::Mixed(_), true) if rng.below(2) == 0 => {
            let again = sample.inputs[i].clone();
            sample.inputs.push(again);
        }
        (ParamKind::Variadic(_) | ParamKind::Mixed(_), true) => {
            sample.inputs.remove(i);
        }
        _ => return None,
    }
    Some(())
}

fn outputs(sample: &mut Sample, def: &OpDef, rng: &mut Samples) -> Option<()> {
    if sample.model.is_some() {
        return None;
    }
    let (least, most) = def.schema.output_range();
    sample.outputs = least.max(1 + rng.below(most.min(5) as u64) as usize);
    Some(())
}

/// Whether an integer says yes or no: its default is one of the two, and its name no count, place or type.
fn is_flag(attr: &AttrDef) -> bool {
    let other = ["axis", "group", "num", "size", "dim", "type", "start", "mode", "fusion", "opset", "level"];
    matches!(attr.default, Default::Int(0 | 1))
        && !other.iter().any(|o| attr.name.contains(o) && attr.name != "keepdims")
}

/// An attribute takes the value that another sample gives it, one near it, or its default.
fn attribute(sample: &mut Sample, def: &OpDef, pool: &Pool, rng: &mut Samples) -> Option<()> {
    let attr = choose(def.schema.attrs, rng)?;
    if sample.model.is_some() {
        return None;
    }
    let known = pool.attrs.get(attr.name).and_then(|values| choose(values, rng)).cloned();
    let rank = tensors(sample).first().and_then(|&i| tensor(sample, i)).map_or(1, Tensor::rank) as u64;
    let value = match (attr.kind, known) {
        _ if rng.below(8) == 0 => {
            sample.attrs.remove(attr.name);
            return Some(());
        }
        (_, Some(value)) if rng.below(2) == 0 => value,
        (AttrKind::Int, _) if matches!(attr.name, "to" | "dtype" | "output_dtype") => {
            Attr::Int(1 + rng.below(26) as i64)
        }
        (AttrKind::Int, _) if is_flag(attr) => Attr::Int(rng.below(2) as i64),
        (AttrKind::Int, _) => Attr::Int(rng.below(2 * rank + 2) as i64 - rank as i64),
        (AttrKind::Float, Some(Attr::Float(x))) => Attr::Float(x * [0.5, 2.0, -1.0][rng.below(3) as usize]),
        (AttrKind::Float, _) => Attr::Float([0.0, 0.25, 1.0, -1.0, 2.5][rng.below(5) as usize]),
        (AttrKind::Ints, Some(Attr::Ints(mut x))) if !x.is_empty() => {
            let at = rng.below(x.len() as u64) as usize;
            x[at] = x[at].saturating_add([1, -1, 2][rng.below(3) as usize]);
            Attr::Ints(x)
        }
        (_, Some(value)) => value,
        _ => return None,
    };
    sample.attrs.set(attr.name, value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_a_model_take_a_size_its_constants_and_attributes_keep() {
        let text = "graph(%x: f32[2, 3]) { %y = Scan(%x) {axes = [2]} %z = Add(%y, i64[1] [2]) return %z }";
        let wanted = "graph(%x: f32[5, 3]) { %y = Scan(%x) {axes = [2]} %z = Add(%y, i64[1] [2]) return %z }";
        assert_eq!(with_size(text, 2, 5), wanted);
    }
}
