//! Reading: lines are found, values are left where they are.

use super::scan::{Form, Word, Words, form};
use super::text::{Places, STEP, Values};
use crate::range;
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::{Artifact, Checkpoint, Error, Imported, Input, MetaValue, ReadOptions, Result};
use modelsmith_tensor::{Read, Source, WeightExpr};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads weights as text, hexadecimal or decimal.
///
/// # Errors
/// When a count is missing or does not fit the values, or a shape does not fit its tensor.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = input.source();
    let text = range::bytes(source.as_ref(), 0, source.len(), &options.budget)?;
    let fail = |e: Error| e.in_file(input.name());
    let form = form(text.get(..1 << 20).unwrap_or(&text));
    let mut words = Words::new(&text, 0);
    let count = number(words.next(), "the number of tensors", source.len()).map_err(fail)?;
    let mut found = Vec::new();
    for done in 0..count {
        let Some(name) = words.next() else {
            let message = format!("{count} tensors are announced, {done} are there");
            return Err(fail(
                Error::damaged(message).at_offset(source.len()).help("the file is cut off; get it again"),
            ));
        };
        let shown = String::from_utf8_lossy(name.text).into_owned();
        let values = tensor(&mut words, source, form).map_err(|e| fail(e.in_tensor(&shown)))?;
        found.push((shown, values));
    }
    let mut findings = Vec::new();
    if let Some(word) = words.next() {
        let message = format!("text after the last tensor, from byte offset {}, is left out", word.at);
        findings.push(Diagnostic::new(Severity::Warning, "wts.rest", message));
    }
    let (shapes, meta) = comments(&words.comments);
    let mut tensors = Vec::new();
    for (name, values) in found {
        let weight = weight(&name, values, &shapes).map_err(|e| fail(e.in_tensor(&name).at_offset(0)))?;
        tensors.push((name, Arc::new(weight)));
    }
    Ok(Imported { artifact: Artifact::Checkpoint(Checkpoint { tensors, meta, ..Checkpoint::default() }), findings })
}

fn number(word: Option<Word<'_>>, what: &str, end: u64) -> Result<u64> {
    let word = word.ok_or_else(|| Error::damaged(format!("{what} is missing")).at_offset(end))?;
    let shown = String::from_utf8_lossy(word.text.get(..40).unwrap_or(word.text));
    word.number().ok_or_else(|| Error::damaged(format!("`{shown}` stands where {what} is wanted")).at_offset(word.at))
}

/// The values after a name.
fn tensor(words: &mut Words<'_>, source: &Arc<dyn Source>, form: Form) -> Result<Values> {
    let first = number(words.next(), "the number of values", source.len())?;
    // `0 COUNT` on one line: the type f32 stands before the count.
    let mut ahead = words.ahead();
    match ahead.next().filter(|_| first == 0 && !ahead.broke).and_then(|w| w.number()) {
        Some(second) => {
            let taken = words.rest().len().saturating_sub(ahead.rest().len());
            words.skip(taken);
            values(words, source, form, second)
        }
        None => values(words, source, form, first),
    }
}

fn values(words: &mut Words<'_>, source: &Arc<dyn Source>, form: Form, count: u64) -> Result<Values> {
    let here = words.at();
    let left = range::wide(words.rest().len());
    if count > left {
        let message = format!("{count} values are announced, {left} bytes are left");
        return Err(Error::damaged(message).at_offset(here).help("the file is cut off; get it again"));
    }
    let made = |places| Values { inner: source.clone(), form, places, count };
    if let (Form::Hex, Some((start, taken))) = (form, fixed(words, count)) {
        words.skip(taken);
        return Ok(made(Places::Fixed(start)));
    }
    let mut marks = Vec::new();
    let mut end = here;
    for i in 0..count {
        let Some(word) = words.next() else {
            let message = format!("{count} values are announced, {i} are there");
            return Err(Error::damaged(message).at_offset(words.at()).help("the file is cut off; get it again"));
        };
        if form.value(word.text).is_none() {
            let shown = String::from_utf8_lossy(word.text.get(..40).unwrap_or(word.text));
            let kind = if form == Form::Hex { "hexadecimal digits" } else { "a decimal number" };
            let message = format!("`{shown}` stands where value {i} of {count} is wanted, {kind}");
            return Err(Error::damaged(message).at_offset(word.at));
        }
        if i % STEP == 0 {
            marks.push(word.at);
        }
        end = word.at.saturating_add(range::wide(word.text.len()));
    }
    Ok(made(Places::Marked { marks, end }))
}

/// Where values of eight digits begin and how many bytes pass with them, if the line looks as if all were.
fn fixed(words: &Words<'_>, count: u64) -> Option<(u64, usize)> {
    let rest = words.rest();
    let gap = rest.iter().take_while(|&&b| b == b' ' || b == b'\t').count();
    let length = usize::try_from(count.checked_mul(9)?.checked_sub(1)?).ok()?;
    let line = rest.get(gap..)?.get(..length)?;
    let after = rest.get(gap.checked_add(length)?..)?;
    let ends = after.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r')).is_none_or(|&b| b == b'\n');
    let word = |bytes: Option<&[u8]>| bytes.is_some_and(|b| Form::Hex.value(b).is_some());
    let looks = word(line.get(..8)) && word(line.get(length.checked_sub(8)?..)) && word(middle(line));
    (ends && looks && !line.get(..17).unwrap_or(line).contains(&b'\n'))
        .then(|| (words.at().saturating_add(range::wide(gap)), gap.saturating_add(length)))
}

/// The word in the middle of a line of equal words.
fn middle(line: &[u8]) -> Option<&[u8]> {
    let at = (line.len() / 9 / 2).checked_mul(9)?;
    line.get(at..)?.get(..8)
}

type Shapes = HashMap<String, Vec<usize>>;

fn comments(all: &[&[u8]]) -> (Shapes, Vec<(String, MetaValue)>) {
    let (mut shapes, mut meta) = (HashMap::new(), Vec::new());
    for comment in all {
        let text = String::from_utf8_lossy(comment);
        let text = text.trim();
        let mut words = text.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("shape"), Some(name)) => {
                if let Ok(dims) = words.map(str::parse).collect() {
                    shapes.insert(name.to_owned(), dims);
                }
            }
            (Some("meta"), Some(key)) => {
                let rest = text.strip_prefix("meta").map(str::trim_start).and_then(|t| t.strip_prefix(key));
                let rest = rest.unwrap_or_default().trim_start();
                meta.push((unescaped(key), MetaValue::Text(unescaped(rest))));
            }
            _ => {}
        }
    }
    (shapes, meta)
}

/// Undoes the escapes of white space and `\`.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|e| match e {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                's' => ' ',
                other => other,
            })),
            other => out.push(other),
        }
    }
    out
}

fn weight(name: &str, values: Values, shapes: &Shapes) -> Result<WeightExpr> {
    let count = usize::try_from(values.count).unwrap_or(usize::MAX);
    let shape = shapes.get(name).cloned().unwrap_or_else(|| vec![count]);
    if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(count) {
        return Err(Error::damaged(format!("its shape {shape:?} does not fit its {count} values")));
    }
    let len = values.len();
    Ok(WeightExpr::Read(Read { source: Arc::new(values), offset: 0, len, dtype: DType::F32, shape }))
}
