//! Tokenizer files from the metadata of a GGUF file.

use super::{kind, pre, sentencepiece, warning};
use crate::config::Json;
use crate::table::Family;
use crate::to_folder::pretty;
use modelsmith_base::Diagnostic;
use modelsmith_format::{Checkpoint, MetaValue, Result};
use serde_json::{Map, json};

/// What the metadata say of a vocabulary.
pub(super) struct Known<'c> {
    from: &'c Checkpoint,
    /// Text and type of each token.
    pub(super) tokens: Vec<(&'c str, i32)>,
}

fn key(name: &str) -> String {
    format!("tokenizer.ggml.{name}")
}

impl<'c> Known<'c> {
    fn new(from: &'c Checkpoint) -> Option<Known<'c>> {
        let tokens = list(from, "tokens")?;
        let kinds = list(from, "token_type").unwrap_or_default();
        let text = |t: &'c MetaValue| if let MetaValue::Text(t) = t { t.as_str() } else { "\u{fffd}" };
        let kind = |i: usize| match kinds.get(i) {
            Some(MetaValue::Int { value, .. }) => i32::try_from(*value).unwrap_or(kind::NORMAL),
            _ => kind::NORMAL,
        };
        let mut tokens = tokens.iter().enumerate().map(|(i, t)| (text(t), kind(i))).collect::<Vec<_>>();
        // What fills the table of tokens up is no token.
        while tokens.last().is_some_and(|(t, k)| *k == kind::UNUSED && t.starts_with("[PAD")) {
            tokens.pop();
        }
        Some(Known { from, tokens })
    }

    fn id(&self, role: &str) -> Option<usize> {
        match self.from.meta(&key(&format!("{role}_token_id")))? {
            MetaValue::Int { value, .. } => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    fn text(&self, id: usize) -> Option<&'c str> {
        self.tokens.get(id).map(|(t, _)| *t)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.from.meta(&key(name))? {
            MetaValue::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The score of each token.
    pub(super) fn scores(&self) -> Vec<f32> {
        let list = list(self.from, "scores").unwrap_or_default();
        let one =
            |v: &MetaValue| if let MetaValue::Float { value, .. } = v { crate::config::single(*value) } else { 0.0 };
        list.iter().map(one).collect()
    }

    /// The ids of the unknown token, of begin, end and padding.
    pub(super) fn ids(&self) -> [Option<usize>; 4] {
        ["unknown", "bos", "eos", "padding"].map(|r| self.id(r))
    }

    /// Whether a space is put before a text.
    pub(super) fn space(&self) -> bool {
        self.flag("add_space_prefix").unwrap_or(true)
    }
}

fn list<'c>(from: &'c Checkpoint, name: &str) -> Option<&'c [MetaValue]> {
    match from.meta(&key(name))? {
        MetaValue::List { items, .. } => Some(items),
        _ => None,
    }
}

/// The roles of GGUF and of transformers.
const ROLES: [(&str, &str); 6] =
    [("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("seperator", "sep"), ("padding", "pad"), ("mask", "mask")];

/// The tokenizer files of a folder; ids of special tokens go into `config` too.
pub(crate) fn files(
    family: &Family,
    from: &Checkpoint,
    config: &mut Map<String, Json>,
    findings: &mut Vec<Diagnostic>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let Some(known) = Known::new(from) else {
        findings.push(warning("the file has no vocabulary; the folder gets no tokenizer".into()));
        return Ok(Vec::new());
    };
    for (gguf, hf) in ROLES.iter().filter(|(_, hf)| matches!(*hf, "bos" | "eos" | "pad")) {
        if let Some(id) = known.id(gguf) {
            config.insert(format!("{hf}_token_id"), json!(id));
        }
    }
    let model = from.meta(&key("model")).map(MetaValue::text).unwrap_or_default();
    let (file, class) = match model.as_str() {
        "llama" => (("tokenizer.model".to_owned(), sentencepiece::write(&known)), family.tokenizer_class),
        "gpt2" => (("tokenizer.json".to_owned(), pretty(&byte_level(&known, findings))), "PreTrainedTokenizerFast"),
        "bert" => (("tokenizer.json".to_owned(), pretty(&word_pieces(&known))), "BertTokenizer"),
        other => {
            findings
                .push(warning(format!("a vocabulary of the kind {other} is not written; the folder has no tokenizer")));
            return Ok(Vec::new());
        }
    };
    let settings = settings(&known, class, model == "llama");
    Ok(vec![file, ("tokenizer_config.json".into(), pretty(&Json::Object(settings)))])
}

fn settings(known: &Known<'_>, class: &str, pieces: bool) -> Map<String, Json> {
    let mut out = Map::new();
    for (gguf, hf) in ROLES {
        if let Some(text) = known.id(gguf).and_then(|id| known.text(id)) {
            out.insert(format!("{hf}_token"), json!(text));
        }
    }
    if class == "BertTokenizer" {
        let first = known.id("bos").and_then(|id| known.text(id)).unwrap_or("[CLS]");
        out.insert("cls_token".into(), json!(first));
        out.insert("do_lower_case".into(), json!(known.flag("normalizer.lowercase").unwrap_or(true)));
    }
    for role in ["bos", "eos"].into_iter().filter(|_| pieces) {
        out.insert(
            format!("add_{role}_token"),
            json!(known.flag(&format!("add_{role}_token")).unwrap_or(role == "bos")),
        );
    }
    if pieces {
        if let Some(space) = known.flag("add_space_prefix") {
            out.insert("add_prefix_space".into(), json!(space));
        }
        let added = known.tokens.iter().enumerate().filter(|(_, (_, k))| is_added(*k));
        let entry = |(id, (text, k)): (usize, &(&str, i32))| (id.to_string(), json!(added_token(text, *k)));
        let added = added.map(entry).collect::<Map<_, _>>();
        out.insert("added_tokens_decoder".into(), Json::Object(added));
    }
    out.insert("clean_up_tokenization_spaces".into(), json!(false));
    if let Some(MetaValue::Text(template)) = known.from.meta("tokenizer.chat_template") {
        out.insert("chat_template".into(), json!(template));
    }
    out.insert("tokenizer_class".into(), json!(class));
    out
}

fn is_added(k: i32) -> bool {
    matches!(k, kind::CONTROL | kind::USER_DEFINED | kind::UNKNOWN)
}

fn added_token(text: &str, k: i32) -> Json {
    let special = k != kind::USER_DEFINED;
    json!({
        "content": text, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": special,
    })
}

/// Added tokens as `tokenizer.json` lists them.
fn added_tokens(known: &Known<'_>) -> Vec<Json> {
    let all = known.tokens.iter().enumerate().filter(|(_, (_, k))| is_added(*k));
    let entry = |(id, (text, k)): (usize, &(&str, i32))| {
        let mut out = Map::from_iter([("id".to_owned(), json!(id))]);
        if let Json::Object(rest) = added_token(text, *k) {
            out.extend(rest);
        }
        Json::Object(out)
    };
    all.map(entry).collect()
}

fn byte_level(known: &Known<'_>, findings: &mut Vec<Diagnostic>) -> Json {
    let name = known.from.meta(&key("pre")).map(MetaValue::text).unwrap_or_default();
    let way = pre::PRES.iter().find(|p| p.name == name);
    if way.is_none() {
        let message = format!(
            "texts are cut in the way {name:?}, which tokenizer.json is not written for; that of GPT-2 \
                               is written, and tokens may differ"
        );
        findings.push(warning(message));
    }
    let normal = known.tokens.iter().enumerate().filter(|(_, (_, k))| *k == kind::NORMAL);
    let vocab = normal.map(|(id, (text, _))| ((*text).to_owned(), json!(id))).collect::<Map<_, _>>();
    let merges = list(known.from, "merges").unwrap_or_default().iter().map(|m| json!(m.text())).collect::<Vec<_>>();
    let level = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": regex});
    let split = |pattern: &&str| match *pattern {
        "digits" => json!({"type": "Digits", "individual_digits": true}),
        regex => json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false}),
    };
    let splits = way.map_or(&[][..], |w| w.splits);
    let steps = splits.iter().map(split).chain([level(way.is_none_or(|w| w.gpt2))]).collect::<Vec<_>>();
    let around = match known.id("bos").filter(|_| known.flag("add_bos_token") == Some(true)) {
        Some(id) => json!({"type": "Sequence", "processors": [level(true), template(&[(id, known.text(id))], &[])]}),
        None => level(true),
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added_tokens(known),
        "normalizer": if name == "qwen2" || name == "qwen35" { json!({"type": "NFC"}) } else { Json::Null },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "post_processor": around,
        "decoder": level(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            // Whole words that are tokens stay whole in vocabularies of this kind.
            "ignore_merges": name == "llama-bpe",
            "vocab": vocab, "merges": merges,
        },
    })
}

type Special<'t> = (usize, Option<&'t str>);

