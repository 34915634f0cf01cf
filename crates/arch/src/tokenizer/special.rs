//! Special tokens: which ids they have, which are put around a text, and the chat template.

use super::added;
use crate::config::{Files, Json, json};
use crate::meta::Meta;
use modelsmith_format::{Error, Result};
use serde_json::Map;

/// What is special about tokens, in the order in which it is written.
#[derive(Default)]
pub(super) struct Special {
    ids: Vec<(&'static str, i64)>,
    adds: Vec<(&'static str, bool)>,
    templates: Vec<(String, String)>,
    template: Option<String>,
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
}

/// A role, the key of its id, and whether GGUF can say that the token is put around a text.
static ROLES: &[(&str, Option<&str>, bool)] = &[
    ("bos", Some("bos_token_id"), true),
    ("eos", Some("eos_token_id"), true),
    ("unk", Some("unknown_token_id"), false),
    ("sep", Some("seperator_token_id"), true),
    ("pad", Some("padding_token_id"), false),
    ("cls", None, false),
    ("mask", Some("mask_token_id"), false),
    ("eot", Some("eot_token_id"), false),
    ("eom", Some("eom_token_id"), false),
];

fn role(name: &str) -> Option<&'static (&'static str, Option<&'static str>, bool)> {
    ROLES.iter().find(|(r, ..)| *r == name)
}

/// The names of special tokens as `tokenizer_config.json` has them, changed on the way.
struct Named {
    /// Nothing where there is no such file.
    config: Option<Map<String, Json>>,
    roles: Vec<&'static str>,
}

impl Named {
    fn get(&self, role: &str) -> Json {
        let found = self.config.as_ref().and_then(|c| c.get(&format!("{role}_token")));
        found.filter(|v| !empty(v)).cloned().unwrap_or(Json::Null)
    }

