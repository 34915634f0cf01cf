//! Initializers that are inputs become plain constants, on request.
//!
//! From IR version 4 on such an initializer is a default, which a caller may override, so no pass folds or fuses it. Many
//! exporters list all of them only because older versions wanted that; then folding is what their users want.

use modelsmith_ir::Model;
use modelsmith_rewrite::{Pass, Preserves};

/// See the module.
pub static PASS: Pass = Pass {
    name: "fix-initializers",
    doc: "takes initializers off the inputs, so that no caller can override them and they fold; only on request",
    preserves: Preserves::Lossy("a caller can override the initializers no more"),
    run: |cx| Ok(run(cx.model)),
    ..Pass::BASE
};

fn run(model: &mut Model) -> usize {
    let main = model.main;
    std::mem::take(&mut model.regions[main].exposed).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::simplify;
    use modelsmith_ir::text::parse;
    use modelsmith_rewrite::Options;

    const MODEL: &str = "meta {ir_version = 4, opset \"\" = 9} graph(%x: f32[1, 2, 3, 3]) {
        weight %w = f32[1, 2, 1, 1] [1, 2]
        weight %s = f32[1] [2]
        weight %b = f32[1] [1]
        weight %m = f32[1] [0]
        weight %v = f32[1] [1]
        %c = Conv(%x, %w)
        %y = BatchNormalization(%c, %s, %b, %m, %v)
        return %y
    }";

    #[test]
    fn defaults_stay_open_unless_it_is_asked_for() {
        for (also, nodes, open) in [(vec![], 2, 5), (vec![PASS.name.to_owned()], 1, 0)] {
            let mut m = parse(MODEL, modelsmith_ops::all()).unwrap();
            let (main, weights) = (m.main, m.graph().weights.clone());
            m.regions[main].exposed.clone_from(&weights);
            let options = Options { also, ..Options::default() };
            simplify(&mut m, &options).unwrap();
            assert_eq!(m.graph().body.len(), nodes);
            assert_eq!(m.regions[main].exposed.len(), open);
        }
    }
}
