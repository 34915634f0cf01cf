//! Prints what a file of pickles describes, one line for each: the other half of `conformance/pickles.py`.

use modelsmith_wire::pickle::{Limits, Node, NodeId, Pickle, read};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Writes `id` and what is in it; a container that was written before is its number.
fn outline(p: &Pickle<'_>, id: NodeId, seen: &mut HashMap<NodeId, usize>, out: &mut String) {
    let holds = matches!(p.node(id), Node::List(_) | Node::Dict(_) | Node::Set(_) | Node::Call(_));
    if holds {
        let next = seen.len();
        if let Some(number) = seen.get(&id) {
            out.push_str(&format!("@{number}"));
            return;
        }
        seen.insert(id, next);
    }
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut t, b| {
            let _ = write!(t, "{b:02x}");
            t
        })
    };
    let mut all = |kind: &str, ids: &[NodeId], out: &mut String| {
        out.push_str(kind);
        out.push('(');
        ids.iter().for_each(|&i| {
            outline(p, i, seen, out);
            out.push(',');
        });
        out.push(')');
    };
    match p.node(id) {
        Node::None => out.push('n'),
        Node::Bool(b) => out.push_str(if *b { "b1" } else { "b0" }),
        Node::Int(i) => out.push_str(&format!("i{}", hex(&i128::from(*i).to_le_bytes()))),
        Node::Big(b) => out.push_str(&format!("i{}", hex(b))),
        Node::Float(f) => out.push_str(&format!("f{:016x}", f.to_bits())),
        Node::Text(t) => out.push_str(&format!("t{}", hex(t.as_bytes()))),
        Node::Str(b) => out.push_str(&format!("s{}", hex(b))),
        Node::Bytes(b) => out.push_str(&format!("y{}", hex(b))),
        Node::ByteArray(b) => out.push_str(&format!("a{}", hex(b))),
        Node::List(ids) => all("list", ids, out),
        Node::Tuple(ids) => all("tuple", ids, out),
        Node::Set(ids) => all("set", ids, out),
        Node::FrozenSet(ids) => all("frozenset", ids, out),
        Node::Dict(pairs) => all("dict", &pairs.iter().flat_map(|&(k, v)| [k, v]).collect::<Vec<_>>(), out),
        Node::Global { .. } => match p.global(id) {
            Some((module, name)) => out.push_str(&format!("g{module}.{name}")),
            None => out.push('?'),
        },
        Node::Call(call) => {
            let mut ids = vec![call.callee, call.args];
            ids.extend(call.kwargs);
            ids.extend(&call.items);
            ids.extend(call.pairs.iter().flat_map(|&(k, v)| [k, v]));
            ids.extend(&call.states);
            all("call", &ids, out);
        }
        Node::Persistent(id) => all("persistent", &[*id], out),
        Node::Buffer => out.push_str("buffer"),
    }
}

fn main() {
    let path = std::env::args().nth(1).expect("a file of pickles, one after the other");
    let bytes = std::fs::read(path).expect("the file can be read");
    let mut at = 0;
    while at < bytes.len() {
        let pickle = read(&bytes, at, &Limits::default());
        let mut out = String::new();
        match (pickle.root, &pickle.error) {
            (Some(root), None) => outline(&pickle, root, &mut HashMap::new(), &mut out),
            (_, error) => {
                println!("error {}", error.as_ref().map(ToString::to_string).unwrap_or_default());
                break;
            }
        }
        println!("{out}");
        at = usize::try_from(pickle.end).expect("inside the file");
    }
}
