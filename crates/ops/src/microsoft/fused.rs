//! What the fused operators of `com.microsoft` share: they are hub operators run one after the other.

use crate::prelude::*;

/// The domain of ONNX Runtime's own operators.
pub(crate) const DOMAIN: &str = "com.microsoft";

/// Result 0 of a hub operator on tensors.
///
/// # Errors
/// When the operator is unknown or refuses its operands.
pub(crate) fn hub(cx: &EvalCx, name: &str, attrs: Attrs, inputs: &[Option<&Tensor>]) -> OpResult<Tensor> {
    let def = crate::all().get("", name).ok_or_else(|| OpError::unsupported(format!("operator {name}")))?;
    let values = inputs.iter().map(|t| t.map(|t| Value::from(t.clone()))).collect::<Vec<_>>();
    let inner = EvalCx { attrs: AttrView::owned(def, attrs), outputs: 1, regions: None, evaluator: cx.evaluator };
    let refs = values.iter().map(Option::as_ref).collect::<Vec<_>>();
    let out = (def.eval)(&inner, &refs)?;
    Ok(out.first().ok_or_else(|| OpError::invalid(format!("{name} made nothing")))?.tensor()?.clone())
}

/// Facts of output 0 of a hub operator on operands `which`.
///
/// # Errors
/// When the operands break its specification.
pub(crate) fn infer_as(cx: &mut InferCx, name: &str, attrs: Attrs, which: &[usize]) -> OpResult<()> {
    let def = crate::all().get("", name).ok_or_else(|| OpError::unsupported(format!("operator {name}")))?;
    let facts = which.iter().map(|&i| cx.fact(i).cloned()).collect::<Vec<_>>();
    let mut inner = InferCx::new(AttrView::owned(def, attrs), &facts, 1, &modelsmith_ir::NoRegions);
    (def.infer)(&mut inner)?;
    if let Some(fact) = inner.finish().into_iter().next() {
        cx.set_fact(0, fact);
    }
    Ok(())
}

/// The attributes called `names`, defaults included, for a hub operator.
///
/// # Errors
/// When one is of another kind.
pub(crate) fn chosen(view: &AttrView, names: &[&str]) -> OpResult<Attrs> {
    let mut out = Attrs::new();
    for name in names {
        if let Some(value) = view.raw().get(name) {
            out.set(name, value.clone());
        }
    }
    Ok(out)
}

/// Activation that a fused operator applies at its end, as a hub operator with attributes; `None` when there is none.
///
/// # Errors
/// When it is none that the runtime fuses.
pub(crate) fn activation(view: &AttrView) -> OpResult<Option<(&'static str, Attrs)>> {
    let Some(name) = view.opt_string("activation")?.filter(|n| !n.is_empty()) else { return Ok(None) };
    let known = ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid", "Elu", "Softplus", "Softsign", "Clip"];
    let known = known.into_iter().chain(["ThresholdedRelu", "Selu", "ScaledTanh", "ParametricSoftplus"]);
    let found = known.into_iter().find(|k| *k == name);
    let name = found.ok_or_else(|| OpError::unsupported(format!("activation {name:?}")))?;
    let listed = view.opt_floats("activation_params")?.unwrap_or_default();
    let number = |i: usize, attr: &str| Ok::<_, OpError>(listed.get(i).copied().or(view.opt_float(attr)?));
    let mut attrs = Attrs::new();
    match name {
        "Relu" | "Tanh" | "Sigmoid" | "Softplus" | "Softsign" => {}
        "LeakyRelu" | "Elu" | "ThresholdedRelu" => {
            if let Some(alpha) = number(0, "activation_alpha")? {
                attrs.set("alpha", alpha);
            }
        }
        "HardSigmoid" => {
            for (i, (ours, theirs)) in [("alpha", "activation_alpha"), ("beta", "activation_beta")].iter().enumerate() {
                if let Some(x) = number(i, theirs)? {
                    attrs.set(ours, x);
                }
            }
        }
        other => return Err(OpError::unsupported(format!("activation {other}"))),
    }
    Ok(Some((name, attrs)))
}

/// The activation on a tensor.
///
/// # Errors
/// When it is unknown.
pub(crate) fn activated(cx: &EvalCx, x: Tensor) -> OpResult<Tensor> {
    match activation(&cx.attrs)? {
        Some((name, attrs)) => hub(cx, name, attrs, &[Some(&x)]),
        None => Ok(x),
    }
}

/// The activation of `node` as a node of its own.
///
/// # Errors
/// When it is unknown.
pub(crate) fn activate(b: &mut Builder, node: NodeId, x: ValueId) -> OpResult<ValueId> {
    match activation(&b.attrs(node)?)? {
        Some((name, attrs)) => b.op_with(name, &[x], attrs),
        None => Ok(x),
    }
}

/// Attributes of the activation of a fused operator.
pub(crate) const ACTIVATION: [AttrDef; 4] = [
    AttrDef::optional("activation", AttrKind::String),
    AttrDef::optional("activation_alpha", AttrKind::Float),
    AttrDef::optional("activation_beta", AttrKind::Float),
    AttrDef::optional("activation_gamma", AttrKind::Float),
];
