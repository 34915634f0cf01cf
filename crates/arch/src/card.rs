//! The head of a model card: the part of YAML that model cards use, entries with a text or a list of texts.

use crate::config::Files;
use modelsmith_format::Result;

/// Entries of the head of `README.md`, in order.
pub(crate) struct Card(Vec<(String, Entry)>);

enum Entry {
    Text(String),
    List(Vec<String>),
}

/// Reads `README.md`; a folder without one has an empty card.
pub(crate) fn read(files: &dyn Files) -> Result<Card> {
    let text = files.read("README.md")?.unwrap_or_default();
    Ok(parse(&String::from_utf8_lossy(&text)))
}

fn parse(text: &str) -> Card {
    let mut lines = text.lines();
    if lines.next() != Some("---") {
        return Card(Vec::new());
    }
    let mut out: Vec<(String, Entry)> = Vec::new();
    for line in lines.take_while(|l| *l != "---") {
        let inner = line.trim();
        if let Some(item) = inner.strip_prefix("- ").map(scalar) {
            // An item that is itself a list of entries is of no use here.
            if let Some((_, Entry::List(items))) = out.last_mut().filter(|_| item.find(": ").is_none()) {
                items.push(item);
            }
            continue;
        }
        let Some((key, value)) = inner.split_once(':').filter(|_| !line.starts_with([' ', '#', '\t'])) else {
            continue;
        };
        let value = value.trim();
        let entry = match value.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
            Some(items) => Entry::List(items.split(',').map(|i| scalar(i.trim())).filter(|i| !i.is_empty()).collect()),
            None if value.is_empty() => Entry::List(Vec::new()),
            None => Entry::Text(scalar(value)),
        };
        out.push((key.trim().to_owned(), entry));
    }
    Card(out)
}

fn scalar(text: &str) -> String {
    let text = text.trim();
    let quoted = ['"', '\''].into_iter().find_map(|q| text.strip_prefix(q)?.strip_suffix(q));
    quoted.unwrap_or_else(|| text.split(" #").next().unwrap_or(text).trim_end()).to_owned()
}

/// A name of GGUF and the names that cards have for it.
static NAMES: &[(&str, &[&str])] = &[
    ("name", &["name", "model_name"]),
    ("author", &["author", "model_author", "model_creator"]),
    ("version", &["version", "model_version"]),
    ("organization", &["organization", "model_organization"]),
    ("description", &["description", "model_description"]),
    ("finetune", &["finetune", "model_finetune"]),
    ("basename", &["basename", "model_basename", "model_type"]),
    ("size_label", &["size_label", "model_size_label"]),
];

impl Card {
    fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, e)| e)
    }

    /// The text of an entry.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let single = [key];
        let names = NAMES.iter().find(|(k, _)| *k == key).map_or(&single[..], |(_, names)| names);
        names.iter().find_map(|name| match self.entry(name)? {
            Entry::Text(text) => Some(text.clone()),
            Entry::List(_) => None,
        })
    }

    /// The items of an entry; a text is a list of one.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<String>> {
        match self.entry(key)? {
            Entry::Text(text) => Some(vec![text.clone()]),
            Entry::List(items) => Some(items.clone()).filter(|i| !i.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_cards_are_read() {
        let card = parse(
            "---\nlicense: apache-2.0 # free\ntags:\n- chat\n  - \"b\"\nlanguage: [en, 'no']\n\
             model_name: Big Model\n---\n# x\nafter: 1\n",
        );
        assert_eq!(card.list("license"), Some(vec!["apache-2.0".into()]));
        assert_eq!(card.list("tags"), Some(vec!["chat".into(), "b".into()]));
        assert_eq!(card.list("language"), Some(vec!["en".into(), "no".into()]));
        assert_eq!(card.text("name").as_deref(), Some("Big Model"));
        assert!(card.text("after").is_none());
        assert!(parse("# no head").0.is_empty());
    }
}
