use super::*;
use proptest::prelude::*;

/// A member as ustar writes it.
fn member(name: &str, letter: u8, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[156] = letter;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block.extend_from_slice(content);
    block.resize(block.len().div_ceil(512) * 512, 0);
    block
}

fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum = block[..512].iter().map(|&b| u32::from(b)).sum::<u32>();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn members_are_listed_with_their_names() {
    let mut bytes = member("./a", b'0', b"abc");
    bytes.extend(member("d/", b'5', b""));
    bytes.extend(member("././@LongLink", b'L', b"long/name\0"));
    bytes.extend(member("short", 0, &[7; 600]));
    bytes.extend(member("PaxHeader", b'x', b"12 path=p/q\n"));
    bytes.extend(member("z", b'0', b"z"));
    bytes.extend(member("link", b'2', b""));
    bytes.extend([0; 1024]);
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.error(), None);
    let names = archive.members().iter().map(|m| (m.name.as_str(), m.kind, m.size)).collect::<Vec<_>>();
    let file = Type::File;
    let wanted = [("./a", file, 3), ("d/", Type::Folder, 0), ("long/name", file, 600), ("p/q", file, 1)];
    assert_eq!(names[..4], wanted);
    assert_eq!(names[4], ("link", Type::Other(b'2'), 0));
    assert_eq!(archive.content(archive.find("a").unwrap()), b"abc");
    assert_eq!(archive.end(), bytes.len() as u64 - 1024);
}

#[test]
fn damage_is_named_and_what_was_read_is_kept() {
    assert_eq!(Archive::open(&[0; 600]).unwrap_err().to_string(), "at byte offset 0: no tar header: not a tar archive");
    let mut bytes = member("a", b'0', b"abc");
    bytes.extend(member("b", b'0', &[1; 100]));
    bytes.truncate(1024 + 512 + 50);
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.members().len(), 1);
    let text = archive.error().unwrap().to_string();
    assert_eq!(text, "at byte offset 1024: member `b` has 100 bytes, 50 are left");
    bytes[1030] = b'!';
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.error().unwrap().kind(), &Kind::Checksum);
}

#[test]
fn large_sizes_are_read_in_base_256() {
    let mut bytes = member("a", b'0', b"abc");
    bytes[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    seal(&mut bytes[..512]);
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.members()[0].size, 3);
    bytes[125..136].fill(0xff);
    seal(&mut bytes[..512]);
    assert_eq!(Archive::open(&bytes).unwrap().error().unwrap().kind(), &Kind::Number("size"));
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(changes in proptest::collection::vec((0usize..2048, any::<u8>()), 1..6)) {
        let mut bytes = member("x", b'x', b"12 path=p/q\n");
        bytes.extend(member("a", b'0', b"abc"));
        for (at, byte) in changes {
            bytes[at] = byte;
            let at = at % 512;
            if !(148..156).contains(&at) {
                seal(&mut bytes[..512]);
            }
        }
        if let Ok(archive) = Archive::open(&bytes) {
            archive.members().iter().for_each(|m| assert_eq!(archive.content(m).len() as u64, m.size));
        }
    }
}
