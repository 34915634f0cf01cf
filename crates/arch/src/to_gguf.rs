//! From a folder to GGUF.

use crate::config::{Config, Files, Json, json};
use crate::meta::Meta;
use crate::names::{Parts, by_hf, parts, plain};
use crate::table::{Family, Key, Kind, Row, Via};
use crate::{expr, general, rope, tokenizer};
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::{Checkpoint, Error, MetaValue, Result};
use modelsmith_tensor::WeightExpr;
use std::sync::Arc;

/// The type of matrices. Vectors, norms and tables of positions are `f32` in any case: ggml computes with them so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// That of the checkpoint.
    Kept,
    /// This one.
    To(DType),
}

/// What the driver has for a tensor.
struct Found {
    name: String,
    weight: Arc<WeightExpr>,
    single: bool,
}

/// The checkpoint of a folder as a GGUF file has it.
///
/// # Errors
/// When a tensor has no place in the family, a file of the tokenizer is missing or damaged, or the shapes do not fit
/// the configuration.
pub fn to_gguf(
    family: &'static Family,
    files: &dyn Files,
    config: &Json,
    from: &Checkpoint,
    float: Float,
) -> Result<(Checkpoint, Vec<Diagnostic>)> {
    // Models that read images too keep what concerns text in an entry of its own.
    let merged = text_config(config);
    let config = Config { json: &merged };
    let mut findings = Vec::new();
    let mut meta = Meta::default();
    meta.text("general.architecture", family.gguf);
    let vocabulary = tokenizer::read(family, files, &merged)?;
    let mut found = Vec::new();
    for (name, weight) in rope::computed(family.computed, &config, family.gguf, &mut meta)? {
        found.push(Found { name, weight, single: true });
    }
    found.extend(tensors(family, &config, from, vocabulary.tokens(), &mut findings)?);
    let to = match float {
        Float::To(dtype) => dtype,
        Float::Kept => kept(&found),
    };
    let tensors = found.into_iter().map(|f| typed(f, to)).collect::<Vec<_>>();
    let elements = tensors.iter().map(|(_, w)| elements(w)).sum::<f64>();
    meta.text("general.type", "model");
    general::write(files, config.json, elements, &mut meta)?;
    for key in family.all_keys() {
        hyperparameter(key, family, files, &config, to, &mut meta)?;
    }
    meta.u32("general.quantization_version", 2);
    vocabulary.write(family, &mut meta, &mut findings);
    Ok((Checkpoint { tensors, meta: meta.into_inner(), tree: None }, findings))
}

