//! How much a pickle unfolds to when shared values are counted each time they are met.

use modelsmith_wire::pickle::{Node, NodeId, Pickle};

/// Values that the largest value of the pickle unfolds to; cycles count once. Saturates.
pub(crate) fn unfolded(p: &Pickle<'_>) -> u64 {
    let mut sizes = vec![0u64; p.nodes.len()];
    let mut state = vec![0u8; p.nodes.len()];
    let mut largest = 0;
    let mut stack: Vec<(usize, bool)> = Vec::new();
    for start in 0..p.nodes.len() {
        stack.push((start, false));
        while let Some((at, done)) = stack.pop() {
            let Some(node) = p.nodes.get(at) else { continue };
            if done {
                let sum =
                    children(node).iter().filter_map(|c| sizes.get(c.index())).fold(1u64, |n, &s| n.saturating_add(s));
                if let Some(slot) = sizes.get_mut(at) {
                    *slot = sum;
                }
                largest = largest.max(sum);
                continue;
            }
            match state.get_mut(at) {
                Some(seen) if *seen == 0 => *seen = 1,
                _ => continue,
            }
            stack.push((at, true));
            stack.extend(children(node).iter().map(|c| (c.index(), false)));
        }
    }
    largest
}

fn children(node: &Node<'_>) -> Vec<NodeId> {
    match node {
        Node::List(ids) | Node::Tuple(ids) | Node::Set(ids) | Node::FrozenSet(ids) => ids.clone(),
        Node::Dict(pairs) => pairs.iter().flat_map(|&(k, v)| [k, v]).collect(),
        Node::Call(c) => {
            let mut out = vec![c.args];
            out.extend(c.kwargs);
            out.extend(&c.items);
            out.extend(c.pairs.iter().flat_map(|&(k, v)| [k, v]));
            out.extend(&c.states);
            out
        }
        _ => Vec::new(),
    }
}
