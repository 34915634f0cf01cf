//! Exported programs in archives made here, run by the reference.

use modelsmith_base::DType;
use modelsmith_format::{
    Archive, Artifact, Checkpoint, Content, Error, Imported, Input, Output, ReadOptions, WriteOptions,
};
use modelsmith_format_torch::{EXPORT, SCRIPT, TORCH};
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{Tensor, Value, WeightExpr};
use serde_json::{Value as Json, json};
use std::sync::Arc;

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = Archive::new();
    for (name, bytes) in entries {
        zip.add(name, Content { head: bytes.to_vec(), weight: None }).unwrap();
    }
    let mut output = Output::memory();
    output.emit("", &zip.finish(), &WriteOptions::new(&Operators)).unwrap();
    output.into_memory().remove(0).1
}

fn tensor(name: &str) -> Json {
    json!({"as_tensor": {"name": name}})
}

fn meta(sizes: &[Json]) -> Json {
    json!({"dtype": 7, "sizes": sizes, "requires_grad": false, "device": {"type": "cpu", "index": null},
        "strides": [], "storage_offset": {"as_int": 0}, "layout": 7})
}

fn size(n: i64) -> Json {
    json!({"as_int": n})
}

/// `s0`, as the newer archives print it.
fn free() -> Json {
    json!({"as_expr": {"expr_str": "Symbol('s0', positive=True, integer=True)", "hint": {"as_int": 3}}})
}

fn node(target: &str, inputs: &[Json], outputs: &[Json]) -> Json {
    let inputs = inputs.iter().map(|a| json!({"name": "", "arg": a, "kind": 1})).collect::<Vec<_>>();
    let trace = "File \"/home/u/net.py\", line 7, in forward\n    y = f(x)";
    json!({"target": target, "inputs": inputs, "outputs": outputs, "metadata": {"stack_trace": trace}})
}

fn graph(inputs: &[&str], nodes: &[Json], outputs: &[Json], values: Json) -> Json {
    let inputs = inputs.iter().map(|n| tensor(n)).collect::<Vec<_>>();
    json!({"inputs": inputs, "outputs": outputs, "nodes": nodes, "tensor_values": values, "sym_int_values": {},
        "sym_bool_values": {}, "is_single_tensor_return": false})
}

/// A program with the weight `w` and the input `x` of `s0` rows.
fn program(nodes: &[Json], output: &str) -> Json {
    let values = json!({"x": meta(&[free(), size(2)]), "p_w": meta(&[size(2), size(2)])});
    let specs = json!([{"parameter": {"arg": {"name": "p_w"}, "parameter_name": "w"}},
        {"user_input": {"arg": tensor("x")}}]);
    json!({
        "graph_module": {
            "graph": graph(&["p_w", "x"], nodes, &[tensor(output)], values),
            "signature": {"input_specs": specs, "output_specs": [{"user_output": {"arg": tensor(output)}}]},
            "module_call_graph": []
        },
        "opset_version": {"aten": 10},
        "range_constraints": {"s0": {"min_val": 2, "max_val": 8}},
        "schema_version": {"major": 8, "minor": 20},
        "guards_code": []
    })
}

