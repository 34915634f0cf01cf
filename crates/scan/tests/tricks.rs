//! Hostile files made here, one for each trick, and their harmless twins.

use flate2::Compression;
use flate2::write::GzEncoder;
use modelsmith_format::Input;
use modelsmith_scan::{Report, scan};
use modelsmith_wire::zip::Writer;
use proptest::prelude::*;
use std::io::Write;

const EVIL: &[u8] = b"\x80\x02cposix\nsystem\nU\x02ls\x85R.";
const PLAIN: &[u8] = b"\x80\x02}U\x01aK\x01s.";

fn scanned(bytes: &[u8]) -> Report {
    scan(&Input::from_bytes("x", bytes)).unwrap()
}

/// The codes of the findings, each once.
fn codes(bytes: &[u8]) -> Vec<&'static str> {
    let mut out = scanned(bytes).findings.iter().map(|f| f.code).collect::<Vec<_>>();
    out.sort_unstable();
    out.dedup();
    out
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    entries.iter().for_each(|(name, bytes)| writer.add(name, &[bytes]).unwrap());
    writer.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(name: &str, content: &[u8], letter: u8, link: &str) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[156] = letter;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[148..156].fill(b' ');
    let sum = block.iter().map(|&b| u32::from(b)).sum::<u32>();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().div_ceil(512) * 512 + 1024, 0);
    block
}

#[test]
fn the_instruction_and_its_import_are_named() {
    let report = scanned(&zip(&[("m/data.pkl", EVIL)]));
    assert_eq!(
        report.findings[0].to_string(),
        "high[pickle.import]: would call posix.system('ls'): runs commands (m/data.pkl, byte offset 2)"
    );
    assert!(report.understood && !report.is_clean());
}

#[test]
fn archives_in_archives_are_opened() {
    for plain in [true, false] {
        let inner = if plain { PLAIN } else { EVIL };
        let deep = gzip(&tar("m.zip", &zip(&[("a.pkl", inner)]), b'0', ""));
        let report = scanned(&deep);
        assert_eq!(report.is_clean(), plain, "{:?}", report.findings);
        if !plain {
            assert_eq!(report.findings[0].member, "gzip!m.zip!a.pkl");
        }
    }
}

