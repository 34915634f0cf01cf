//! Any text as the code of a TorchScript archive: a graph, or a located error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_format::{Archive, Content, Input, Output, ReadOptions, WriteOptions};
use modelsmith_ops::interp::Operators;

/// An object of the class `__torch__.t.M`.
const OBJECT: &[u8] = b"\x80\x02c__torch__.t\nM\n)\x81}X\x08\0\0\0training\x89sb.";

fn archive(code: &[u8]) -> Option<Vec<u8>> {
    let mut zip = Archive::new();
    for (name, bytes) in [("m/data.pkl", OBJECT), ("m/code/__torch__/t.py", code)] {
        zip.add(name, Content { head: bytes.to_vec(), weight: None }).ok()?;
    }
    let mut output = Output::memory();
    output.emit("", &zip.finish(), &WriteOptions::new(&Operators)).ok()?;
    output.into_memory().pop().map(|(_, bytes)| bytes)
}

fuzz_target!(|code: &[u8]| {
    let Some(bytes) = archive(code) else { return };
    let input = Input::from_bytes("fuzz", bytes);
    let _ = (modelsmith_format_torch::SCRIPT.read)(&input, &ReadOptions::default());
});