/// What is put before and after a text.
fn template(before: &[Special<'_>], after: &[Special<'_>]) -> Json {
    let token = |(_, text): &Special<'_>, segment: u8| json!({"SpecialToken": {"id": text.unwrap_or_default(), "type_id": segment}});
    let text = |name: &str, segment: u8| json!({"Sequence": {"id": name, "type_id": segment}});
    let before_all = |segment| before.iter().map(move |t| token(t, segment));
    let after_all = |segment| after.iter().map(move |t| token(t, segment));
    let single = before_all(0).chain([text("A", 0)]).chain(after_all(0)).collect::<Vec<_>>();
    // A second text begins anew, but where the first one ends with a token that parts them.
    let again = before_all(1).filter(|_| after.is_empty());
    let second = again.chain([text("B", 1)]).chain(after_all(1));
    let pair = single.iter().cloned().chain(second).collect::<Vec<_>>();
    let entry = |(id, text): &Special<'_>| {
        let text = text.unwrap_or_default();
        (text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]}))
    };
    let tokens = before.iter().chain(after).map(entry).collect::<Map<_, _>>();
    json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens})
}

fn word_pieces(known: &Known<'_>) -> Json {
    let spelled = |(text, k): &(&str, i32)| match text.strip_prefix('\u{2581}') {
        _ if *k == kind::CONTROL || *k == kind::UNUSED => (*text).to_owned(),
        Some(word) => word.to_owned(),
        None => format!("##{text}"),
    };
    let vocab = known.tokens.iter().enumerate().map(|(id, t)| (spelled(t), json!(id))).collect::<Map<_, _>>();
    let find = |text: &str| known.tokens.iter().position(|(t, _)| *t == text);
    let role = |role: &str, usual: &str| known.id(role).or_else(|| find(usual)).map(|id| (id, known.text(id)));
    let (first, last) = (role("bos", "[CLS]").or_else(|| role("cls", "[CLS]")), role("seperator", "[SEP]"));
    let (before, after) = (first.into_iter().collect::<Vec<_>>(), last.into_iter().collect::<Vec<_>>());
    let unknown = role("unknown", "[UNK]").and_then(|(_, t)| t).unwrap_or("[UNK]");
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added_tokens(known),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": known.flag("normalizer.strip_accents"),
            "lowercase": known.flag("normalizer.lowercase").unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(&before, &after),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    })
}