/// [[1, 2], [3, 4]], stored with its columns one after the other.
fn archive_of(program: &str) -> Vec<u8> {
    let config = json!({"config": {"w": {"path_name": "weight_0", "is_param": true, "use_pickle": false,
        "tensor_meta": {"dtype": 7, "sizes": [size(2), size(2)], "strides": [size(1), size(2)],
            "storage_offset": size(1)}}}});
    let weight = [9.0f32, 1.0, 3.0, 2.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    zip(&[
        ("m/data/weights/weight_0", &weight),
        ("m/data/weights/model_weights_config.json", config.to_string().as_bytes()),
        ("m/data/constants/model_constants_config.json", b"{\"config\": {}}"),
        ("m/models/model.json", program.as_bytes()),
        ("m/archive_format", b"pt2"),
        ("m/byteorder", b"little"),
    ])
}

fn read_bytes(bytes: Vec<u8>) -> Result<Imported, Error> {
    (EXPORT.read)(&Input::from_bytes("m.pt2", bytes), &ReadOptions::default())
}

fn read(program: &Json) -> Result<Imported, Error> {
    read_bytes(archive_of(&program.to_string()))
}

fn refused(program: &Json) -> String {
    read(program).err().expect("a fault").to_string()
}

fn run_with(found: Imported, inputs: &[Tensor]) -> Vec<Vec<f64>> {
    let Artifact::Model(model) = found.artifact else { panic!("a checkpoint") };
    let inputs = inputs.iter().cloned().map(Value::from).collect::<Vec<_>>();
    let mut running = Reference.load(&model, &Opts::default()).unwrap();
    let out = running.run(&inputs, &mut |_, _| {}).unwrap();
    out.iter().map(|v| v.tensor().unwrap().to_f64s().unwrap()).collect()
}

fn rows(x: &[f64]) -> Tensor {
    Tensor::from_f64s(DType::F32, &[x.len() / 2, 2], x).unwrap()
}

fn run(program: &Json, x: &[f64]) -> Vec<f64> {
    run_with(read(program).unwrap(), &[rows(x)]).remove(0)
}

fn matmul() -> Json {
    program(&[node("torch.ops.aten.matmul.default", &[tensor("x"), tensor("p_w")], &[tensor("y")])], "y")
}

#[test]
fn weights_are_views_of_their_files_and_free_dimensions_keep_their_names() {
    assert_eq!(run(&matmul(), &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]), [1.0, 2.0, 3.0, 4.0, 4.0, 6.0]);
    let found = read(&matmul()).unwrap();
    let Artifact::Model(model) = found.artifact else { panic!("a checkpoint") };
    assert_eq!(model.ty(model.graph().params[0]).to_string(), "f32[s0, 2]");
    assert_eq!(model.ty(model.graph().results[0]).to_string(), "f32[s0, 2]");
    assert!(model.meta.props.contains(&("modelsmith.dim.s0".to_owned(), "..8".to_owned())));
    assert!(found.findings.iter().any(|f| f.to_string().contains("exported for sizes ..8 of s0")));
}

