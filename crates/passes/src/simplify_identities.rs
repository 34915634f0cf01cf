//! Takes out operators that give their operand back.

use crate::rules::identity;
use modelsmith_rewrite::Pass;

/// See the module.
pub static PASS: Pass = Pass {
    name: "simplify-identities",
    doc: "takes out operators that give their operand back",
    rules: &[identity::RULES],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
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
