//! The recipes of llama.cpp: a name such as `Q4_K_M` stands for a type for each tensor of a language model, chosen by what
//! the tensor does, where it is, and what the model is like.
//!
//! [`choose`] is a pure function of names, shapes and metadata; [`apply`] makes a checkpoint that is written as
//! `llama-quantize` writes it: tensors sorted, metadata renewed. Recipes whose types are read only are not listed.

mod rules;
#[cfg(test)]
mod tests;

use modelsmith_base::{DType, Diagnostic, Place, Severity};
use modelsmith_format::{Checkpoint, Error, MetaValue, Result};
use modelsmith_tensor::{Encoding, WeightExpr, encoding};
use rules::{Facts, State, allowed, category, fallback, rule};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// A recipe.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Its name.
    pub name: &'static str,
    /// Its number, `general.file_type`.
    pub number: u32,
    /// The type of tensors that no rule speaks of.
    base: &'static str,
}

const fn row(name: &'static str, number: u32, base: &'static str) -> Recipe {
    Recipe { name, number, base }
}

/// Every recipe that can be written.
pub static RECIPES: &[Recipe] = &[
    row("F32", 0, "F32"),
    row("F16", 1, "F16"),
    row("BF16", 32, "BF16"),
    row("Q4_0", 2, "Q4_0"),
    row("Q4_1", 3, "Q4_1"),
    row("Q5_0", 8, "Q5_0"),
    row("Q5_1", 9, "Q5_1"),
    row("Q8_0", 7, "Q8_0"),
    row("Q2_K", 10, "Q2_K"),
    row("Q2_K_S", 21, "Q2_K"),
    row("Q3_K_S", 11, "Q3_K"),
    row("Q3_K_M", 12, "Q3_K"),
    row("Q3_K_L", 13, "Q3_K"),
    row("Q4_K_S", 14, "Q4_K"),
    row("Q4_K_M", 15, "Q4_K"),
    row("Q5_K_S", 16, "Q5_K"),
    row("Q5_K_M", 17, "Q5_K"),
    row("Q6_K", 18, "Q6_K"),
    row("IQ4_NL", 25, "IQ4_NL"),
    row("IQ4_XS", 30, "IQ4_XS"),
    row("TQ1_0", 36, "TQ1_0"),
    row("TQ2_0", 37, "TQ2_0"),
    row("MXFP4_MOE", 38, "MXFP4"),
    row("NVFP4", 39, "NVFP4"),
    row("Q1_0", 40, "Q1_0"),
    row("Q2_0", 41, "Q2_0"),
];

/// The recipe of that name in any case; `Q3_K`, `Q4_K` and `Q5_K` are the medium ones.
pub fn recipe(name: &str) -> Option<&'static Recipe> {
    let medium = ["Q3_K", "Q4_K", "Q5_K"].iter().find(|m| m.eq_ignore_ascii_case(name)).map(|m| format!("{m}_M"));
    let name = medium.as_deref().unwrap_or(name);
    RECIPES.iter().find(|r| r.name.eq_ignore_ascii_case(name))
}

/// How a tensor is stored.
#[derive(Clone, Copy, Debug)]
pub enum Stored {
    /// As it is.
    Kept,
    /// Elements of that type.
    Dense(DType),
    /// Blocks.
    Blocks(&'static Encoding),
}

/// The type of that name: an encoding, or `F32`, `F16`, `BF16`.
pub fn stored(name: &str) -> Option<Stored> {
    let dense = [DType::F32, DType::F16, DType::BF16].into_iter().find(|d| d.name().eq_ignore_ascii_case(name));
    dense.map(Stored::Dense).or_else(|| encoding(name).map(Stored::Blocks))
}

/// A type that the user wants for tensors of some names.
pub struct Override<'a> {
    /// Whether a tensor of that name is meant.
    pub matches: &'a dyn Fn(&str) -> bool,
    /// What it becomes.
    pub to: Stored,
}

