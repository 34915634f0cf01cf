//! From GGUF to a folder.

use crate::config::{Config, Json, float};
use crate::names::{Parts, by_gguf, parts};
use crate::table::{Computed, Constant, Default, Family, Key, Kind, Row, Via};
use crate::{expr, of_gguf, rope, tokenizer};
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::{Checkpoint, Error, MetaValue, Result};
use modelsmith_tensor::WeightExpr;
use serde_json::{Map, json};
use std::sync::Arc;

/// What a folder holds.
pub struct Made {
    /// The weights.
    pub checkpoint: Checkpoint,
    /// The files beside them, by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// What could not be said.
    pub findings: Vec<Diagnostic>,
}

/// A GGUF file as a folder of its family: tensors renamed and turned back, configuration, tokenizer.
///
/// # Errors
/// When the architecture is not known, a tensor has no place in it, or shapes and hyperparameters do not fit.
pub fn to_folder(from: &Checkpoint) -> Result<Made> {
    let family = of_gguf(from).ok_or_else(|| {
        let own = from.meta("general.architecture").map_or("without a name".into(), MetaValue::text);
        let mut known = crate::FAMILIES.iter().map(|f| f.gguf).collect::<Vec<_>>();
        known.dedup();
        let known = known.join(", ");
        let help = format!("known are {known}; a single .safetensors file takes any GGUF file, with its own names");
        Error::unsupported(format!("the architecture {own} is not known")).help(help)
    })?;
    let mut findings = Vec::new();
    let heads = Heads { query: int(from, family, "attention.head_count"), key: int(from, family, KEY_HEADS) };
    let mut out = Checkpoint::default();
    let mut lost = Vec::new();
    for (name, weight) in &from.tensors {
        let parts = parts(name);
        match by_gguf(family, &parts) {
            Some(row) => {
                let weight = undone(row, &parts, weight, &heads).map_err(|e| e.in_tensor(name))?;
                out.tensors.push((hf_name(family, row, &parts), weight));
            }
            None if COMPUTED.contains(&name.as_str()) && family.computed != Computed::Nothing => {}
            None => lost.push(name.as_str()),
        }
    }
    if !lost.is_empty() {
        let shown = lost.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        let message = format!("{} tensors have no place in a folder of {}: {shown}", lost.len(), family.name);
        return Err(Error::unsupported(message).help("leave them out with --exclude"));
    }
    out.meta.push(("format".into(), "pt".into()));
    let mut config = configuration(family, from, &out, &mut findings);
    let mut files = tokenizer::files(family, from, &mut config, &mut findings)?;
    files.insert(0, ("config.json".into(), pretty(&Json::Object(config))));
    let types = out.tensors.iter().filter(|(_, w)| is_blocks(w)).count();
    if types > 0 {
        let message = format!("{types} quantized tensors become f32; --cast bf16 or f16 takes half the room");
        findings.push(Diagnostic::new(Severity::Note, "arch.decoded", message));
    }
    Ok(Made { checkpoint: out, files, findings })
}

const KEY_HEADS: &str = "attention.head_count_kv";
const COMPUTED: [&str; 3] = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

struct Heads {
    query: Option<i64>,
    key: Option<i64>,
}

fn is_blocks(w: &WeightExpr) -> bool {
    match w {
        WeightExpr::Blocks(_) => true,
        WeightExpr::Permute(of, _) | WeightExpr::Reshape(of, _) => is_blocks(of),
        _ => false,
    }
}

/// JSON as people read it.
pub(crate) fn pretty(json: &Json) -> Vec<u8> {
    format!("{json:#}\n").into_bytes()
}

fn meta<'c>(from: &'c Checkpoint, family: &Family, key: &str) -> Option<&'c MetaValue> {
    from.meta(&format!("{}.{key}", family.gguf))
}

fn int(from: &Checkpoint, family: &Family, key: &str) -> Option<i64> {
    match meta(from, family, key)? {
        MetaValue::Int { value, .. } => i64::try_from(*value).ok(),
        _ => None,
    }
}

fn hf_name(family: &Family, row: &Row, parts: &Parts) -> String {
    let own = parts.named(row.hf);
    match own.starts_with("lm_head") {
        true => own,
        false => format!("{}{own}", family.prefix),
    }
}

fn undone(row: &Row, parts: &Parts, weight: &Arc<WeightExpr>, heads: &Heads) -> Result<Arc<WeightExpr>> {
    let count = |n: Option<i64>| {
        let found = n.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        found.ok_or_else(|| Error::damaged("the number of attention heads is missing in the metadata"))
    };
    Ok(match row.via {
        Via::Copy | Via::Drop | Via::Vocabulary => weight.clone(),
        Via::QueryHeads => expr::halves(weight, count(heads.query)?)?,
        Via::KeyHeads => expr::halves(weight, count(heads.key.or(heads.query))?)?,
        Via::Transpose => expr::transpose(weight),
        Via::AddOne if parts.suffix == ".weight" => expr::add(weight, -1.0)?,
        Via::AddOne => weight.clone(),
    })
}

