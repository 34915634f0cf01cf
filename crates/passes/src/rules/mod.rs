//! Rules by family.

pub mod activation;
pub mod attention;
pub mod identity;
pub mod merge;
pub mod normalisation;

use modelsmith_rewrite::Rule;

/// Every rule of every family, for the automatic check and for `modelsmith passes`.
pub fn all() -> Vec<&'static Rule> {
    let families = [identity::RULES, merge::RULES, activation::RULES, normalisation::RULES, attention::RULES];
    let own = [crate::fuse_affine::RULES, crate::simplify_reshapes::RULES, crate::simplify_transposes::RULES];
    families.iter().chain(&own).flat_map(|f| f.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_rule_fires_and_keeps_results() {
        let faults = super::all().into_iter().filter_map(|r| modelsmith_rewrite::check::check_rule(r).err());
        let faults = faults.collect::<Vec<_>>();
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    }

    #[test]
    fn names_are_unique_and_documented() {
        let mut names = super::all().iter().map(|r| r.name).collect::<Vec<_>>();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
