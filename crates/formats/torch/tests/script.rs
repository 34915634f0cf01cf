//! Programs in archives made here, run by the reference.

use modelsmith_format::{Archive, Artifact, Content, Error, Imported, Input, Output, ReadOptions, WriteOptions};
use modelsmith_format_torch::{SCRIPT, TORCH};
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{Tensor, Value};

/// A pickle of an object of class `__torch__.t.M` with one flag.
fn object() -> Vec<u8> {
    let mut out = b"\x80\x02c__torch__.t\nM\n)\x81}X\x08\0\0\0training\x89sb.".to_vec();
    out.shrink_to_fit();
    out
}

fn archive(code: &str) -> Vec<u8> {
    let mut zip = Archive::new();
    let head = |bytes: &[u8]| Content { head: bytes.to_vec(), weight: None };
    zip.add("m/data.pkl", head(&object())).unwrap();
    zip.add("m/code/__torch__/t.py", head(code.as_bytes())).unwrap();
    zip.add("m/version", head(b"3\n")).unwrap();
    let mut output = Output::memory();
    output.emit("", &zip.finish(), &WriteOptions::new(&Operators)).unwrap();
    output.into_memory().remove(0).1
}

fn read(code: &str, ranks: &[(&str, usize)]) -> Result<Imported, Error> {
    let ranks = ranks.iter().map(|(n, r)| ((*n).to_owned(), *r)).collect();
    let input = Input::from_bytes("m.pt", archive(code));
    (SCRIPT.read)(&input, &ReadOptions { ranks, ..ReadOptions::default() })
}

fn method(body: &str) -> String {
    let body = body.lines().map(|l| format!("    {l}\n")).collect::<String>();
    format!(
        "class M(Module):\n  training : bool\n  def forward(self: __torch__.t.M,\n    x: Tensor,\n    n: int) -> Tensor:\n{body}"
    )
}

fn run(body: &str, x: &[f32], n: i64) -> Vec<f64> {
    let found = read(&method(body), &[("x", 1)]).unwrap();
    let Artifact::Model(model) = found.artifact else { panic!("a checkpoint") };
    let inputs = [Value::from(Tensor::vector(x)), Value::from(Tensor::scalar(n))];
    let inputs = &inputs[..model.graph().params.len()];
    let mut running = Reference.load(&model, &Opts::default()).unwrap();
    let out = running.run(inputs, &mut |_, _| {}).unwrap();
    out[0].tensor().unwrap().to_f64s().unwrap()
}

#[test]
fn branches_and_loops_do_what_the_program_does() {
    let body = "y = torch.clone(x)
for i in range(n):
  if bool(torch.gt(torch.sum(y), 4)):
    y0 = torch.mul(y, 0.5)
  else:
    y0 = torch.add(y, i)
  y = y0
return y";
    let python = |x: &[f32], n: i64| {
        let mut y = x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        for i in 0..n {
            let over = y.iter().sum::<f64>() > 4.0;
            y.iter_mut().for_each(|v| *v = if over { *v * 0.5 } else { *v + i as f64 });
        }
        y
    };
    for (x, n) in [([1.0, 2.0], 0), ([1.0, 2.0], 1), ([-3.0, 0.5], 4), ([9.0, 9.0], 7)] {
        assert_eq!(run(body, &x, n), python(&x, n), "{x:?} {n}");
    }
}

#[test]
fn a_write_through_a_view_in_a_branch_reaches_the_whole() {
    let body = "y = torch.clone(x)
v = torch.slice(y, 0, 1)
if bool(torch.gt(torch.select(x, 0, 0), 0)):
  _0 = torch.mul_(v, 10)
else:
  pass
return torch.add(y, n)";
    assert_eq!(run(body, &[1.0, 2.0, 3.0], 0), [1.0, 20.0, 30.0]);
    assert_eq!(run(body, &[-1.0, 2.0, 3.0], 1), [0.0, 3.0, 4.0]);
}

