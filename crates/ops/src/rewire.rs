//! Putting nodes behind a node that an adapter rewrites.

use crate::prelude::*;
use modelsmith_ir::{Def, Origin};

/// Gives output `i` of the node a fresh value, and the old value, with its name, type and uses, to the last node that
/// `build` makes from it. Nothing when the node does not declare the output.
///
/// # Errors
/// Those of `build`; the node is then as before.
pub fn behind(
    cx: &mut AdaptCx,
    i: usize,
    build: impl FnOnce(&mut Builder, ValueId) -> OpResult<ValueId>,
) -> OpResult<()> {
    let node = cx.node;
    let Some(old) = cx.model.nodes[node].output(i) else { return Ok(()) };
    let fresh = modelsmith_ir::Value {
        name: std::string::String::new(),
        ty: Type::Unknown,
        def: Def::Node(node, i),
        origin: Origin::default(),
    };
    let fresh = cx.model.values.push(fresh);
    cx.model.nodes[node].outputs[i] = Some(fresh);
    let made = build(&mut cx.after(), fresh);
    let place = made.as_ref().ok().map(|&v| (v, cx.model.values[v].def.clone()));
    match place {
        Some((v, Def::Node(last, j))) if v != fresh => {
            cx.model.nodes[last].outputs[j] = Some(old);
            cx.model.values[old].def = Def::Node(last, j);
            cx.model.values.remove(v);
        }
        _ => {
            cx.model.nodes[node].outputs[i] = Some(old);
            cx.model.values.remove(fresh);
        }
    }
    made.map(|_| ())
}
