//! Takes out operators that give their operand back.

use crate::rules::identity;
use modelsmith_rewrite::{Graph, Pass, apply_rules};

/// See the module.
pub static PASS: Pass = Pass {
    name: "simplify-identities",
    doc: "takes out operators that give their operand back",
    run: |cx| Ok(apply_rules(&mut Graph::new(cx.model, cx.target, cx.trace), identity::RULES)),
    ..Pass::BASE
};

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        let file = include_str!("../tests/ir/simplify_identities.ir");
        modelsmith_rewrite::check::check_literate(&super::PASS, file).unwrap();
    }
}
