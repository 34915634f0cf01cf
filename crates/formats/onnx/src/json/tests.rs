use super::{base64, read, write};
use crate::schema::{ModelProto, Proto};
use modelsmith_wire::proto::{Limits, Message};

#[test]
fn a_model_goes_there_and_back() {
    let text = r#"{
  "ir_version": "10",
  "producer_name": "a \"b\" \u0007 \u00fc",
  "graph": {
    "node": [
      {
        "input": [
          "x",
          ""
        ],
        "name": "",
        "op_type": "Op",
        "attribute": [
          {
            "name": "a",
            "f": 1e-45,
            "floats": ["NaN", "-Infinity", 1.5],
            "ints": ["-3", "9223372036854775807"],
            "type": "FLOATS"
          }
        ]
      }
    ],
    "initializer": [
      {
        "dims": ["2"],
        "data_type": 5,
        "raw_data": "AQL/"
      }
    ]
  },
  "opset_import": [
    {
      "domain": "",
      "version": "21"
    }
  ]
}
"#;
    let bytes = read::message(text.as_bytes()).unwrap();
    let m = ModelProto::decode(Message::new(&bytes, 0), &mut Limits::for_file(bytes.len() as u64)).unwrap();
    let node = &m.graph.as_ref().unwrap().node[0];
    assert_eq!((node.attribute[0].lists.ints[1], node.name.as_deref()), (i64::MAX, Some("")));
    assert_eq!(node.attribute[0].f, Some(1e-45));
    let (again, lost) = write::text(Message::new(&bytes, 0)).unwrap();
    assert_eq!((again.as_str(), lost), (text.replace("\\u00fc", "ü").as_str(), 0));
}

#[test]
fn both_spellings_of_names_and_numbers_are_read() {
    let one = read::message(br#"{"irVersion": 8, "graph": {"initializer": [{"dataType": 1, "floatData": ["1.5"]}]}}"#);
    let other =
        read::message(br#"{"ir_version": "8", "graph": {"initializer": [{"data_type": "1", "float_data": [1.5]}]}}"#);
    assert_eq!(one.unwrap(), other.unwrap());
}

#[test]
fn errors_name_the_way_to_what_is_wrong() {
    let refused = |text: &str| read::message(text.as_bytes()).unwrap_err().message().to_owned();
    assert!(
        refused("{").starts_with("this is no JSON: EOF while parsing an object at line 1 column 1"),
        "{}",
        refused("{")
    );
    assert_eq!(
        refused(r#"{"graph": {"node": [{}, {"op_type": 3}]}}"#),
        "graph.node.1.op_type: a string is expected, 3 is there"
    );
    assert_eq!(refused(r#"{"graph": {"node": 1}}"#), "graph.node: a list is expected, 1 is there");
    assert_eq!(
        refused(r#"{"graph": {"initializer": [{"raw_data": "a"}]}}"#),
        "graph.initializer.0.raw_data: bytes as base64 is expected, \"a\" is there"
    );
    assert!(
        refused(r#"{"model": 1}"#)
            .starts_with("the model: ModelProto has no field \"model\"; its fields are ir_version,")
    );
    assert_eq!(refused("[1]"), "the model: an object, ModelProto is expected, [1] is there");
}

#[test]
fn base64_is_that_of_the_standard() {
    for (bytes, text) in
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
    {
        let mut out = String::new();
        base64::encode(bytes.as_bytes(), &mut out);
        assert_eq!(out, text);
        assert_eq!(base64::decode(text).unwrap(), bytes.as_bytes());
    }
    assert_eq!(base64::decode("-_8"), base64::decode("+/8="));
    assert_eq!(base64::decode("a"), None);
    assert_eq!(base64::decode("a b="), None);
}
