//! Any bytes, walked as nested messages: every offset stays inside, and the schema encodes what it decodes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_format_onnx::schema::{ModelProto, Proto};
use modelsmith_wire::proto::{Limits, Message, Value};

fn walk(message: Message<'_>, depth: u32) {
    for field in message.fields() {
        let Ok(field) = field else { return };
        assert!(message.part(field.raw.range()).is_some());
        match field.value {
            Value::Bytes(inner) | Value::Group(inner) if depth > 0 => walk(inner, depth - 1),
            _ => {}
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let message = Message::new(bytes, 0);
    walk(message, 16);
    let limits = || Limits::for_file(bytes.len() as u64);
    if let Ok(model) = ModelProto::decode(message, &mut limits()) {
        let again = model.to_rope().to_vec().expect("nothing is streamed");
        let second = ModelProto::decode(Message::new(&again, 0), &mut limits()).expect("what was encoded is decoded");
        assert_eq!(second.to_rope().to_vec().expect("nothing is streamed"), again);
    }
});
