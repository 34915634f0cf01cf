//! How a text is cut before pairs are merged: llama.cpp has a name for each way, a `tokenizer.json` describes it.

use crate::config::Json;

/// A way of cutting.
pub(super) struct Pre {
    /// Its name in llama.cpp.
    pub(super) name: &'static str,
    /// The regular expressions of the steps that split, in order; `digits` for single digits.
    pub(super) splits: &'static [&'static str],
    /// Whether the step of bytes cuts with the expression of GPT-2.
    pub(super) gpt2: bool,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK3: &str = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";

/// Every way that is known.
pub(super) static PRES: &[Pre] = &[
    Pre { name: "gpt-2", splits: &[], gpt2: true },
    Pre { name: "llama-bpe", splits: &[LLAMA3], gpt2: false },
    Pre { name: "qwen2", splits: &[QWEN2], gpt2: false },
    Pre { name: "qwen35", splits: &[QWEN35], gpt2: false },
    Pre { name: "tekken", splits: &[TEKKEN], gpt2: false },
    Pre { name: "gpt-4o", splits: &[GPT4O], gpt2: false },
    Pre { name: "smollm", splits: &["digits"], gpt2: true },
    Pre { name: "deepseek-v3", splits: &[r"\p{N}{1,3}", "[一-龥\u{3040}-ゟ゠-ヿ]+", DEEPSEEK3], gpt2: false },
];

/// The way that a `tokenizer.json` describes.
pub(super) fn of(tokenizer: &Json) -> Option<&'static Pre> {
    let pre = tokenizer.get("pre_tokenizer")?;
    let one = std::slice::from_ref(pre);
    let steps = pre.get("pretokenizers").and_then(Json::as_array).map_or(one, Vec::as_slice);
    let (mut splits, mut gpt2) = (Vec::new(), false);
    for step in steps {
        match step.get("type")?.as_str()? {
            "Split" => splits.push(step.get("pattern")?.get("Regex")?.as_str()?),
            "Digits" if step.get("individual_digits")?.as_bool()? => splits.push("digits"),
            // Files from before the flag had the expression always.
            "ByteLevel" => gpt2 = step.get("use_regex").and_then(Json::as_bool).unwrap_or(true),
            _ => return None,
        }
    }
    PRES.iter().find(|p| p.gpt2 == gpt2 && p.splits == splits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ways_are_told_apart_by_their_steps() {
        let split = |r: &str| json!({"type": "Split", "pattern": {"Regex": r}, "behavior": "Isolated"});
        let bytes = |on: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": on});
        let name = |pre: Json| of(&json!({ "pre_tokenizer": pre })).map(|p| p.name);
        assert_eq!(name(bytes(true)), Some("gpt-2"));
        assert_eq!(name(json!({"type": "Sequence", "pretokenizers": [split(QWEN2), bytes(false)]})), Some("qwen2"));
        assert_eq!(
            name(json!({"type": "Sequence", "pretokenizers": [split(LLAMA3), bytes(false)]})),
            Some("llama-bpe")
        );
        assert_eq!(name(json!({"type": "Sequence", "pretokenizers": [split("x"), bytes(false)]})), None);
        assert_eq!(name(json!({"type": "Whitespace"})), None);
    }
}
