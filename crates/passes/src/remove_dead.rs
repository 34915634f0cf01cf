//! Removes what no result needs: nodes, initializers, functions, names of optional results.

use modelsmith_rewrite::{Pass, sweep};

/// See the module.
pub static PASS: Pass = Pass {
    name: "remove-dead",
    doc: "removes nodes, initializers and functions that no result needs",
    run: |cx| Ok(sweep::sweep(cx.model)),
    ..Pass::BASE
};

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/remove_dead.ir")).unwrap();
    }
}
