//! ONNX's text form: the notation of `onnx.printer` and `onnx.parser`.
//!
//! It says graphs, functions, types, weights and attributes. It has no word for documentation and metadata of anything but
//! the model, for annotations, sparse tensors, denotations and device configurations: the writer reports what it left out.

mod define;
mod lex;
mod parse;
mod print;
mod print_value;
#[cfg(test)]
mod tests;
mod value;
mod words;

pub use define::{Definitions, define};

use crate::read::{read_proto, whole};
use crate::schema::{ModelProto, Proto};
use crate::write::to_bytes;
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{
    Artifact, Error, FormatDef, Imported, Input, Match, Output, Probe, ReadOptions, Result, WriteOptions, Written,
};
use modelsmith_wire::proto::{Limits, Message};

/// ONNX in its text form.
pub static ONNX_TEXT: FormatDef = FormatDef {
    name: "onnxtxt",
    title: "ONNX text",
    extensions: &["onnxtxt", "onnxtext"],
    probe,
    read,
    graphs: true,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write),
};

/// A text that begins with `<` and a key of a model. Without such a beginning the extension decides.
fn probe(probe: &Probe<'_>) -> Match {
    let otherwise = if probe.has_extension(ONNX_TEXT.extensions) { Match::Possible } else { Match::No };
    let mut lex = lex::Lexer::new(probe.bytes.get(..4096).unwrap_or(probe.bytes));
    let begins = lex.eat(b'<') && matches!(lex.peek(), "ir_version" | "opset_import" | "producer_name");
    if begins { Match::Likely } else { otherwise }
}

fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = whole(input.source(), options)?;
    let proto = parse::model(source.as_slice().unwrap_or_default()).map_err(|e| e.in_file(input.name()))?;
    read_proto(proto, input, &source, Limits::for_file(source.len()))
}

fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let (bytes, mut written) = to_bytes(artifact, output, options)?;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let model =
        ModelProto::decode(Message::new(&bytes, 0), &mut Limits::for_file(len)).map_err(crate::read::damaged)?;
    let (text, lost) = print::print(&model);
    output.write("", |sink| sink.write_all(&text).map_err(|e| Error::io("cannot be written", e)))?;
    written.files.push((String::new(), u64::try_from(text.len()).unwrap_or(u64::MAX)));
    for (what, count) in lost {
        let message = format!("the text form has no word for {what}: {count} left out");
        written.findings.push(Diagnostic::new(Severity::Warning, "onnx.text.lost", message));
    }
    Ok(written)
}
