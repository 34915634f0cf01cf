use super::*;
use proptest::prelude::*;

fn walk(m: Message<'_>, depth: u32) -> Result<u64, Error> {
    let mut seen = 0;
    for field in m.fields() {
        let field = field?;
        assert_eq!(field.raw.offset(), field.offset());
        seen += 1;
        match field.value {
            Value::Bytes(inner) | Value::Group(inner) if depth > 0 => seen += walk(inner, depth - 1).unwrap_or(0),
            _ => {}
        }
    }
    Ok(seen)
}

fn sample() -> Rope<'static> {
    let mut inner = Rope::new();
    inner.int(1, -1);
    inner.text(2, "na\u{10ff80}me");
    inner.float(3, 1.5);
    let mut outer = Rope::new();
    outer.int(1, 150);
    outer.message(7, inner);
    outer.packed_varints(8, [0, 1, 300, u64::MAX].into_iter());
    outer.bytes_borrowed(9, &[7; 300]);
    outer
}

#[test]
fn reads_what_it_writes() {
    let bytes = sample().to_vec().unwrap();
    assert_eq!(bytes.len() as u64, sample().len());
    let m = Message::new(&bytes, 1000);
    let fields: Vec<_> = m.fields().collect::<Result<_, _>>().unwrap();
    assert_eq!(fields.iter().map(|f| f.number).collect::<Vec<_>>(), [1, 7, 8, 9]);
    assert_eq!(fields[0].int(), Ok(150));
    assert_eq!(fields[0].offset(), 1000);
    let inner = fields[1].message().unwrap();
    assert_eq!(inner.offset(), 1005);
    let inner: Vec<_> = inner.fields().collect::<Result<_, _>>().unwrap();
    assert_eq!(inner[0].int(), Ok(-1));
    assert_eq!(inner[0].int32(), Ok(-1));
    assert_eq!(inner[1].message().unwrap().bytes(), b"na\x80me");
    assert_eq!(inner[1].text().unwrap(), "na\u{10ff80}me");
    assert_eq!(inner[2].float(), Ok(1.5));
    let mut ints = Scalars::new(WireType::Varint);
    ints.push(&m, &fields[2]).unwrap();
    assert_eq!(ints.iter().collect::<Result<Vec<_>, _>>().unwrap(), [0, 1, 300, u64::MAX]);
    assert_eq!(fields[3].message().unwrap().bytes(), [7; 300]);
    assert_eq!(m.part(fields[3].raw.range()), Some(fields[3].raw));
    assert_eq!(m.part(0..1), None);
}

#[test]
fn elements_with_tags_share_a_range() {
    let mut rope = Rope::new();
    rope.float(4, 1.0);
    rope.float(4, 2.0);
    rope.int(1, 9);
    rope.float(4, 3.0);
    let bytes = rope.to_vec().unwrap();
    let m = Message::new(&bytes, 0);
    let mut floats = Scalars::new(WireType::Fixed32);
    for f in m.fields().map(Result::unwrap).filter(|f| f.number == 4) {
        floats.push(&m, &f).unwrap();
    }
    assert_eq!(floats.runs().len(), 2);
    assert!(floats.contiguous().is_none());
    let values: Vec<f32> = floats.iter().map(|v| f32::from_bits(v.unwrap() as u32)).collect();
    assert_eq!(values, [1.0, 2.0, 3.0]);
}

