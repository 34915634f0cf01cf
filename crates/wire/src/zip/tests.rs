use super::*;
use flate2::{Compression, Crc, write::DeflateEncoder};
use proptest::prelude::*;
use std::io::Write;

fn stored() -> Vec<u8> {
    let mut w = Writer::new(Vec::new());
    w.add("x.npy", &[b"ab", b"cde"]).unwrap();
    w.add("folder/y", &[]).unwrap();
    w.finish().unwrap()
}

/// A deflated entry whose local header leaves sizes and checksum to a data descriptor.
fn deflated(content: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(content).unwrap();
    let packed = packed.finish().unwrap();
    let mut crc = Crc::new();
    crc.update(content);
    let mut out = vec![0x50, 0x4b, 3, 4, 20, 0, 8, 0, 8, 0];
    out.extend([0; 16]);
    out.extend([1, 0, 4, 0, b'n', 9, 9, 0, 0]);
    out.extend(&packed);
    let start = out.len() as u32;
    out.extend([0x50, 0x4b, 1, 2, 20, 0, 20, 0, 8, 0, 8, 0, 0, 0, 0, 0]);
    out.extend(crc.sum().to_le_bytes());
    out.extend((packed.len() as u32).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
    out.extend([1, 0]);
    out.extend([0; 16]);
    out.push(b'n');
    let len = out.len() as u32 - start;
    out.extend([0x50, 0x4b, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0]);
    out.extend(len.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

#[test]
fn stored_entries_round_trip() {
    let bytes = stored();
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.entries().iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["x.npy", "folder/y"]);
    let x = archive.find("x.npy").unwrap();
    assert_eq!(archive.read(x, 10).unwrap(), b"abcde");
    let range = archive.range(x).unwrap();
    assert_eq!(&bytes[range.start as usize..range.end as usize], b"abcde");
    assert_eq!(archive.read(archive.find("folder/y").unwrap(), 0).unwrap(), b"");
    let limit = archive.read(x, 4).unwrap_err();
    assert!(limit.to_string().ends_with("entry `x.npy` has 5 bytes, more than the 4 allowed"));
}

#[test]
fn deflated_entries_are_read_by_the_central_directory() {
    let content = b"the same words, the same words, the same words".repeat(9);
    let bytes = deflated(&content);
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.read(&archive.entries()[0], 1 << 20).unwrap(), content);
}

#[test]
fn damage_is_named() {
    let bytes = stored();
    assert_eq!(Archive::open(&bytes[..40]).unwrap_err().kind(), &Kind::NoEnd);
    let mut changed = bytes.clone();
    changed[36] ^= 1;
    let archive = Archive::open(&changed).unwrap();
    let error = archive.read(&archive.entries()[0], 10).unwrap_err();
    assert_eq!(error.kind(), &Kind::Checksum("x.npy".into()));
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
        for mut bytes in [stored(), deflated(&[3; 200])] {
            let i = at.index(bytes.len());
            bytes[i] = value;
            for len in [bytes.len(), cut.index(bytes.len())] {
                if let Ok(archive) = Archive::open(&bytes[..len]) {
                    for entry in archive.entries() {
                        if let Ok(content) = archive.read(entry, 1000) {
                            prop_assert!(content.len() <= 1000);
                        }
                    }
                }
            }
        }
    }
}
