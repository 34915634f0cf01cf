//! Any bytes, read as a tar archive: members stay inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_wire::tar::Archive;

fuzz_target!(|bytes: &[u8]| {
    let Ok(archive) = Archive::open(bytes) else { return };
    for member in archive.members() {
        assert_eq!(archive.content(member).len() as u64, member.size);
    }
});
