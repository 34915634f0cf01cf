//! Puts the parts of operators in their place that have kernels only for their parts.

use modelsmith_base::DType;
use modelsmith_ir::{Attr, Model, Node, NodeId, OpDef, RegionId};
use modelsmith_ops::opset::replace;
use modelsmith_rewrite::{Pass, Preserves};

/// See the module.
pub static PASS: Pass = Pass {
    name: "decompose",
    doc: "puts the parts of operators in their place that have kernels only for their parts",
    preserves: Preserves::Float(256),
    after: &["infer-shapes"],
    before: &["fold-constants"],
    run: |cx| {
        let mut changes = 0;
        // The parts of a vendor's operator may have parts in their turn.
        for _ in 0..4 {
            let found = candidates(cx.model);
            let made = found.iter().filter(|(r, n, def)| replace(cx.model, *r, *n, def).is_ok()).count();
            changes += made;
            if made == 0 {
                break;
            }
        }
        Ok(changes)
    },
    ..Pass::BASE
};

fn candidates(model: &Model) -> Vec<(RegionId, NodeId, &'static OpDef)> {
    let all = model.regions.iter().flat_map(|(r, region)| region.body.iter().map(move |&n| (r, n)));
    let known = all.filter_map(|(r, n)| Some((r, n, model.nodes[n].known()?)));
    known.filter(|(_, n, def)| def.decompose.is_some() && in_parts(model, &model.nodes[*n], def)).collect()
}

/// Whether the planner does better with the parts of `node`.
fn in_parts(model: &Model, node: &Node, def: &OpDef) -> bool {
    let given = |name: &str, usual: f64| match node.attrs.get(name) {
        Some(Attr::Int(v)) => *v as f64 != usual,
        Some(Attr::Float(v)) => f64::from(*v) != usual,
        _ => false,
    };
    // Parts round 16 bits more often than the whole does.
    let dtype = node.input(0).and_then(|v| model.ty(v).dtype());
    let (half, single) = (matches!(dtype, Some(DType::F16 | DType::BF16)), dtype == Some(DType::F32));
    match (def.domain, def.name) {
        // Kernels add a window in another order, which may turn the last step of a result.
        ("com.microsoft", "QLinearAveragePool" | "QLinearGlobalAveragePool") => false,
        // Their parts are what defines them.
        ("com.microsoft", _) => !half,
        // An operand of unknown rank may be empty, which the Reshape in their parts cannot always say.
        ("", "CenterCropPad" | "DepthToSpace" | "QLinearConv" | "QLinearMatMul" | "SpaceToDepth") => {
            node.input(0).is_some_and(|v| model.ty(v).shape().is_some())
        }
        ("", _) if !single => false,
        (
            "",
            "CausalConvWithState"
            | "DynamicQuantizeLinear"
            | "Einsum"
            | "MeanVarianceNormalization"
            | "ReduceLogSum"
            | "RotaryEmbedding"
            | "SwiGLU",
        ) => true,
        // Computed weights would have to be cut anew in each run.
        ("", "ConvTranspose") => {
            let far = matches!(node.attrs.get("strides"), Some(Attr::Ints(s)) if s.iter().any(|&s| s > 1));
            far && node.input(1).is_some_and(|v| model.weight(v).is_some())
        }
        ("", "Attention") => {
            let more = (4..=6).any(|i| node.input(i).is_some()) || node.outputs.iter().flatten().count() > 1;
            let windows = ["left_window_size", "right_window_size"].iter().any(|w| given(w, -1.0));
            more || windows || given("softcap", 0.0)
        }
        ("", "BatchNormalization") => {
            let fixed = (1..5).all(|i| node.input(i).is_some_and(|v| model.weight(v).is_some()));
            !fixed && !given("training_mode", 0.0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use modelsmith_rewrite::{PassCx, Target, Trace};

    /// The parts themselves are tested where they are written, on the samples of the operator.
    #[test]
    fn transposed_convolutions_by_constant_weights_become_ordinary_ones() {
        for (attributes, convolutions) in
            [("strides = [2]", 1), ("strides = [2], pads = [1, 1], output_padding = [1]", 2)]
        {
            let kernel = if convolutions == 1 { 2 } else { 3 };
            let values = ["1"; 6][..2 * kernel].join(", ");
            let graph = format!(
                "graph(%x: f32[1, 2, 3]) {{\n  weight %w = f32[2, 1, {kernel}] [{values}]\n  \
                 %y = ConvTranspose(%x, %w) {{{attributes}}}\n  return %y\n}}\n"
            );
            let mut model = modelsmith_ir::text::parse(&graph, modelsmith_ops::all()).unwrap();
            let target = Target::file(&[], 4096);
            let cx = &mut PassCx { model: &mut model, target: &target, trace: &mut Trace::default() };
            assert_eq!((super::PASS.run)(cx).unwrap(), 1);
            let nodes = model.nodes_in(model.main);
            let named =
                |name: &str| nodes.iter().filter(|&&n| model.nodes[n].known().is_some_and(|d| d.name == name)).count();
            assert_eq!((named("ConvTranspose"), named("Conv")), (0, convolutions));
        }
    }

    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/decompose.ir")).unwrap();
    }
}
