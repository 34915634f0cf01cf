//! ONNX as JSON: protobuf's mapping of `ModelProto`, with the names of the fields as in `onnx.proto`.
//!
//! Nothing is lost but fields that `onnx.proto` does not have. Whole numbers of 64 bits are strings and bytes are base64,
//! as the mapping wants it.

mod base64;
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

/// ONNX as JSON.
pub static ONNX_JSON: FormatDef = FormatDef {
    name: "onnxjson",
    title: "ONNX JSON",
    extensions: &["onnxjson", "json"],
    probe,
    read,
    graphs: true,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write),
};

/// An object whose first key is one of a model's. Where the graph stands first, its first key must be a graph's.
fn probe(probe: &Probe<'_>) -> Match {
    let head = String::from_utf8_lossy(probe.bytes.get(..4096).unwrap_or(probe.bytes));
    let mut words = head.split(['"', ':', ',', '[', ' ', '\n', '\r', '\t']).filter(|w| !w.is_empty());
    if words.next() != Some("{") {
        return Match::No;
    }
    let models = ["ir_version", "irVersion", "opset_import", "opsetImport", "producer_name", "producerName"];
    match words.next() {
        Some(key) if models.contains(&key) => Match::Likely,
        Some("graph") if words.next() == Some("{") && matches!(words.next(), Some("node" | "name" | "input")) => {
            Match::Likely
        }
        _ if probe.has_extension(&["onnxjson"]) => Match::Possible,
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
        written.findings.push(Diagnostic::new(Severity::Warning, "onnx.json.lost", message));
    }
    Ok(written)
}