#[test]
fn the_layout_of_before_holds_checkpoints() {
    let literal = Tensor::from_f64s(DType::F32, &[2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let tensors = vec![("w".to_owned(), Arc::new(WeightExpr::Literal(literal)))];
    let checkpoint = Artifact::Checkpoint(Checkpoint { tensors, meta: vec![], tree: None });
    let mut output = Output::memory();
    (TORCH.write.unwrap())(&checkpoint, &mut output, &WriteOptions::new(&Operators)).unwrap();
    let state = output.into_memory().remove(0).1;
    // Sizes were printed as formulas, and arguments did not say whether they were named.
    let text =
        matmul().to_string().replace("Symbol('s0', positive=True, integer=True)", "s0").replace(",\"kind\":1", "");
    let bytes = zip(&[
        ("serialized_exported_program.json", text.as_bytes()),
        ("serialized_state_dict.pt", &state),
        ("serialized_constants.pt", b""),
        ("version", b"8.20"),
    ]);
    let input = Input::from_bytes("old.pt2", bytes.clone());
    assert_eq!(modelsmith_format::detect(&[&EXPORT, &SCRIPT, &TORCH], &input).map(|f| f.name), Some("torch.export"));
    let out = run_with(read_bytes(bytes).unwrap(), &[rows(&[1.0, 1.0])]);
    assert_eq!(out, [[4.0, 6.0]]);
}

#[test]
fn branches_and_loops_are_regions() {
    let double = graph(
        &["a"],
        &[node("torch.ops.aten.mul.Tensor", &[tensor("a"), size(2)], &[tensor("b")])],
        &[tensor("b")],
        json!({}),
    );
    let negate =
        graph(&["a"], &[node("torch.ops.aten.neg.default", &[tensor("a")], &[tensor("b")])], &[tensor("b")], json!({}));
    let held = |name: &str, g: &Json| json!({"as_graph": {"name": name, "graph": g}});
    let cond = program(
        &[
            node("torch.ops.aten.sum.default", &[tensor("x")], &[tensor("s")]),
            node("torch.ops.aten.gt.Scalar", &[tensor("s"), size(0)], &[tensor("p")]),
            node(
                "torch.ops.higher_order.cond",
                &[tensor("p"), held("t", &double), held("f", &negate), json!({"as_tensors": [{"name": "x"}]})],
                &[tensor("y")],
            ),
        ],
        "y",
    );
    assert_eq!(run(&cond, &[1.0, 2.0]), [2.0, 4.0]);
    assert_eq!(run(&cond, &[-1.0, -2.0]), [1.0, 2.0]);
    let below = graph(
        &["a"],
        &[
            node("torch.ops.aten.max.default", &[tensor("a")], &[tensor("m")]),
            node("torch.ops.aten.lt.Scalar", &[tensor("m"), size(10)], &[tensor("l")]),
        ],
        &[tensor("l")],
        json!({}),
    );
    let repeated = program(
        &[node(
            "torch.ops.higher_order.while_loop",
            &[held("c", &below), held("b", &double), json!({"as_tensors": [{"name": "x"}]}), json!({"as_tensors": []})],
            &[tensor("y")],
        )],
        "y",
    );
    assert_eq!(run(&repeated, &[1.0, 3.0]), [4.0, 12.0]);
    assert_eq!(run(&repeated, &[11.0, 3.0]), [11.0, 3.0]);
}

#[test]
fn sizes_are_numbers_of_the_program() {
    let number = |n: &str| json!({"as_sym_int": {"as_name": n}});
    let program = program(
        &[
            node("torch.ops.aten.sym_size.int", &[tensor("x"), size(0)], &[number("n")]),
            node("_operator.mul", &[number("n"), size(2)], &[number("m")]),
            node("_operator.floordiv", &[number("m"), size(3)], &[number("k")]),
            node("torch.ops.aten.mul.Tensor", &[tensor("x"), number("k")], &[tensor("y")]),
        ],
        "y",
    );
    assert_eq!(run(&program, &[1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run(&program, &[1.0; 6]), [2.0; 6]);
}

#[test]
fn what_is_written_in_place_is_said() {
    let mut program = program(&[node("torch.ops.aten.mul_.Tensor", &[tensor("x"), size(3)], &[tensor("y")])], "y");
    let found = read(&program).unwrap();
    assert!(found.findings.iter().any(|f| f.to_string().contains("writes to its input x")));
    assert_eq!(run_with(found, &[rows(&[1.0, 2.0])]), [[3.0, 6.0], [3.0, 6.0]]);
    program["graph_module"]["graph"]["nodes"] =
        json!([node("torch.ops.aten.add_.Tensor", &[tensor("p_w"), tensor("x")], &[tensor("y")])]);
    let found = read(&program).unwrap();
    let said = found.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(said.contains("handed on by inputs and outputs: w"), "{said}");
    assert!(said.contains("w = f32[2, 2] [1.0, 2.0, 3.0, 4.0]"), "{said}");
    let given = [rows(&[1.0, 1.0, 1.0, 1.0]), rows(&[0.0, 1.0, 2.0, 3.0])];
    assert_eq!(run_with(found, &given), [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]);
}

#[test]
fn a_write_by_index_behind_other_axes_goes_where_it_should() {
    let at = json!({"as_optional_tensors": [{"as_none": true}, {"as_tensor": {"name": "at"}}]});
    let none = json!({"as_none": true});
    let program = program(
        &[
            node("torch.ops.aten.arange.default", &[size(2)], &[tensor("two")]),
            node("torch.ops.aten.flip.default", &[tensor("two"), json!({"as_ints": [0]})], &[tensor("at")]),
            node("torch.ops.aten.clone.default", &[tensor("x")], &[tensor("y")]),
            node("torch.ops.aten.index_put_.default", &[tensor("y"), at, tensor("p_w")], &[none]),
        ],
        "y",
    );
    // Columns 1 and 0 become those of [[1, 2], [3, 4]].
    assert_eq!(run(&program, &[0.0; 4]), [2.0, 1.0, 4.0, 3.0]);
}

#[test]
fn quantized_graphs_round_to_their_range() {
    let (scale, zero) = (json!({"as_float": 0.5}), size(1));
    let scheme = |x: &str, low: i64, high: i64| {
        vec![tensor(x), scale.clone(), zero.clone(), size(low), size(high), json!({"as_scalar_type": 2})]
    };
    let name = |n: &str| format!("torch.ops.quantized_decomposed.{n}.default");
    let program = program(
        &[
            node(&name("quantize_per_tensor"), &scheme("x", -3, 4), &[tensor("q")]),
            node(&name("dequantize_per_tensor"), &scheme("q", -3, 4), &[tensor("y")]),
        ],
        "y",
    );
    assert_eq!(run(&program, &[0.6, -9.0, 9.0, 1.0]), [0.5, -2.0, 1.5, 1.0]);
}

#[test]
fn what_cannot_be_said_is_one_node_with_its_line() {
    let found = read(&program(&[node("torch.ops.mine.op.default", &[tensor("x")], &[tensor("y")])], "y")).unwrap();
    let text = found.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("mine::op (net.py, line 7): the operator mine::op is not known"), "{text}");
    let object = json!({"as_custom_obj": {"name": "o", "class_fqn": "__torch__.Tokenizer"}});
    let mut held = program(&[node("torch.ops.mine.op.default", std::slice::from_ref(&object), &[tensor("y")])], "y");
    held["graph_module"]["signature"]["input_specs"][0] =
        json!({"custom_obj": {"arg": object["as_custom_obj"], "custom_obj_name": "tok"}});
    assert!(refused(&held).contains("tok is a custom object of the class __torch__.Tokenizer"), "{}", refused(&held));
}

#[test]
fn a_compiled_library_without_a_program_is_refused_with_the_reason() {
    let library: (&str, &[u8]) = ("m/data/aotinductor/model/x.wrapper.so", b"\x7fELF");
    for entries in [vec![("m/archive_format", b"pt2".as_slice()), library], vec![library]] {
        let e = read_bytes(zip(&entries)).err().expect("a fault").to_string();
        assert!(e.contains("AOTInductor compiled for one machine, and no program"), "{e}");
    }
}

#[test]
fn of_several_programs_one_is_read_and_the_others_are_named() {
    let text = matmul().to_string();
    let config =
        b"{\"config\": {\"w\": {\"path_name\": \"w\", \"tensor_meta\": {\"dtype\": 7, \"sizes\": [{\"as_int\": 2}, \
        {\"as_int\": 2}], \"strides\": [{\"as_int\": 2}, {\"as_int\": 1}]}}}}";
    let bytes = zip(&[
        ("m/archive_format", b"pt2"),
        ("m/models/decoder.json", b"not read"),
        ("m/models/model.json", text.as_bytes()),
        ("m/data/weights/model_weights_config.json", config),
        ("m/data/weights/w", &[0; 16]),
    ]);
    let found = read_bytes(bytes).unwrap();
    assert!(found.findings.iter().any(|f| f.to_string().contains("2 programs, model is read; the others: decoder")));
}

#[test]
fn damage_is_located() {
    let whole = matmul().to_string();
    let cut = read_bytes(archive_of(&whole[..whole.len() / 2])).err().expect("a fault").to_string();
    assert!(cut.contains("m/models/model.json, byte"), "{cut}");
    let mut unknown = matmul();
    unknown["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = json!({"as_thing": 1});
    assert!(refused(&unknown).contains("unknown variant `as_thing`"), "{}", refused(&unknown));
    let mut missing = matmul();
    missing["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = tensor("z");
    assert!(refused(&missing).contains("the value z is used before it is made"), "{}", refused(&missing));
    let mut newer = matmul();
    newer["schema_version"]["major"] = json!(9);
    assert!(refused(&newer).contains("schema 9.20, versions up to 8 are read"), "{}", refused(&newer));
    let mut lost = matmul();
    lost["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = json!("v");
    assert!(refused(&lost).contains("the archive holds no data of v"), "{}", refused(&lost));
}

#[test]
fn no_byte_of_a_program_makes_the_reader_fail_without_a_reason() {
    let whole = matmul().to_string().into_bytes();
    for at in 0..whole.len() {
        for with in [b'"', b'}', b'9', b'-', 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = with;
            let bytes = archive_of(&String::from_utf8_lossy(&bytes));
            if let Err(e) = read_bytes(bytes) {
                assert!(e.to_string().len() > 10, "{at}");
            }
        }
    }
    let archive = archive_of(&matmul().to_string());
    for at in (0..archive.len()).step_by(3) {
        let mut bytes = archive.clone();
        bytes[at] ^= 0x41;
        let _ = read_bytes(bytes);
        let _ = read_bytes(archive[..at].to_vec());
    }
}

#[test]
fn the_weights_alone_are_a_checkpoint() {
    let input = Input::from_bytes("m.pt2", archive_of(&matmul().to_string()));
    let weights = ReadOptions { weights: true, ..ReadOptions::default() };
    let Artifact::Checkpoint(found) = (EXPORT.read)(&input, &weights).unwrap().artifact else { panic!("a model") };
    assert_eq!(found.tensors.len(), 1);
    assert_eq!(found.tensors[0].1.shape(), [2, 2]);
}