#[test]
fn attributes_reached_by_name_and_computed_imports_are_found() {
    assert_eq!(codes(b"c__builtin__\ngetattr\n(cos\nsystem\nS'x'\ntR)R."), ["pickle.call", "pickle.import"]);
    // Module and name from the memo, with others on top of them in the file.
    assert_eq!(
        codes(b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940\x8c\x05torch0h\x00h\x01\x93\x8c\x02ls\x85R."),
        ["pickle.import"]
    );
    assert_eq!(codes(b"\x80\x04cm\nf\n)R\x8c\x01x\x93."), ["pickle.import", "pickle.unknown"]);
    assert_eq!(codes(b"ctorch\nTensor\n}b."), ["pickle.build"]);
    assert_eq!(codes(b"\x80\x02\x82\x01."), ["pickle.damaged", "pickle.extension"]);
}

#[test]
fn old_pickles_are_known_whatever_they_begin_with() {
    for start in ["N0", "I1\n0", "K\x010", "(1", "]0", "}0", "S'x'\n0", "Vx\n0", "P1\n0", "U\x01x0"] {
        let bytes = [start.as_bytes(), b"cposix\nsystem\n(S'ls'\ntR."].concat();
        assert_eq!(codes(&bytes), ["pickle.import"], "{start:?}");
        assert!(codes(&zip(&[("version", &bytes)])).contains(&"pickle.import"));
    }
    assert!(scanned(&zip(&[("README.md", b"class of models\nNothing here.\n"), ("version", b"3\n")])).is_clean());
}

#[test]
fn a_pickle_that_runs_before_it_breaks_is_found() {
    let mut broken = EVIL[..EVIL.len() - 1].to_vec();
    broken.push(0xff);
    assert_eq!(codes(&broken), ["pickle.damaged", "pickle.import"]);
    assert!(!scanned(&PLAIN[..PLAIN.len() - 1]).is_clean());
}

#[test]
fn what_lies_behind_and_before_is_seen() {
    let behind = |tail: &[u8]| [PLAIN, tail].concat();
    assert!(codes(&behind(EVIL)).contains(&"pickle.import"));
    assert_eq!(codes(&behind(b"\x01\x02 noise")), ["polyglot.rest"]);
    let appended = codes(&behind(&zip(&[("a.pkl", EVIL)])));
    assert!(appended.contains(&"polyglot") && appended.contains(&"pickle.import"));
    assert!(codes(&[EVIL, &zip(&[("a.pkl", PLAIN)])].concat()).contains(&"pickle.import"));
    let mut prefixed = EVIL.to_vec();
    prefixed.extend(zip(&[("a.pkl", PLAIN)]));
    assert!(!scanned(&prefixed).is_clean());
    let mut trailing = zip(&[("a.pkl", PLAIN)]);
    trailing.extend(EVIL);
    assert!(codes(&trailing).contains(&"pickle.import"));
}

#[test]
fn hidden_values_are_decoded() {
    let mut value = b"\x80\x04C".to_vec();
    value.push(EVIL.len() as u8);
    value.extend(EVIL);
    value.push(b'.');
    assert!(codes(&value).contains(&"pickle.import"));
    let text = b"\x80\x04\x8c\x20b3Muc3lzdGVtKCdlY2hvIEFUVEFDSycp.";
    assert_eq!(codes(text), ["text.code"]);
}

#[test]
fn names_of_zip_entries_are_judged() {
    assert_eq!(codes(&zip(&[("../a.pkl", PLAIN)])), ["zip.path"]);
    assert_eq!(codes(&zip(&[("a\0.pkl", PLAIN)])), ["zip.name"]);
    assert_eq!(codes(&zip(&[("a.pkl", PLAIN), ("a.pkl", PLAIN)])), ["zip.duplicate"]);
    assert_eq!(codes(&zip(&[("a.so", b"\x7fELF0123")])), ["executable"]);
    assert_eq!(codes(&zip(&[("a.sh", b"#!/bin/sh\nls")])), ["script"]);
}

#[test]
fn headers_that_disagree_are_found() {
    let bytes = zip(&[("ab.pkl", PLAIN)]);
    let mut renamed = bytes.clone();
    renamed[30] = b'x';
    assert_eq!(codes(&renamed), ["zip.mismatch"]);
    let mut flagged = bytes.clone();
    flagged[6] |= 1;
    assert_eq!(codes(&flagged), ["zip.flags"]);
    let mut damaged = bytes.clone();
    let at = bytes.windows(PLAIN.len()).position(|w| w == PLAIN).unwrap();
    damaged[at + 5] = b'b';
    assert_eq!(codes(&damaged), ["zip.checksum"]);
    assert!(!scanned(&damaged).understood);
    // A directory whose end counts fewer entries than it has: some readers count, others go by its length.
    let mut counted = zip(&[("a.pkl", PLAIN), ("b.pkl", EVIL)]);
    let end = counted.len() - 22;
    counted[end + 8] = 1;
    counted[end + 10] = 1;
    assert!(codes(&counted).contains(&"pickle.import"));
    // An entry that the directory lost.
    let both = zip(&[("a.pkl", EVIL), ("b.pkl", PLAIN)]);
    let central = both.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let second = central + 4 + both[central + 4..].windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut lost = both[..central].to_vec();
    lost.extend(&both[second..]);
    let end = lost.len() - 22;
    lost[end + 8] = 1;
    lost[end + 10] = 1;
    let length = (end - central) as u32;
    lost[end + 12..end + 16].copy_from_slice(&length.to_le_bytes());
    assert!(codes(&lost).contains(&"zip.hidden") && codes(&lost).contains(&"pickle.import"));
}

#[test]
fn what_expands_too_far_is_not_followed() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let part = vec![0u8; 1 << 20];
    (0..513).for_each(|_| encoder.write_all(&part).unwrap());
    assert!(codes(&encoder.finish().unwrap()).contains(&"gzip.bomb"));
}

#[test]
fn contents_that_overlap_end() {
    // Local headers inside each other without a directory, and instructions that begin a pickle everywhere.
    let header = [&b"PK\x03\x04"[..], &[0; 26]].concat();
    let report = scanned(&header.repeat(20_000));
    assert!(!report.is_clean());
    let mut storages = tar("storages", &b"\x80\x02".repeat(200_000), b'0', "");
    storages.truncate(storages.len() - 1024);
    storages.extend(tar("pickle", PLAIN, b'0', ""));
    assert!(codes(&storages).contains(&"scan.effort"));
}

