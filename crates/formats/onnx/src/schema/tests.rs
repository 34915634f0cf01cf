use super::*;

fn model_bytes() -> Vec<u8> {
    let mut weight = Rope::new();
    weight.packed_varints(1, [2, 1].into_iter());
    weight.int(2, 1);
    weight.text(8, "w");
    weight.bytes(9, &[0, 0, 128, 63, 0, 0, 0, 64]);
    let mut attribute = Rope::new();
    attribute.text(1, "alpha");
    attribute.float(2, 0.5);
    let mut node = Rope::new();
    node.text(1, "x");
    node.text(2, "y");
    node.text(4, "LeakyRelu");
    node.message(5, attribute);
    let mut graph = Rope::new();
    graph.message(1, node);
    graph.message(5, weight);
    let mut model = Rope::new();
    model.int(1, 8);
    model.message(7, graph);
    model.bytes(900, b"later");
    model.to_vec().unwrap()
}

fn decode(bytes: &[u8]) -> Result<ModelProto<'_>, Error> {
    ModelProto::decode(Message::new(bytes, 0), &mut Limits::for_file(bytes.len() as u64))
}

#[test]
fn what_is_decoded_is_encoded_again() {
    let bytes = model_bytes();
    let model = decode(&bytes).unwrap();
    let graph = model.graph.as_ref().unwrap();
    assert_eq!(graph.initializer[0].dims, [2, 1]);
    assert_eq!(graph.node[0].attribute[0].kind(), Some(AttributeType::Float));
    assert!(!model.unknown.is_empty());
    let again = model.to_rope().to_vec().unwrap();
    let second = decode(&again).unwrap();
    assert_eq!(second.unknown, model.unknown);
    assert_eq!(second.graph.as_ref().unwrap().node, graph.node);
    assert_eq!(second.to_rope().to_vec().unwrap(), again);
}

#[test]
fn every_prefix_and_every_flip_is_read_or_refused_with_its_offset() {
    let bytes = model_bytes();
    for len in 0..bytes.len() {
        if let Err(e) = decode(&bytes[..len]) {
            assert!(e.offset() <= len as u64, "{e}");
        }
    }
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        if let Err(e) = decode(&changed) {
            assert!(e.offset() <= bytes.len() as u64, "{e}");
        }
    }
}

#[test]
fn nested_graphs_are_bounded() {
    let mut graph = Rope::new();
    for _ in 0..100 {
        let mut attribute = Rope::new();
        attribute.message(6, graph);
        let mut node = Rope::new();
        node.message(5, attribute);
        graph = Rope::new();
        graph.message(1, node);
    }
    let mut model = Rope::new();
    model.message(7, graph);
    let bytes = model.to_vec().unwrap();
    assert!(decode(&bytes).unwrap_err().to_string().ends_with("messages are nested more than 200 deep"));
}

#[test]
fn empty_messages_are_no_lever_for_memory() {
    let node = [0x0a, 0].repeat(3 << 20);
    let mut model = Rope::new();
    model.bytes(7, &node);
    let bytes = model.to_vec().unwrap();
    let error = decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("the decoded structure would take more than"), "{error}");
}
