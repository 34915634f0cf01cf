//! Any bytes, read as a safetensors file or the index of a set: a checkpoint whose tensors can be computed or say why not, or an error that names an
//! offset.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_base::Budget;
use modelsmith_format::{Artifact, Input, Kind, ReadOptions};
use modelsmith_format_weights::SAFETENSORS;
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::materialize;

fuzz_target!(|bytes: &[u8]| {
    let input = Input::from_bytes("fuzz", bytes.to_vec());
    match (SAFETENSORS.read)(&input, &ReadOptions::default()) {
        Ok(imported) => {
            let Artifact::Checkpoint(checkpoint) = imported.artifact else { return };
            for (_, weight) in checkpoint.tensors.iter().take(100) {
                let _ = materialize(weight, &Operators, &Budget::new(1 << 20));
            }
        }
        Err(e) => {
            assert!(e.place().offset.is_some() || e.kind() != Kind::Damaged || e.message().contains("beside"), "{e}")
        }
    }
});
