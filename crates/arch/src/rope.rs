//! Tensors that are computed from the configuration.

use crate::config::{Config, Json, first, float, single};
use crate::meta::Meta;
use crate::table::Computed;
use modelsmith_base::DType;
use modelsmith_format::{Error, Result};
use modelsmith_tensor::{Tensor, WeightExpr};
use std::f64::consts::PI;
use std::sync::Arc;

type Tensors = Vec<(String, Arc<WeightExpr>)>;

/// The tensors, and metadata that go with them.
pub(crate) fn computed(what: Computed, config: &Config<'_>, arch: &str, meta: &mut Meta) -> Result<Tensors> {
    match what {
        Computed::Nothing => Ok(Vec::new()),
        Computed::Llama3Rope => Ok(llama3(config).into_iter().collect()),
        Computed::LongRope => long(config, arch, meta),
    }
}

fn number(config: &Config<'_>, name: &str) -> Option<f64> {
    let paths = [format!("rope_scaling.{name}"), format!("rope_parameters.{name}")];
    first(config.json, &paths.each_ref().map(String::as_str)).and_then(Json::as_f64)
}

fn text<'c>(config: &Config<'c>, names: &[&str]) -> Option<&'c str> {
    first(config.json, names).and_then(Json::as_str)
}

const TYPE: &[&str] = &["rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type"];

/// Rotations slower than the old context are slowed down, fast ones stay, and between there is a ramp.
fn llama3(config: &Config<'_>) -> Option<(String, Arc<WeightExpr>)> {
    text(config, TYPE).filter(|t| t.eq_ignore_ascii_case("llama3"))?;
    let base = first(config.json, &["rope_theta", "rope_parameters.rope_theta"]).and_then(Json::as_f64);
    // Heads are a few hundred elements wide; what a damaged file says is not computed.
    let (base, dim) = (base.unwrap_or(1e4), config.head_dim().filter(|d| *d <= 1 << 16)?);
    let factor = number(config, "factor").unwrap_or(8.0);
    let (low, high) = (number(config, "low_freq_factor"), number(config, "high_freq_factor"));
    let (low, high) = (low.unwrap_or(1.0), high.unwrap_or(4.0));
    // Not that of the scaling: llama.cpp's converter looks for it beside the scaling, where Llama 3 has none.
    let old = first(config.json, &["original_max_position_embeddings"]).and_then(Json::as_f64).unwrap_or(8192.0);
    let mut factors = Vec::new();
    for i in (0..dim).step_by(2) {
        // Step by step in `f32`, a quotient of a constant being a product with the reciprocal, as the converter has it.
        let exponent = f64::from(single(float(i)) / single(float(dim)));
        let frequency = 1.0 / single(base.powf(exponent));
        let wave = (1.0 / frequency) * single(2.0 * PI);
        factors.push(if wave < single(old / high) {
            1.0
        } else if wave > single(old / low) {
            single(factor)
        } else {
            let smooth = ((1.0 / wave) * single(old) - single(low)) / single(high - low);
            1.0 / ((1.0 - smooth) / single(factor) + smooth)
        });
    }
    Some(("rope_freqs.weight".into(), Arc::new(WeightExpr::Literal(Tensor::vector::<f32>(&factors)))))
}

/// The factors of Phi-3 for long and short contexts.
fn long(config: &Config<'_>, arch: &str, meta: &mut Meta) -> Result<Tensors> {
    let list = |name: &str| {
        let paths = [format!("rope_scaling.{name}"), format!("rope_parameters.{name}")];
        let found = first(config.json, &paths.each_ref().map(String::as_str)).and_then(Json::as_array);
        found.map(|items| items.iter().filter_map(Json::as_f64).map(single).collect::<Vec<f32>>())
    };
    let Some(long) = list("long_factor").filter(|l| !l.is_empty()) else { return Ok(Vec::new()) };
    let short = list("short_factor").unwrap_or_default();
    let wanted = config.rotary_dim().unwrap_or(0) / 2;
    if usize::try_from(wanted).ok() != Some(long.len()) || short.len() != long.len() {
        let message = format!("{} long and {} short rope factors, {wanted} are wanted", long.len(), short.len());
        return Err(Error::damaged(message).in_file("config.json"));
    }
    let most = first(config.json, &["max_position_embeddings"]).and_then(Json::as_f64).unwrap_or(4096.0);
    let old = first(config.json, ORIGINAL).and_then(Json::as_f64).unwrap_or(most);
    let scale = most / old;
    let longrope = matches!(text(config, TYPE), Some("su" | "longrope"));
    let factor = match longrope {
        _ if scale <= 1.0 => 1.0,
        true => (1.0 + scale.ln() / old.ln()).sqrt(),
        false => 0.1 * scale.ln() + 1.0,
    };
    meta.f32(format!("{arch}.rope.scaling.attn_factor"), factor);
    let tensor = |name: &str, of: &[f32]| {
        (format!("rope_factors_{name}.weight"), Arc::new(WeightExpr::Literal(Tensor::vector(of))))
    };
    Ok(vec![tensor("long", &long), tensor("short", &short)])
}

const ORIGINAL: &[&str] = &[
    "original_max_position_embeddings",
    "rope_scaling.original_max_position_embeddings",
    "rope_parameters.original_max_position_embeddings",
];

/// The elements of a small tensor of `f32`, where they can be had without computing.
pub(crate) fn floats(w: &WeightExpr) -> Option<Vec<f32>> {
    const MOST: u64 = 1 << 20;
    match w {
        WeightExpr::Literal(t) => t.as_slice::<f32>().ok().map(<[f32]>::to_vec),
        WeightExpr::Read(r) if r.dtype == DType::F32 && r.len <= MOST => {
            let mut bytes = vec![0; usize::try_from(r.len).ok()?];
            r.source.read_at(r.offset, &mut bytes).ok()?;
            Some(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
        }
        _ => None,
    }
}

/// The scaling of Llama 3 that gives these factors, where there is one with the usual thresholds.
pub(crate) fn llama3_scaling(config: &Config<'_>, factors: &[f32]) -> Option<Json> {
    let most = factors.iter().copied().fold(0.0f32, f32::max);
    let scaling = serde_json::json!({
        "rope_type": "llama3", "factor": most, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    let mut whole = config.json.clone();
    whole.as_object_mut()?.insert("rope_scaling".into(), scaling.clone());
    let (_, made) = llama3(&Config { json: &whole })?;
    let made = floats(&made)?;
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs();
    (made.len() == factors.len() && made.iter().zip(factors).all(near)).then_some(scaling)
}
