//! What this program knows: formats and operators.

use serde::Serialize;

pub use modelsmith_ir::HUB_OPSET;

/// A format.
#[derive(Clone, Debug, Serialize)]
pub struct FormatInfo {
    /// Short name.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Extensions.
    pub extensions: Vec<String>,
    /// It can be read.
    pub reads: bool,
    /// It can be written.
    pub writes: bool,
}

/// Every format.
pub fn formats() -> Vec<FormatInfo> {
    let one = |f: &&modelsmith_convert::FormatDef| FormatInfo {
        name: f.name.into(),
        title: f.title.into(),
        extensions: f.extensions.iter().map(|e| (*e).to_owned()).collect(),
        reads: true,
        writes: f.write.is_some(),
    };
    modelsmith_convert::FORMATS.iter().map(one).collect()
}

/// An operator.
#[derive(Clone, Debug, Serialize)]
pub struct OpInfo {
    /// Name.
    pub name: String,
    /// Domain.
    pub domain: String,
    /// Versions of the operator that are read, oldest first.
    pub versions: Vec<u32>,
    /// It can be said in simpler operators.
    pub decomposes: bool,
}

/// Every operator, by domain and name.
pub fn ops() -> Vec<OpInfo> {
    let mut out = modelsmith_ops::all()
        .iter()
        .map(|d| OpInfo {
            name: d.name.into(),
            domain: if d.domain.is_empty() { "ai.onnx".into() } else { d.domain.into() },
            versions: d.history.iter().map(|p| p.since).chain([d.since]).collect(),
            decomposes: d.decompose.is_some(),
        })
        .collect::<Vec<_>>();
    out.sort_by(|a, b| (&a.domain, &a.name).cmp(&(&b.domain, &b.name)));
    out
}
