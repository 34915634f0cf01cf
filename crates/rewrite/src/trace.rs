use std::collections::{BTreeMap, BTreeSet};

/// Reasons of one rule that are kept.
const MAX_REASONS: usize = 16;

/// One thing that a rule did or did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The rule.
    pub rule: &'static str,
    /// The node at which it looked.
    pub node: String,
    /// Why it did not fire; `None` when it did.
    pub miss: Option<String>,
}

/// Which rules act, and how often in all.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// These only; `None` for all.
    pub only: Option<BTreeSet<String>>,
    /// Not these.
    pub skip: BTreeSet<String>,
    /// Rewrites that are left; `None` for no bound.
    pub left: Option<usize>,
}

impl Choice {
    /// True when the rule of this name may act.
    pub fn allows(&self, rule: &str) -> bool {
        self.only.as_ref().is_none_or(|o| o.contains(rule)) && !self.skip.contains(rule)
    }

    /// True when no rewrite is left.
    pub fn spent(&self) -> bool {
        self.left == Some(0)
    }
}

/// What rules may do, what they did, and why they did not.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Which rules act in the pass that runs.
    pub choice: Choice,
    /// The latest rewrite under a bound: the rule, and the node.
    pub latest: Option<(&'static str, String)>,
    /// Keep every event, not only the counts.
    pub verbose: bool,
    /// Events, when `verbose`.
    pub events: Vec<Event>,
    /// How often each rule fired.
    pub fired: BTreeMap<&'static str, usize>,
    /// Reasons for which each rule did not fire, with how often.
    pub missed: BTreeMap<&'static str, BTreeMap<String, usize>>,
}

impl Trace {
    /// Notes the outcome of a rule at a node.
    pub fn note(&mut self, rule: &'static str, node: impl FnOnce() -> String, miss: Option<String>) {
        match &miss {
            None => {
                *self.fired.entry(rule).or_insert(0) += 1;
                if let Some(left) = &mut self.choice.left {
                    *left = left.saturating_sub(1);
                    self.latest = Some((rule, node()));
                    return;
                }
            }
            Some(why) => {
                let reasons = self.missed.entry(rule).or_default();
                if reasons.len() < MAX_REASONS || reasons.contains_key(why) {
                    *reasons.entry(why.clone()).or_insert(0) += 1;
                }
            }
        }
        if self.verbose {
            self.events.push(Event { rule, node: node(), miss });
        }
    }
}
