use crate::pattern::Pattern;
use crate::{Graph, Match, Preserves, Try};
use modelsmith_ir::NodeId;
use std::collections::HashMap;

/// Most times that one call goes over the whole model.
const MAX_ROUNDS: usize = 24;

/// A rewrite of a few nodes.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Name.
    pub name: &'static str,
    /// What becomes of what, and why it is right, in a sentence.
    pub doc: &'static str,
    /// How far results stay what they were.
    pub preserves: Preserves,
    /// The rewrite.
    pub body: Body,
    /// Models in the text syntax on which the rule fires, for its automatic check. Rules in text form are checked on
    /// generated ones besides.
    pub samples: &'static [&'static str],
}

/// How a rule is written.
#[derive(Clone, Copy)]
pub enum Body {
    /// Before and after, and a condition on what was matched.
    Text {
        /// Pattern.
        from: &'static str,
        /// Replacement.
        to: &'static str,
        /// Says why not.
        when: fn(&Graph, &Match) -> Try,
    },
    /// A function called at each node of one of these operators.
    Code {
        /// Names of hub operators of the default domain; empty for every node.
        roots: &'static [&'static str],
        /// Does it, or says why not.
        apply: fn(&mut Graph, NodeId) -> Try,
    },
}

impl Rule {
    /// A rule in text form.
    pub const fn text(name: &'static str, from: &'static str, to: &'static str, preserves: Preserves) -> Rule {
        let body = Body::Text { from, to, when: |_, _| Ok(()) };
        Rule { name, doc: "", preserves, body, samples: &[] }
    }

    /// A rule in Rust.
    pub const fn code(
        name: &'static str,
        roots: &'static [&'static str],
        apply: fn(&mut Graph, NodeId) -> Try,
        preserves: Preserves,
    ) -> Rule {
        Rule { name, doc: "", preserves, body: Body::Code { roots, apply }, samples: &[] }
    }

    /// The same rule under a condition, for rules in text form.
    #[must_use]
    pub const fn when(self, when: fn(&Graph, &Match) -> Try) -> Rule {
        let body = match self.body {
            Body::Text { from, to, .. } => Body::Text { from, to, when },
            code => code,
        };
        Rule { body, ..self }
    }

    /// The same rule with a sentence of documentation.
    #[must_use]
    pub const fn doc(self, doc: &'static str) -> Rule {
        Rule { doc, ..self }
    }

    /// The same rule with models for its check.
    #[must_use]
    pub const fn samples(self, samples: &'static [&'static str]) -> Rule {
        Rule { samples, ..self }
    }

    /// Both patterns of a rule in text form; `None` for one in Rust, and where they do not parse, which the automatic
    /// check reports.
    pub(crate) fn patterns(&self) -> Option<(Pattern, Pattern)> {
        let Body::Text { from, to, .. } = self.body else { return None };
        Some((Pattern::parse(from).ok()?, Pattern::parse(to).ok()?))
    }
}

/// A rule with its patterns read.
struct Ready {
    rule: &'static Rule,
    patterns: Option<(Pattern, Pattern)>,
}

impl Ready {
    fn new(rule: &'static Rule) -> Ready {
        Ready { rule, patterns: rule.patterns() }
    }

    fn roots(&self) -> Vec<&'static str> {
        match self.rule.body {
            Body::Code { roots, .. } => roots.to_vec(),
            Body::Text { .. } => self.patterns.iter().filter_map(|(from, _)| from.root()).map(|d| d.name).collect(),
        }
    }

    /// Tries the rule at a node, or says why it did not fire; then nothing has changed.
    fn apply(&self, g: &mut Graph, node: NodeId) -> Try {
        match self.rule.body {
            Body::Code { apply, .. } => apply(g, node),
            Body::Text { when, .. } => {
                let (from, to) = self.patterns.as_ref().ok_or("the patterns of the rule do not parse")?;
                let m = from.find(g, node)?;
                when(g, &m)?;
                let old = g.output(node)?;
                let new = match to {
                    Pattern::Value(name) | Pattern::Constant(name) => m.get(name)?,
                    _ => g.build(node, &m.nodes, |b| to.build(b, &m, old))?,
                };
                g.replace(node, new)
            }
        }
    }
}

/// Applies rules everywhere until none fires, or the bound of the trace is reached. Lossy rules and those that the trace
/// does not choose are left out. Returns the number of times that one fired.
pub fn apply_rules(g: &mut Graph, rules: &[&'static Rule]) -> usize {
    let mut by_root = HashMap::<&str, Vec<Ready>>::new();
    let mut everywhere = Vec::new();
    let chosen = rules.iter().copied().filter(|r| !matches!(r.preserves, Preserves::Lossy(_)));
    for rule in chosen.filter(|r| g.trace.choice.allows(r.name)) {
        if matches!(rule.body, Body::Code { roots: [], .. }) {
            everywhere.push(Ready::new(rule));
        }
        for root in Ready::new(rule).roots() {
            by_root.entry(root).or_default().push(Ready::new(rule));
        }
    }
    let mut total = 0;
    for _ in 0..MAX_ROUNDS {
        let mut fired = 0;
        for n in g.nodes() {
            let Some(node) = g.node(n) else { continue };
            let Some(name) = node.known().map(|d| d.name) else { continue };
            for rule in by_root.get(name).into_iter().flatten().chain(&everywhere) {
                if g.trace.choice.spent() {
                    return total + fired;
                }
                if g.node(n).is_none() {
                    break;
                }
                // Where rewrites are counted, what is rewritten is named, though it may be gone after.
                let named = g.trace.choice.left.map(|_| g.model().node_label(n));
                let outcome = rule.apply(g, n);
                fired += usize::from(outcome.is_ok());
                let label = match (named, g.node(n)) {
                    (Some(label), _) => label,
                    (None, Some(_)) => g.model().node_label(n),
                    (None, None) => format!("#{}", n.index()),
                };
                g.trace.note(rule.rule.name, || label, outcome.err().map(|why| why.0.into_owned()));
            }
        }
        total += fired;
        if fired == 0 {
            break;
        }
    }
    total
}
