//! Any bytes, read as a zip archive: entries stay inside and within the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_wire::zip::Archive;

fuzz_target!(|bytes: &[u8]| {
    let Ok(archive) = Archive::open(bytes) else { return };
    for entry in archive.entries() {
        if let Ok(content) = archive.read(entry, 1 << 20) {
            assert!(content.len() <= 1 << 20);
        }
    }
});
