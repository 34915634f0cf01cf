//! Pickles, judged by what their instructions would import and call. What has no recipe is refused.

use crate::bomb::unfolded;
use crate::names::danger;
use crate::report::Severity;
use crate::scanner::Scanner;
use crate::{kind, text, wide};
use modelsmith_format::recipes::{Recipe, recipe};
use modelsmith_wire::pickle::{Event, Limits, Node, NodeId, Pickle, What, read};
use std::collections::HashMap;

/// Values that a pickle may unfold to, for each that it holds.
const UNFOLD: u64 = 1000;
/// Pickles that follow each other in one file.
const SEQUENCE: usize = 10_000;

/// The number with which a checkpoint of the old kind begins.
const MAGIC: &[u8] = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Scans a file of one or several pickles.
pub(crate) fn scan(s: &mut Scanner<'_>, bytes: &[u8], member: &str, depth: usize) {
    let mut at = 0usize;
    let mut widths = HashMap::new();
    let mut legacy = false;
    for number in 0..SEQUENCE {
        let p = read(bytes, at, &Limits::default());
        judge(s, &p, member, depth);
        if let Some(e) = &p.error {
            let reason = format!("the pickle is damaged: {}", e.kind());
            s.unknown("pickle.damaged", member, Some(e.offset()), reason);
            if p.root.is_none() {
                return;
            }
        }
        at = usize::try_from(p.end).unwrap_or(usize::MAX);
        legacy |= number == 0 && matches!(p.root.map(|r| p.node(r)), Some(Node::Big(b)) if b.as_ref() == MAGIC);
        if legacy && number == 3 {
            widths = storages(&p);
        }
        if legacy && number == 4 {
            at = payload(s, &p, &widths, bytes, at, member);
            legacy = false;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        if !legacy && !kind::pickle(rest) {
            s.rest(rest, member, wide(at), depth);
            return;
        }
    }
    s.unknown("pickle.sequence", member, Some(wide(at)), format!("more than {SEQUENCE} pickles follow each other"));
}

/// Bytes of an element of each storage that a checkpoint of the old kind names.
fn storages(p: &Pickle<'_>) -> HashMap<String, u64> {
    let mut out = HashMap::new();
    for node in &p.nodes {
        let Node::Persistent(id) = node else { continue };
        let Some([_, class, key, ..]) = p.items(*id) else { continue };
        let width = match class_recipe(p, *class) {
            Some(Recipe::Storage(e)) => wide(e.dtype.bits() / 8).saturating_mul(wide(e.parts)),
            Some(Recipe::UntypedStorage) => 1,
            _ => continue,
        };
        if let Some(key) = p.text(*key) {
            out.insert(key.into_owned(), width);
        }
    }
    out
}

/// Passes over the storages behind the keys; the offset behind them.
fn payload(
    s: &mut Scanner<'_>,
    keys: &Pickle<'_>,
    widths: &HashMap<String, u64>,
    bytes: &[u8],
    at: usize,
    member: &str,
) -> usize {
    let mut at = at;
    for &key in keys.root.and_then(|r| keys.items(r)).unwrap_or_default() {
        let width = keys.text(key).and_then(|k| widths.get(k.as_ref()).copied());
        let count = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).map(|c| u64::from_le_bytes(*c));
        let len = count.zip(width).and_then(|(n, w)| usize::try_from(n.checked_mul(w)?).ok()?.checked_add(8));
        let end = len.and_then(|len| at.checked_add(len)).filter(|&end| end <= bytes.len());
        let Some(end) = end else {
            s.unknown("pickle.storage", member, Some(wide(at)), "the storages end early, or are of no known type");
            return bytes.len();
        };
        at = end;
    }
    at
}

/// The recipe of an imported class, also where the id of an object stands for it.
fn class_recipe(p: &Pickle<'_>, id: NodeId) -> Option<Recipe> {
    let (module, name) = p.global(id)?;
    recipe(&module, &name)
}

/// True when it imports something that is known to do harm.
pub(crate) fn is_dangerous(p: &Pickle<'_>) -> bool {
    p.events.iter().any(|e| match e.what {
        What::Import(id) => p.global(id).is_some_and(|(m, n)| danger(&m, &n).is_some()),
        _ => false,
    })
}

/// Judges one pickle.
pub(crate) fn judge(s: &mut Scanner<'_>, p: &Pickle<'_>, member: &str, depth: usize) {
    let mut calls: HashMap<NodeId, &Event> = HashMap::new();
    for event in &p.events {
        if let What::Call(id) = event.what
            && let Some(call) = p.call(id)
        {
            calls.entry(call.callee).or_insert(event);
        }
    }
    for event in &p.events {
        match event.what {
            What::Import(id) => import(s, p, id, calls.get(&id).copied(), event.offset, member),
            What::Call(id) => call(s, p, id, event.offset, member),
            What::Build { object, .. } => {
                if !matches!(p.node(object), Node::Call(_)) {
                    let reason = "gives a state to something that it did not make: changes a class, module or function";
                    s.find("pickle.build", Severity::High, member, Some(event.offset), reason);
                }
            }
            What::Change(id) => {
                if !matches!(p.node(id), Node::Call(_)) {
                    let reason = "puts items into something that it did not make";
                    s.find("pickle.change", Severity::High, member, Some(event.offset), reason);
                }
            }
            What::Extension(code) => {
                let reason = format!("imports extension {code}, a name that only the loading program knows");
                s.find("pickle.extension", Severity::High, member, Some(event.offset), reason);
            }
        }
    }
    let size = unfolded(p);
    if size > wide(p.nodes.len()).saturating_mul(UNFOLD).max(1_000_000) {
        let reason = format!("{} values unfold to {size}: a trap for what copies or prints them", p.nodes.len());
        s.find("pickle.bomb", Severity::Medium, member, None, reason);
    }
    values(s, p, member, depth);
}