/// The type of each tensor, given by name and shape. Of `overrides` the first that matches counts; `importance` says
/// whether there is an importance matrix.
///
/// # Errors
/// When rows fit no type that may take the place of the wanted one, or the recipe needs an importance matrix.
pub fn choose(
    recipe: &Recipe,
    meta: &[(String, MetaValue)],
    tensors: &[(&str, Vec<usize>)],
    overrides: &[Override<'_>],
    importance: bool,
) -> Result<Vec<Stored>> {
    let mut order = (0..tensors.len()).collect::<Vec<_>>();
    order.sort_by(|&a, &b| match (tensors.get(a), tensors.get(b)) {
        (Some((a, _)), Some((b, _))) => by_layer(a, b),
        _ => Ordering::Equal,
    });
    let facts = Facts::new(meta, tensors.iter().map(|(name, _)| *name), importance);
    let mut state = State::default();
    let mut out = vec![Stored::Kept; tensors.len()];
    for i in order {
        let Some((name, shape)) = tensors.get(i) else { continue };
        let chosen = one(recipe, name, shape, &facts, overrides, &mut state).map_err(|e| e.in_tensor(name))?;
        if let Some(slot) = out.get_mut(i) {
            *slot = chosen;
        }
    }
    Ok(out)
}

fn one(
    recipe: &Recipe,
    name: &str,
    shape: &[usize],
    facts: &Facts,
    overrides: &[Override<'_>],
    state: &mut State,
) -> Result<Stored> {
    if !allowed(name, shape) {
        return Ok(Stored::Kept);
    }
    let unknown = || Error::unsupported(format!("no type {}", recipe.base));
    if let Some(dense @ Stored::Dense(_)) = stored(recipe.base) {
        return Ok(dense);
    }
    let columns = shape.last().copied().unwrap_or(0);
    let manual = overrides.iter().find(|o| (o.matches)(name)).map(|o| o.to);
    let wanted = match manual {
        Some(to) => to,
        None => {
            let found = rule(recipe.name, recipe.base, category(name), name, shape, facts, state)?;
            stored(found).ok_or_else(unknown)?
        }
    };
    let Stored::Blocks(encoding) = wanted else { return Ok(wanted) };
    let found =
        if columns.is_multiple_of(encoding.elements) { encoding.name } else { fallback(encoding.name, columns)? };
    let plain = name == "output.weight" || name == "token_embd.weight" || name == "per_layer_token_embd.weight";
    if recipe.name == "Q2_K_S" && found == "Q2_K" && !plain && !facts.importance {
        let error = Error::unsupported("Q2_K_S needs an importance matrix");
        return Err(error.help("give one with --imatrix, or choose Q2_K"));
    }
    stored(found).ok_or_else(unknown)
}

/// Tensors outside the layers first, then layer by layer, each by name.
pub fn by_layer(a: &str, b: &str) -> Ordering {
    rules::layer(a).cmp(&rules::layer(b)).then_with(|| a.cmp(b))
}

/// The weights of columns by tensor name, from an importance matrix; those of experts one after the other.
pub type Importance = HashMap<String, Arc<[f32]>>;

/// The checkpoint as `llama-quantize` would write it: types chosen, tensors sorted, `general.file_type` and
/// `general.quantization_version` at the end of the metadata, which say nothing of parts any more.
///
/// # Errors
/// Those of [`choose`]; when an entry of the importance matrix does not fit its tensor.
pub fn apply(
    recipe: &Recipe,
    from: &Checkpoint,
    overrides: &[Override<'_>],
    importance: &Importance,
) -> Result<(Checkpoint, Vec<Diagnostic>)> {
    let mut sorted = from.tensors.clone();
    sorted.sort_by(|a, b| by_layer(&a.0, &b.0));
    let shapes = sorted.iter().map(|(name, w)| (name.as_str(), w.shape())).collect::<Vec<_>>();
    let types = choose(recipe, &from.meta, &shapes, overrides, !importance.is_empty())?;
    let (mut tensors, mut findings) = (Vec::new(), Vec::new());
    for ((name, weight), to) in sorted.iter().zip(types) {
        let made = match (weight.as_ref(), to) {
            (WeightExpr::Blocks(b), Stored::Blocks(e)) if b.encoding.name == e.name => weight.clone(),
            (_, Stored::Kept) => weight.clone(),
            (_, Stored::Dense(dtype)) if weight.dtype() == dtype => weight.clone(),
            (_, Stored::Dense(dtype)) => Arc::new(WeightExpr::Cast(weight.clone(), dtype)),
            (_, Stored::Blocks(encoding)) => {
                let importance = columns(name, &weight.shape(), importance)?;
                Arc::new(WeightExpr::Encode { of: weight.clone(), encoding, importance })
            }
        };
        if let (WeightExpr::Blocks(b), WeightExpr::Encode { encoding, .. }) = (weight.as_ref(), made.as_ref()) {
            let message = format!("{:?} is encoded again as {encoding:?}, which loses more than once", b.encoding);
            findings.push(Diagnostic::new(Severity::Warning, "gguf.again", message).at(Place::tensor(name)));
        }
        tensors.push((name.clone(), made));
    }
    let keys = ["general.quantization_version", "general.file_type"];
    let stays = |key: &str| !keys.contains(&key) && !key.starts_with("split.");
    let mut meta = from.meta.iter().filter(|(key, _)| stays(key)).cloned().collect::<Vec<_>>();
    for (key, value) in keys.iter().zip([2, recipe.number]) {
        meta.push(((*key).to_owned(), MetaValue::Int { dtype: DType::U32, value: i128::from(value) }));
    }
    Ok((Checkpoint { tensors, meta, tree: None }, findings))
}

fn columns(name: &str, shape: &[usize], all: &Importance) -> Result<Option<Arc<[f32]>>> {
    let Some(found) = all.get(name) else { return Ok(None) };
    let columns = shape.last().copied().unwrap_or(0);
    // Experts are a stack of matrices, each with weights of its own.
    let stack = shape.iter().rev().nth(2).copied().unwrap_or(1);
    if found.len() == columns.saturating_mul(stack) {
        return Ok(Some(found.clone()));
    }
    let message = format!("the importance matrix has {} weights, its rows have {columns} elements", found.len());
    match rules::category(name) {
        // The table of tokens is looked up, not multiplied with: what the matrix says of it means nothing.
        rules::Category::Tokens => Ok(None),
        _ => Err(Error::unsupported(message).in_tensor(name)),
    }
}
