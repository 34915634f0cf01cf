//! Names of values. Every value keeps its own unless it has none or an enclosing graph uses the same name.
#![allow(clippy::indexing_slicing, reason = "arenas indexed by ids of this model; no bytes are indexed here")]

use modelsmith_ir::{Def, Model, RegionId, ValueId};
use std::collections::{HashMap, HashSet};

/// The names of all values that need another name than their own.
pub(super) fn assign(model: &Model) -> HashMap<ValueId, String> {
    let taken = model.values.iter().map(|(_, v)| v.name.as_str()).collect();
    let mut names = Names { model, taken, given: HashMap::new(), fresh: HashSet::new() };
    names.region(model.main, &mut HashSet::new());
    for (_, function) in model.functions.iter() {
        names.region(function.region, &mut HashSet::new());
    }
    names.given
}

struct Names<'m> {
    model: &'m Model,
    taken: HashSet<&'m str>,
    given: HashMap<ValueId, String>,
    fresh: HashSet<String>,
}

impl<'m> Names<'m> {
    /// Names the values that `region` defines; `visible` are the names of the regions around it.
    fn region(&mut self, region: RegionId, visible: &mut HashSet<&'m str>) {
        let r = &self.model.regions[region];
        let mut own = Vec::new();
        let mut done = HashSet::new();
        let made = r.body.iter().flat_map(|&n| self.model.nodes[n].outputs.iter().flatten().copied());
        let local: HashSet<ValueId> = r.params.iter().chain(&r.weights).copied().chain(made.clone()).collect();
        // What the outside knows by name comes first: it must keep it.
        let results = r.results.iter().copied().filter(|v| local.contains(v));
        for value in r.params.iter().copied().chain(results).chain(r.weights.iter().copied()).chain(made) {
            if !done.insert(value) {
                continue;
            }
            let name = self.model.values[value].name.as_str();
            if name.is_empty() || visible.contains(name) {
                self.invent(value);
            } else {
                visible.insert(name);
                own.push(name);
            }
        }
        for &node in &r.body {
            for &(_, inner) in &self.model.nodes[node].regions {
                self.region(inner, visible);
            }
        }
        for name in own {
            visible.remove(name);
        }
    }

    /// Gives `value` a name that nothing has.
    fn invent(&mut self, value: ValueId) {
        let v = &self.model.values[value];
        let base = match v.def {
            _ if !v.name.is_empty() => v.name.clone(),
            Def::Node(n, _) if !self.model.nodes[n].name.is_empty() => self.model.nodes[n].name.clone(),
            Def::Node(n, _) => self.model.op_name(n).to_owned(),
            Def::Weight(..) => "constant".to_owned(),
            Def::Param(..) | Def::Nothing => "value".to_owned(),
        };
        let mut number = value.index();
        let name = loop {
            let name = format!("{base}_{number}");
            if !self.taken.contains(name.as_str()) && !self.fresh.contains(&name) {
                break name;
            }
            number = number.saturating_add(1);
        };
        self.fresh.insert(name.clone());
        self.given.insert(value, name);
    }
}
