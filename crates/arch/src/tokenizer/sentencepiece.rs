//! `tokenizer.model`: a protobuf message of pieces with scores and types.

use super::special::Special;
use super::{Tokens, added, kind, size, unused};
use crate::config::{Files, Json, json};
use modelsmith_format::{Error, Result};
use modelsmith_wire::proto::{self, Message, Rope};

const FILE: &str = "tokenizer.model";

/// Reads the vocabulary of a folder. With `all`, added tokens of `tokenizer.json` count too, and all are taken as
/// spelled.
pub(super) fn read(files: &dyn Files, config: &Json, all: bool) -> Result<Option<Tokens>> {
    let Some(bytes) = files.read(FILE)? else { return Ok(None) };
    let found = pieces(&bytes).map_err(|e| Error::damaged(e.kind().to_string()).in_file(FILE).at_offset(e.offset()))?;
    let mut list = unused(size(config, found.len())?);
    for (slot, piece) in list.iter_mut().zip(found) {
        *slot = piece;
    }
    let mut put = |id: usize, text: String, kind: i32| {
        if let Some(slot) = list.get_mut(id) {
            *slot = (text, -1000.0, kind);
        }
    };
    if let Some(map) = json(files, "added_tokens.json")? {
        added::by_content(&map).into_iter().for_each(|(id, t)| put(id, t.to_owned(), kind::USER_DEFINED));
    }
    let spelled = |a: &added::Added| match all {
        true => (a.content.clone(), if a.special { kind::CONTROL } else { kind::USER_DEFINED }),
        false => a.as_token(),
    };
    let mut more = json(files, "tokenizer_config.json")?.map(|c| added::of_config(&c)).unwrap_or_default();
    if all && let Some(tokenizer) = json(files, "tokenizer.json")? {
        more.extend(added::of_json(&tokenizer));
    }
    for token in more {
        let (text, kind) = spelled(&token);
        put(token.id, text, kind);
    }
    let special = Special::read(files, Some(list.len()))?;
    let mut out = Tokens { model: "llama", pre: "default".into(), special, ..Tokens::default() };
    out.scores = Some(list.iter().map(|(_, score, _)| *score).collect());
    out.kinds = list.iter().map(|(.., kind)| *kind).collect();
    out.tokens = list.into_iter().map(|(text, ..)| text).collect();
    Ok(Some(out))
}

/// Text, score and type of each piece.
fn pieces(bytes: &[u8]) -> std::result::Result<Vec<(String, f32, i32)>, proto::Error> {
    let mut out = Vec::new();
    for field in Message::new(bytes, 0).fields() {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let (mut text, mut score, mut kind) = (String::new(), 0.0, kind::NORMAL);
        for f in field.message()?.fields() {
            let f = f?;
            match f.number {
                1 => text = f.text()?.into_owned(),
                2 => score = f.float()?,
                3 => kind = f.int32()?,
                _ => {}
            }
        }
        // Pieces that the trainer was given are normal ones to llama.cpp.
        let kind = if kind == kind::USER_DEFINED { kind::NORMAL } else { kind };
        out.push((text, score, kind));
    }
    Ok(out)
}

/// A vocabulary as `tokenizer.model`.
pub(super) fn write(known: &super::back::Known<'_>) -> Vec<u8> {
    let scores = known.scores();
    let mut out = Rope::new();
    for (i, (text, kind)) in known.tokens.iter().enumerate() {
        let mut piece = Rope::new();
        piece.text(1, text);
        piece.float(2, scores.get(i).copied().unwrap_or(0.0));
        if *kind != kind::NORMAL {
            piece.int(3, i64::from(*kind));
        }
        out.message(1, piece);
    }
    let mut trainer = Rope::new();
    // Merged pairs, with bytes for what no piece spells.
    trainer.int(3, 2);
    trainer.int(4, i64::try_from(known.tokens.len()).unwrap_or(i64::MAX));
    trainer.int(35, i64::from(known.tokens.iter().any(|(_, k)| *k == kind::BYTE)));
    for (field, id) in (40..).zip(known.ids()) {
        trainer.int(field, id.and_then(|id| i64::try_from(id).ok()).unwrap_or(-1));
    }
    out.message(2, trainer);
    let mut normalizer = Rope::new();
    normalizer.text(1, "identity");
    normalizer.int(3, i64::from(known.space()));
    // Runs of spaces stay.
    normalizer.int(4, 0);
    normalizer.int(5, 1);
    out.message(3, normalizer);
    out.to_vec().unwrap_or_default()
}
