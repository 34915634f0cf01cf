//! Puts the bodies of model-local functions where they are called.

use modelsmith_rewrite::{Kind, Pass, inline};

/// See the module.
pub static PASS: Pass = Pass {
    name: "inline-functions",
    doc: "puts the bodies of model-local functions where they are called",
    kind: Kind::Must,
    before: &["fold-constants", "merge-duplicates"],
    run: |cx| inline::inline_functions(cx.model),
    ..Pass::BASE
};

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/inline_functions.ir"))
            .unwrap();
    }
}
