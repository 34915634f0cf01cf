//! ONNX as protobuf's text format of `ModelProto`, as `text_format` and `protoc --encode` have it.
//!
//! Nothing is lost but fields that `onnx.proto` does not have.

mod lex;
mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::read::{read_bytes, whole};
use crate::write::to_bytes;
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{
    Artifact, Error, FormatDef, Imported, Input, Match, Output, Probe, ReadOptions, Result, WriteOptions, Written,
};
use modelsmith_tensor::{MemSource, Source};
use modelsmith_wire::proto::Message;
use std::sync::Arc;

/// ONNX as protobuf's text.
pub static ONNX_PROTOTEXT: FormatDef = FormatDef {
    name: "onnxprototext",
    title: "ONNX protobuf text",
    extensions: &["textproto", "prototxt", "pbtxt"],
    probe,
    read,
    graphs: true,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write),
};

/// A text that begins with a field of a model that other messages do not begin with; `graph` is followed by a graph's.
fn probe(probe: &Probe<'_>) -> Match {
    let head = String::from_utf8_lossy(probe.bytes.get(..4096).unwrap_or(probe.bytes));
    let lines = head.lines().map(|l| l.split('#').next().unwrap_or_default());
    let words = lines.flat_map(|l| l.split_inclusive([':', '{', '<', ' ', '\t']).collect::<Vec<_>>());
    let mut words = words.map(str::trim).filter(|w| !w.is_empty());
    let key = |w: &str| w.trim_end_matches([':', '{', '<']).to_owned();
    match words.next().map(key).as_deref() {
        Some("ir_version" | "opset_import" | "producer_name") => Match::Likely,
        Some("graph") if words.map(key).any(|w| matches!(w.as_str(), "node" | "initializer" | "op_type")) => {
            Match::Likely
        }
        _ => Match::No,
    }
}

fn read(input: &Input, options: &ReadOptions) -> Result<Imported> {
    let source = whole(input.source(), options)?;
    let in_file = |e: Error| e.in_file(input.name());
    let bytes = read::message(source.as_slice().unwrap_or_default()).map_err(in_file)?;
    let source: Arc<dyn Source> = Arc::new(MemSource::new(input.name(), bytes));
    read_bytes(input, &source).map_err(Error::without_offset)
}

fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let (bytes, mut written) = to_bytes(artifact, output, options)?;
    let (text, lost) = write::text(Message::new(&bytes, 0)).map_err(crate::read::damaged)?;
    output.write("", |sink| sink.write_all(text.as_bytes()).map_err(|e| Error::io("cannot be written", e)))?;
    written.files.push((String::new(), u64::try_from(text.len()).unwrap_or(u64::MAX)));
    if lost > 0 {
        let message = format!("{lost} fields that onnx.proto does not have were left out");
        written.findings.push(Diagnostic::new(Severity::Warning, "onnx.prototext.lost", message));
    }
    Ok(written)
}
