//! What bytes are, by their content.

use modelsmith_wire::proto::{Message, WireType};
use modelsmith_wire::{tar, zip};

/// The kinds of content that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Empty,
    Zip,
    /// Something that ends as a zip archive: for whom reads from the end, it is one.
    Appended,
    Gzip,
    Tar,
    Pickle,
    Npy,
    Safetensors,
    Gguf,
    Hdf5,
    Onnx,
    OnnxTensor,
    TensorFlow,
    /// A program or library for some machine.
    Executable(&'static str),
    Script,
    Text,
    /// An archive that is not opened.
    Closed(&'static str),
    /// A compiled engine of another vendor.
    Engine(&'static str),
    /// A model format that is not read.
    Foreign(&'static str),
    Unknown,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Empty => "empty",
            Kind::Zip => "zip archive",
            Kind::Appended => "zip archive behind something else",
            Kind::Gzip => "gzip stream",
            Kind::Tar => "tar archive",
            Kind::Pickle => "pickle",
            Kind::Npy => "NumPy array",
            Kind::Safetensors => "safetensors",
            Kind::Gguf => "GGUF",
            Kind::Hdf5 => "HDF5",
            Kind::Onnx => "ONNX model",
            Kind::OnnxTensor => "ONNX tensor",
            Kind::TensorFlow => "TensorFlow graph",
            Kind::Script => "script",
            Kind::Text => "text",
            Kind::Executable(name) | Kind::Closed(name) | Kind::Engine(name) | Kind::Foreign(name) => name,
            Kind::Unknown => "unknown",
        }
    }
}

const MAGIC: &[(&[u8], Kind)] = &[
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"\x1f\x8b", Kind::Gzip),
    (b"\x93NUMPY", Kind::Npy),
    (b"GGUF", Kind::Gguf),
    (b"\x89HDF\r\n\x1a\n", Kind::Hdf5),
    (b"7z\xbc\xaf\x27\x1c", Kind::Closed("7z archive")),
    (b"Rar!\x1a\x07", Kind::Closed("RAR archive")),
    (b"\xfd7zXZ\0", Kind::Closed("xz stream")),
    (b"BZh", Kind::Closed("bzip2 stream")),
    (b"\x28\xb5\x2f\xfd", Kind::Closed("Zstandard stream")),
    (b"\x04\x22\x4d\x18", Kind::Closed("LZ4 stream")),
    (b"\x7fELF", Kind::Executable("ELF program or library")),
    (b"MZ", Kind::Executable("Windows program or library")),
    (b"\xfe\xed\xfa\xce", Kind::Executable("Mach-O program or library")),
    (b"\xfe\xed\xfa\xcf", Kind::Executable("Mach-O program or library")),
    (b"\xce\xfa\xed\xfe", Kind::Executable("Mach-O program or library")),
    (b"\xcf\xfa\xed\xfe", Kind::Executable("Mach-O program or library")),
    (b"\xca\xfe\xba\xbe", Kind::Executable("Java class or Mach-O library")),
    (b"\0asm", Kind::Executable("WebAssembly module")),
    (b"dex\n", Kind::Executable("Android program")),
    (b"#!", Kind::Script),
    (b"ptrt", Kind::Engine("TensorRT engine")),
    (b"ftrt", Kind::Engine("TensorRT engine")),
];

/// Foreign marks at byte 4: identifiers of flatbuffers.
const FLAT: &[(&[u8], Kind)] = &[
    (b"TFL3", Kind::Foreign("TensorFlow Lite model")),
    (b"ORTM", Kind::Foreign("ONNX Runtime model")),
    (b"ET12", Kind::Foreign("ExecuTorch program")),
];

/// Tells what `bytes` are.
pub(crate) fn kind(bytes: &[u8]) -> Kind {
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return *kind;
    }
    if let Some((_, kind)) = FLAT.iter().find(|(magic, _)| bytes.get(4..8) == Some(magic)) {
        return *kind;
    }
    if safetensors(bytes) {
        return Kind::Safetensors;
    }
    if tar::is_tar(bytes) {
        return Kind::Tar;
    }
    let appended = appended(bytes).is_some();
    if pickle(bytes) {
        return if appended { Kind::Appended } else { Kind::Pickle };
    }
    if let Some(kind) = protobuf(bytes) {
        return if appended { Kind::Appended } else { kind };
    }
    if appended {
        return Kind::Appended;
    }
    if text(bytes) { Kind::Text } else { Kind::Unknown }
}

