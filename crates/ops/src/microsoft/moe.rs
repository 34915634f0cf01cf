//! com.microsoft.MoE: each token through the experts that a router picks for it, their results mixed by its weights.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("router_probs", "T"),
        Param::one("fc1_experts_weights", "T"),
        Param::opt("fc1_experts_bias", "T"),
        Param::one("fc2_experts_weights", "T"),
        Param::opt("fc2_experts_bias", "T"),
        Param::opt("fc3_experts_weights", "T"),
        Param::opt("fc3_experts_bias", "T"),
    ],
    outputs: &[Param::one("output", "T")],
    attrs: &[
        AttrDef::float("activation_alpha", 1.0),
        AttrDef::float("activation_beta", 0.0),
        AttrDef::string("activation_type", "relu"),
        AttrDef::int("k", 1),
        AttrDef::int("normalize_routing_weights", 0),
        AttrDef::int("swiglu_fusion", 0),
        AttrDef::optional("swiglu_limit", AttrKind::Float),
        AttrDef::int("use_sparse_mixer", 0),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16, BF16]))],
};

/// The operator MoE of ONNX Runtime.
pub static MOE: OpDef = OpDef {
    name: "MoE",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&MOE, cx),
    eval: |cx, inputs| composite::eval_wide(&MOE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// One layer of all experts: weights `[experts, out, in]`, and a bias `[experts, out]`.
pub(crate) struct Layer {
    pub(crate) weights: ValueId,
    pub(crate) bias: Option<ValueId>,
}

impl Layer {
    /// Results `[experts, tokens, out]` from tokens `[tokens, in]` or `[experts, tokens, in]`.
    fn apply(&self, b: &mut Builder, x: ValueId) -> OpResult<ValueId> {
        let turned = b.op_with("Transpose", &[self.weights], Attrs::new().with("perm", [0, 2, 1]))?;
        let y = b.op("MatMul", &[x, turned])?;
        let Some(bias) = self.bias else { return Ok(y) };
        let axis = b.ints(&[1]);
        let bias = b.op("Unsqueeze", &[bias, axis])?;
        b.op("Add", &[y, bias])
    }
}

/// The gate and the value of SwiGLU, each bounded, as one.
fn gated(b: &mut Builder, view: &AttrView, gate: ValueId, value: ValueId) -> OpResult<ValueId> {
    let number = |b: &mut Builder, x: f32| b.scalar_like(gate, x.into());
    let (mut gate, mut value) = (gate, value);
    if let Some(limit) = view.opt_float("swiglu_limit")? {
        let (low, high) = (number(b, -limit)?, number(b, limit)?);
        gate = b.op("Min", &[gate, high])?;
        value = b.op("Clip", &[value, low, high])?;
    }
    let (alpha, beta) = (number(b, view.float("activation_alpha")?)?, number(b, view.float("activation_beta")?)?);
    let steep = b.op("Mul", &[gate, alpha])?;
    let steep = b.op("Sigmoid", &[steep])?;
    let open = b.op("Mul", &[gate, steep])?;
    let value = b.op("Add", &[value, beta])?;
    b.op("Mul", &[open, value])
}

/// The first layer's results after the activation, times those of the third layer where there is one.
fn activated(b: &mut Builder, view: &AttrView, x: ValueId, first: &Layer, third: Option<&Layer>) -> OpResult<ValueId> {
    let y = first.apply(b, x)?;
    let third = third.map(|l| l.apply(b, x)).transpose()?;
    let act = match view.string("activation_type")? {
        "swiglu" => match (view.int("swiglu_fusion")?, third) {
            (0, Some(value)) => return gated(b, view, y, value),
            (1, None) => {
                // Gates and values take turns.
                let shape = b.ints(&[0, 0, -1, 2]);
                let pairs = b.op("Reshape", &[y, shape])?;
                let mut part = |i: i64| {
                    let i = b.constant(Tensor::scalar(i));
                    b.op_with("Gather", &[pairs, i], Attrs::new().with("axis", 3))
                };
                let (gate, value) = (part(0)?, part(1)?);
                return gated(b, view, gate, value);
            }
            (2, None) => {
                let attrs = Attrs::new().with("axis", -1).with("num_outputs", 2);
                let halves = b.node("", "Split", &[Some(y)], attrs, 2)?;
                return gated(b, view, halves[0], halves[1]);
            }
            (n, third) => {
                let third = if third.is_some() { "a" } else { "no" };
                return Err(OpError::invalid(format!("swiglu_fusion {n} with {third} third layer")));
            }
        },
        "relu" => b.op("Relu", &[y])?,
        "gelu" => b.op_with("Gelu", &[y], Attrs::new().with("approximate", "tanh"))?,
        "silu" => {
            let gate = b.op("Sigmoid", &[y])?;
            b.op("Mul", &[y, gate])?
        }
        "identity" => y,
        other => return Err(OpError::unsupported(format!("activation_type {other:?}"))),
    };
    match third {
        Some(third) => b.op("Mul", &[act, third]),
        None => Ok(act),
    }
}

/// Weights of all experts for each token, 0 for those that are not picked: `[experts, tokens, 1]`.
fn routes(b: &mut Builder, view: &AttrView, router: ValueId, mixing: Option<ValueId>) -> OpResult<ValueId> {
    if view.flag("use_sparse_mixer")? {
        return Err(OpError::unsupported("use_sparse_mixer"));
    }
    let count = b.ints(&[view.int("k")?]);
    let best = b.node("", "TopK", &[Some(router), Some(count)], Attrs::new().with("axis", -1), 2)?;
    let along = || Attrs::new().with("axis", -1);
    let picked = match (mixing, view.flag("normalize_routing_weights")?) {
        (Some(mixing), normal) => {
            let taken = b.op_with("GatherElements", &[mixing, best[1]], along())?;
            match normal {
                true => {
                    let axis = b.ints(&[-1]);
                    let sum = b.op("ReduceSum", &[taken, axis])?;
                    b.op("Div", &[taken, sum])?
                }
                false => taken,
            }
        }
        (None, true) => b.op_with("Softmax", &[best[0]], along())?,
        (None, false) => {
            let all = b.op_with("Softmax", &[router], along())?;
            b.op_with("GatherElements", &[all, best[1]], along())?
        }
    };
    let (zero, shape) = (b.scalar_like(router, 0.0)?, b.op("Shape", &[router])?);
    let none = b.op("Expand", &[zero, shape])?;
    let all = b.op_with("ScatterElements", &[none, best[1], picked], along())?;
    let turned = b.op_with("Transpose", &[all], Attrs::new().with("perm", [1, 0]))?;
    let axis = b.ints(&[2]);
    b.op("Unsqueeze", &[turned, axis])
}

/// All tokens through the experts. `layers` are the first, the second and the third.
///
/// # Errors
/// When the attributes ask for what is not known.
pub(crate) fn mixed(
    b: &mut Builder,
    node: NodeId,
    layers: [Option<Layer>; 3],
    mixing: Option<ValueId>,
) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let (x, router) = (b.input(node, 0)?, b.input(node, 1)?);
    let [Some(first), Some(second), third] = layers else { return Err(OpError::invalid("a layer is missing")) };
    let width = b.ty(x).shape().and_then(|s| s.last()?.known());
    let width = width.ok_or_else(|| OpError::unsupported("tokens of unknown width"))?;
    let flat = b.ints(&[-1, width]);
    let tokens = b.op("Reshape", &[x, flat])?;
    let inner = activated(b, &view, tokens, &first, third.as_ref())?;
    let out = second.apply(b, inner)?;
    let routes = routes(b, &view, router, mixing)?;
    let out = b.op("Mul", &[out, routes])?;
    let experts = b.ints(&[0]);
    let sum = b.op_with("ReduceSum", &[out, experts], Attrs::new().with("keepdims", 0))?;
    let shape = b.op("Shape", &[x])?;
    Ok(vec![b.op("Reshape", &[sum, shape])?])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let layer = |at: usize| {
        let bias = b.opt_input(node, at + 1);
        b.opt_input(node, at).map(|weights| Layer { weights, bias })
    };
    let layers = [layer(2), layer(4), layer(6)];
    mixed(b, node, layers, None)
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16, BF16] {
        let (x, router) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[6, 3]));
        let (one, two) = (s.any(dtype, &[3, 5, 4]), s.any(dtype, &[3, 4, 5]));
        let (p, q) = (s.any(dtype, &[3, 5]), s.any(dtype, &[3, 4]));
        let case = s.case().input(x).input(router).input(one).input(p).input(two).input(q).attr("k", 2);
        case.attr("activation_type", "silu").attr("normalize_routing_weights", 1).add();
    }
    for act in ["relu", "gelu", "identity", "silu"] {
        let (x, router) = (s.any(F32, &[5, 4]), s.any(F32, &[5, 3]));
        let (one, two) = (s.any(F32, &[3, 6, 4]), s.any(F32, &[3, 4, 6]));
        let case = s.case().input(x).input(router).input(one).absent().input(two);
        case.attr("activation_type", act).add();
    }
    for (fusion, limit) in [(1i64, true), (1, false), (2, true)] {
        let (x, router) = (s.any(F32, &[5, 4]), s.any(F32, &[5, 3]));
        let (one, two, p) = (s.any(F32, &[3, 12, 4]), s.any(F32, &[3, 4, 6]), s.any(F32, &[3, 12]));
        let case = s.case().input(x).input(router).input(one).input(p).input(two).attr("k", 2);
        let case = case.attr("activation_type", "swiglu").attr("swiglu_fusion", fusion);
        match limit {
            true => {
                case.attr("activation_alpha", 1.702f32).attr("activation_beta", 1.0f32).attr("swiglu_limit", 2.0f32)
            }
            false => case,
        }
        .add();
    }
    let (x, router) = (s.any(F32, &[5, 4]), s.any(F32, &[5, 3]));
    let (one, two, three) = (s.any(F32, &[3, 6, 4]), s.any(F32, &[3, 4, 6]), s.any(F32, &[3, 6, 4]));
    let bias = s.any(F32, &[3, 6]);
    let case = s.case().input(x).input(router).input(one).absent().input(two).absent().input(three).input(bias);
    case.attr("activation_type", "silu").attr("k", 2).add();
}
