use crate::{Rule, Target, Trace};
use modelsmith_ir::Model;

/// Whether a pass is needed or wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Later passes or the target rely on it: it cannot be skipped.
    Must,
    /// An optimisation: without it the model is as right.
    May,
}

/// How far results stay what they were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preserves {
    /// Bit for bit, NaN and infinities included.
    Exact,
    /// To within this many units in the last place of the largest intermediate value.
    Float(u32),
    /// Not: it runs only where it is asked for, for this reason.
    Lossy(&'static str),
}

/// What a pass works on.
pub struct PassCx<'a> {
    /// The model; the pass leaves it verified.
    pub model: &'a mut Model,
    /// What the result may say.
    pub target: &'a Target,
    /// Where rules tell what they did.
    pub trace: &'a mut Trace,
}

/// A pass over a whole model.
pub struct Pass {
    /// Name, as in `--passes`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// Needed or wished for.
    pub kind: Kind,
    /// How far results stay what they were.
    pub preserves: Preserves,
    /// Passes that must have run before, where the pipeline holds them.
    pub after: &'static [&'static str],
    /// Passes that must not have run before.
    pub before: &'static [&'static str],
    /// The rules that it applies, by family; each can be chosen or left out by its own name.
    pub rules: &'static [&'static [&'static Rule]],
    /// Does it; returns the number of changes, or why it cannot go on.
    pub run: fn(&mut PassCx) -> Result<usize, String>,
}

impl Pass {
    /// A record to be completed with `..Pass::BASE`.
    pub const BASE: Pass = Pass {
        name: "",
        doc: "",
        kind: Kind::May,
        preserves: Preserves::Exact,
        after: &[],
        before: &[],
        rules: &[],
        run: |_| Ok(0),
    };
}

impl Pass {
    /// Every rule that it applies.
    pub fn all_rules(&self) -> impl Iterator<Item = &'static Rule> {
        self.rules.iter().flat_map(|family| family.iter().copied())
    }

    /// A pass that applies its rules, for `run`.
    pub fn apply(cx: &mut PassCx, rules: &[&[&'static Rule]]) -> usize {
        let mut g = crate::Graph::new(cx.model, cx.target, cx.trace);
        rules.iter().map(|family| crate::apply_rules(&mut g, family)).sum()
    }
}