fn text_config(config: &Json) -> Json {
    let mut out = config.clone();
    if let (Some(all), Some(text)) = (out.as_object_mut(), config.get("text_config").and_then(Json::as_object)) {
        all.extend(text.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    out
}

fn elements(w: &WeightExpr) -> f64 {
    Json::from(w.len()).as_f64().unwrap_or(0.0)
}

/// The type of the first matrix, where a GGUF file has it.
fn kept(found: &[Found]) -> DType {
    let first = found.iter().find(|f| !f.single && f.weight.shape().len() > 1).map(|f| f.weight.dtype());
    first.filter(|d| matches!(d, DType::F16 | DType::BF16)).unwrap_or(DType::F32)
}

/// The tensors in the order of llama.cpp's converter: file by file, by name within a file of safetensors.
fn ordered(from: &Checkpoint) -> Vec<&(String, Arc<WeightExpr>)> {
    let mut all = from.tensors.iter().collect::<Vec<_>>();
    if all.iter().all(|(_, w)| file(w).is_some()) {
        all.sort_by_cached_key(|(name, w)| (file(w).map(str::to_owned), name.clone()));
    }
    all
}

/// The file that a tensor is read from.
fn file(w: &WeightExpr) -> Option<&str> {
    match w {
        WeightExpr::Read(r) => Some(r.source.name()),
        WeightExpr::Cast(of, _) => file(of),
        _ => None,
    }
}

fn tensors(
    family: &'static Family,
    config: &Config<'_>,
    from: &Checkpoint,
    tokens: usize,
    findings: &mut Vec<Diagnostic>,
) -> Result<Vec<Found>> {
    let (mut out, mut lost, mut left): (Vec<Found>, Vec<&str>, usize) = Default::default();
    for (name, weight) in ordered(from) {
        let plain = plain(family, name);
        let unused = |n: &str| family.unused.iter().any(|u| n.starts_with(u));
        let parts = parts(plain);
        let Some(row) = by_hf(family, &parts) else {
            match unused(plain) || unused(name) {
                true => left = left.saturating_add(1),
                false => lost.push(name),
            }
            continue;
        };
        if row.via == Via::Drop {
            continue;
        }
        let weight = apply(row, &parts, weight, config, tokens).map_err(|e| e.in_tensor(name))?;
        let named = parts.named(row.gguf);
        let single =
            row.f32 || parts.suffix != ".weight" || weight.shape().len() <= 1 || named.ends_with("_norm.weight");
        out.push(Found { name: named, weight, single });
    }
    if let Some(first) = lost.first() {
        let shown = lost.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        let message = format!("{} tensors have no place in a GGUF file of {}: {shown}", lost.len(), family.name);
        let help = format!("leave them out, such as with --exclude '{first}'");
        return Err(Error::unsupported(message).help(help));
    }
    if left > 0 {
        let message = format!("{left} tensors that {} does not use in llama.cpp are left out", family.name);
        findings.push(Diagnostic::new(Severity::Note, "arch.unused", message));
    }
    Ok(out)
}

fn apply(
    row: &Row,
    parts: &Parts,
    weight: &Arc<WeightExpr>,
    config: &Config<'_>,
    tokens: usize,
) -> Result<Arc<WeightExpr>> {
    let heads = |n: Option<usize>| {
        n.ok_or_else(|| Error::damaged("the number of attention heads is missing").in_file("config.json"))
    };
    Ok(match row.via {
        Via::Copy | Via::Drop => weight.clone(),
        Via::QueryHeads => expr::interleave(weight, heads(config.heads())?)?,
        Via::KeyHeads => expr::interleave(weight, heads(config.key_heads())?)?,
        Via::Transpose => expr::transpose(weight),
        Via::AddOne if parts.suffix == ".weight" => expr::add(weight, 1.0)?,
        Via::AddOne => weight.clone(),
        Via::Vocabulary => expr::first_rows(weight, tokens),
    })
}

fn typed(found: Found, to: DType) -> (String, Arc<WeightExpr>) {
    let to = if found.single { DType::F32 } else { to };
    (found.name, expr::cast(&found.weight, to))
}

fn hyperparameter(
    key: &Key,
    family: &Family,
    files: &dyn Files,
    config: &Config<'_>,
    to: DType,
    meta: &mut Meta,
) -> Result<()> {
    let name = match key.gguf.starts_with("general.") {
        true => key.gguf.to_owned(),
        false => format!("{}.{}", family.gguf, key.gguf),
    };
    match key.kind {
        Kind::FileType => {
            let number = match to {
                DType::F16 => 1,
                DType::BF16 => 32,
                _ => 0,
            };
            meta.u32(name, number);
        }
        Kind::Pooling => {
            if let Some(number) = pooling(files)? {
                meta.u32(name, number);
            }
        }
        kind => {
            let Some(value) = config.value(key) else { return Ok(()) };
            let bad = || Error::damaged(format!("{} is {value}", key.config.join(" or "))).in_file("config.json");
            match kind {
                Kind::U32 => meta.u32(name, value.as_i64().filter(|n| u32::try_from(*n).is_ok()).ok_or_else(bad)?),
                Kind::F32 => meta.f32(name, value.as_f64().ok_or_else(bad)?),
                Kind::Bool => meta.set(name, MetaValue::Bool(value.as_bool().ok_or_else(bad)?)),
                Kind::Choice(pairs) => {
                    let found = pairs.iter().find(|(from, _)| value.as_str() == Some(from));
                    if let Some((_, to)) = found {
                        meta.text(name, to);
                    }
                }
                Kind::FileType | Kind::Pooling => {}
            }
        }
    }
    Ok(())
}

/// How a model of sentence-transformers pools: 1 mean, 2 first token, 3 last token.
fn pooling(files: &dyn Files) -> Result<Option<i64>> {
    let Some(modules) = json(files, "modules.json")? else { return Ok(None) };
    let text = |m: &Json, k: &str| m.get(k).and_then(Json::as_str).map(str::to_owned);
    let pooling = |m: &&Json| text(m, "type").is_some_and(|t| t.ends_with("Pooling"));
    let Some(path) = modules.as_array().and_then(|a| text(a.iter().find(pooling)?, "path")) else { return Ok(None) };
    let Some(found) = json(files, &format!("{path}/config.json"))? else { return Ok(None) };
    let on = |k: &str| found.get(k).and_then(Json::as_bool) == Some(true);
    let named = text(&found, "pooling_mode");
    let modes = [
        (1, "pooling_mode_mean_tokens", "mean"),
        (2, "pooling_mode_cls_token", "cls"),
        (3, "pooling_mode_lasttoken", "lasttoken"),
    ];
    let flagged = modes.iter().find(|(_, flag, _)| on(flag));
    let found = flagged.or_else(|| modes.iter().find(|(.., name)| named.as_deref() == Some(name)));
    Ok(found.map(|(n, ..)| *n))
}
