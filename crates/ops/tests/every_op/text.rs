//! Models of samples survive the text syntax.

use crate::case::all_cases;
use modelsmith_ir::{hash_model, text};

#[test]
fn text_round_trip() {
    let mut findings = Vec::new();
    for (_, case) in all_cases() {
        let printed = text::print_full(&case.model);
        match text::parse(&printed, modelsmith_ops::all()) {
            Err(e) => findings.push(format!("{}: {e}\n{printed}", case.label)),
            Ok(again) if text::print_full(&again) != printed => {
                findings.push(format!("{}: printed anew it differs:\n{printed}", case.label));
            }
            Ok(again) if hash_model(&again) != hash_model(&case.model) => {
                findings.push(format!("{}: the hash differs:\n{printed}", case.label));
            }
            Ok(_) => {}
        }
    }
    crate::report(findings);
}
