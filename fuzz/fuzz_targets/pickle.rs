//! Any bytes, read as a pickle: every id is of the arena, and reading ends with a value or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_wire::pickle::{Limits, Node, read};

fuzz_target!(|bytes: &[u8]| {
    let pickle = read(bytes, 0, &Limits { nodes: 1 << 16, held: 1 << 16 });
    assert!(pickle.root.is_some() || pickle.error.is_some());
    assert!(pickle.end <= bytes.len() as u64);
    let count = pickle.nodes.len();
    for node in &pickle.nodes {
        match node {
            Node::List(ids) | Node::Tuple(ids) | Node::Set(ids) | Node::FrozenSet(ids) => {
                assert!(ids.iter().all(|id| id.index() < count));
            }
            Node::Global { module, name } => assert!(module.index().max(name.index()) < count),
            Node::Call(call) => assert!(call.callee.index().max(call.args.index()) < count),
            _ => {}
        }
    }
    for at in 0..count.min(100) {
        let _ = pickle.nodes.get(at).map(|node| format!("{node:?}"));
    }
});
