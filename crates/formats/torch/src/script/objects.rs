//! The object of an archive on the heap: modules with their attributes, tensors as weights.

use crate::aten::value::{Object, ObjectRef};
use crate::aten::{Context, List, Outcome, Val, damaged, unsupported};
use modelsmith_format::{MetaValue, Tree};
use modelsmith_tensor::WeightExpr;
use std::sync::Arc;

/// The value that `tree` describes. Attributes become places of the heap, so that the program may change them.
pub(super) fn load(cx: &mut Context, tree: &Tree, tensors: &[(String, Arc<WeightExpr>)], path: &str) -> Outcome<Val> {
    match tree {
        Tree::Tensor(i) => {
            let Some((name, weight)) = tensors.get(*i) else { return damaged("a tensor that is not there") };
            let v = cx.weight(name, weight);
            Ok(cx.tensor(v))
        }
        Tree::Value(v) => plain(cx, v),
        Tree::List(items) => {
            let items = all(cx, items, tensors, path)?;
            Ok(cx.list(items))
        }
        Tree::Tuple(items) => Ok(Val::tuple(all(cx, items, tensors, path)?)),
        Tree::Dict(pairs) => {
            let mut out = Vec::new();
            for (k, v) in pairs {
                let (k, v) = (load(cx, k, tensors, path)?, load(cx, v, tensors, path)?);
                out.push((k, v));
            }
            Ok(cx.dict(out))
        }
        Tree::Object { class, args, .. } if class == "torch._utils._rebuild_qtensor" => quantized(cx, args, tensors),
        Tree::Object { class, args, state } => object(cx, class, args, state.as_deref(), tensors, path),
    }
}

/// Integers with their scales and zero points.
fn quantized(cx: &mut Context, args: &[Tree], tensors: &[(String, Arc<WeightExpr>)]) -> Outcome<Val> {
    let (mut parts, mut names, mut axis) = (Vec::new(), Vec::new(), 0);
    for arg in args {
        match arg {
            Tree::Tensor(i) => {
                let Some((name, weight)) = tensors.get(*i) else { return damaged("a tensor that is not there") };
                parts.push(weight.clone());
                names.push(name.clone());
            }
            Tree::Value(MetaValue::Int { value, .. }) => axis = i64::try_from(*value).unwrap_or(0),
            _ => {}
        }
    }
    crate::aten::ops::quantized::weight(cx, &parts, &names, axis)
}

fn all(cx: &mut Context, items: &[Tree], tensors: &[(String, Arc<WeightExpr>)], path: &str) -> Outcome<Vec<Val>> {
    items.iter().map(|t| load(cx, t, tensors, path)).collect()
}

fn object(
    cx: &mut Context,
    class: &str,
    args: &[Tree],
    state: Option<&Tree>,
    tensors: &[(String, Arc<WeightExpr>)],
    path: &str,
) -> Outcome<Val> {
    let mut attrs = std::collections::HashMap::new();
    if let Some(Tree::Dict(pairs)) = state {
        for (k, v) in pairs {
            let Tree::Value(MetaValue::Text(name)) = k else { continue };
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            attrs.insert(name.clone(), load(cx, v, tensors, &inner)?);
        }
    } else {
        // A class of the program with a state of its own, and what is made from arguments.
        let parts = state.into_iter().chain(args);
        for (i, v) in parts.enumerate() {
            attrs.insert(format!("#{i}"), load(cx, v, tensors, path)?);
        }
    }
    cx.heap.objects.push(Object { class: class.into(), attrs, path: path.into() });
    Ok(Val::Object(ObjectRef(cx.heap.objects.len().saturating_sub(1))))
}

fn plain(cx: &mut Context, v: &MetaValue) -> Outcome<Val> {
    Ok(match v {
        MetaValue::None => Val::None,
        MetaValue::Bool(b) => Val::Bool(*b),
        MetaValue::Int { value, .. } => match i64::try_from(*value) {
            Ok(n) => Val::Int(n),
            Err(_) => return unsupported("an integer of more than 64 bits"),
        },
        MetaValue::Float { value, .. } => Val::Float(*value),
        MetaValue::Text(text) => Val::str(text),
        MetaValue::Bytes(_) => Val::Unset("bytes".into()),
        MetaValue::List { items, .. } => {
            let items = items.iter().map(|v| plain(cx, v)).collect::<Outcome<Vec<_>>>()?;
            cx.add_list(List::Items(items))
        }
    })
}
