//! Which type a tensor gets.

use modelsmith_format::{Error, MetaValue, Result};
use modelsmith_tensor::encoding;

/// What a tensor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Tokens,
    Query,
    /// Values, or queries, keys and values in one.
    Value,
    Key,
    Mixed,
    Down,
    Output,
    Other,
}

/// Parts of names, the first that is found counts.
static PARTS: &[(&str, Category)] = &[
    ("attn_qkv.weight", Category::Value),
    ("attn_kv_b.weight", Category::Value),
    ("attn_v.weight", Category::Value),
    ("attn_k.weight", Category::Key),
    ("attn_q.weight", Category::Query),
    ("attn_output.weight", Category::Mixed),
    ("ffn_up", Category::Other),
    ("ffn_gate", Category::Other),
    ("ffn_down", Category::Down),
];

pub(super) fn category(name: &str) -> Category {
    match name {
        "output.weight" => Category::Output,
        "token_embd.weight" | "per_layer_token_embd.weight" => Category::Tokens,
        _ => PARTS.iter().find(|(part, _)| name.contains(part)).map_or(Category::Other, |&(_, c)| c),
    }
}

/// Parts of the names of matrices that are small or fragile and stay as they are.
static KEPT: &[&str] = &[
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
];

/// Whether a tensor may get another type: weights that are matrices, with exceptions. Leading dimensions of 1 do not count.
pub(super) fn allowed(name: &str, shape: &[usize]) -> bool {
    let rank = shape.iter().skip_while(|&&d| d == 1).count();
    let kept = KEPT.iter().any(|part| name.contains(part));
    rank >= 2 && name.ends_with("weight") && !kept && name != "position_embd.weight" && name != "token_types.weight"
}

/// What the metadata say of the model.
pub(super) struct Facts {
    falcon: bool,
    bailing: bool,
    /// Heads of queries for each head of keys.
    shared: i128,
    experts: i128,
    layers: i128,
    /// As large as the model for which value matrices with few rows got more bits.
    large: bool,
    /// Whether tokens are looked up in the matrix that makes the output.
    tied: bool,
    /// Matrices of values.
    values: i128,
    pub importance: bool,
}

impl Facts {
    pub(super) fn new<'a>(
        meta: &[(String, MetaValue)],
        names: impl Iterator<Item = &'a str> + Clone,
        importance: bool,
    ) -> Facts {
        let find = |key: &str| meta.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        let architecture = find("general.architecture").map(MetaValue::text).unwrap_or_default();
        let number = |key: &str| first(find(&format!("{architecture}.{key}"))?);
        let heads = number("attention.head_count").unwrap_or(0);
        let keys = number("attention.head_count_kv").unwrap_or(heads);
        let seen = names.clone().map(|n| layer(n).saturating_add(1)).max().unwrap_or(0);
        let layers = number("block_count").unwrap_or(seen);
        let large = match architecture.as_str() {
            "llama" => layers == 80 && heads != keys,
            "qwen2" | "deci" => layers == 80,
            "jais2" => layers == 68,
            _ => false,
        };
        Facts {
            falcon: architecture == "falcon",
            bailing: architecture == "bailingmoe3",
            shared: heads.checked_div(keys).unwrap_or(0),
            experts: number("expert_count").unwrap_or(0),
            layers,
            large,
            tied: !names.clone().any(|n| n == "output.weight"),
            values: i128::try_from(names.filter(|n| category(n) == Category::Value).count()).unwrap_or(0),
            importance,
        }
    }
}

/// A number, or the first of a list.
fn first(value: &MetaValue) -> Option<i128> {
    match value {
        MetaValue::Int { value, .. } => Some(*value),
        MetaValue::List { items, .. } => first(items.first()?),
        _ => None,
    }
}

/// The number of the layer in `blk.N.`, -1 outside the layers.
pub(super) fn layer(name: &str) -> i128 {
    let digits = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next());
    digits.and_then(|d| d.parse::<u32>().ok()).map_or(-1, i128::from)
}

/// How many tensors of a kind were seen.
#[derive(Default)]
pub(super) struct State {
    values: i128,
    downs: i128,
}

/// The first and last eighth, and each third of the rest.
fn more_bits(i: i128, n: i128) -> bool {
    i < n / 8 || i >= n.saturating_mul(7) / 8 || i.saturating_sub(n / 8) % 3 == 2
}