#[test]
fn errors_name_the_offset() {
    let first = |bytes: &[u8]| Message::new(bytes, 10).fields().find_map(Result::err).unwrap().to_string();
    assert_eq!(first(&[0x0a, 5, 1]), "at byte offset 12: 5 bytes wanted, 1 left in the message");
    assert_eq!(first(&[0x08, 1, 0x08]), "at byte offset 13: 1 bytes wanted, 0 left in the message");
    assert_eq!(first(&[0x07, 1]), "at byte offset 10: 0 is not a field number");
    assert_eq!(first(&[0x0f]), "at byte offset 10: 7 is not a wire type");
    assert_eq!(first(&[0x0c]), "at byte offset 10: group 1 is not balanced");
    assert_eq!(first(&[0x0b, 0x14]), "at byte offset 11: group 2 is not balanced");
    assert_eq!(first(&[0x0b]), "at byte offset 11: group 1 is not balanced");
    assert_eq!(
        first(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
        "at byte offset 11: a variable-length integer has more than 64 bits"
    );
    let m = Message::new(&[0x0d, 0, 0, 0, 0], 3);
    let error = m.fields().next().unwrap().unwrap().int().unwrap_err();
    assert_eq!(error.to_string(), "at byte offset 3: field 1 is Fixed32, expected Varint");
    let m = Message::new(&[0x0a, 3, 0, 0, 0], 3);
    let mut floats = Scalars::new(WireType::Fixed32);
    let error = floats.push(&m, &m.fields().next().unwrap().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "at byte offset 5: 3 bytes of packed elements are not a multiple of 4");
}

#[test]
fn groups_are_skipped_whole() {
    // Group 1 holds field 2 = 5 and an inner group 3; then field 4 = 1.
    let bytes = [0x0b, 0x10, 5, 0x1b, 0x1c, 0x0c, 0x20, 1];
    let fields: Vec<_> = Message::new(&bytes, 0).fields().collect::<Result<_, _>>().unwrap();
    assert_eq!(fields.len(), 2);
    assert_eq!(fields[0].raw.bytes(), &bytes[..6]);
    assert_eq!(fields[0].value, Value::Group(Message::new(&bytes[1..5], 1)));
}

#[test]
fn limits_bound_depth_and_memory() {
    let mut limits = Limits::new(2, 100);
    let deep = limits.nested(0, |l| l.nested(4, |l| l.nested(8, |_| Ok(()))));
    assert_eq!(deep.unwrap_err().to_string(), "at byte offset 8: messages are nested more than 2 deep");
    assert!(limits.charge(100, 0).is_ok());
    assert!(limits.charge(1, 5).unwrap_err().to_string().starts_with("at byte offset 5: the decoded structure"));
}

#[test]
fn holes_are_filled_in_order_and_counted() {
    let mut inner = Rope::new();
    inner.splice(9, 42, 3);
    let mut rope = Rope::new();
    rope.message(1, inner);
    rope.int(2, 1);
    assert_eq!(rope.to_vec(), Err(42));
    let mut out = Vec::new();
    rope.emit(&mut out, |id, w| w.write_all(&[id as u8; 3])).unwrap();
    assert_eq!(out, [0x0a, 5, 0x4a, 3, 42, 42, 42, 0x10, 1]);
    assert_eq!(out.len() as u64, rope.len());
    let short = rope.emit(&mut Vec::new(), |_, w| w.write_all(&[0])).unwrap_err();
    assert_eq!(short.to_string(), "payload 42 gave 1 bytes where 3 were promised");
}

#[test]
fn escaped_characters_of_the_file_itself_survive() {
    let text = "a\u{10ff80}\u{10ffff}\u{10ff7f}b";
    assert_eq!(bytes_from_text(&text_from_bytes(text.as_bytes())).as_ref(), text.as_bytes());
}

proptest! {
    #[test]
    fn any_bytes_are_walked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(e) = walk(Message::new(&bytes, 0), 8) {
            prop_assert!(e.offset() <= bytes.len() as u64);
        }
    }

    #[test]
    fn truncation_never_panics_and_flips_stay_inside(cut in 0usize..400, at in 0usize..400, bit in 0u8..8) {
        let mut bytes = sample().to_vec().unwrap();
        let n = bytes.len();
        bytes[at % n] ^= 1 << bit;
        bytes.truncate(cut % (n + 1));
        if let Err(e) = walk(Message::new(&bytes, 0), 8) {
            prop_assert!(e.offset() <= bytes.len() as u64);
        }
    }

    #[test]
    fn varints_round_trip(value in any::<u64>()) {
        let mut rope = Rope::new();
        rope.varint(value);
        prop_assert_eq!(rope.len(), varint_len(value));
        let bytes = rope.to_vec().unwrap();
        prop_assert_eq!(Message::new(&bytes, 0).varint_at(0).unwrap(), (value, bytes.len()));
    }

    #[test]
    fn text_keeps_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let text = text_from_bytes(&bytes);
        let back = bytes_from_text(&text);
        prop_assert_eq!(back.as_ref(), &bytes[..]);
    }
}
