//! Any text, read in the syntax of the IR: a model that prints as it was read and passes the verifier or is refused by it,
//! or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_ir::{text, verify};

fuzz_target!(|input: &str| {
    let ops = modelsmith_ops::all();
    let Ok(model) = text::parse(input, ops) else { return };
    let once = text::print_full(&model);
    let again = text::parse(&once, ops).unwrap_or_else(|e| panic!("what was printed is not read: {e}\n{once}"));
    assert_eq!(text::print_full(&again), once);
    let _ = verify(&model);
});
