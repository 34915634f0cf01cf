//! Vocabularies of merged pairs: with bytes as GPT-2 spells them, or with bytes as a fallback.

use super::special::Special;
use super::{Tokens, added, kind, pre, size, warning};
use crate::config::{Files, Json, float, json, single};
use modelsmith_format::Result;
use std::collections::HashMap;

/// A byte-level vocabulary.
pub(super) fn gpt2(files: &dyn Files, config: &Json) -> Result<Option<Tokens>> {
    let tokenizer = json(files, "tokenizer.json")?;
    let plain = json(files, "vocab.json")?;
    let own = tokenizer.as_ref().and_then(|t| t.get("model"));
    let own = own.filter(|m| m.get("type").and_then(Json::as_str).unwrap_or("BPE") == "BPE");
    let Some(vocabulary) = own.and_then(|m| m.get("vocab")).or(plain.as_ref()) else { return Ok(None) };
    let base = added::by_content(vocabulary);
    let mut more = json(files, "tokenizer_config.json")?.map(|c| added::of_config(&c)).unwrap_or_default();
    more.extend(tokenizer.as_ref().map(added::of_json).unwrap_or_default());
    let most = base.iter().map(|(id, _)| *id).chain(more.iter().map(|a| a.id)).max().map_or(0, |m| m.saturating_add(1));
    let mut out = Tokens { model: "gpt2", special: Special::read(files, None)?, ..Tokens::default() };
    let mut list = listed(size(config, most)?, &base);
    for token in more {
        if let Some(slot) = list.get_mut(token.id) {
            *slot = token.as_token();
        }
    }
    (out.tokens, out.kinds) = list.into_iter().unzip();
    out.merges = match own.map(merges).filter(|m| !m.is_empty()) {
        Some(found) => found,
        None => merges_file(&files.read("merges.txt")?.unwrap_or_default()),
    };
    let known = tokenizer.as_ref().and_then(pre::of);
    if known.is_none() && tokenizer.is_some() {
        let message = "tokenizer.json cuts texts in a way that llama.cpp has no known name for; \
                       tokenizer.ggml.pre is \"default\", and tokens may differ";
        out.findings.push(warning(message.into()));
    }
    // Without a description it is the way of GPT-2.
    let unnamed = if tokenizer.is_some() { "default" } else { "gpt-2" };
    out.pre = known.map_or(unnamed, |p| p.name).to_owned();
    Ok(Some(out))
}

/// Tokens by id; what no file names is unused.
pub(super) fn listed(size: usize, tokens: &[(usize, &str)]) -> Vec<(String, i32)> {
    let mut list = (0..size).map(|i| (format!("[PAD{i}]"), kind::UNUSED)).collect::<Vec<_>>();
    for (id, text) in tokens {
        if let Some(slot) = list.get_mut(*id) {
            *slot = ((*text).to_owned(), kind::NORMAL);
        }
    }
    list
}

/// The pairs of a `tokenizer.json`: a text with a space between, or a list of two in which spaces are spelled as bytes.
fn merges(model: &Json) -> Vec<String> {
    let list = model.get("merges").and_then(Json::as_array);
    let one = |m: &Json| match m {
        Json::String(text) => Some(text.clone()),
        Json::Array(pair) => {
            let parts = pair.iter().filter_map(Json::as_str).map(|p| p.replace(' ', "\u{120}")).collect::<Vec<_>>();
            Some(parts.join(" "))
        }
        _ => None,
    };
    list.into_iter().flatten().filter_map(one).collect()
}

fn merges_file(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().enumerate().filter(|(i, l)| *i > 0 || !l.starts_with('#'));
    let pair = |line: &str| {
        let words = line.split_whitespace().collect::<Vec<_>>();
        (words.len() == 2).then(|| words.join(" "))
    };
    lines.filter_map(|(_, l)| pair(l)).collect()
}

/// A vocabulary that was made from a SentencePiece model: bytes are tokens such as `<0x0A>`, scores fall with the rank of a merge.
pub(super) fn byte_fallback(files: &dyn Files, config: &Json) -> Result<Option<Tokens>> {
    let Some(tokenizer) = json(files, "tokenizer.json")? else { return Ok(None) };
    let Some(model) = tokenizer.get("model") else { return Ok(None) };
    let is = |j: &Json, key: &str, text: &str| j.get(key).and_then(Json::as_str) == Some(text);
    let fallback = model.get("byte_fallback").and_then(Json::as_bool) == Some(true);
    let sequence = tokenizer.get("decoder").is_some_and(|d| is(d, "type", "Sequence"));
    if !(is(model, "type", "BPE") && fallback && sequence) {
        return Ok(None);
    }
    let base = model.get("vocab").map(added::by_content).unwrap_or_default();
    let more = added::of_json(&tokenizer);
    let most = base.iter().map(|(id, _)| *id).max().map_or(0, |m| m.saturating_add(1));
    let all = more.iter().map(|a| a.id.saturating_add(1)).chain([most]).max().unwrap_or(0);
    let mut list = listed(size(config, all)?.min(all), &base);
    let mut ranks = HashMap::new();
    for (rank, pair) in (0i64..).zip(merges(model)) {
        ranks.entry(pair.replacen(' ', "", 1)).or_insert(rank);
    }
    let mut scores = Vec::new();
    for (id, (text, kind)) in list.iter_mut().enumerate() {
        if is_byte(text) {
            *kind = kind::BYTE;
        } else if let Some(token) = more.iter().find(|a| a.id == id) {
            *kind = if token.special { kind::CONTROL } else { kind::USER_DEFINED };
        }
        // llama.cpp merges pairs by falling score, the tokenizer by rank.
        scores.push(ranks.get(text.as_str()).map_or(0.0, |rank| -single(float(*rank))));
    }
    for token in more.into_iter().filter(|a| a.id >= most) {
        if let Some(slot) = list.get_mut(token.id) {
            let kind = if token.special { kind::CONTROL } else { kind::USER_DEFINED };
            *slot = (token.content, kind);
        }
    }
    let special = Special::read(files, Some(list.len()))?;
    let mut out = Tokens { model: "llama", pre: "default".into(), scores: Some(scores), special, ..Tokens::default() };
    (out.tokens, out.kinds) = list.into_iter().unzip();
    Ok(Some(out))
}

fn is_byte(text: &str) -> bool {
    let inner = text.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
    inner.is_some_and(|t| t.len() == 2 && t.bytes().all(|b| b.is_ascii_hexdigit()))
}
