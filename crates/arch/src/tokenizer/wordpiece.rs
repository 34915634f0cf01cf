//! Word pieces, as BERT has them.

use super::special::Special;
use super::{Tokens, added, bpe::listed, kind, size};
use crate::config::{Files, Json, json};
use modelsmith_format::Result;

/// Reads `tokenizer.json`, or `vocab.txt` with a token a line. A piece that begins a word gets a mark, and the mark of
/// one that continues a word goes.
pub(super) fn read(files: &dyn Files, config: &Json) -> Result<Option<Tokens>> {
    let tokenizer = json(files, "tokenizer.json")?;
    let text = files.read("vocab.txt")?.map(|b| String::from_utf8_lossy(&b).into_owned());
    let own = tokenizer.as_ref().and_then(|t| t.get("model"));
    let own = own.filter(|m| m.get("type").and_then(Json::as_str) == Some("WordPiece")).and_then(|m| m.get("vocab"));
    let base = match (own, &text) {
        (Some(vocab), _) => added::by_content(vocab),
        (None, Some(text)) => text.lines().map(str::trim_end).enumerate().collect(),
        (None, None) => return Ok(None),
    };
    let most = base.iter().map(|(id, _)| *id).max().map_or(0, |m| m.saturating_add(1));
    let mut list = listed(size(config, most)?, &base);
    let mut more = json(files, "tokenizer_config.json")?.map(|c| added::of_config(&c)).unwrap_or_default();
    more.extend(tokenizer.as_ref().map(added::of_json).unwrap_or_default());
    for token in more {
        if let Some(slot) = list.get_mut(token.id) {
            *slot = token.as_token();
        }
    }
    if tokenizer.is_none() {
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        list.iter_mut().filter(|(t, _)| special.contains(&t.as_str())).for_each(|(_, k)| *k = kind::CONTROL);
    }
    let spelled = |(text, k): (String, i32)| match text.strip_prefix("##") {
        _ if k == kind::CONTROL => (text, k),
        Some(rest) => (rest.to_owned(), k),
        None => (format!("\u{2581}{text}"), k),
    };
    let special = Special::read(files, Some(list.len()))?;
    let segments = config.get("type_vocab_size").and_then(Json::as_i64).or(Some(2));
    // llama.cpp cuts every such vocabulary in the same way; this is its name for that of the original BERT.
    let mut out = Tokens { model: "bert", pre: "bert-bge".into(), special, segments, ..Tokens::default() };
    (out.tokens, out.kinds) = list.into_iter().map(spelled).unzip();
    Ok(Some(out))
}