#[test]
fn closed_and_foreign_content_never_passes() {
    for bytes in
        [&b"7z\xbc\xaf\x27\x1c...."[..], b"Rar!\x1a\x07\x00", b"ftrt....", b"\x18\0\0\0TFL3....", b"\x01\x02\x03", b""]
    {
        assert!(!scanned(bytes).is_clean(), "{bytes:?}");
    }
    let mut encrypted = zip(&[("a.txt", b"secret")]);
    encrypted[6] |= 1;
    let at = encrypted.windows(6).position(|w| w == b"secret").unwrap();
    encrypted[at] = b'x';
    assert_eq!(codes(&encrypted), ["zip.encrypted", "zip.flags"]);
}

#[test]
fn tar_members_that_leave_the_folder_are_found() {
    assert_eq!(codes(&tar("../x", PLAIN, b'0', "")), ["tar.path"]);
    assert_eq!(codes(&tar("l", b"", b'2', "/etc/passwd")), ["tar.link"]);
    assert!(scanned(&tar("a.pkl", PLAIN, b'0', "")).is_clean());
}

#[test]
fn safetensors_account_for_every_byte() {
    let file = |header: &str, data: &[u8]| {
        let mut out = (header.len() as u64).to_le_bytes().to_vec();
        out.extend(header.as_bytes());
        out.extend(data);
        out
    };
    let header = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
    assert!(scanned(&file(header, &[1, 2])).is_clean());
    assert!(!scanned(&file(header, &[1])).is_clean());
    assert_eq!(codes(&file(header, &[1, 2, 3])), ["polyglot.rest"]);
    assert_eq!(codes(&file(&header.replace("[0,2]", "[1,2]"), &[1, 2])), ["safetensors.holes"]);
    let evil = header.replace("{\"a\"", "{\"__metadata__\":{\"x\":\"exec(y)\"},\"a\"");
    assert_eq!(codes(&file(&evil, &[1, 2])), ["text.code"]);
}

#[test]
fn chat_templates_that_reach_out_are_found() {
    let file = |template: &str| {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend(0u64.to_le_bytes());
        out.extend(1u64.to_le_bytes());
        for text in ["tokenizer.chat_template", template] {
            if text == template {
                out.extend(8u32.to_le_bytes());
            }
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        }
        out
    };
    assert!(scanned(&file("{% for m in messages %}{{ m.content }}{% endfor %}")).is_clean());
    assert_eq!(codes(&file("{{ ''.__class__.__mro__[1] }}")), ["gguf.template"]);
}

#[test]
fn external_data_of_onnx_stays_in_its_folder() {
    let model = |place: &str| {
        let field = |number: u8, content: Vec<u8>| [vec![number << 3 | 2, content.len() as u8], content].concat();
        let entry = [field(1, b"location".to_vec()), field(2, place.as_bytes().to_vec())].concat();
        let tensor = [field(8, b"w".to_vec()), field(13, entry)].concat();
        let graph = [field(2, b"g".to_vec()), field(5, tensor)].concat();
        [vec![8, 8], field(7, graph)].concat()
    };
    assert!(scanned(&model("w.data")).is_clean());
    for place in ["../w", "/etc/passwd", "a/../../w", "C:\\w", "http://x/w"] {
        assert_eq!(codes(&model(place)), ["onnx.external"], "{place}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), seed in 0usize..6, at in any::<prop::sample::Index>()) {
        let base = match seed {
            0 => zip(&[("m/data.pkl", EVIL), ("m/data/0", &[1, 2, 3, 4])]),
            1 => gzip(EVIL),
            2 => tar("a.pkl", EVIL, b'0', ""),
            3 => EVIL.to_vec(),
            4 => b"\x93NUMPY\x01\0\x10\0{'descr':'|O'}  ".to_vec(),
            _ => b"GGUF\x03\0\0\0".to_vec(),
        };
        let at = at.index(base.len());
        let mut mixed = base[..at].to_vec();
        mixed.extend(&bytes[..bytes.len().min(8)]);
        mixed.extend(&base[at..]);
        scanned(&mixed);
        scanned(&bytes);
        scanned(&base[..at]);
    }
}
