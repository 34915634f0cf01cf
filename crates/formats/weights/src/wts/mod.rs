//! `.wts`: weights as text, the way from a framework to a network that is built by hand.
//!
//! ```text
//! file    = { comment } count newline { comment | tensor }
//! tensor  = name count { value }            one line; any white space separates
//! value   = 1 to 8 hexadecimal digits       the bits of an f32, highest first (TensorRT's examples)
//!         | a decimal number, nan, inf      in files of decimals
//!         | "0x" hexadecimal digits         in both
//! comment = "#" ...                         to the end of the line
//! ```
//! Older files have a `0` between name and count, the number of the type f32. Comments of these forms mean something:
//! `# encoding decimal`, `# shape NAME 64 3 7 7` and `# meta KEY VALUE`. Without its shape a tensor has one dimension.
//! Readers in the field stop after the last tensor and know no comments, so hexadecimal files have theirs at the end.
//!
//! Words of eight digits are found by counting bytes, so such a file is opened without reading it; the others are gone
//! through once. Both are decoded range by range.

mod read;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use read::read;

use modelsmith_format::{Artifact, FormatDef, Match, Output, Probe, Result, WriteOptions, Written};

/// Hexadecimal words.
pub static WTS: FormatDef = FormatDef {
    name: "wts",
    title: "weights as hexadecimal text",
    extensions: &["wts"],
    probe: |p| probe(p, false),
    read,
    graphs: false,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write_hex),
};

/// Decimal numbers, the shortest that give the same bits.
pub static WTS_DECIMAL: FormatDef = FormatDef {
    name: "wts-decimal",
    title: "weights as decimal text",
    extensions: &["wts"],
    probe: |p| probe(p, true),
    read,
    graphs: false,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write_decimal),
};

fn write_hex(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    write::write(artifact, output, options, scan::Form::Hex)
}

fn write_decimal(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    write::write(artifact, output, options, scan::Form::Decimal)
}

/// A count, then a name, a count and a value.
fn probe(probe: &Probe<'_>, decimal: bool) -> Match {
    let named = if probe.has_extension(WTS.extensions) { Match::Possible } else { Match::No };
    let head = probe.bytes.get(..65_536).unwrap_or(probe.bytes);
    let mut words = scan::Words::new(head, 0);
    let number = |w: Option<scan::Word<'_>>| w.is_some_and(|w| w.number().is_some());
    let begins = number(words.next()) && words.next().is_some() && number(words.next());
    let value = words
        .next()
        .is_some_and(|w| scan::Form::Hex.value(w.text).is_some() || scan::Form::Decimal.value(w.text).is_some());
    match begins && value && (scan::form(head) == scan::Form::Decimal) == decimal {
        true => Match::Likely,
        false if decimal => Match::No,
        false => named,
    }
}