#[test]
fn a_list_that_a_loop_fills_is_stacked() {
    let body = "parts = annotate(List[Tensor], [])
for i in range(n):
  _0 = torch.append(parts, torch.add(x, i))
return torch.flatten(torch.stack(parts))";
    assert_eq!(run(body, &[1.0], 1), [1.0]);
    assert_eq!(run(body, &[1.0, 5.0], 3), [1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
}

#[test]
fn what_cannot_be_said_is_one_node_with_its_line() {
    let found = read(&method("y = torch.fft_nothing(x, 3)\nreturn torch.add(y, n)"), &[("x", 1)]).unwrap();
    let text = found.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        text.contains("aten::fft_nothing (code/__torch__/t.py, line 6): the operator aten::fft_nothing is not known"),
        "{text}"
    );
}

#[test]
fn damaged_code_is_refused_with_file_and_line() {
    let refused = |body: &str| read(&method(body), &[("x", 1)]).err().expect("a fault").to_string();
    assert!(refused("return (x").contains("code/__torch__/t.py, line"), "{}", refused("return (x"));
    assert!(refused("return q").contains("line 6: the name `q` has no value"), "{}", refused("return q"));
    assert!(refused("raise Exception(\"never\")").contains("never"));
    let recursion = method("return (self).forward(x, n, )");
    assert!(read(&recursion, &[("x", 1)]).err().expect("a fault").to_string().contains("recursion"));
}

#[test]
fn a_program_is_told_from_a_checkpoint_by_its_content() {
    let formats = [&SCRIPT, &TORCH];
    for name in ["m.pt", "m.pth", "m.bin", "m"] {
        let input = Input::from_bytes(name, archive(&method("return x")));
        assert_eq!(modelsmith_format::detect(&formats, &input).map(|f| f.name), Some("torchscript"), "{name}");
    }
}

#[test]
fn an_archive_without_a_method_forward_is_a_checkpoint() {
    let found = read("class M(Module):\n  training : bool\n", &[]).unwrap();
    assert_eq!(found.artifact.kind(), "checkpoint");
    let bytes = archive(&method("return x"));
    let input = Input::from_bytes("m.pt", bytes);
    let weights = ReadOptions { weights: true, ..ReadOptions::default() };
    assert_eq!((SCRIPT.read)(&input, &weights).unwrap().artifact.kind(), "checkpoint");
    assert_eq!((TORCH.read)(&input, &ReadOptions::default()).unwrap().artifact.kind(), "checkpoint");
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = Archive::new();
    for (name, bytes) in members {
        zip.add(name, Content { head: bytes.to_vec(), weight: None }).unwrap();
    }
    let mut output = Output::memory();
    output.emit("", &zip.finish(), &WriteOptions::new(&Operators)).unwrap();
    output.into_memory().remove(0).1
}

fn model(bytes: Vec<u8>, ranks: &[(&str, usize)]) -> (modelsmith_ir::Model, Vec<String>) {
    let ranks = ranks.iter().map(|(n, r)| ((*n).to_owned(), *r)).collect();
    let found = (SCRIPT.read)(&Input::from_bytes("m.pt", bytes), &ReadOptions { ranks, ..ReadOptions::default() });
    let found = found.unwrap();
    let Artifact::Model(model) = found.artifact else { panic!("a checkpoint") };
    (*model, found.findings.iter().map(ToString::to_string).collect())
}

fn names(model: &modelsmith_ir::Model, values: &[modelsmith_ir::ValueId]) -> Vec<String> {
    values.iter().map(|&v| model.values[v].name.clone()).collect()
}

fn ran(model: &modelsmith_ir::Model, inputs: &[Value]) -> Vec<Vec<f64>> {
    let mut running = Reference.load(model, &Opts::default()).unwrap();
    let out = running.run(inputs, &mut |_, _| {}).unwrap();
    out.iter().map(|v| v.tensor().unwrap().to_f64s().unwrap()).collect()
}

#[test]
fn the_layout_of_before_pytorch_1_2_is_read() {
    let json = br#"{"protoVersion":"2","mainModule":{"torchscriptArena":{"key":"code/m.py"},"name":"m",
        "parameters":[{"name":"w"}],"attributes":[{"type":"int","name":"k","id":"0"}],
        "submodules":[{"name":"sub","parameters":[{"tensorId":"0","name":"w"}]}]},
        "tensors":[{"dims":["2"],"strides":["1"],"dataType":"FLOAT","data":{"key":"tensors/0"}}]}"#;
    let code = b"op_version_set = 0\ndef forward(self,\n    x: Tensor) -> Tensor:\n  _0 = torch.add(torch.mul(x, \
        self.sub.w), self.w, alpha=self.k)\n  return torch.sub(_0, CONSTANTS.c0, alpha=1)\n";
    let weights = [2f32, 3.0].map(f32::to_le_bytes).concat();
    let attributes = b"\x80\x02(K\x05tq\x00.";
    let members: &[(&str, &[u8])] = &[
        ("m/model.json", json),
        ("m/code/m.py", code),
        ("m/tensors/0", &weights),
        ("m/attributes.pkl", attributes),
        ("m/version", b"1\n"),
    ];
    let (made, _) = model(zipped(members), &[("x", 1)]);
    assert_eq!(ran(&made, &[Value::from(Tensor::vector(&[1f32, 2.0]))]), [[10.0, 18.0]]);
    let lost = zipped(&[("m/model.json", json), ("m/code/m.py", code)]);
    let fault = (SCRIPT.read)(&Input::from_bytes("m.pt", lost), &ReadOptions::default());
    let fault = fault.err().expect("a fault").to_string();
    assert!(fault.contains("tensor 0") && fault.contains("tensors/0 is not in the archive"), "{fault}");
}

