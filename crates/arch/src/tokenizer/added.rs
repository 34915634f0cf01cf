//! Tokens that were added to a vocabulary after it was made.

use super::kind;
use crate::config::Json;

/// An added token.
pub(super) struct Added {
    pub(super) id: usize,
    pub(super) content: String,
    pub(super) special: bool,
}

/// Added tokens of a `tokenizer.json`: a list of entries with an id.
pub(super) fn of_json(tokenizer: &Json) -> Vec<Added> {
    let list = tokenizer.get("added_tokens").and_then(Json::as_array);
    list.into_iter().flatten().filter_map(|t| added(t.get("id")?.as_u64()?, t)).collect()
}

/// Added tokens of a `tokenizer_config.json`: entries by id.
pub(super) fn of_config(config: &Json) -> Vec<Added> {
    let map = config.get("added_tokens_decoder").and_then(Json::as_object);
    map.into_iter().flatten().filter_map(|(id, t)| added(id.parse().ok()?, t)).collect()
}

/// Tokens by content, as in `added_tokens.json` and `vocab.json`.
pub(super) fn by_content(map: &Json) -> Vec<(usize, &str)> {
    let map = map.as_object();
    map.into_iter().flatten().filter_map(|(t, id)| Some((usize::try_from(id.as_u64()?).ok()?, t.as_str()))).collect()
}

fn added(id: u64, entry: &Json) -> Option<Added> {
    let content = entry.get("content")?.as_str()?.to_owned();
    let special = entry.get("special").and_then(Json::as_bool).unwrap_or(false);
    Some(Added { id: usize::try_from(id).ok()?, content, special })
}

/// Texts that are control tokens whatever their entry says.
static CONTROL: &[&str] = &["<pad>", "<mask>", "<2mass>", "[@BOS@]"];
/// Beginnings and ends of such texts.
static BRACKETS: &[(&str, &str)] = &[("<|", "|>"), ("<\u{ff5c}", "\u{ff5c}>"), ("<unused", ">")];

impl Added {
    /// Its text and type in a GGUF file. A space in a token that is not special is a plain one.
    pub(super) fn as_token(&self) -> (String, i32) {
        let text = self.content.as_str();
        let looks = CONTROL.contains(&text) || BRACKETS.iter().any(|(a, z)| text.starts_with(a) && text.ends_with(z));
        match self.special || looks {
            true => (text.to_owned(), kind::CONTROL),
            false => (text.replace('\u{2581}', " "), kind::USER_DEFINED),
        }
    }
}
