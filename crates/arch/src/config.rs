//! The files of a folder, and values in its `config.json`.

use crate::table::{Default, Key};
use modelsmith_base::DType;
use modelsmith_format::{Error, Result};
use modelsmith_tensor::Tensor;

/// JSON, keys in the order of the file.
pub type Json = serde_json::Value;

/// The files of a checkpoint folder.
pub trait Files {
    /// The name of the folder, without its parents.
    fn name(&self) -> &str;

    /// The content of the file of that name; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;
}

/// The JSON file of that name.
///
/// # Errors
/// When it cannot be read, or is not JSON.
pub fn json(files: &dyn Files, name: &str) -> Result<Option<Json>> {
    let Some(bytes) = files.read(name)? else { return Ok(None) };
    let fault = |e: serde_json::Error| {
        let place = format!("line {}, column {}", e.line(), e.column());
        Error::damaged(format!("this is not JSON: {e}")).in_file(&format!("{}/{name}, {place}", files.name()))
    };
    serde_json::from_slice(&bytes).map(Some).map_err(fault)
}

/// The value at a path with dots; nothing where it is null.
pub(crate) fn at<'j>(config: &'j Json, path: &str) -> Option<&'j Json> {
    path.split('.').try_fold(config, |j, part| j.get(part)).filter(|j| !j.is_null())
}

/// The value at the first path that has one.
pub(crate) fn first<'j>(config: &'j Json, paths: &[&str]) -> Option<&'j Json> {
    paths.iter().find_map(|p| at(config, p))
}

/// What a configuration says, with the defaults of the family.
pub(crate) struct Config<'a> {
    pub(crate) json: &'a Json,
}

const WIDTH: &[&str] = &["hidden_size", "n_embd"];
const HEADS: &[&str] = &["num_attention_heads", "n_head"];

impl<'a> Config<'a> {
    fn int(&self, paths: &[&str]) -> Option<i64> {
        first(self.json, paths).and_then(Json::as_i64)
    }

    /// Number of query heads.
    pub(crate) fn heads(&self) -> Option<usize> {
        self.int(HEADS).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
    }

    /// Number of key heads.
    pub(crate) fn key_heads(&self) -> Option<usize> {
        let own = self.int(&["num_key_value_heads"]).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        own.or_else(|| self.heads())
    }

    /// Elements of a head.
    pub(crate) fn head_dim(&self) -> Option<i64> {
        self.int(&["head_dim"]).or_else(|| self.int(WIDTH)?.checked_div(self.int(HEADS)?))
    }

    /// Elements of a head that are rotated.
    pub(crate) fn rotary_dim(&self) -> Option<i64> {
        let part = first(self.json, &["partial_rotary_factor", "rope_parameters.partial_rotary_factor"]);
        let Some(part) = part.and_then(Json::as_f64).filter(|p| *p != 1.0) else {
            return self.int(WIDTH)?.checked_div(self.int(HEADS)?);
        };
        whole(part * float(self.int(WIDTH)?))?.checked_div(self.int(HEADS)?)
    }

    /// The value of a hyperparameter; `None` where it is not written.
    pub(crate) fn value(&self, key: &Key) -> Option<Json> {
        if let Some((paths, texts)) = key.when {
            let found = first(self.json, paths).and_then(Json::as_str);
            found.filter(|f| texts.contains(f))?;
        }
        if let Some(found) = first(self.json, key.config) {
            return Some(found.clone());
        }
        match key.default {
            Default::None => None,
            Default::Int(n) => Some(Json::from(n)),
            Default::Float(x) => Some(Json::from(x)),
            Default::Bool(b) => Some(Json::from(b)),
            Default::HeadDim => self.head_dim().map(Json::from),
            Default::Heads => self.int(HEADS).map(Json::from),
            Default::FourTimesWidth => self.int(WIDTH)?.checked_mul(4).map(Json::from),
            Default::RotaryDim => self.rotary_dim().map(Json::from),
        }
    }
}

/// An integer as the nearest float.
pub(crate) fn float(n: i64) -> f64 {
    Json::from(n).as_f64().unwrap_or(0.0)
}

/// The nearest `f32`.
pub(crate) fn single(x: f64) -> f32 {
    let one = Tensor::from_f64s(DType::F32, &[1], &[x]).ok();
    one.and_then(|t| t.as_slice::<f32>().ok().and_then(|v| v.first().copied())).unwrap_or(0.0)
}

/// The whole part of a float that an integer can hold.
fn whole(x: f64) -> Option<i64> {
    format!("{:.0}", x.trunc()).parse().ok()
}