/// An archive of a module with the integer attribute `n` = 3, with a debug file where there is one.
fn counting(code: &str, debug: &[u8], traced: bool) -> Vec<u8> {
    let object = b"\x80\x02c__torch__.t\nM\n)\x81}(X\x08\0\0\0training\x89X\x01\0\0\0nK\x03ub.";
    let mut members: Vec<(&str, &[u8])> = vec![("m/data.pkl", object), ("m/code/__torch__/t.py", code.as_bytes())];
    members.extend([("m/code/__torch__/t.py.debug_pkl", debug), ("m/version", b"3\n" as &[u8])]);
    if traced {
        // {"forward": []}: no example is a tensor.
        members.push(("m/traced_inputs.pkl", b"\x80\x02}X\x07\0\0\0forward]s."));
    }
    zipped(&members)
}

#[test]
fn what_a_run_keeps_is_handed_on() {
    let head = "class M(Module):\n  training : bool\n  n : int\n  def forward(self: __torch__.t.M,\n    x: Tensor) -> Tensor:\n";
    let code = format!("{head}    n = self.n\n    self.n = torch.add(n, 2)\n    return torch.mul(x, n)\n");
    let (made, said) = model(counting(&code, b"", false), &[("x", 1)]);
    assert_eq!(names(&made, &made.graph().params), ["x", "n"]);
    assert_eq!(names(&made, &made.graph().results), ["output", "n_next"]);
    assert!(
        said.iter().any(|s| s.contains("keeps state") && s.contains("n = 3") || s.contains("keeps state")),
        "{said:?}"
    );
    let inputs = [Value::from(Tensor::vector(&[1f32, 2.0])), Value::from(Tensor::scalar(5i64))];
    assert_eq!(ran(&made, &inputs), [vec![5.0, 10.0], vec![7.0]]);
    // What nothing depends on is no state.
    let code = format!("{head}    self.n = 7\n    return torch.mul(x, 2)\n");
    let (made, _) = model(counting(&code, b"", false), &[("x", 1)]);
    assert_eq!(names(&made, &made.graph().params), ["x"]);
}

#[test]
fn lists_and_dictionaries_of_tensors_are_inputs() {
    let head = "class M(Module):\n  training : bool\n  def forward(self: __torch__.t.M,\n";
    let code = format!("{head}    xs: List[Tensor]) -> Tensor:\n    return torch.add(xs[0], xs[1])\n");
    let (made, _) = model(archive(&code), &[("xs.0", 1), ("xs.1", 1)]);
    assert_eq!(names(&made, &made.graph().params), ["xs.0", "xs.1"]);
    let code = format!("{head}    d: Dict[str, Tensor]) -> Tensor:\n    return torch.sub(d[\"b\"], d[\"a\"])\n");
    let (made, _) = model(archive(&code), &[("d.a", 1), ("d.b", 1)]);
    let at = names(&made, &made.graph().params);
    assert_eq!(at.len(), 2, "{at:?}");
    let value = |n: &String| if n == "d.b" { 9f32 } else { 4.0 };
    let inputs = at.iter().map(|n| Value::from(Tensor::vector(&[value(n)]))).collect::<Vec<_>>();
    assert_eq!(ran(&made, &inputs), [[5.0]]);
}

#[test]
fn traps_and_idle_branches_are_said() {
    let head = "class M(Module):\n  training : bool\n  n : int\n  def forward(self: __torch__.t.M,\n    x: Tensor) -> Tensor:\n";
    let code = format!(
        "{head}    if bool(torch.gt(torch.sum(torch.relu(x)), 0)):\n      y = torch.relu(x)\n    else:\n      y = torch.neg(torch.relu(x))\n    return y\n"
    );
    let (_, said) = model(counting(&code, b"", false), &[("x", 1)]);
    assert!(!said.iter().any(|s| s.contains("never matters")), "the ways are of other values: {said:?}");
    let code = format!(
        "{head}    h = torch.relu(x)\n    if bool(torch.gt(torch.sum(h), 0)):\n      y = h\n    else:\n      y = torch.neg(h)\n    return y\n"
    );
    let (_, said) = model(counting(&code, b"", false), &[("x", 1)]);
    assert!(said.iter().any(|s| s.contains("never matters") && s.contains("line 7")), "{said:?}");
    let code = format!("{head}    return torch.add(torch.zeros([2, 12]), 1)\n");
    let (_, said) = model(counting(&code, b"", true), &[("x", 1)]);
    assert!(said.iter().any(|s| s.contains("no output depends on the input x")), "{said:?}");
}
