//! Tensor names against the rows of a family.

use crate::table::{Family, Row};

/// What a name is made of: the beginning that the rows have, the layer, and the ending.
pub(crate) struct Parts {
    /// With `{}` for the layer.
    pub(crate) stem: String,
    pub(crate) layer: Option<String>,
    /// `.weight`, `.bias`, or nothing.
    pub(crate) suffix: &'static str,
}

/// Takes a name apart: the first component of digits is the layer.
pub(crate) fn parts(name: &str) -> Parts {
    // The last two are what TensorFlow called weights and biases of norms.
    let endings = [(".weight", ".weight"), (".bias", ".bias"), (".gamma", ".weight"), (".beta", ".bias")];
    let found = endings.into_iter().find_map(|(end, is)| Some((name.strip_suffix(end)?, is)));
    let (rest, suffix) = found.unwrap_or((name, ""));
    let mut layer = None;
    let stem = rest.split('.').map(|part| {
        let number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match number && layer.is_none() {
            true => {
                layer = Some(part.to_owned());
                "{}"
            }
            false => part,
        }
    });
    let stem = stem.collect::<Vec<_>>().join(".");
    Parts { stem, layer, suffix }
}

impl Parts {
    /// The name with another stem.
    pub(crate) fn named(&self, stem: &str) -> String {
        format!("{}{}", stem.replacen("{}", self.layer.as_deref().unwrap_or("{}"), 1), self.suffix)
    }
}

/// A Hugging Face name without the beginnings that do not count.
pub(crate) fn plain<'n>(family: &Family, name: &'n str) -> &'n str {
    family.prefixes.iter().fold(name, |n, p| n.strip_prefix(p).unwrap_or(n))
}

/// The row for a Hugging Face name.
pub(crate) fn by_hf(family: &Family, parts: &Parts) -> Option<&'static Row> {
    family.rows().find(|r| r.hf == parts.stem)
}

/// The row for a GGUF name.
pub(crate) fn by_gguf(family: &Family, parts: &Parts) -> Option<&'static Row> {
    family.rows().find(|r| !r.gguf.is_empty() && r.gguf == parts.stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let p = parts("layers.12.self_attn.q_proj.bias");
        assert_eq!(
            (p.stem.as_str(), p.layer.as_deref(), p.suffix),
            ("layers.{}.self_attn.q_proj", Some("12"), ".bias")
        );
        assert_eq!(p.named("blk.{}.attn_q"), "blk.12.attn_q.bias");
        assert_eq!(parts("lm_head.weight").named("output"), "output.weight");
        let drop = parts("h.3.attn.bias");
        assert_eq!((drop.stem.as_str(), drop.suffix), ("h.{}.attn", ".bias"));
    }
}
