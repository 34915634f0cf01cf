//! Keras: configurations that bring code or name classes of others.

use crate::report::Severity;
use crate::scanner::Scanner;
use crate::{text, wide};
use serde_json::Value;

/// Packages whose classes Keras itself knows.
const PACKAGES: &[&str] =
    &["keras", "tensorflow", "tf_keras", "builtins", "keras_core", "keras_cv", "keras_nlp", "keras_hub"];

/// What begins a configuration in the attributes of an HDF5 file.
const CONFIGS: &[&[u8]] = &[b"{\"class_name\"", b"{\"module\"", b"{\"config\"", b"{\"name\"", b"{\"backend\""];

/// HDF5 is inert but for links to other files; a Keras model has its configuration in an attribute, as one text.
pub(crate) fn hdf5(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    let mut at = 0usize;
    let mut found = false;
    while let Some(start) = next(bytes, at) {
        let rest = bytes.get(start..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                found = true;
                config(s, &value, member, Some(wide(start)));
                at = start.saturating_add(values.byte_offset().max(1));
            }
            _ => at = start.saturating_add(1),
        }
    }
    let has = |piece: &[u8]| bytes.windows(piece.len()).any(|w| w == piece);
    if has(b"model_config") && !found {
        s.unknown("keras.config", member, None, "the configuration of the model was not found in one piece");
    }
    let reason = "the structure of the HDF5 file was not walked: configurations were looked for in its bytes";
    s.find("hdf5.structure", Severity::Note, member, None, reason);
}

/// The next place where a configuration may begin.
fn next(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let brace = |from: usize| rest.get(from..)?.iter().position(|&b| b == b'{').map(|p| from.saturating_add(p));
    let mut from = 0;
    while let Some(place) = brace(from) {
        let tail = rest.get(place..).unwrap_or_default();
        if CONFIGS.iter().any(|c| tail.starts_with(c)) {
            return Some(at.saturating_add(place));
        }
        from = place.saturating_add(1);
    }
    None
}

/// `config.json` of a `.keras` archive.
pub(crate) fn config_text(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => config(s, &value, member, None),
        Err(e) => s.unknown("keras.config", member, None, format!("the configuration is not JSON: {e}")),
    }
}

/// Walks a configuration; JSON from other programs has none of what is looked for.
pub(crate) fn config(s: &mut Scanner<'_>, value: &Value, member: &str, offset: Option<u64>) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                open.extend(map.values());
                let get = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
                let class = get("class_name");
                if matches!(class, "Lambda" | "__lambda__") {
                    let reason =
                        format!("a `{class}` brings code of its own, which runs when the model is loaded or run");
                    s.find("keras.lambda", Severity::High, member, offset, reason);
                }
                let package = get("module").split('.').next().unwrap_or_default();
                let registered = get("registered_name");
                let custom = registered.split_once('>').map(|(package, _)| package);
                if !class.is_empty() && !package.is_empty() && !PACKAGES.contains(&package) {
                    let reason = format!("class {class} is imported from the package {package}");
                    s.find("keras.module", Severity::Medium, member, offset, reason);
                } else if !class.is_empty() && custom.is_some_and(|p| !PACKAGES.contains(&p)) {
                    let reason = format!("class {registered} is defined by the program that saved the model");
                    s.find("keras.custom", Severity::Low, member, offset, reason);
                }
            }
            Value::Array(items) => open.extend(items),
            Value::String(t) => {
                if let Some(code) = text::code(t) {
                    s.find("text.code", Severity::Medium, member, offset, format!("a text holds code: `{code}`"));
                }
            }
            _ => {}
        }
    }
}
