use super::{read, write};
use crate::schema::{ModelProto, Proto};
use modelsmith_wire::proto::{Limits, Message};

const TEXT: &str = r#"ir_version: 10
producer_name: "a \"b\" \007 \303\274"
graph {
  node {
    input: "x"
    input: ""
    op_type: "Op"
    attribute {
      name: "a"
      f: 1e-45
      floats: nan
      floats: -inf
      floats: 1.5
      ints: -3
      ints: 9223372036854775807
      type: FLOATS
    }
  }
  initializer {
    dims: 2
    data_type: 5
    raw_data: "\001\002\377"
  }
}
opset_import {
  domain: ""
  version: 21
}
"#;

#[test]
fn a_model_goes_there_and_back() {
    let bytes = read::message(TEXT.as_bytes()).unwrap();
    let m = ModelProto::decode(Message::new(&bytes, 0), &mut Limits::for_file(bytes.len() as u64)).unwrap();
    let node = &m.graph.as_ref().unwrap().node[0];
    assert_eq!((node.attribute[0].lists.ints[1], node.input[1].as_ref()), (i64::MAX, ""));
    assert_eq!(node.attribute[0].f, Some(1e-45));
    let (again, lost) = write::text(Message::new(&bytes, 0)).unwrap();
    assert_eq!((again.as_str(), lost), (TEXT, 0));
}

#[test]
fn every_spelling_of_the_format_is_read() {
    let other = r#"# a comment
        ir_version: 0xA, producer_name: 'a "b" \a ' "\u00fc";
        graph < node: [ { input: ["x", ''] op_type: 'Op' attribute: { name: "a" f: 1e-45f
          floats: [nan, -Inf] floats: 1.5 ints: [- 3, 0x7fffffffffffffff] type: 6 } } ],
          initializer { dims: [02] data_type: 5 raw_data: "\x01\2\xff" } >
        opset_import { domain: "" version: 21 }"#;
    assert_eq!(read::message(other.as_bytes()).unwrap(), read::message(TEXT.as_bytes()).unwrap());
}

#[test]
fn errors_name_the_line_and_what_is_expected() {
    let refused = |text: &str| read::message(text.as_bytes()).unwrap_err().message().to_owned();
    assert_eq!(refused("graph {\n node {\n op_type: 3 }}"), "line 3: op_type: a string in quotes is expected");
    assert_eq!(refused("graph {"), "line 1: the name of a field of GraphProto is expected");
    assert_eq!(refused("ir_version 3"), "line 1: a colon is expected behind ir_version");
    assert_eq!(refused("ir_version: 1\nir_version: 2"), "line 2: ir_version is there twice");
    assert_eq!(refused("ir_version: x"), "line 1: ir_version: a whole number of 64 bits is expected");
    assert_eq!(refused("domain: \"a\n\""), "line 2: a string has no end on its line");
    assert!(refused("model: 1").starts_with("line 1: ModelProto has no field model; its fields are ir_version,"));
    let deep = format!("graph {{ {}", "node { attribute { g { ".repeat(60));
    assert!(refused(&deep).contains("more than 100 deep"), "{}", refused(&deep));
}

#[test]
fn damaged_texts_are_refused_or_read_and_never_a_panic() {
    for at in 0..TEXT.len() {
        let _ = read::message(&TEXT.as_bytes()[..at]);
        for byte in [b'{', b'"', b'\\', b'-', 0, 0xff] {
            let mut bad = TEXT.as_bytes().to_vec();
            bad[at] = byte;
            let _ = read::message(&bad);
        }
    }
}
