//! Any bytes, read as a PyTorch checkpoint: what opens can be computed within its memory, or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_base::Budget;
use modelsmith_format::{Artifact, Input, ReadOptions};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::materialize;

fuzz_target!(|bytes: &[u8]| {
    let input = Input::from_bytes("fuzz", bytes.to_vec());
    let Ok(imported) = modelsmith_format_torch::read(&input, &ReadOptions::default()) else { return };
    let Artifact::Checkpoint(checkpoint) = imported.artifact else { return };
    for (_, weight) in checkpoint.tensors.iter().take(20) {
        if let Ok(tensor) = materialize(weight, &Operators, &Budget::new(1 << 20)) {
            assert_eq!(tensor.shape(), weight.shape());
        }
    }
});