/// The type of a tensor by the rules of `recipe`, whose type is otherwise `base`.
///
/// # Errors
/// When a tensor of a model with experts does not say its layer.
pub(super) fn rule(
    recipe: &str,
    base: &'static str,
    category: Category,
    name: &str,
    shape: &[usize],
    facts: &Facts,
    state: &mut State,
) -> Result<&'static str> {
    let columns = shape.last().copied().unwrap_or(0);
    let eight = facts.experts == 8;
    Ok(match (category, recipe) {
        (Category::Output, _) => output(recipe, base, columns, facts),
        (Category::Tokens, _) if facts.tied => output(recipe, base, columns, facts),
        (_, "MXFP4_MOE") => {
            let expert = name.contains("ffn_up") || name.contains("ffn_gate") || name.contains("ffn_down");
            let stacked = shape.len() >= 3 && shape.iter().rev().nth(2).is_some_and(|&d| d > 1);
            if stacked && (!facts.bailing || expert) { "MXFP4" } else { "Q8_0" }
        }
        (Category::Tokens, "TQ1_0" | "TQ2_0" | "Q2_0") => "Q4_K",
        (Category::Value, _) => value(recipe, base, facts, state),
        (Category::Key, _) if eight => "Q8_0",
        (Category::Down, _) => {
            let seen = state.downs;
            state.downs = seen.saturating_add(1);
            let i = if facts.experts > 1 { layer(name) } else { seen };
            if facts.experts > 1 && !(0..facts.layers).contains(&i) {
                let message = format!("its name does not say which of the {} layers it belongs to", facts.layers);
                return Err(Error::unsupported(message));
            }
            down(recipe, base, i, facts)
        }
        (Category::Mixed, "Q3_K_L") if facts.falcon => "Q4_K",
        (Category::Mixed, _) if facts.falcon => base,
        (Category::Mixed, "Q2_K" | "Q3_K_S" | "Q3_K_M" | "IQ4_NL" | "Q4_K_S" | "Q4_K_M" | "IQ4_XS") if eight => "Q5_K",
        (Category::Mixed, _) if eight => base,
        (Category::Mixed, "Q2_K") => "Q3_K",
        (Category::Mixed, "Q3_K_M") => "Q4_K",
        (Category::Mixed, "Q3_K_L") => "Q5_K",
        _ => base,
    })
}

fn output(recipe: &str, base: &'static str, columns: usize, facts: &Facts) -> &'static str {
    let whole = encoding(base).is_some_and(|e| columns.is_multiple_of(e.elements));
    match (recipe, base) {
        ("MXFP4_MOE", _) | (_, "Q8_0") => "Q8_0",
        _ if facts.falcon || !whole => "Q8_0",
        _ => "Q6_K",
    }
}

fn value(recipe: &str, base: &'static str, facts: &Facts, state: &mut State) -> &'static str {
    let i = state.values;
    state.values = i.saturating_add(1);
    let found = match recipe {
        "Q2_K" => {
            if facts.shared >= 4 {
                "Q4_K"
            } else {
                "Q3_K"
            }
        }
        "Q2_K_S" if facts.shared >= 4 => "Q4_K",
        "Q3_K_M" => {
            if i < 2 {
                "Q5_K"
            } else {
                "Q4_K"
            }
        }
        "Q3_K_L" => "Q5_K",
        "IQ4_NL" | "IQ4_XS" if facts.shared >= 4 => "Q5_K",
        "Q4_K_M" | "Q5_K_M" if more_bits(i, facts.values) => "Q6_K",
        "Q4_K_S" if i < 4 => "Q5_K",
        _ => base,
    };
    match found {
        _ if facts.experts == 8 => "Q8_0",
        "Q3_K" | "Q4_K" if facts.large => "Q5_K",
        other => other,
    }
}

fn down(recipe: &str, base: &'static str, i: i128, facts: &Facts) -> &'static str {
    let n = facts.layers;
    match recipe {
        "Q2_K" => "Q3_K",
        "Q2_K_S" if i < n / 8 => "Q4_K",
        "Q3_K_M" if i < n / 16 => "Q5_K",
        "Q3_K_M" if !facts.falcon || more_bits(i, n) => "Q4_K",
        "Q3_K_L" => {
            if facts.falcon {
                "Q4_K"
            } else {
                "Q5_K"
            }
        }
        "Q4_K_M" if facts.falcon && i < n / 16 => "Q6_K",
        "Q4_K_M" if more_bits(i, n) => {
            if facts.falcon {
                "Q5_K"
            } else {
                "Q6_K"
            }
        }
        "IQ4_NL" | "IQ4_XS" if i < n / 8 && !facts.importance => "Q5_K",
        "Q5_K_M" if more_bits(i, n) => "Q6_K",
        "Q4_K_S" if !facts.falcon && i < n / 8 => "Q5_K",
        "Q4_0" if facts.importance && i < n / 8 => "Q4_1",
        "Q5_0" if facts.importance && i < n / 8 => "Q5_1",
        _ => base,
    }
}

/// What takes the place of a type whose blocks do not divide rows of `columns`.
///
/// # Errors
/// When nothing does.
pub(super) fn fallback(name: &str, columns: usize) -> Result<&'static str> {
    let found = match name {
        "IQ4_XS" | "IQ1_S" | "IQ1_M" | "IQ2_XXS" | "IQ2_XS" | "IQ2_S" | "IQ3_XXS" | "IQ3_S" => "IQ4_NL",
        "Q2_0" | "Q2_K" | "Q3_K" | "TQ1_0" | "TQ2_0" => "Q4_0",
        "Q4_K" => "Q5_0",
        "Q5_K" => "Q5_1",
        "Q6_K" => "Q8_0",
        _ => {
            let message =
                format!("rows of {columns} elements are not whole {name} blocks, and no other type stands in");
            return Err(Error::unsupported(message).help("choose another type for it with --tensor-type"));
        }
    };
    Ok(if columns.is_multiple_of(32) { found } else { "F16" })
}