    fn set(&mut self, role: &str, value: Json) {
        if let Some(config) = &mut self.config {
            config.insert(format!("{role}_token"), value);
        }
    }
}

fn empty(v: &Json) -> bool {
    match v {
        Json::Null => true,
        Json::String(s) => s.is_empty(),
        Json::Object(o) => o.is_empty(),
        _ => false,
    }
}

impl Special {
    /// Reads the files of a folder. Ids from `vocabulary` on do not count.
    pub(super) fn read(files: &dyn Files, vocabulary: Option<usize>) -> Result<Special> {
        let mut out = Special::default();
        let tokenizer = json(files, "tokenizer.json")?;
        let config = json(files, "tokenizer_config.json")?;
        let config = config.and_then(|c| c.as_object().cloned()).filter(|c| !c.is_empty());
        let roles = ROLES.iter().map(|(r, ..)| *r).filter(|r| !matches!(*r, "eot" | "eom")).collect();
        let mut named = Named { config, roles };
        if let Some(t) = &tokenizer {
            if let Some(normalizer) = t.get("normalizer") {
                out.normalizer(normalizer);
            }
            out.processors(t, &mut named);
        }
        let set = |ids: &mut Vec<(&'static str, i64)>, role: &'static str, id: i64| {
            let inside = usize::try_from(id).is_ok_and(|i| vocabulary.is_none_or(|v| i < v));
            if inside && ids.iter().all(|(r, _)| *r != role) {
                ids.push((role, id));
            }
        };
        if let Some(config) = &named.config {
            let added = tokenizer.as_ref().map(added::of_json).unwrap_or_default();
            for &role in &named.roles {
                let wanted = config.get(&format!("add_{role}_token")).and_then(Json::as_bool);
                if let Some(add) = wanted {
                    out.add_default(role, add);
                }
                let entry = named.get(role);
                let text = entry.as_str().or_else(|| entry.get("content")?.as_str());
                if let Some(found) = text.and_then(|t| added.iter().find(|a| a.content == t)) {
                    set(&mut out.ids, role, i64::try_from(found.id).unwrap_or(-1));
                }
            }
            let template = config.get("chat_template").cloned();
            let template = template.map_or_else(|| template_file(files), |t| Ok(Some(t)))?;
            out.chat_template(template.unwrap_or(Json::Null));
        }
        if let Some(model) = json(files, "config.json")? {
            for &role in &named.roles {
                let key = format!("{role}_token_id");
                let own = model.get(&key).filter(|v| !v.is_null());
                let id = own.or_else(|| model.get("text_config")?.get(&key)).and_then(Json::as_i64);
                if let Some(id) = id {
                    set(&mut out.ids, role, id);
                }
            }
        }
        Ok(out)
    }

    fn add(&mut self, role: &'static str, value: bool) {
        match self.adds.iter_mut().find(|(r, _)| *r == role) {
            Some(found) => found.1 = value,
            None => self.adds.push((role, value)),
        }
    }

    fn add_default(&mut self, role: &'static str, value: bool) {
        if self.adds.iter().all(|(r, _)| *r != role) {
            self.adds.push((role, value));
        }
    }

    fn normalizer(&mut self, n: &Json) {
        let flag = |name: &str| n.get(name).and_then(Json::as_bool);
        match n.get("type").and_then(Json::as_str) {
            Some("Lowercase") => self.lowercase = Some(true),
            Some("StripAccents") => self.strip_accents = Some(true),
            Some("BertNormalizer") => {
                self.lowercase = flag("lowercase").or(self.lowercase);
                self.strip_accents = flag("strip_accents").or(self.strip_accents);
            }
            Some("Sequence") => {
                // Sequences in sequences are not met; one level is read.
                let inner = n.get("normalizers").and_then(Json::as_array);
                let inner = inner.into_iter().flatten();
                inner
                    .filter(|n| n.get("type").and_then(Json::as_str) != Some("Sequence"))
                    .for_each(|n| self.normalizer(n));
            }
            _ => {}
        }
    }

    /// What the post-processors put around a text.
    fn processors(&mut self, tokenizer: &Json, named: &mut Named) {
        for (role, other) in [("bos", "cls"), ("eos", "sep")] {
            if named.get(role).is_null() {
                named.set(role, named.get(other));
            }
        }
        let Some(post) = tokenizer.get("post_processor").filter(|p| !p.is_null()) else { return };
        let one = std::slice::from_ref(post);
        let all = post.get("processors").and_then(Json::as_array).map_or(one, Vec::as_slice);
        for p in all {
            match p.get("type").and_then(Json::as_str) {
                Some("ByteLevel") => {
                    self.add_default("bos", false);
                    self.add_default("eos", false);
                }
                Some("RobertaProcessing") => {
                    ["bos", "eos", "sep"].into_iter().for_each(|r| self.add(r, true));
                    for role in ["cls", "sep"] {
                        if let (true, Some(token)) = (named.get(role).is_null(), p.get(role).and_then(|t| t.get(0))) {
                            named.set(role, token.clone());
                        }
                    }
                }
                Some("TemplateProcessing") => self.template_processing(p, named),
                _ => {}
            }
        }
    }

    /// A template of a single text tells what stands first and last, one of a pair what stands between.
    fn template_processing(&mut self, p: &Json, named: &mut Named) {
        let items = |name: &str| p.get(name).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let token = |item: Option<&Json>| item?.get("SpecialToken")?.get("id").filter(|t| !empty(t)).cloned();
        let single = items("single");
        let (mut first, mut last) = (None, None);
        if single.len() > 1 {
            first = token(single.first());
            last = token(single.last());
        }
        if let Some(first) = &first {
            let known = |named: &Named| [named.get("bos"), named.get("cls")].contains(first);
            if named.config.is_some() && !known(named) {
                for role in ["bos", "cls"].into_iter().filter(|r| named.get(r).is_null()).collect::<Vec<_>>() {
                    named.set(role, first.clone());
                }
            }
            self.add("bos", named.config.is_none() || known(named));
        }
        if let Some(last) = &last {
            if named.config.is_some() && named.get("eos") != *last {
                for role in ["eot", "eom"] {
                    if !named.roles.contains(&role) {
                        named.roles.push(role);
                        named.set(role, named.get("eos"));
                        break;
                    }
                }
                named.set("eos", last.clone());
            }
            self.add("eos", true);
        }
        self.pair(items("pair"), first.as_ref(), last.as_ref(), named);
    }

    fn pair(&mut self, pair: &[Json], first: Option<&Json>, last: Option<&Json>, named: &mut Named) {
        let token = |item: &Json| item.get("SpecialToken").and_then(|t| t.get("id")).cloned();
        let sequence =
            |item: Option<&Json>| item.and_then(|i| i.get("Sequence")?.get("id")?.as_str().map(str::to_owned));
        let mut pair = pair;
        if let (Some(first), [head, rest @ ..]) = (first, pair)
            && token(head).as_ref() == Some(first)
        {
            pair = rest;
        }
        if let (Some(last), [rest @ .., end]) = (last, pair)
            && token(end).as_ref() == Some(last)
        {
            pair = rest;
        }
        let ends = (sequence(pair.first()), sequence(pair.last()));
        let [_, middle @ .., _] = pair else { return };
        if ends != (Some("A".to_owned()), Some("B".to_owned())) || middle.is_empty() {
            return;
        }
        let separators = [named.get("sep"), named.get("eos")];
        let is_separator = |item: Option<&Json>| item.and_then(token).is_some_and(|t| separators.contains(&t));
        let alone = is_separator(middle.first()) && last.is_none();
        let second = middle.len() == 2 && is_separator(middle.last());
        self.add("sep", alone || second);
        if (alone || second) && named.get("sep").is_null() {
            let eos = named.get("eos");
            named.set("sep", eos);
        }
    }

    fn chat_template(&mut self, template: Json) {
        match template {
            Json::String(text) => self.template = Some(text),
            Json::Array(list) => {
                for item in list {
                    let text = |k: &str| item.get(k).and_then(Json::as_str).unwrap_or_default().to_owned();
                    let (name, template) = (text("name"), text("template"));
                    let name =
                        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
                    match name.as_str() {
                        "" => {}
                        "default" => self.template = Some(template),
                        _ => self.templates.push((name, template)),
                    }
                }
            }
            _ => {}
        }
    }

    /// Writes ids, what is put around a text, templates and normalization.
    pub(super) fn write(self, meta: &mut Meta) {
        for (name, id) in &self.ids {
            if let Some((_, Some(key), _)) = role(name) {
                meta.u32(format!("tokenizer.ggml.{key}"), *id);
            }
        }
        for (name, add) in &self.adds {
            if let Some((_, _, true)) = role(name) {
                meta.bool(format!("tokenizer.ggml.add_{name}_token"), *add);
            }
        }
        for (name, template) in &self.templates {
            meta.text(format!("tokenizer.chat_template.{name}"), template);
        }
        if !self.templates.is_empty() {
            meta.texts("tokenizer.chat_templates", self.templates.into_iter().map(|(n, _)| n).collect());
        }
        if let Some(template) = &self.template {
            meta.text("tokenizer.chat_template", template);
        }
        if let Some(on) = self.lowercase {
            meta.bool("tokenizer.ggml.normalizer.lowercase", on);
        }
        if let Some(on) = self.strip_accents {
            meta.bool("tokenizer.ggml.normalizer.strip_accents", on);
        }
    }
}

/// A template in a file of its own.
fn template_file(files: &dyn Files) -> Result<Option<Json>> {
    if let Some(bytes) = files.read("chat_template.jinja")? {
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::damaged("a template is text in UTF-8, this is not").in_file("chat_template.jinja").at_offset(0)
        })?;
        return Ok(Some(Json::String(text)));
    }
    Ok(json(files, "chat_template.json")?.and_then(|t| t.get("chat_template").cloned()))
}
