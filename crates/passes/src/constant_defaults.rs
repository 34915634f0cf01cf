//! Initializers that are inputs only because the format wanted it become plain constants.
//!
//! Before IR version 4 a file had to list every initializer as an input too, and each was a constant all the same. Listed on,
//! those that fusions leave unused would stay in the file, and beside a new one that is not listed, which takes IR version 4 to
//! say, all others would become defaults that a caller may override. In later files that is what listing one means: they stay.

use modelsmith_ir::Model;
use modelsmith_rewrite::Pass;

/// See the module.
pub static PASS: Pass = Pass {
    name: "constant-defaults",
    doc: "takes initializers off the inputs where IR versions before 4 had to list them",
    run: |cx| Ok(run(cx.model)),
    ..Pass::BASE
};

fn run(model: &mut Model) -> usize {
    if !(1..4).contains(&model.meta.ir_version) {
        return 0;
    }
    let main = model.main;
    std::mem::take(&mut model.regions[main].exposed).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_ir::text::parse;

    #[test]
    fn only_where_no_caller_could_override_them() {
        for (version, changed) in [(3, 2), (4, 0), (10, 0)] {
            let text = format!(
                "meta {{ir_version = {version}, opset \"\" = 9}} graph(%x: f32[2]) {{
                weight %a = f32[2] [1, 2]
                weight %b = f32[2] [3, 4]
                %y = Add(%x, %a)
                %z = Add(%y, %b)
                return %z
            }}"
            );
            let mut m = parse(&text, modelsmith_ops::all()).unwrap();
            let (main, weights) = (m.main, m.graph().weights.clone());
            m.regions[main].exposed.clone_from(&weights);
            let open = weights.iter().map(|&w| m.overridable(w)).collect::<Vec<_>>();
            assert_eq!(run(&mut m), changed, "IR version {version}");
            assert_eq!(weights.iter().map(|&w| m.overridable(w)).collect::<Vec<_>>(), open);
            assert_eq!(m.regions[main].exposed.len(), 2 - changed);
        }
    }
}