/// Where a zip archive begins whose directory lies at the end: 0 when its offsets count from the start of `bytes`.
pub(crate) fn appended(bytes: &[u8]) -> Option<usize> {
    let opens = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        zip::Archive::open(rest).is_ok_and(|a| !a.entries().is_empty())
    };
    if opens(0) {
        return Some(0);
    }
    let first = bytes.len().saturating_sub(22 + 65_535);
    let last = bytes.len().checked_sub(22)?;
    let end = (first..=last).rev().find(|&at| bytes.get(at..at + 4) == Some(b"PK\x05\x06"))?;
    let word = |at: usize| {
        let bytes = bytes.get(end.checked_add(at)?..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let start = end.checked_sub(word(12)?)?.checked_sub(word(16)?)?;
    (start > 0 && opens(start)).then_some(start)
}

/// A length, then a JSON object of that length.
fn safetensors(bytes: &[u8]) -> bool {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*head);
    length >= 2 && length <= crate::wide(rest.len()) && rest.first() == Some(&b'{')
}

/// Instructions that need nothing before them.
const STARTS: &[u8] = b"()]}\x8fcNIJKMLFGSTUVXBCP\x88\x89\x8a\x8b\x8c\x8d\x8e\x95\x96\x97";

/// A pickle says its protocol, or its first instructions give a value or do something.
pub(crate) fn pickle(bytes: &[u8]) -> bool {
    if matches!(bytes, [0x80, 0..=5, ..]) {
        return true;
    }
    if !bytes.first().is_some_and(|b| STARTS.contains(b)) {
        return false;
    }
    // Protocol 0 has no mark: it is one when it runs to its end, or gets as far as an import that is a name.
    let limits = modelsmith_wire::pickle::Limits { nodes: 1 << 16, held: 1 << 16 };
    let read = modelsmith_wire::pickle::read(bytes, 0, &limits);
    let name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    let imports = read.events.iter().any(|e| match e.what {
        modelsmith_wire::pickle::What::Import(id) => read.global(id).is_none_or(|(m, n)| name(&m) && name(&n)),
        _ => false,
    });
    read.root.is_some() || imports
}

fn protobuf(bytes: &[u8]) -> Option<Kind> {
    let mut numbers = Vec::new();
    for field in Message::new(bytes, 0).fields().take(40) {
        let Ok(field) = field else { break };
        numbers.push((field.number, field.wire_type()));
    }
    let all = |allowed: &[(u32, WireType)]| {
        !numbers.is_empty() && numbers.iter().all(|(n, w)| allowed.iter().any(|(m, v)| m == n && v == w))
    };
    let has = |number: u32| numbers.iter().any(|(n, _)| *n == number);
    use WireType::{Bytes, Varint};
    let model = [1, 5].map(|n| (n, Varint)).into_iter().chain([2, 3, 4, 6, 7, 8, 14, 20, 25, 26].map(|n| (n, Bytes)));
    let tensor = [
        (1, Varint),
        (1, Bytes),
        (2, Varint),
        (4, Bytes),
        (5, Bytes),
        (6, Bytes),
        (7, Bytes),
        (8, Bytes),
        (9, Bytes),
        (10, Bytes),
        (11, Bytes),
        (12, Bytes),
        (13, Bytes),
        (14, Varint),
    ];
    if all(&model.collect::<Vec<_>>()) && has(7) && (has(1) || has(8)) {
        return Some(Kind::Onnx);
    }
    if all(&[(1, Varint), (2, Bytes)]) && has(2) && crate::tensorflow::is_saved_model(bytes) {
        return Some(Kind::TensorFlow);
    }
    if all(&[(1, Bytes), (2, Bytes), (3, Varint), (4, Bytes), (5, Bytes)]) && crate::tensorflow::is_graph(bytes) {
        return Some(Kind::TensorFlow);
    }
    (all(&tensor) && has(2) && numbers.iter().any(|(n, _)| (4..=13).contains(n))).then_some(Kind::OnnxTensor)
}

/// UTF-8 without control characters.
pub(crate) fn text(bytes: &[u8]) -> bool {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).is_ok_and(|t| t.chars().all(plain))
}