fn import(s: &mut Scanner<'_>, p: &Pickle<'_>, id: NodeId, called: Option<&Event>, offset: u64, member: &str) {
    let Some((module, name)) = p.global(id) else {
        let reason = "imports something whose name the pickle computes";
        s.find("pickle.import", Severity::High, member, Some(offset), reason);
        return;
    };
    // Classes of TorchScript are defined in the archive; Python has no such module.
    let script = module == "__torch__" || module.starts_with("__torch__.");
    if script || recipe(&module, &name).is_some() {
        return;
    }
    let does = match called.and_then(|e| if let What::Call(id) = e.what { p.call(id) } else { None }) {
        Some(call) => format!("would call {module}.{name}{}", shown(p, call.args, 3)),
        None => format!("would import {module}.{name}"),
    };
    match danger(&module, &name) {
        Some(why) => s.find("pickle.import", Severity::High, member, Some(offset), format!("{does}: {why}")),
        None => {
            let reason = format!("{does}, which is not known to be harmless");
            s.find("pickle.unknown", Severity::Medium, member, Some(offset), reason);
        }
    }
}

/// What is called must be an import by name: those were judged, with the names that they give.
fn call(s: &mut Scanner<'_>, p: &Pickle<'_>, id: NodeId, offset: u64, member: &str) {
    let Some(call) = p.call(id) else { return };
    match p.node(call.callee) {
        Node::Global { .. } => {}
        // A class outside the pickle, by an id that names it.
        Node::Persistent(id) if matches!(p.items(*id), Some([_, class, ..]) if p.global(*class).is_some()) => {}
        _ => {
            let reason = "calls what another instruction made: a function that no name tells";
            s.find("pickle.call", Severity::High, member, Some(offset), reason);
        }
    }
    if let Some(Recipe::Tensor(modelsmith_format::recipes::Rebuild::FromType)) = class_recipe(p, call.callee) {
        let named = p.items(call.args).and_then(|a| a.first()).is_some_and(|&f| p.global(f).is_some());
        if !named {
            s.find("pickle.call", Severity::High, member, Some(offset), "rebuilds a tensor by an unnamed function");
        }
    }
}

/// Looks into texts and bytes.
fn values(s: &mut Scanner<'_>, p: &Pickle<'_>, member: &str, depth: usize) {
    for node in &p.nodes {
        match node {
            Node::Text(t) => text::value(s, t, "a text", member, None, depth),
            Node::Str(b) | Node::Bytes(b) | Node::ByteArray(b) => {
                text::hidden(s, b, "a value", member, None, depth);
                if let Ok(t) = std::str::from_utf8(b) {
                    text::value(s, t, "a text", member, None, depth);
                }
            }
            _ => {}
        }
    }
}

/// Arguments as a person would write them, shortened.
fn shown(p: &Pickle<'_>, id: NodeId, depth: usize) -> String {
    let cut = |t: &str| {
        let mut out = t.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        if t.chars().nth(60).is_some() {
            out.push_str("...");
        }
        out
    };
    let list = |ids: &[NodeId]| {
        let mut parts = ids.iter().take(4).map(|&i| shown(p, i, depth.saturating_sub(1))).collect::<Vec<_>>();
        if ids.len() > 4 {
            parts.push("...".into());
        }
        parts.join(", ")
    };
    if depth == 0 {
        return "...".into();
    }
    match p.node(id) {
        Node::None => "None".into(),
        Node::Bool(b) => if *b { "True" } else { "False" }.into(),
        Node::Int(i) => i.to_string(),
        Node::Float(f) => f.to_string(),
        Node::Text(t) => format!("'{}'", cut(t)),
        Node::Str(_) => format!("'{}'", cut(&p.text(id).unwrap_or_default())),
        Node::Bytes(b) | Node::ByteArray(b) => format!("b'{}'", cut(&String::from_utf8_lossy(b))),
        Node::Tuple(ids) => format!("({})", list(ids)),
        Node::List(ids) => format!("[{}]", list(ids)),
        Node::Global { .. } => p.global(id).map_or_else(|| "?".into(), |(m, n)| format!("{m}.{n}")),
        Node::Call(c) => {
            format!("{}{}", shown(p, c.callee, depth.saturating_sub(1)), shown(p, c.args, depth.saturating_sub(1)))
        }
        Node::Dict(_) => "{...}".into(),
        _ => "...".into(),
    }
}
