//! Any bytes, read as an ONNX model and taken to the hub: a model, or an error that names an offset.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_format::{Artifact, Input, ReadOptions};

fuzz_target!(|bytes: &[u8]| {
    match modelsmith_format_onnx::read(&Input::from_bytes("fuzz", bytes.to_vec()), &ReadOptions::default()) {
        Ok(imported) => {
            if let Artifact::Model(mut model) = imported.artifact {
                modelsmith_ops::opset::upgrade(&mut model);
            }
        }
        Err(e) => assert!(e.place().offset.is_some() || e.message().contains("beside"), "{e}"),
    }
});
