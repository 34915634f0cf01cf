//! NumPy arrays: elements, or a pickle of objects.

use crate::report::Severity;
use crate::scanner::{Scanner, inside};
use crate::wide;

pub(crate) fn scan(s: &mut Scanner<'_>, bytes: &[u8], member: &str, depth: usize) {
    let Some((text, start)) = header(bytes) else {
        return s.unknown("npy.damaged", member, Some(6), "the header of the array is damaged");
    };
    let data = bytes.get(start..).unwrap_or_default();
    let Some(code) = quoted(text, "'descr'") else {
        return s.unknown("npy.type", member, Some(8), "an array of records, whose types are not looked into");
    };
    if code.contains('O') {
        let reason = "an array of objects: a pickle, which runs when the array is loaded";
        s.find("npy.objects", Severity::Note, member, Some(wide(start)), reason);
        s.content(data, &inside(member, "objects"), depth.saturating_add(1));
        return;
    }
    let width = code.trim_start_matches(['<', '>', '|', '=']).get(1..).and_then(|w| w.parse::<u64>().ok());
    let width = width.map(|w| if code.contains('U') { w.saturating_mul(4) } else { w });
    let shape = text.split_once('(').and_then(|(_, t)| t.split_once(')')).map(|(t, _)| t);
    let count = shape.and_then(|t| {
        t.split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty())
            .try_fold(1u64, |n, d| n.checked_mul(d.trim_end_matches('L').parse().ok()?))
    });
    let wanted = width.zip(count).and_then(|(w, n)| w.checked_mul(n)).and_then(|n| usize::try_from(n).ok());
    match wanted {
        Some(wanted) if wanted <= data.len() => {
            let at = start.saturating_add(wanted);
            s.rest(bytes.get(at..).unwrap_or_default(), member, wide(at), depth);
        }
        _ => s.unknown("npy.damaged", member, Some(wide(start)), "the elements end early, or their type is unknown"),
    }
}

/// The dictionary of the header, and where the data begin.
fn header(bytes: &[u8]) -> Option<(&str, usize)> {
    let (length, at) = match bytes.get(6)? {
        1 => (usize::from(u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?)), 10usize),
        _ => (usize::try_from(u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?)).ok()?, 12),
    };
    let end = at.checked_add(length)?;
    Some((std::str::from_utf8(bytes.get(at..end)?).ok()?, end))
}

/// The text behind `key`.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text.split_once(key)?.1.trim_start().strip_prefix(':')?.trim_start();
    rest.strip_prefix('\'')?.split_once('\'').map(|(t, _)| t)
}
