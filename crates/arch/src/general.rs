//! What a GGUF file says of a model in general: its name and the parts of it, its size, how to sample from it.

use crate::card::{self, Card};
use crate::config::{Files, Json, json};
use crate::meta::Meta;
use modelsmith_format::Result;

/// What a name such as `Llama-3.2-1B-Instruct` tells.
#[derive(Clone, Debug, std::default::Default, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) name: Option<String>,
    pub(crate) organization: Option<String>,
    basename: Option<String>,
    finetune: Option<String>,
    pub(crate) version: Option<String>,
    size: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Unknown,
    Version,
    /// A version that belongs to the name: `Llama-3.2`.
    NamedVersion,
    Type,
    Size,
    Finetune,
    Base,
}

fn digits_and_dots(text: &str) -> bool {
    text.split('.').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

fn is_version(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    let rest = lower.strip_prefix("iter").or_else(|| lower.strip_prefix('v')).unwrap_or(&lower);
    digits_and_dots(rest)
}

fn is_type(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    let float = lower.strip_prefix('b').unwrap_or(&lower);
    let float = float.strip_prefix('f').map(|f| f.strip_prefix('p').unwrap_or(f));
    if matches!(float, Some("16" | "32")) {
        return true;
    }
    let blocks = lower.strip_prefix('i').unwrap_or(&lower).strip_prefix('q').map(str::as_bytes);
    let Some([digit, rest @ ..]) = blocks else { return false };
    let (pairs, left) = rest.as_chunks::<2>();
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    digit.is_ascii_digit() && left.is_empty() && pairs.iter().all(|[a, b]| *a == b'_' && word(*b))
}

fn is_size_word(lower: &str) -> bool {
    matches!(lower, "small" | "mini" | "medium" | "large" | "xl" | "xxl")
}

fn is_size(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    if is_size_word(&lower) {
        return true;
    }
    // Experts or active parameters first: `8x7B`, `A3B`.
    let active = lower.strip_prefix('a').unwrap_or(&lower);
    let rest = match active.split_once('x') {
        Some((experts, rest)) if active == lower && !experts.is_empty() && digits_and_dots(experts) => rest,
        Some(_) => return false,
        None => active,
    };
    let rest = rest.strip_suffix(|c: char| c.is_ascii_digit()).unwrap_or(rest);
    let Some(number) = rest.strip_suffix(['k', 'm', 'b', 't']) else { return false };
    let number = number.replace('_', ".");
    digits_and_dots(&number) && number.matches('.').count() <= 1
}

/// The spelling of a size: `7b1` is `7.1B`.
fn size_spelling(part: &str) -> String {
    let mut text = part.replace('_', ".").chars().collect::<Vec<_>>();
    if let [.., _, last] = text.as_slice()
        && last.is_ascii_digit()
        && let (Some(digit), Some(unit)) = (text.pop(), text.pop())
    {
        text.extend(['.', digit, unit]);
    }
    if let [.., before, unit] = text.as_mut_slice()
        && before.is_ascii_digit()
    {
        unit.make_ascii_uppercase();
    }
    text.into_iter().collect()
}

/// Whether a number in a name is too far from the number of parameters to be that of the model.
fn is_context(size: &str, parameters: f64) -> bool {
    let unit = size.chars().last().and_then(|c| " KMBT".find(c)).unwrap_or(0);
    let number: String = size.chars().take(size.chars().count().saturating_sub(1)).collect();
    let Ok(number) = number.parse::<f64>() else { return false };
    let power = ["1", "1e3", "1e6", "1e9", "1e12"].get(unit).and_then(|p| p.parse::<f64>().ok()).unwrap_or(1.0);
    parameters > 0.0 && (number * power - parameters).abs() > (7.0 * parameters / 8.0).floor()
}

impl Id {
    /// Takes a name apart; `parameters` is how many elements the tensors have, 0 when it is not known.
    pub(crate) fn parse(id: &str, parameters: f64) -> Id {
        if id.contains(' ') {
            return Id { name: Some(id.to_owned()), ..Id::default() };
        }
        let (organization, name) = match id.split_once('/') {
            Some((org, name)) => (Some(org).filter(|o| !o.starts_with('.')), name),
            None => (None, id),
        };
        let mut parts = name.split('-').filter(|p| !p.is_empty()).map(|p| (p.to_owned(), Part::Unknown));
        let mut parts = parts.by_ref().collect::<Vec<_>>();
        for (i, (text, part)) in parts.iter_mut().enumerate() {
            let lower = text.to_ascii_lowercase();
            if is_version(text) {
                *part = Part::Version;
            } else if is_type(text) {
                *part = Part::Type;
                *text = text.to_uppercase();
            } else if i > 0 && is_size(text) {
                let size = size_spelling(text);
                let context = is_context(&size, parameters);
                *part = if context { Part::Finetune } else { Part::Size };
                *text = if context { lowered_last(&size) } else { size };
            } else if i > 0 && matches!(lower.as_str(), "chat" | "instruct" | "vision" | "lora") {
                *part = Part::Finetune;
            }
        }
        settle(&mut parts);
        let joined = |wanted: &[Part]| {
            let mut found: Vec<&str> = Vec::new();
            for (text, part) in &parts {
                if wanted.contains(part) && (*part != Part::Size || !found.contains(&text.as_str())) {
                    found.push(text);
                }
            }
            Some(found.join("-")).filter(|j| !j.is_empty())
        };
        let mut out = Id {
            name: Some(name.to_owned()),
            organization: organization.map(str::to_owned),
            basename: joined(&[Part::Base, Part::NamedVersion]),
            finetune: joined(&[Part::Finetune]),
            version: joined(&[Part::Version]),
            size: joined(&[Part::Size]),
        };
        if out.size.is_none() && out.finetune.is_none() && out.version.is_none() {
            // One word may be anything.
            out.basename = None;
        }
        out
    }
}

fn lowered_last(text: &str) -> String {
    let mut chars = text.chars().collect::<Vec<_>>();
    if let Some(last) = chars.last_mut() {
        last.make_ascii_lowercase();
    }
    chars.into_iter().collect()
}

/// Gives the parts that nothing was said of yet to the base name or the finetune.
fn settle(parts: &mut [(String, Part)]) {
    let numbered = parts.iter().any(|(t, p)| *p == Part::Size && t.contains(|c: char| c.is_ascii_digit()));
    for (text, part) in parts.iter_mut() {
        if numbered && *part == Part::Size && text.chars().all(char::is_alphabetic) {
            *part = Part::Unknown;
        }
    }
    let mut at_start = true;
    for (text, part) in parts.iter_mut() {
        let word = *part == Part::Unknown && text.starts_with(char::is_alphabetic);
        match (at_start, *part) {
            (true, Part::Version) => *part = Part::NamedVersion,
            (true, _) if word => *part = Part::Base,
            _ => {
                at_start = false;
                if *part == Part::Unknown {
                    *part = Part::Finetune;
                }
            }
        }
    }
    // A version at the very end is one of the model, not of its name.
    for (_, part) in parts.iter_mut().rev() {
        match *part {
            Part::NamedVersion => *part = Part::Version,
            _ => break,
        }
    }
}

/// Words as in a title, but for versions and what has capitals already.
pub(crate) fn title(text: &str) -> String {
    let spaced = text.replace('-', " ");
    let words = spaced.split_whitespace().map(|word| {
        let lower = word.chars().any(char::is_lowercase) && !word.chars().any(char::is_uppercase);
        let version =
            word.starts_with(|c: char| c.is_ascii_digit()) || word.strip_prefix('v').is_some_and(digits_and_dots);
        if !lower || version { word.to_owned() } else { titled(word) }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Every run of letters begins with a capital.
fn titled(word: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for c in word.chars() {
        match inside {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
        inside = c.is_alphabetic();
    }
    out
}

/// A number of parameters in few digits: `1.1B`, `42K`.
pub(crate) fn size_label(parameters: f64) -> String {
    let (scaled, unit) = match parameters {
        p if p > 1e12 => (p * 1e-12, "T"),
        p if p > 1e9 => (p * 1e-9, "B"),
        p if p > 1e6 => (p * 1e-6, "M"),
        p => (p * 1e-3, "K"),
    };
    let whole = scaled.round_ties_even().to_string();
    let digits = 2usize.saturating_sub(whole.trim_start_matches('0').len());
    format!("{scaled:.digits$}{unit}")
}

/// A key under `general.sampling.`, the entries of `generation_config.json` that it comes from, and whether it is an
/// integer.
static SAMPLING: &[(&str, &[&str], bool)] = &[
    ("top_k", &["top_k"], true),
    ("top_p", &["top_p"], false),
    ("min_p", &["min_p"], false),
    ("xtc_probability", &["xtc_probability"], false),
    ("xtc_threshold", &["xtc_threshold"], false),
    ("temp", &["temperature"], false),
    ("penalty_last_n", &["penalty_last_n"], true),
    ("penalty_repeat", &["penalty_repeat", "repetition_penalty"], false),
    ("mirostat", &["mirostat"], true),
    ("mirostat_tau", &["mirostat_tau"], false),
    ("mirostat_eta", &["mirostat_eta"], false),
];

/// Writes what the folder tells: its own name, `config.json`, `generation_config.json` and the model card.
pub(crate) fn write(files: &dyn Files, config: &Json, parameters: f64, meta: &mut Meta) -> Result<()> {
    if let Some(generation) = json(files, "generation_config.json")? {
        for (key, from, integer) in SAMPLING {
            let Some(found) = from.iter().find_map(|f| generation.get(*f)).filter(|v| !v.is_null()) else { continue };
            let key = format!("general.sampling.{key}");
            match (integer, found.as_i64(), found.as_f64()) {
                (true, Some(n), _) => meta.i32(key, n),
                (false, _, Some(x)) => meta.f32(key, x),
                _ => {}
            }
        }
    }
    let card = card::read(files)?;
    let named = config.get("_name_or_path").and_then(Json::as_str).filter(|n| n.matches('/').count() <= 1);
    let ids = [named, Some(files.name())].into_iter().flatten().map(|n| Id::parse(n, parameters)).collect::<Vec<_>>();
    let from = |pick: fn(&Id) -> Option<String>| ids.iter().find_map(pick);
    let own = |key: &str, pick: fn(&Id) -> Option<String>| card.text(key).or_else(|| from(pick));
    let name = own("name", |id| id.name.as_deref().map(title)).unwrap_or_else(|| files.name().to_owned());
    let pairs = [
        ("name", Some(name)),
        ("author", card.text("author")),
        ("version", own("version", |id| id.version.clone())),
        ("organization", own("organization", |id| id.organization.as_deref().map(title))),
        ("finetune", own("finetune", |id| id.finetune.clone())),
        ("basename", own("basename", |id| id.basename.clone())),
        ("description", card.text("description")),
        ("size_label", own("size_label", |id| id.size.clone()).or_else(|| Some(size_label(parameters)))),
    ];
    for (key, value) in pairs.iter().filter_map(|(k, v)| Some((k, v.as_ref()?))) {
        meta.text(format!("general.{key}"), value);
    }
    of_card(&card, parameters, meta);
    Ok(())
}

fn of_card(card: &Card, parameters: f64, meta: &mut Meta) {
    let license = card.list("license").map(|l| l.join(","));
    let pairs = [
        ("license", license),
        ("license.name", card.text("license_name")),
        ("license.link", card.text("license_link")),
    ];
    for (key, value) in pairs.iter().filter_map(|(k, v)| Some((k, v.as_ref()?))) {
        meta.text(format!("general.{key}"), value);
    }
    let groups: [(&str, &[&str]); 2] = [
        ("base_model", &["base_model", "base_models", "base_model_sources"]),
        ("dataset", &["datasets", "dataset", "dataset_sources"]),
    ];
    for (group, keys) in groups {
        let Some(ids) = keys.iter().find_map(|k| card.list(k)) else { continue };
        meta.u32(format!("general.{group}.count"), i64::try_from(ids.len()).unwrap_or(0));
        for (i, id) in ids.iter().enumerate() {
            origin(&format!("general.{group}.{i}"), id, parameters, meta);
        }
    }
    for (key, from) in [("tags", ["tags", "pipeline_tag"]), ("languages", ["languages", "language"])] {
        let all = from.iter().filter_map(|f| card.list(f)).flatten().collect::<Vec<_>>();
        if !all.is_empty() {
            meta.texts(format!("general.{key}"), all);
        }
    }
}

/// What is said of a model or data set that this one was made of.
fn origin(key: &str, id: &str, parameters: f64, meta: &mut Meta) {
    let url = ["http://", "https://", "ssh://"].iter().any(|s| id.starts_with(s));
    let hub = ["https://huggingface.co/", "http://huggingface.co/"].iter().find_map(|s| id.strip_prefix(s));
    let known = match url {
        true => hub.filter(|h| h.matches('/').count() == 1 && !h.ends_with('/')),
        false => Some(id),
    };
    if let Some(found) = known.map(|k| Id::parse(k, parameters)) {
        let pairs = [
            ("name", found.name.as_deref().map(title)),
            ("version", found.version.clone()),
            ("organization", found.organization.as_deref().map(title)),
        ];
        for (part, value) in pairs.iter().filter_map(|(k, v)| Some((k, v.as_ref()?))) {
            meta.text(format!("{key}.{part}"), value);
        }
        if let (false, Some(org), Some(name)) = (url, found.organization, found.name) {
            meta.text(format!("{key}.repo_url"), &format!("https://huggingface.co/{org}/{name}"));
        }
    }
    if url {
        meta.text(format!("{key}.repo_url"), id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(id: &str, parameters: f64) -> [Option<String>; 4] {
        let id = Id::parse(id, parameters);
        [id.basename, id.finetune, id.version, id.size]
    }

    fn wanted(parts: [&str; 4]) -> [Option<String>; 4] {
        parts.map(|p| Some(p.to_owned()).filter(|p| !p.is_empty()))
    }

    #[test]
    fn names_tell_what_they_are_made_of() {
        assert_eq!(parts("Llama-3.2-1B-Instruct", 1.2e9), wanted(["Llama-3.2", "Instruct", "", "1B"]));
        assert_eq!(parts("mistralai/Mistral-7B-Instruct-v0.2", 7.2e9), wanted(["Mistral", "Instruct", "v0.2", "7B"]));
        assert_eq!(parts("Phi-3-mini-4k-instruct", 3.8e9), wanted(["Phi-3", "4k-instruct", "", "mini"]));
        assert_eq!(parts("bloom-7b1", 7.1e9), wanted(["bloom", "", "", "7.1B"]));
        assert_eq!(parts("Mixtral-8x7B-v0.1", 46.7e9), wanted(["Mixtral", "", "v0.1", "8x7B"]));
        assert_eq!(parts("tiny", 1e5), wanted(["", "", "", ""]));
        assert_eq!(Id::parse("org/x-7B", 7e9).organization.as_deref(), Some("org"));
    }

    #[test]
    fn titles_and_sizes() {
        assert_eq!(title("tiny-llama_2 v1.1 7b Qwen2"), "Tiny Llama_2 v1.1 7b Qwen2");
        assert_eq!(size_label(1_235_814_400.0), "1.2B");
        assert_eq!(size_label(42_000.0), "42K");
        assert_eq!(size_label(999.0), "1.0K");
        assert_eq!(size_label(120_000.0), "120K");
    }
}
