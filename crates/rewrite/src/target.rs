use modelsmith_ir::{Attrs, OpDef, OpSetImport};

/// What a rewritten model may say.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Opsets that the result is written at; `None` when it stays inside and may use every operator.
    pub opsets: Option<Vec<OpSetImport>>,
    /// Bytes by which constants may grow in all.
    pub growth: u64,
    /// Largest constant, in bytes, that is made although it is larger than the constants that it replaces.
    pub single: u64,
    /// Bytes of computed constants in all that are factors of linear operators: they are made whatever their size.
    pub weights: u64,
}

/// [`Target::single`] of a file: small enough not to be noticed.
const SMALL: u64 = 64 << 10;

impl Target {
    /// The model stays inside: every operator of the hub may be used, and what is computed once is not computed again
    /// with each call, whatever room it takes.
    pub fn internal() -> Target {
        Target { opsets: None, growth: 1 << 30, single: 1 << 30, weights: 1 << 30 }
    }

    /// The model is written at these opsets.
    pub fn file(opsets: &[OpSetImport], growth: u64) -> Target {
        Target { opsets: Some(opsets.to_vec()), growth, single: SMALL, weights: 1 << 30 }
    }

    /// True when `def` with these attributes can be written: its domain is imported, at a version that has it, its
    /// attributes and what this program uses of it.
    pub fn allows(&self, def: &OpDef, attrs: &Attrs) -> bool {
        let Some(opsets) = &self.opsets else { return true };
        let same = |d: &str| d == def.domain || (def.domain.is_empty() && d == "ai.onnx");
        let Some(version) = opsets.iter().find(|o| same(&o.domain)).map(|o| o.version) else { return false };
        let alive = def.ends.is_none_or(|end| version < end);
        let schema = def.schema_at(version).filter(|_| alive);
        schema.is_some_and(|s| attrs.iter().all(|(name, _)| s.attrs.iter().any(|a| a.name == name)))
    }
}
