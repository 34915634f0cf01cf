//! Any text as the program of an exported archive: a graph, or a located error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_format::{Archive, Content, Input, Output, ReadOptions, WriteOptions};
use modelsmith_ops::interp::Operators;

/// One weight `w` of four floats.
const CONFIG: &[u8] = b"{\"config\": {\"w\": {\"path_name\": \"w\", \"tensor_meta\": {\"dtype\": 7, \"sizes\": \
    [{\"as_int\": 4}], \"strides\": [{\"as_int\": 1}]}}}}";

fn archive(program: &[u8]) -> Option<Vec<u8>> {
    let mut zip = Archive::new();
    let entries: [(&str, &[u8]); 4] = [
        ("m/archive_format", b"pt2"),
        ("m/data/weights/model_weights_config.json", CONFIG),
        ("m/data/weights/w", &[0; 16]),
        ("m/models/model.json", program),
    ];
    for (name, bytes) in entries {
        zip.add(name, Content { head: bytes.to_vec(), weight: None }).ok()?;
    }
    let mut output = Output::memory();
    output.emit("", &zip.finish(), &WriteOptions::new(&Operators)).ok()?;
    output.into_memory().pop().map(|(_, bytes)| bytes)
}

fuzz_target!(|program: &[u8]| {
    let Some(bytes) = archive(program) else { return };
    let input = Input::from_bytes("fuzz.pt2", bytes);
    let _ = (modelsmith_format_torch::EXPORT.read)(&input, &ReadOptions::default());
});
