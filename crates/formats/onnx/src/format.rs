//! The record of the format, and telling an ONNX model from other protobuf files.

use crate::{read, write};
use modelsmith_format::{FormatDef, Match, Probe};
use modelsmith_wire::proto::{Message, WireType};

/// ONNX.
pub static ONNX: FormatDef = FormatDef {
    name: "onnx",
    title: "ONNX",
    extensions: &["onnx"],
    probe,
    read,
    graphs: true,
    hub: false,
    shards: false,
    blocks: false,
    write: Some(write),
};

/// ONNX has no signature: a model is a message whose fields have the numbers and types of `ModelProto` and which
/// holds a graph. A file that is cut off or damaged is still recognised by its extension, so that the reader can say
/// where the damage is.
fn probe(probe: &Probe<'_>) -> Match {
    let otherwise = if probe.has_extension(ONNX.extensions) { Match::Possible } else { Match::No };
    let (mut version, mut graph) = (false, false);
    for (i, field) in Message::new(probe.bytes, 0).fields().enumerate() {
        let Ok(field) = field else {
            // The graph is one field, usually longer than what a cut-off file still has of it.
            return if version { otherwise.max(Match::Possible) } else { otherwise };
        };
        let expected = match field.number {
            1 | 5 => WireType::Varint,
            2..=4 | 6..=8 | 14 | 20 | 25 | 26 => WireType::Bytes,
            _ if i > 0 && graph => continue,
            _ => return otherwise,
        };
        if field.wire_type() != expected {
            return otherwise;
        }
        version |= field.number == 1 || field.number == 8;
        graph |= field.number == 7;
    }
    if version && graph { Match::Likely } else { otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_wire::proto::Rope;

    fn sure(bytes: &[u8], name: &str) -> Match {
        (ONNX.probe)(&Probe { bytes, len: bytes.len() as u64, name })
    }

    #[test]
    fn models_are_told_by_content() {
        let mut rope = Rope::new();
        rope.int(1, 8);
        rope.bytes(7, b"");
        let bytes = rope.to_vec().unwrap();
        assert_eq!(sure(&bytes, "x.bin"), Match::Likely);
        assert_eq!(sure(&bytes[..2], "x.bin"), Match::No);
        assert_eq!(sure(&[0x0a, 3, 1, 2, 3], "graph.pb"), Match::No);
        assert_eq!(sure(b"PK\x03\x04", "x.ONNX"), Match::Possible);
        assert_eq!(sure(b"", "dir.onnx/model"), Match::No);
    }
}