/// A value of metadata as JSON; a float of 32 bits by its shortest digits.
pub(crate) fn value(value: &MetaValue) -> Json {
    match value {
        MetaValue::Bool(b) => Json::from(*b),
        MetaValue::Int { value, .. } => i64::try_from(*value).map_or(Json::Null, Json::from),
        MetaValue::Float { dtype: DType::F32, value } => {
            let short = crate::config::single(*value).to_string().parse::<f64>();
            Json::from(short.unwrap_or(*value))
        }
        MetaValue::Float { value, .. } => Json::from(*value),
        MetaValue::Text(text) => Json::from(text.as_str()),
        _ => Json::Null,
    }
}

/// Sets the value at a path with dots.
fn set(config: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => {
            config.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = config.entry(head).or_insert_with(|| json!({}));
            if let Some(inner) = inner.as_object_mut() {
                set(inner, rest, value);
            }
        }
    }
}

fn configuration(
    family: &'static Family,
    from: &Checkpoint,
    made: &Checkpoint,
    findings: &mut Vec<Diagnostic>,
) -> Map<String, Json> {
    let mut config = Map::new();
    config.insert("architectures".into(), json!(family.classes.get(..1).unwrap_or_default()));
    config.insert("model_type".into(), json!(family.model_type));
    for key in family.all_keys() {
        if let (Some(path), Some(json)) = (key.config.first(), back(key, family, from)) {
            set(&mut config, path, json);
        }
    }
    for (path, constant) in family.fixed {
        if let Some(json) = constant_of(*constant, family, from) {
            set(&mut config, path, json);
        }
    }
    rotation(family, from, &mut config, findings);
    let rows = |name: &str| from.find(name).and_then(|w| w.shape().first().copied());
    if let Some(tokens) = rows("token_embd.weight") {
        config.insert("vocab_size".into(), json!(tokens));
    }
    if let Some(segments) = rows("token_types.weight") {
        config.insert("type_vocab_size".into(), json!(segments));
    }
    let head = family.rows().any(|r| r.gguf == "output");
    config.insert("tie_word_embeddings".into(), json!(!head || from.find("output.weight").is_none()));
    let first = made.tensors.iter().map(|(_, w)| w).find(|w| w.shape().len() > 1).map_or(DType::F32, |w| w.dtype());
    let dtype = match first {
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        _ => "float32",
    };
    config.insert("torch_dtype".into(), json!(dtype));
    config
}

/// What `config.json` says for a hyperparameter.
fn back(key: &Key, family: &Family, from: &Checkpoint) -> Option<Json> {
    let found = meta(from, family, key.gguf)?;
    match (key.kind, key.default) {
        (Kind::Choice(pairs), _) => {
            let MetaValue::Text(text) = found else { return None };
            pairs.iter().find(|(_, gguf)| gguf == text).map(|(hf, _)| json!(hf))
        }
        // What is missing in one is 0 in the other.
        (Kind::U32, Default::Int(0)) if value(found) == json!(0) => Some(Json::Null),
        _ => Some(value(found)),
    }
}

fn constant_of(constant: Constant, family: &Family, from: &Checkpoint) -> Option<Json> {
    Some(match constant {
        Constant::Int(n) => json!(n),
        Constant::Bool(b) => json!(b),
        Constant::Text(text) => json!(text),
        Constant::IfTensor(name) => json!(from.find(name).is_some()),
        Constant::QueryScalar(layers) => {
            let by_heads = int(from, family, "block_count") == Some(i64::from(layers));
            let width = int(from, family, "embedding_length");
            let heads = int(from, family, "attention.head_count");
            let all = width.and_then(|w| w.checked_div(heads?));
            let own = int(from, family, "attention.key_length");
            json!(if by_heads { all } else { own.or(all) }?)
        }
    })
}

/// What tensors and metadata say of rotations that no single entry does.
fn rotation(
    family: &'static Family,
    from: &Checkpoint,
    config: &mut Map<String, Json>,
    findings: &mut Vec<Diagnostic>,
) {
    let json = Json::Object(config.clone());
    let read = Config { json: &json };
    let (rotated, head) = (int(from, family, "rope.dimension_count"), read.head_dim());
    let partial = family.all_keys().any(|k| k.default == Default::RotaryDim);
    if let (true, Some(rotated), Some(head)) = (partial && rotated != head, rotated, head) {
        set(config, "partial_rotary_factor", json!(float(rotated) / float(head)));
    }
    let factors = |name: &str| from.find(name).and_then(|w| rope::floats(w));
    if let Some(own) = factors("rope_freqs.weight").filter(|_| family.computed == Computed::Llama3Rope) {
        match rope::llama3_scaling(&read, &own) {
            Some(scaling) => set(config, "rope_scaling", scaling),
            None => {
                let message = "rope_freqs follows no scaling that config.json can say; long contexts will differ";
                findings.push(Diagnostic::new(Severity::Warning, "arch.rope", message));
            }
        }
    }
    if let (Some(long), Some(short)) = (factors("rope_factors_long.weight"), factors("rope_factors_short.weight")) {
        let list = |of: &[f32]| of.iter().map(|x| x.to_string().parse::<f64>().unwrap_or(0.0)).collect::<Vec<_>>();
        set(
            config,
            "rope_scaling",
            json!({"type": "longrope", "long_factor": list(&long), "short_factor": list(&short)}),
        );
    }
}
