//! Any bytes, scanned: a report, in which nothing that is unknown passes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_format::Input;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = modelsmith_scan::scan(&Input::from_bytes("fuzz", bytes.to_vec())) {
        assert!(!report.is_clean() || report.content != "unknown");
        let _ = modelsmith_scan::sarif(&[report]);
    }
});
