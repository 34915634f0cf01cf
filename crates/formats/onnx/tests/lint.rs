//! What the reader says of a file that breaks a rule of the format which the IR cannot break.

mod fixture;

use fixture::*;
use modelsmith_format::{Input, ReadOptions};
use modelsmith_format_onnx::schema::*;
use modelsmith_format_onnx::{ONNX_TEXT, read};

const HEAD: &str = "<ir_version: 8, opset_import: [\"\" : 17]>\n";

fn of_text(text: &str) -> Vec<String> {
    let input = Input::from_bytes("m.onnxtxt", text.as_bytes().to_vec());
    let imported = (ONNX_TEXT.read)(&input, &ReadOptions::default()).unwrap();
    imported.findings.iter().map(ToString::to_string).collect()
}

fn of(model: &ModelProto<'_>) -> Vec<String> {
    let input = Input::from_bytes("m.onnx", bytes(model));
    read(&input, &ReadOptions::default()).unwrap().findings.iter().map(ToString::to_string).collect()
}

fn sound() -> ModelProto<'static> {
    let graph = GraphProto {
        name: name("g"),
        input: vec![info("x", 1, &[Ok(2)])],
        initializer: vec![floats("w", &[2], &[1.0, 2.0])],
        node: vec![node("Add", &["x", "w"], &["y"])],
        output: vec![info("y", 1, &[Ok(2)])],
        ..GraphProto::default()
    };
    let opset_import = vec![import("", 13)];
    ModelProto { ir_version: Some(8), graph: Some(graph), opset_import, ..ModelProto::default() }
}

/// What is said of the sound model after `change`.
fn after(change: impl FnOnce(&mut ModelProto<'static>, &mut GraphProto<'static>)) -> Vec<String> {
    let mut model = sound();
    let mut graph = model.graph.take().unwrap();
    change(&mut model, &mut graph);
    model.graph = Some(graph);
    of(&model)
}

#[test]
fn a_sound_model_has_no_findings() {
    assert_eq!(of(&sound()), Vec::<String>::new());
}

#[test]
fn versions_and_names_of_the_model() {
    assert_eq!(after(|m, _| m.ir_version = None), ["error[onnx.ir]: the model says no IR version"]);
    assert_eq!(
        after(|m, _| m.ir_version = Some(99)),
        ["error[onnx.ir]: IR version 99 is newer than 14, the newest there is"]
    );
    assert_eq!(after(|m, _| m.opset_import.clear()), ["error[onnx.opset.none]: the model imports no operator set"]);
    let twice = after(|m, _| m.opset_import.push(import("ai.onnx", 14)));
    assert_eq!(twice, ["error[onnx.opset.twice]: the model imports two versions of domain \"\"; the first counts"]);
    assert_eq!(after(|_, g| g.name = None), ["error[onnx.graph.name]: a graph has no name"]);
    let hidden =
        "error[onnx.initializer.input]: at IR version 3 an initializer must be an input of the graph too (tensor w)";
    assert_eq!(after(|m, _| m.ir_version = Some(3)), [hidden]);
}

#[test]
fn values_and_tensors() {
    let untyped = after(|_, g| g.input[0].ty = None);
    assert_eq!(untyped, ["error[onnx.value.type]: the input x has no type (tensor x)"]);
    let nameless = after(|_, g| g.initializer.push(floats("", &[1], &[1.0])));
    assert_eq!(nameless[0], "error[onnx.initializer.name]: initializer 1 has no name");
    let both = after(|_, g| {
        g.initializer[0].typed = Some(Box::new(Typed { string_data: vec![b"a".to_vec().into()], ..Typed::default() }));
    });
    assert_eq!(both, ["error[onnx.tensor.fields]: the tensor has values in raw_data and in string_data (tensor w)"]);
    let unlike = after(|_, g| g.input.push(info("w", 7, &[Ok(2)])));
    assert!(unlike[0].contains("the input w is of another element type than its initializer"), "{unlike:?}");
    let shape = after(|_, g| g.input.push(info("w", 1, &[Ok(3)])));
    assert!(shape[0].contains("the input w is of another shape than its initializer, [2]"), "{shape:?}");
}

#[test]
fn order_domains_and_attributes_of_nodes() {
    let swapped = of_text(&format!("{HEAD}g (float[2] x) => (float[2] y) {{\n y = Neg (t)\n [first] t = Abs (x)\n}}"));
    let said = "error[onnx.order]: the node uses t, which a node behind it makes (node Neg that makes y)";
    assert_eq!(swapped, [said]);
    let inner = format!(
        "{HEAD}g (bool c, float[2] x) => (float[2] y) {{
           t = Abs (x)
           y = If (c) <then_branch = a () => (float[2] r) {{ r = Neg (t) }}, else_branch = b () => (float[2] s) {{ s = Abs (t) }}>
         }}"
    );
    assert_eq!(of_text(&inner), Vec::<String>::new());
    let foreign = of_text(&format!("{HEAD}g (float[2] x) => (float[2] y) {{ [n] y = other.Neg (x) }}"));
    assert_eq!(foreign, ["error[onnx.opset.absent]: the model imports no version of domain \"other\" (node n (Neg))"]);
    let attributes = |a: Vec<AttributeProto<'static>>| after(|_, g| g.node[0].attribute = a);
    let int = || AttributeProto { i: Some(1), ..attribute("axis", AttributeType::Int) };
    let place = "(node Add that makes y)";
    assert_eq!(
        attributes(vec![int(), int()]),
        [format!(
            "error[onnx.attribute.duplicate]: the attribute axis is given more than once; the last one counts {place}"
        )]
    );
    assert_eq!(
        attributes(vec![AttributeProto { f: Some(1.0), ..int() }]),
        [format!("error[onnx.attribute.value]: the attribute axis has two values, Float and Int {place}")]
    );
    assert_eq!(
        attributes(vec![AttributeProto { ty: None, ..int() }]),
        [format!("error[onnx.attribute.type]: the attribute axis does not say its kind {place}")]
    );
}

#[test]
fn functions_and_sparse_tensors() {
    let text = "<ir_version: 7, opset_import: [\"\" : 17, \"d\" : 1]>\ng (float[2] x) => (float[2] y) { y = d.F (x) }
        <domain: \"d\"> F (a) => (b) { b = Neg (a) }";
    assert_eq!(
        of_text(text),
        [
            "error[onnx.ir]: IR version 7 has no functions, they begin at 8 (node F)",
            "error[onnx.function.opset]: the function F imports no operator set (node F)"
        ]
    );
    let sparse = |indices: [i64; 2]| {
        after(|_, g| {
            let raw_indices: Vec<u8> = indices.iter().flat_map(|i| i.to_le_bytes()).collect();
            g.sparse_initializer.push(SparseTensorProto {
                values: Some(floats("s", &[2], &[1.0, 2.0])),
                indices: Some(raw("i", 7, &[2], &raw_indices)),
                dims: vec![4],
                ..SparseTensorProto::default()
            });
        })
    };
    assert_eq!(sparse([1, 3]), Vec::<String>::new());
    assert_eq!(
        sparse([3, 1]),
        ["error[onnx.sparse.index]: the index [1] of the sparse tensor is not in order (tensor s)"]
    );
    assert_eq!(
        sparse([1, 4]),
        ["error[onnx.sparse.index]: an index of the sparse tensor, [4], lies outside of [4] (tensor s)"]
    );
}
