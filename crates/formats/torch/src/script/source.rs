//! The debug files beside the code of an archive: which line of the user's own source a line of code comes from.
//!
//! A file holds `(offset, ((text, name, first line), start, end), tag)` for parts of the code in order, with texts either
//! as they are or as pieces of a table. The text of a traced module is the stack of calls, innermost first.

use modelsmith_wire::pickle::{self, NodeId, Pickle};

/// For each line of `code`, counted from 1 at index 0, its place in the source: `model.py, line 8`.
pub(super) fn places(debug: &[u8], code: &str) -> Vec<Option<String>> {
    let p = pickle::read(debug, 0, &pickle::Limits::default());
    let (table, records) = match p.root.and_then(|r| list(&p, r)) {
        Some([head, table, records]) if p.text(*head).as_deref() == Some("FORMAT_WITH_STRING_TABLE") => {
            (list(&p, *table).unwrap_or_default(), list(&p, *records).unwrap_or_default())
        }
        Some(records) => (&[][..], records),
        None => return Vec::new(),
    };
    let mut found = records.iter().filter_map(|&r| record(&p, table, r)).peekable();
    let (mut out, mut end) = (Vec::new(), 0usize);
    for line in code.split_inclusive('\n') {
        end = end.saturating_add(line.len());
        let mut place = None;
        while let Some((_, here)) = found.next_if(|(at, _)| *at < end) {
            place = place.or(here);
        }
        out.push(place);
    }
    out
}

/// The items of a list, also of one that carries its type.
fn list<'p>(p: &'p Pickle<'_>, id: NodeId) -> Option<&'p [NodeId]> {
    match p.call(id) {
        Some(call) => p.items(call.args).and_then(<[_]>::first).and_then(|&inner| p.items(inner)),
        None => p.items(id),
    }
}

/// Offset of a part of the code, and its place.
fn record(p: &Pickle<'_>, table: &[NodeId], id: NodeId) -> Option<(usize, Option<String>)> {
    let fields = list(p, id)?;
    let at = usize::try_from(p.int(*fields.first()?)?).ok()?;
    Some((at, fields.get(1).and_then(|&range| place(p, table, range))))
}

fn place(p: &Pickle<'_>, table: &[NodeId], range: NodeId) -> Option<String> {
    let [source, start, _] = list(p, range)? else { return None };
    let [text, name, first] = list(p, *source)? else { return None };
    let string = |id: NodeId| match p.int(id) {
        Some(n) => usize::try_from(n).ok().and_then(|n| table.get(n)).and_then(|&t| p.text(t)),
        None => p.text(id),
    };
    let text = match p.text(*text) {
        Some(text) => text.into_owned(),
        // No more than the lines before the part and the one that it is on are looked at.
        None => list(p, *text)?.iter().take(4096).filter_map(|&t| string(t)).collect::<String>(),
    };
    let called = text.lines().next().and_then(|line| line.rsplit_once("): ")?.0.rsplit_once('('));
    if let Some((file, line)) = called
        && line.parse::<u32>().is_ok()
    {
        return Some(format!("{file}, line {line}"));
    }
    let name = string(*name).filter(|n| !n.is_empty() && !n.starts_with('<'))?;
    let start = usize::try_from(p.int(*start)?).ok()?;
    let before = text.char_indices().take_while(|&(i, _)| i < start).filter(|&(_, c)| c == '\n').count();
    let line = usize::try_from(p.int(*first)?).ok()?.saturating_add(before);
    Some(format!("{name}, line {line}"))
}
